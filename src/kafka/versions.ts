import { type API, apiVersionsV0, apiVersionsV3, type Connection } from '@platformatic/kafka';
import { UnsupportedRequestError } from './errors.ts';

/** A request in the versions that we write and whose answers we read, newest first. */
export interface Request<A extends unknown[], R> {
  readonly name: string;
  readonly versions: readonly API<A, R>[];
  /** What to do about a broker that does not know it yet. */
  readonly advice?: string;
}

export function request<A extends unknown[], R>(
  name: string,
  ...versions: readonly API<A, R>[]
): Request<A, R> {
  return { name, versions };
}

interface Offered {
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** The versions of a broker's requests, as it told them on this connection, and what is chosen among them. */
export class BrokerVersions {
  readonly #broker: string;
  readonly #offered: ReadonlyMap<number, Offered>;

  constructor(broker: string, apiKeys: readonly (Offered & { apiKey: number })[]) {
    this.#broker = broker;
    this.#offered = new Map(apiKeys.map((offered) => [offered.apiKey, offered]));
  }

  /** Asks the broker. One from before 2.4 answers only to the oldest form of the question. */
  static async ask(connection: Connection): Promise<BrokerVersions> {
    const ask = (api: typeof apiVersionsV3.api | typeof apiVersionsV0.api) =>
      api.async(connection, 'frazil', '1');
    const answer = await ask(apiVersionsV3.api).catch((error: { errors?: { apiId?: string }[] }) => {
      if (error.errors?.[0]?.apiId !== 'UNSUPPORTED_VERSION') throw error;
      return ask(apiVersionsV0.api);
    });
    return new BrokerVersions(`${connection.host}:${connection.port}`, answer.apiKeys);
  }

  has(asked: Request<never, unknown>): boolean {
    const offered = this.#offered.get(asked.versions[0]!.key);
    return asked.versions.some((api) => isOffered(api, offered));
  }

  /**
   * The newest version that both sides know.
   * @throws {UnsupportedRequestError} naming broker, request and versions when there is none
   */
  choose<A extends unknown[], R>({ name, versions, advice }: Request<A, R>): API<A, R> {
    const offered = this.#offered.get(versions[0]!.key);
    const chosen = versions.find((api) => isOffered(api, offered));
    if (chosen) return chosen;
    const newest = versions[0]!.version;
    const oldest = versions.at(-1)!.version;
    const known = oldest === newest ? `version ${newest}` : `one of versions ${oldest} to ${newest}`;
    const range = offered ? rangeText(offered) : 'no version';
    const act =
      offered && offered.minVersion > newest
        ? 'the broker is newer than this frazil knows: use a newer frazil'
        : (advice ?? 'the broker must be Apache Kafka 2.8 or newer, or speak its protocol');
    throw new UnsupportedRequestError(
      `broker ${this.#broker} offers ${range} of ${name}, ${known} is needed: ${act}`,
    );
  }
}

function rangeText({ minVersion, maxVersion }: Offered): string {
  return minVersion === maxVersion ? `version ${minVersion}` : `versions ${minVersion} to ${maxVersion}`;
}

function isOffered({ version }: { version: number }, offered: Offered | undefined): boolean {
  return offered !== undefined && offered.minVersion <= version && version <= offered.maxVersion;
}
