import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { AccessSource, StorageAccess } from './access.ts';
import type { S3Settings } from './settings.ts';

/** The SDK's own tries, for what passes in a moment. Those who call the store wait longer, and say so. */
const triesMax = 3;

/** How long a request waits; the SDK would wait for ever. */
export interface S3Timeouts {
  readonly connectMs: number;
  /** From the beginning of the request to that of the answer. */
  readonly answerMs: number;
  /** Without a byte in either direction. */
  readonly silenceMs: number;
}

/**
 * 64 MiB in 90 s are 0.8 MB/s, and three tries stay below the five minutes that one attempt to write may take (put.ts).
 */
export const s3Timeouts: S3Timeouts = { connectMs: 10_000, answerMs: 90_000, silenceMs: 30_000 };

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
  readonly #http: NodeHttpHandler;
  #own: OpenedS3 | undefined;
  /** By prefix: one each, for the newest credentials. */
  readonly #vended = new Map<string, OpenedS3 & { access: StorageAccess }>();

  constructor(settings: S3Settings, access: AccessSource | undefined, timeouts: S3Timeouts) {
    this.#settings = settings;
    this.#access = access;
    this.#http = new NodeHttpHandler({
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.answerMs,
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.silenceMs,
      httpAgent: { keepAlive: true, maxSockets: socketsMax },
      httpsAgent: { keepAlive: true, maxSockets: socketsMax },
      // It would warn on the console when requests wait for a connection.
      logger: { ...console, warn: () => {} },
    });
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
