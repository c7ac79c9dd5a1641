import type { Broker, Connection } from '@platformatic/kafka';
import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import type { AccessSettings } from './access.ts';
import { Connections } from './connections.ts';
import { Credentials, type CredentialsPorts } from './credentials.ts';
import { type Access, asKafkaError } from './errors.ts';
import { fetchRequest } from './fetch-request.ts';
import { requests } from './requests.ts';
import { BrokerVersions, type Request } from './versions.ts';

/**
 * Connections and request encoding of `@platformatic/kafka`, and nothing else of it. Its consumer, its commits and its
 * isolation filter are not used: they deliver aborted records and commit for partitions that are owned no more.
 */

export interface WireOptions {
  brokers: readonly string[];
  clientId: string;
  /** How to get in; without it brokers are spoken to in plain text and without a login. */
  access?: AccessSettings | undefined;
}

/** What some ways to get in need. */
export type WirePorts = Omit<CredentialsPorts, 'clock'>;

const connectTimeoutMs = 5_000;
/** The client's own limit on an answer. Fetches wait at the broker for less than this. */
const requestTimeoutMs = 30_000;
/** For an answer that comes when all members of a group have joined: longer than a member may take to do so. */
const joinTimeoutMs = 90_000;

/** Asks brokers, each in the newest version of a request that both know. */
export class Brokers {
  /** Who we are to brokers. */
  readonly access: Access;
  /** Whom to ask what every broker knows: those of the cluster as last known, then the configured ones. */
  #anyone: Broker[];
  readonly #bootstrap: Broker[];
  readonly #pool: Connections;
  /** A broker answers the requests of a connection one after the other: joining would keep heartbeats and commits. */
  readonly #joining: Connections;
  readonly #clock: Clock;
  readonly #versions = new WeakMap<Connection, Promise<BrokerVersions>>();

  constructor(options: WireOptions, clock: Clock, ports: WirePorts = plainPorts) {
    this.#bootstrap = options.brokers.map(parseBroker);
    this.#anyone = this.#bootstrap;
    this.#clock = clock;
    const credentials = new Credentials(options.access ?? {}, { ...ports, clock });
    this.access = credentials;
    const open = (timeoutMs: number): Connections =>
      new Connections(
        options.clientId,
        credentials,
        { connectTimeoutMs, requestTimeoutMs: timeoutMs },
        { clock, warn: (message) => ports.warn(message) },
      );
    this.#pool = open(requestTimeoutMs);
    this.#joining = open(joinTimeoutMs);
  }

  /** One request to one broker, in the newest version that both know. @throws {KafkaError} */
  protected send<A extends unknown[], R>(
    doing: string,
    broker: Broker | 'any',
    asked: Request<A, R>,
    ...args: A
  ): Promise<R> {
    const connecting = (): Promise<Connection> =>
      broker === 'any' ? this.#pool.getFirstAvailable(this.#anyone) : this.#pool.get(broker);
    return this.#ask(doing, connecting, requestTimeoutMs, asked, args);
  }

  /** The same for what is answered when all members of a group have asked it. @throws {KafkaError} */
  protected sendJoining<A extends unknown[], R>(
    doing: string,
    broker: Broker,
    asked: Request<A, R>,
    ...args: A
  ): Promise<R> {
    return this.#ask(doing, () => this.#joining.get(broker), joinTimeoutMs, asked, args);
  }

  async #ask<A extends unknown[], R>(
    doing: string,
    connecting: () => Promise<Connection>,
    timeoutMs: number,
    asked: Request<A, R>,
    args: A,
  ): Promise<R> {
    try {
      return await withDeadline(this.#clock, connectTimeoutMs * 2 + timeoutMs, doing, async () => {
        const connection = await connecting();
        const versions = await this.#versionsOf(connection);
        return versions.choose(asked).async(connection, ...args);
      });
    } catch (error) {
      throw asKafkaError(doing, error, this.access);
    }
  }

  /** Refuses brokers with which we share no version of what is needed, before anything is asked of them. */
  #versionsOf(connection: Connection): Promise<BrokerVersions> {
    let versions = this.#versions.get(connection);
    if (!versions) {
      versions = BrokerVersions.ask(connection).then((offered) => {
        for (const needed of [fetchRequest, ...Object.values(requests)])
          offered.choose<never, unknown>(needed);
        return offered;
      });
      this.#versions.set(connection, versions);
      // What was no answer is asked for again, as long as there is the connection.
      versions.catch(() => this.#versions.delete(connection));
    }
    return versions;
  }

  /** A connection to one broker, and what that knows. */
  protected async connect(broker: Broker): Promise<{ connection: Connection; versions: BrokerVersions }> {
    const connection = await this.#pool.get(broker);
    return { connection, versions: await this.#versionsOf(connection) };
  }

  /** From now on these are asked what every broker knows. */
  protected know(brokers: readonly Broker[]): void {
    const known = new Set(brokers.map(({ host, port }) => `${host}:${port}`));
    this.#anyone = [...brokers, ...this.#bootstrap.filter(({ host, port }) => !known.has(`${host}:${port}`))];
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#pool.close(), this.#joining.close()]);
  }
}

/** What needs neither tokens nor signatures needs no ports. */
const plainPorts: WirePorts = {
  random: systemRandom,
  fetch,
  awsSigner: () => Promise.reject(new FatalError('signing for MSK: there is no signer')),
  warn: () => {},
};

function parseBroker(text: string): Broker {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
