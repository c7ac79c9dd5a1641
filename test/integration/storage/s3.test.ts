import { randomUUID } from 'node:crypto';
import { HeadObjectCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AlreadyExistsError, FatalError } from '../../../src/base/errors.ts';
import type { StorageAccess } from '../../../src/storage/access.ts';
import { S3Store } from '../../../src/storage/s3.ts';
import { storeSuite } from '../../contract/store-suite.ts';
import { Localstack } from '../../tools/localstack.ts';

const parts = await Localstack.start(['seaweedfs']);
afterAll(() => parts.stop());

const endpoint = parts.env['FRAZIL_SEAWEEDFS_S3']!;
const bucket = parts.env['FRAZIL_SEAWEEDFS_BUCKET']!;
const accessKeyId = parts.env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!;
const secretAccessKey = parts.env['FRAZIL_SEAWEEDFS_SECRET_KEY']!;
const root = `s3://${bucket}/${randomUUID()}`;
const access: StorageAccess = { prefix: `s3://${bucket}/`, accessKeyId, secretAccessKey };
const store = new S3Store({ endpoint }, async () => access);
const client = new S3Client({
  endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId, secretAccessKey },
});

describe('SeaweedFS as a store', () => {
  storeSuite(store, root);
});
