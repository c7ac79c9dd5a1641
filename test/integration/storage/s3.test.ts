import { randomUUID } from 'node:crypto';
import { HeadObjectCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HttpProxy } from '../../../localstack/lib/http-proxy.ts';
import { AlreadyExistsError, FatalError } from '../../../src/base/errors.ts';
import type { StorageAccess } from '../../../src/storage/access.ts';
import { type S3Limits, S3Store, s3Limits } from '../../../src/storage/s3.ts';
import { type StoreBehindProxy, sliceBytes, storeFaultSuite } from '../../contract/store-fault-suite.ts';
import { storeSuite } from '../../contract/store-suite.ts';
import { Localstack } from '../../tools/localstack.ts';

const parts = await Localstack.start(['seaweedfs', 'ministack']);
afterAll(() => parts.stop());
const { env } = parts;

interface Server {
  name: string;
  endpoint: string;
  bucket: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** Whether of several uploads in parts that end at the same time one is taken: test/tools/README.md. */
  partsAreExclusive: boolean;
}

const seaweed: Server = {
  name: 'SeaweedFS',
  endpoint: env['FRAZIL_SEAWEEDFS_S3']!,
  bucket: env['FRAZIL_SEAWEEDFS_BUCKET']!,
  credentials: {
    accessKeyId: env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!,
    secretAccessKey: env['FRAZIL_SEAWEEDFS_SECRET_KEY']!,
  },
  partsAreExclusive: false,
};
const ministack: Server = {
  name: 'MiniStack',
  endpoint: env['FRAZIL_AWS']!,
  bucket: 'lake',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  partsAreExclusive: true,
};

describe.each([seaweed, ministack])(
  '$name as a store',
  ({ endpoint, bucket, credentials, partsAreExclusive }) => {
    const root = `s3://${bucket}/${randomUUID()}`;
    const opens: StorageAccess = { prefix: `s3://${bucket}/`, ...credentials };
    const store = new S3Store({ endpoint }, async () => opens);
    const limits = { ...s3Limits, wholeBytesMax: sliceBytes, sliceBytes };
    const slicing = new S3Store({ endpoint }, async () => opens, limits);
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });

    async function openUploads(): Promise<number> {
      const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads?.length ?? 0;
    }

    // Ten writers of one name keep SeaweedFS busy for seconds: those who lose wait for a lock.
    storeSuite(store, root, { rounds: 1, writers: 10 });

    test('takes a large object in parts', async () => {
      const location = `${root}/in-parts`;
      const pieces = Array.from({ length: 7 }, (_, i) => new Uint8Array(10_000_000).fill(i));
      await store.put(location, pieces);
      expect(Buffer.compare(await store.get(location), Buffer.concat(pieces))).toBe(0);
      const Key = location.slice(`s3://${bucket}/`.length);
      const { ETag } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key }));
      expect(ETag).toMatch(/-5"$/);
    });

    test('knows an object again that was put in parts', async () => {
      const location = `${root}/again`;
      const body = new Uint8Array(2 * sliceBytes).fill(7);
      await slicing.put(location, [body]);
      await slicing.put(location, [body.subarray(0, 100), body.subarray(100)]);
      await expect(slicing.put(location, [body.fill(8)])).rejects.toThrow(AlreadyExistsError);
      expect(await openUploads()).toBe(0);
    });

    test('refuses parts for a name that is taken, and keeps none of them', async () => {
      const location = `${root}/taken`;
      await store.put(location, [Buffer.from('first')]);
      await expect(slicing.put(location, [new Uint8Array(2 * sliceBytes)])).rejects.toThrow(
        AlreadyExistsError,
      );
      expect(Buffer.from(await store.get(location)).toString()).toBe('first');
      expect(await openUploads()).toBe(0);
    });

    test('lets one of ten writers in parts win', async () => {
      const location = `${root}/race`;
      const writes = Array.from({ length: 10 }, (_, i) =>
        slicing.put(location, [new Uint8Array(sliceBytes), Uint8Array.of(i)]),
      );
      const outcomes = await Promise.allSettled(writes);
      const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
      if (partsAreExclusive) expect(winners).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(AlreadyExistsError);
      expect(winners).toContain((await store.get(location)).at(-1));
      expect(await openUploads()).toBe(0);
    });

    describe('behind a network that fails', () => {
      let behind: StoreBehindProxy;
      beforeAll(async () => {
        const proxy = await HttpProxy.start({ target: endpoint });
        const through = (limited: S3Limits): S3Store =>
          new S3Store({ endpoint: proxy.url }, async () => opens, limited);
        behind = { proxy, store: through(s3Limits), slicing: through(limits), direct: store, root };
      });
      afterAll(() => behind.proxy.close());
      storeFaultSuite(() => behind);
    });

    test('says that a bucket is missing', async () => {
      const missing = `s3://no-such-bucket/${randomUUID()}`;
      for (const call of [() => store.put(missing, []), () => store.get(missing)])
        await expect(call()).rejects.toThrow(': there is no bucket no-such-bucket: create it');
    });
  },
);

test('a wrong secret is named as such', async () => {
  const access: StorageAccess = { prefix: 's3://', ...seaweed.credentials, secretAccessKey: 'wrong' };
  const stranger = new S3Store({ endpoint: seaweed.endpoint }, async () => access);
  const refused = await stranger.get(`s3://${seaweed.bucket}/a`).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(FatalError);
  expect((refused as Error).message).toContain('the credentials are not accepted: check access key, secret');
});
