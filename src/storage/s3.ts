import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { AlreadyExistsError, FatalError, messageOf, NotFoundError, TransientError } from '../base/errors.ts';
import type { AccessSource } from './access.ts';
import { awsError, awsFailure } from './aws.ts';
import { type OpenedS3, S3Clients, type S3Timeouts, s3Timeouts } from './s3-client.ts';
import {
  type Body,
  bodyOf,
  isBody,
  type Target,
  type UploadLimits,
  upload,
  uploadLimits,
} from './s3-upload.ts';
import type { S3Settings } from './settings.ts';
import type { RangedStore } from './store.ts';

export type S3Limits = S3Timeouts & UploadLimits;

export const s3Limits: S3Limits = { ...s3Timeouts, ...uploadLimits };

/**
 * Objects of S3 and of what speaks like it, opened by what `access` answers for a location, else by the default
 * credentials (environment, profile, or the role of the machine).
 *
 * Writing needs `If-None-Match: *`, which AWS has since 2024. When a request was sent twice, a refusal may be due to
 * the first of them having come through: then an object with the same digest is there, and the write has succeeded.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
export class S3Store implements RangedStore {
  readonly #clients: S3Clients;
  readonly #limits: UploadLimits;
  readonly #encryption: Pick<Target, 'ServerSideEncryption' | 'SSEKMSKeyId'>;

  constructor(settings: S3Settings, access?: AccessSource, limits: S3Limits = s3Limits) {
    this.#clients = new S3Clients(settings, access, limits);
    this.#limits = limits;
    this.#encryption = encryptionOf(settings);
  }

  async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    const target = placeOf(location);
    const opened = await this.#clients.of(location);
    const body = bodyOf(parts, this.#limits);
    try {
      await upload(opened.client, { ...target, ...this.#encryption }, body);
    } catch (error) {
      const { status, code } = awsFailure(error);
      const doing = `writing ${location}`;
      // An upload in parts that is known no more was completed, or else thrown away.
      if (status !== 412 && code !== 'NoSuchUpload')
        throw failure(doing, error, 's3:PutObject', target, opened);
      await this.#claim(doing, target, opened, body, error);
    }
  }

  async get(location: string): Promise<Uint8Array> {
    return (await this.#read(location)).bytes;
  }

  async getRange(location: string, start: number, end: number): Promise<Uint8Array> {
    if (end <= start) return new Uint8Array(0);
    const { bytes, isWhole } = await this.#read(location, `bytes=${start}-${end - 1}`);
    // Some that speak like S3 pass over what they do not know: the whole object is an answer too.
    return isWhole ? bytes.subarray(start, end) : bytes;
  }

  async #read(location: string, range?: string): Promise<{ bytes: Uint8Array; isWhole: boolean }> {
    const target = placeOf(location);
    const opened = await this.#clients.of(location);
    const doing = `reading ${location}`;
    try {
      const { Body, ContentRange } = await opened.client.send(
        new GetObjectCommand({ ...target, ...(range === undefined ? {} : { Range: range }) }),
      );
      return { bytes: await Body!.transformToByteArray(), isWhole: ContentRange === undefined };
    } catch (error) {
      const { code, status } = awsFailure(error);
      // It begins behind the object's end.
      if (range !== undefined && (code === 'InvalidRange' || status === 416))
        return { bytes: new Uint8Array(0), isWhole: false };
      if (code === 'NoSuchKey') throw new NotFoundError(`${doing}: no such object`, { cause: error });
      throw failure(doing, error, 's3:GetObject', target, opened);
    }
  }

  async delete(location: string): Promise<void> {
    const target = placeOf(location);
    const opened = await this.#clients.of(location);
    try {
      await opened.client.send(new DeleteObjectCommand(target));
    } catch (error) {
      // AWS does not complain of a missing object, others may.
      if (awsFailure(error).code !== 'NoSuchKey')
        throw failure(`deleting ${location}`, error, 's3:DeleteObject', target, opened);
    }
  }

  /** After a refused write: returns if the object that is there is what was to be written. */
  async #claim(doing: string, target: Place, opened: OpenedS3, body: Body, refusal: unknown): Promise<void> {
    try {
      const { Metadata } = await opened.client.send(new HeadObjectCommand(target));
      if (isBody(body, Metadata)) return;
    } catch (error) {
      if (awsFailure(error).status === 404)
        throw new TransientError(`${doing}: it was refused, but there is no such object now`, {
          cause: refusal,
        });
      throw failure(doing, error, 's3:GetObject', target, opened);
    }
    throw new AlreadyExistsError(`${doing}: it exists already`, { cause: refusal });
  }
}

interface Place {
  readonly Bucket: string;
  readonly Key: string;
}

function placeOf(location: string): Place {
  const [, bucket, key] = /^s3[an]?:\/\/([^/]+)\/(.+)$/is.exec(location) ?? [];
  if (!bucket || !key) throw new FatalError(`opening ${location}: expected s3://bucket/key`);
  return { Bucket: bucket, Key: key };
}

function encryptionOf({ encryption }: S3Settings): Pick<Target, 'ServerSideEncryption' | 'SSEKMSKeyId'> {
  if (encryption?.type === 's3') return { ServerSideEncryption: 'AES256' };
  if (encryption?.type !== 'kms') return {};
  return {
    ServerSideEncryption: 'aws:kms',
    ...(encryption.keyId ? { SSEKMSKeyId: encryption.keyId } : {}),
  };
}

/** What S3 says in its own words, else as for all of AWS. */
function failure(
  doing: string,
  error: unknown,
  action: string,
  { Bucket, Key }: Place,
  opened: OpenedS3,
): Error {
  const { code } = awsFailure(error);
  const fatal = (advice: string): FatalError => new FatalError(`${doing}: ${advice}`, { cause: error });
  if (code === 'NoSuchBucket') return fatal(`there is no bucket ${Bucket}: create it`);
  if (code === 'NotImplemented' && action === 's3:PutObject')
    return fatal(`this store does not know If-None-Match: use one that does: ${messageOf(error)}`);
  const region = regionToldBy(error);
  if (/^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301)$/.test(code))
    return fatal(
      region
        ? `bucket ${Bucket} is in region ${region}: set store.region to that`
        : `bucket ${Bucket} is in another region: set store.region to that of the bucket: ${messageOf(error)}`,
    );
  if (code.startsWith('KMS.'))
    return fatal(`the key of store.encryption cannot be used (${code}): ${messageOf(error)}`);
  const more =
    action === 's3:GetObject'
      ? `, and s3:ListBucket on arn:aws:s3:::${Bucket}, without which a missing object is denied`
      : '';
  return awsError(doing, error, {
    grant: `${action} on arn:aws:s3:::${Bucket}/${Key}${more}`,
    regionSetting: 'store.region',
    vended: opened.vended,
  });
}

/** A server that is asked for a bucket of another region tells that in a header, or in the body. */
function regionToldBy(error: unknown): string | undefined {
  const { Region, $response } = error as {
    Region?: string;
    $response?: { headers?: Record<string, string> };
  };
  return Region ?? $response?.headers?.['x-amz-bucket-region'];
}
