import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { AccessSource, StorageAccess } from './access.ts';
import type { S3Settings } from './settings.ts';

/** The SDK's own tries, for what passes in a moment. Those who call the store wait longer, and say so. */
const triesMax = 3;

/** The SDK waits for ever by default. All tries together stay below the five minutes of one attempt to write (put.ts). */
const timeouts = {
  connectionTimeout: 10_000,
  /** Until the answer begins, body sent: 64 MiB take 0.8 MB/s. */
  requestTimeout: 90_000,
  throwOnRequestTimeout: true,
  /** Without a byte in either direction. */
  socketTimeout: 30_000,
};

/** Connections at once: two files of each table (lane/lane-table.ts) in up to four parts; further requests wait. */
const socketsMax = 64;

/** A client, and where what opens the store with it comes from. */
export interface OpenedS3 {
  readonly client: S3Client;
  /** By a catalog, rather than by this machine's credentials. */
  readonly vended: boolean;
}

/**
 * Clients by what opens a location: the default credentials, or those that a catalog vends. All share one pool of
 * connections, which end by themselves when idle: a client with credentials of the past is just forgotten.
 */
export class S3Clients {
  readonly #settings: S3Settings;
  readonly #access: AccessSource | undefined;
  readonly #http = new NodeHttpHandler({
    ...timeouts,
    httpAgent: { keepAlive: true, maxSockets: socketsMax },
    httpsAgent: { keepAlive: true, maxSockets: socketsMax },
    // It would warn on the console when requests wait for a connection.
    logger: { ...console, warn: () => {} },
  });
  #own: OpenedS3 | undefined;
  /** By prefix: one each, for the newest credentials. */
  readonly #vended = new Map<string, OpenedS3 & { access: StorageAccess }>();

  constructor(settings: S3Settings, access?: AccessSource) {
    this.#settings = settings;
    this.#access = access;
  }

  async of(location: string): Promise<OpenedS3> {
    const access = await this.#access?.(location);
    if (!access) {
      this.#own ??= { client: this.#connect(this.#settings), vended: false };
      return this.#own;
    }
    const known = this.#vended.get(access.prefix);
    if (known && opensAs(known.access, access)) return known;
    const { region, endpoint, pathStyle, ...credentials } = access;
    const settings = {
      region: region ?? this.#settings.region,
      endpoint: endpoint ?? this.#settings.endpoint,
      pathStyle: pathStyle ?? this.#settings.pathStyle,
    };
    const opened = { client: this.#connect(settings, credentials), vended: true, access };
    this.#vended.set(access.prefix, opened);
    return opened;
  }

  #connect({ region, endpoint, pathStyle }: S3Settings, vended?: StorageAccess): S3Client {
    // Not every store that is not AWS knows the checksums that came later than If-None-Match.
    const checksums = endpoint ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
    const config: S3ClientConfig = {
      requestHandler: this.#http,
      maxAttempts: triesMax,
      forcePathStyle: pathStyle ?? endpoint !== undefined,
      requestChecksumCalculation: checksums,
      responseChecksumValidation: checksums,
    };
    if (endpoint) config.endpoint = endpoint;
    if (region) config.region = region;
    else if (endpoint) config.region = regionOrAny;
    if (vended) {
      const { accessKeyId, secretAccessKey, sessionToken } = vended;
      config.credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    }
    return new S3Client(config);
  }
}

/** The region of environment or profile; few stores outside AWS have any, and this one they all take. */
async function regionOrAny(): Promise<string> {
  const { config } = new S3Client({});
  return config.region().catch(() => 'us-east-1');
}

function opensAs(a: StorageAccess, b: StorageAccess): boolean {
  const keys = ['accessKeyId', 'secretAccessKey', 'sessionToken', 'region', 'endpoint', 'pathStyle'] as const;
  return keys.every((key) => a[key] === b[key]);
}
