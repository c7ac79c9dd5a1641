import type { Broker, ConnectionOptions } from '@platformatic/kafka';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { Credentials } from './credentials.ts';
import { asKafkaError, KafkaError } from './errors.ts';
import { type AskedFor, hintOn, refusalIn } from './refusals.ts';
import type { Login, SaslAnswer } from './sasl.ts';

/**
 * Connections to brokers, one each. A session that the broker will end (KIP-368) is replaced before: a new connection is
 * made beside the old one, which goes when its last answer has come. The wire library would log in again on the same
 * connection, where a request between the two messages of a login makes the broker end it.
 */

export interface ConnectionLimits {
  connectTimeoutMs: number;
  requestTimeoutMs: number;
}

export interface ConnectionPorts {
  clock: Clock;
  /** Told of what is not in order and does not matter yet. */
  warn(message: string): void;
}

/** A session is replaced when so much of it is over. Tokens are renewed before (`oidc.ts`). */
const renewedAfter = 0.8;
/** Whoever comes later waits for the new one. */
const usedUntil = 0.95;
/** A new connection is not tried for more often than this while the old one does. */
const renewalPauseMs = 1_000;
/** For so long a refusal of a login stands for all who ask. */
const refusalPauseMs = 1_000;

export class Connections {
  readonly #clientId: string;
  readonly #limits: ConnectionLimits;
  readonly #ports: ConnectionPorts;
  readonly #credentials: Credentials;
  readonly #held = new Map<string, BrokerConnection>();
  readonly #opening = new Map<string, Promise<BrokerConnection>>();
  /** Logins that were refused a moment ago: there are systems that lock out who tries too often. */
  readonly #refused = new Map<string, { error: Error; untilMs: number }>();
  /** Replaced ones that wait for their last answers. */
  readonly #retired = new Set<BrokerConnection>();
  readonly #end = new AbortController();

  constructor(clientId: string, credentials: Credentials, limits: ConnectionLimits, ports: ConnectionPorts) {
    this.#clientId = clientId;
    this.#credentials = credentials;
    this.#limits = limits;
    this.#ports = ports;
  }

  /** @throws {KafkaError} */
  async get(broker: Broker): Promise<BrokerConnection> {
    const key = keyOf(broker);
    const held = this.#held.get(key);
    if (!held?.isConnected()) return this.#openOnce(key, broker);
    const nowMs = this.#ports.clock.monotonicMs();
    // With so little left the answer might come too late.
    if (nowMs >= held.endsAtMs) return this.#openOnce(key, broker);
    if (nowMs >= held.renewAtMs) {
      held.renewAtMs = nowMs + renewalPauseMs;
      this.#openOnce(key, broker).catch((error: unknown) =>
        this.#ports.warn(`a session that will end could not be renewed: ${messageOf(error)}`),
      );
    }
    return held;
  }

  /** The first of these brokers that takes us. @throws {KafkaError} of the first that refuses, else of the first. */
  async getFirstAvailable(brokers: readonly Broker[]): Promise<BrokerConnection> {
    const errors: unknown[] = [];
    const isHeld = (broker: Broker): number => (this.#held.get(keyOf(broker))?.isConnected() ? 0 : 1);
    // No waiting for brokers that are down while another is there.
    for (const broker of brokers.toSorted((a, b) => isHeld(a) - isHeld(b))) {
      try {
        return await this.get(broker);
      } catch (error) {
        errors.push(error);
      }
    }
    throw errors.find((error) => !(error instanceof KafkaError && error.id === 'NETWORK')) ?? errors[0];
  }

  #openOnce(key: string, broker: Broker): Promise<BrokerConnection> {
    const known = this.#opening.get(key);
    if (known) return known;
    const refused = this.#refused.get(key);
    if (refused && this.#ports.clock.monotonicMs() < refused.untilMs) return Promise.reject(refused.error);
    const opening = this.#open(key, broker).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  async #open(key: string, { host, port }: Broker): Promise<BrokerConnection> {
    const doing = `connecting to ${key}`;
    if (this.#end.signal.aborted) throw closed(doing);
    const { tls, sasl, grace } = this.#credentials;
    let login: Login | undefined;
    const asked = (): AskedFor => ({
      tls: tls !== undefined,
      mechanism: sasl?.mechanism,
      principal: login?.principal,
      advice: login && (() => login!.refused()),
      expired: login?.expired?.(),
    });
    let connection: BrokerConnection | undefined;
    try {
      login = await this.#credentials.prepare();
      const secure = await tls?.optionsFor(host);
      connection = new BrokerConnection(this.#clientId, {
        connectTimeout: this.#limits.connectTimeoutMs,
        requestTimeout: this.#limits.requestTimeoutMs,
        ...secure,
        ...(login ? { sasl: this.#saslOptions(login, () => connection!) } : {}),
      });
      connection.explain = (error, isAnswered) => this.#failure(doing, key, error, asked(), isAnswered);
      connection.onProven = () => grace.end(key);
      await connection.connect(host, port);
    } catch (error) {
      void connection?.close();
      connection?.socket?.destroy();
      const failure = this.#failure(doing, key, error, asked(), false);
      if (login && failure instanceof KafkaError && failure.id === 'REFUSED')
        this.#refused.set(key, {
          error: failure,
          untilMs: this.#ports.clock.monotonicMs() + refusalPauseMs,
        });
      throw failure;
    }
    return this.#take(key, connection, doing);
  }

  /** Holds a connection that is open, in the place of the one before. */
  #take(key: string, connection: BrokerConnection, doing: string): BrokerConnection {
    if (this.#end.signal.aborted) {
      void connection.close();
      throw closed(doing);
    }
    const before = this.#held.get(key);
    this.#held.set(key, connection);
    connection.isOpen = true;
    connection.once('close', () => {
      if (this.#held.get(key) === connection) this.#held.delete(key);
    });
    if (before?.isConnected()) void this.#retire(before);
    return connection;
  }

  async #retire(connection: BrokerConnection): Promise<void> {
    this.#retired.add(connection);
    const { clock } = this.#ports;
    // Whoever has got it a moment ago may be about to ask; and each request has an end.
    do await clock.sleep(renewalPauseMs, this.#end.signal);
    while (connection.inFlight > 0 && connection.isConnected() && !this.#end.signal.aborted);
    this.#retired.delete(connection);
    await connection.close().catch(() => {});
  }

  #saslOptions(login: Login, connection: () => BrokerConnection): NonNullable<ConnectionOptions['sasl']> {
    return {
      mechanism: this.#credentials.sasl!.mechanism,
      authenticate: (_mechanism, wire, api, _username, _password, _token, callback) => {
        const exchange = (message: string): Promise<SaslAnswer> => api.async(wire, Buffer.from(message));
        const begunAtMs = this.#ports.clock.monotonicMs();
        login.run(exchange).then(
          (answer) => {
            const lifeMs = Number(answer.sessionLifetimeMs);
            if (lifeMs > 0) {
              connection().renewAtMs = begunAtMs + lifeMs * renewedAfter;
              connection().endsAtMs = begunAtMs + lifeMs * usedUntil;
            }
            // Without a life the library does not log in again by itself.
            callback(null, { ...answer, sessionLifetimeMs: 0n } as never);
          },
          (error: Error) => callback(error),
        );
      },
    };
  }

  /** What the library and OpenSSL say is no cause of what we say: the message would have both. */
  #failure(doing: string, key: string, error: unknown, asked: AskedFor, isAnswered: boolean): Error {
    const refusal = refusalIn(error, asked);
    if (refusal)
      return new KafkaError(doing, 'REFUSED', refusal.message, undefined, {
        retryable: this.#credentials.grace.lasts(key),
      });
    const hint = hintOn(error, asked, isAnswered);
    if (hint !== undefined) return new KafkaError(doing, 'NETWORK', hint, undefined);
    const { code = '', cause } = error as { code?: string; cause?: unknown };
    if (!code.startsWith('PLT_KFK_')) return asKafkaError(doing, error);
    return new KafkaError(doing, 'NETWORK', messageOf(cause ?? error), cause ?? error);
  }

  async close(): Promise<void> {
    this.#end.abort();
    const all = [...this.#held.values(), ...this.#retired];
    this.#held.clear();
    await Promise.all(all.map((connection) => connection.close().catch(() => {})));
  }
}

function closed(doing: string): KafkaError {
  return new KafkaError(doing, 'NETWORK', 'the connections are closed', undefined);
}

function keyOf({ host, port }: Broker): string {
  return `${host}:${port}`;
}
