import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { AlreadyExistsError, FatalError, NotFoundError, TransientError } from '../base/errors.ts';
import type { AccessSource } from './access.ts';
import type { S3Settings } from './settings.ts';
import type { Store } from './store.ts';

/** Objects of S3 and of what speaks like it. */
export class S3Store implements Store {
  readonly #client: S3Client;
  readonly #access: AccessSource | undefined;

  constructor(settings: S3Settings, access?: AccessSource) {
    this.#access = access;
    this.#client = new S3Client({
      ...(settings.region ? { region: settings.region } : {}),
      ...(settings.endpoint ? { endpoint: settings.endpoint } : {}),
      forcePathStyle: settings.pathStyle ?? settings.endpoint !== undefined,
    });
  }

  async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.#access?.(location);
    await this.#run(`writing ${location}`, () =>
      this.#client.send(
        new PutObjectCommand({ ...place(location), Body: Buffer.concat(parts), IfNoneMatch: '*' }),
      ),
    );
  }

  async get(location: string): Promise<Uint8Array> {
    return this.#run(`reading ${location}`, async () => {
      const { Body } = await this.#client.send(new GetObjectCommand(place(location)));
      return Body!.transformToByteArray();
    });
  }

  async delete(location: string): Promise<void> {
    await this.#run(`deleting ${location}`, () =>
      this.#client.send(new DeleteObjectCommand(place(location))),
    );
  }

  async #run<T>(doing: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
      const status = $metadata?.httpStatusCode;
      const text = `${doing}: ${name}: ${message}`;
      if (status === 412) throw new AlreadyExistsError(text, { cause: error });
      if (name === 'NoSuchKey') throw new NotFoundError(text, { cause: error });
      if (status === undefined || status >= 500 || status === 429)
        throw new TransientError(text, { cause: error });
      throw new FatalError(text, { cause: error });
    }
  }
}

function place(location: string): { Bucket: string; Key: string } {
  const [, bucket, key] = /^s3[an]?:\/\/([^/]+)\/(.+)$/.exec(location) ?? [];
  if (!bucket || !key) throw new FatalError(`opening ${location}: expected s3://bucket/key`);
  return { Bucket: bucket, Key: key };
}
