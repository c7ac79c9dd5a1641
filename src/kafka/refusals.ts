import type { Clock } from '../base/clock.ts';
import { Refusal } from './access.ts';

/**
 * What it means that a broker, or TLS, does not let us in. Some of it may pass (a broker that has just started does not
 * know its users yet), most of it is for a person: it is tried again for a while, and then no more.
 */

/** For how long a refusal is tried again. Refusals of the same kind belong together unless there is a pause between. */
export class Grace {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #streaks = new Map<string, { sinceMs: number; lastMs: number }>();

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  /** Another refusal of this kind. @returns whether it may be tried again. */
  lasts(what: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { lastMs }] of this.#streaks)
      if (nowMs - lastMs > Math.max(pauseMs, this.#graceMs)) this.#streaks.delete(key);
    const sinceMs = this.#streaks.get(what)?.sinceMs ?? nowMs;
    this.#streaks.set(what, { sinceMs, lastMs: nowMs });
    return nowMs - sinceMs < this.#graceMs;
  }

  end(what: string): void {
    this.#streaks.delete(what);
  }
}

/** Longer than anybody waits before the next try. */
const pauseMs = 10_000;

interface Failure extends Error {
  code?: string;
  /** Of an answer of a broker: the name of its error code. */
  apiId?: string;
  serverErrorMessage?: string | null;
  errors?: unknown[];
  response?: { mechanisms?: string[] };
  /** Of a certificate for others: why it does not fit. */
  reason?: string;
}

export interface AskedFor {
  readonly tls: boolean;
  readonly mechanism?: string | undefined;
  readonly principal?: string | undefined;
  /** What may be the reason of a refused login. */
  readonly advice?: (() => string) | undefined;
  /** What is to be done about a login that is over by our clock. */
  readonly expired?: string | undefined;
}

/** The refusal that an error of a connection stands for; undefined when it is none. */
export function refusalIn(error: unknown, asked: AskedFor): Refusal | undefined {
  for (const failure of withCauses(error)) {
    const refusal = failure instanceof Refusal ? failure : refusalOf(failure, asked);
    if (refusal) return refusal;
  }
  return undefined;
}

/** An error, what it holds and what caused it, from the outside in. */
function* withCauses(error: unknown): Generator<Failure> {
  if (!(error instanceof Error)) return;
  yield error;
  for (const inner of (error as Failure).errors ?? []) yield* withCauses(inner);
  yield* withCauses(error.cause);
}

function refusalOf(failure: Failure, asked: AskedFor): Refusal | undefined {
  // Within the clock skew that they allow brokers take a token that is over, and end its session at once.
  const ended = failure.message.includes('Connection closed') ? asked.expired : undefined;
  const text = saslRefusal(failure, asked) ?? tlsRefusal(failure) ?? ended;
  return text === undefined ? undefined : new Refusal(text, { cause: failure });
}

function saslRefusal(failure: Failure, { mechanism, principal, advice }: AskedFor): string | undefined {
  const { apiId, serverErrorMessage, response, message } = failure;
  const offered = response?.mechanisms;
  if (offered && /SaslHandshake/i.test(message) && offered.length > 0 && !offered.includes(mechanism!))
    return `the broker does not take ${mechanism}, but ${offered.join(', ')}: correct source.sasl.mechanism`;
  switch (apiId) {
    case 'UNSUPPORTED_SASL_MECHANISM':
      return `the broker does not take ${mechanism}: correct source.sasl.mechanism`;
    case 'ILLEGAL_SASL_STATE':
      return 'its listener takes no logins: remove source.sasl, or use the port of a listener with SASL';
    case 'SASL_AUTHENTICATION_FAILED': {
      const said = serverErrorMessage ? ` (${serverErrorMessage.slice(0, 300)})` : '';
      const who = principal === undefined ? 'the login' : principal;
      return `the broker refuses ${who} with ${mechanism}${said}: ${advice?.() ?? 'check source.sasl'}`;
    }
    default:
      return undefined;
  }
}

const untrusted = 'is not of an authority that is trusted: name that in source.tls.ca';

/** Of the broker's certificate, by Node's codes. */
const tlsRefusals: Record<string, string> = {
  CERT_HAS_EXPIRED: "the broker's certificate, or that of its authority, has expired: renew it",
  CERT_NOT_YET_VALID: "the broker's certificate is not valid yet: check the clock of this machine",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the broker's certificate ${untrusted}`,
  UNABLE_TO_GET_ISSUER_CERT: `the broker's certificate ${untrusted}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `the broker's certificate ${untrusted}`,
  SELF_SIGNED_CERT_IN_CHAIN: `the broker's certificate ${untrusted}`,
  DEPTH_ZERO_SELF_SIGNED_CERT: `the broker's certificate ${untrusted}`,
  CERT_SIGNATURE_FAILURE: `the broker's certificate ${untrusted}`,
  CERT_REVOKED: "the broker's certificate is revoked: renew it",
  INVALID_PURPOSE: "the broker's certificate is not made for servers: renew it with the usage serverAuth",
  ERR_SSL_WRONG_VERSION_NUMBER:
    'its listener does not speak TLS: remove source.tls, or use the port of a listener with TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'its listener does not speak TLS: remove source.tls, or use the port of a listener with TLS',
};

/** What it means that a broker sends an alert (RFC 8446 section 6.2). */
const alerts: Record<string, string> = {
  CERTIFICATE_REQUIRED: 'the broker wants a certificate: set source.tls.cert and source.tls.key',
  BAD_CERTIFICATE: 'the broker wants a certificate, or another one: check source.tls.cert and source.tls.key',
  CERTIFICATE_EXPIRED: 'the broker says that our certificate has expired: renew source.tls.cert',
  CERTIFICATE_REVOKED: 'the broker says that our certificate is revoked: renew source.tls.cert',
  CERTIFICATE_UNKNOWN:
    'the broker does not take our certificate: check that source.tls.cert is valid and of an authority that it trusts',
  UNKNOWN_CA:
    'the broker does not know the authority of our certificate: source.tls.cert must be of one that it trusts',
  ACCESS_DENIED: 'the broker denies access to our certificate: check source.tls.cert',
  PROTOCOL_VERSION: 'the broker speaks no version of TLS from 1.2 on',
  HANDSHAKE_FAILURE:
    'the broker ends the handshake: it may want a certificate (source.tls.cert), or have no cipher in common with us',
};

function tlsRefusal({ code = '', message, reason = '' }: Failure): string | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `the broker's certificate is for another host: ${reason.replace(/\.$/, '')}: name the brokers in source.brokers and advertised.listeners as their certificates do`;
  if (code === 'PLT_KFK_USER' && message.includes('requires TLS'))
    return 'its listener speaks TLS: set source.tls, or use the port of a listener without TLS';
  // OpenSSL's names begin with the version that had the alert first.
  return tlsRefusals[code] ?? alerts[/^ERR_SSL_(?:.*_)?ALERT_(\w+)$/.exec(code)?.[1] ?? ''];
}

/** What may be behind a connection that just ends: not for sure, so it is tried for as long as any other. */
export function hintOn(
  error: unknown,
  { tls, mechanism }: AskedFor,
  isAnswered: boolean,
): string | undefined {
  for (const { message } of withCauses(error)) {
    if (tls && /secure TLS connection|verify the broker supports TLS/.test(message))
      return 'the broker ended the connection within the TLS handshake, as a listener without TLS does: check source.tls and the port';
    if (!message.includes('Connection closed')) continue;
    if (isAnswered && mechanism === undefined)
      return 'the broker ended the connection instead of an answer, as a listener that wants a login does: check source.sasl and the port';
    if (!isAnswered && !tls)
      return 'the broker ended the connection without an answer, as a listener with TLS does: check source.tls and the port';
  }
  return undefined;
}
