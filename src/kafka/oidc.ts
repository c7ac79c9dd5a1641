import { TransientError } from '../base/errors.ts';
import { exchange, type HttpPorts, isThrottled, isUnknown } from '../base/http.ts';
import type { Json } from '../base/json.ts';
import type { Random } from '../base/random.ts';
import { type Lease, Renewed } from '../base/renewed.ts';
import { type RetryPolicy, retry } from '../base/retry.ts';
import { type OidcSettings, Refusal, reveal } from './access.ts';

const requestTimeoutMs = 10_000;
/** Those who want a connection go on trying. */
const policy: RetryPolicy = { attemptsMax: 3, totalMs: 20_000, waitMinMs: 200, waitMaxMs: 2_000 };
/** Before a connection is replaced, so that the next one has a new token. */
const renewedAfter = 0.7;

/** Tokens of an OpenID provider by client credentials (RFC 6749 section 4.4), each for most of its life. */
export class OidcTokens {
  readonly #settings: OidcSettings;
  readonly #ports: HttpPorts & { random: Random };
  readonly #token: Renewed<string>;

  constructor(settings: OidcSettings, ports: HttpPorts & { random: Random }) {
    this.#settings = settings;
    this.#ports = ports;
    this.#token = new Renewed(ports.clock, () => retry(ports, policy, () => this.#ask()));
  }

  /** @throws {TransientError} @throws {Refusal} */
  get(): Promise<string> {
    return this.#token.get();
  }

  /** The broker would not have it: the next one is another. */
  drop(token: string): void {
    this.#token.drop((held) => held === token);
  }

  async #ask(): Promise<Lease<string>> {
    const { tokenUrl, clientId, clientSecret, clientAuth, scope } = this.#settings;
    const doing = `getting a token from ${tokenUrl} for client ${clientId}`;
    const askedAtMs = this.#ports.clock.monotonicMs();
    const secret = await reveal('source.sasl.oidc.clientSecret', clientSecret);
    const headers: Record<string, string> = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    };
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    if (clientAuth === 'basic') headers['authorization'] = basic(clientId, secret);
    else {
      form.set('client_id', clientId);
      form.set('client_secret', secret);
    }
    const request = { method: 'POST', url: tokenUrl, headers, body: form.toString() } as const;
    const answer = await exchange(doing, request, this.#ports, requestTimeoutMs);
    if (isUnknown(answer) || isThrottled(answer)) throw new TransientError(`${doing}: ${answer.words}`);
    if (answer.status !== 200)
      throw new Refusal(`${doing}: ${answer.words}: check source.sasl.oidc and what the provider grants`);
    const { access_token: token, expires_in: expiresIn } = (answer.json ?? {}) as { [key: string]: Json };
    if (typeof token !== 'string')
      throw new Refusal(`${doing}: the answer has no access_token: check source.sasl.oidc.tokenUrl`);
    const lifeMs = Number(expiresIn ?? 0) * 1000;
    return { value: token, renewAtMs: lifeMs > 0 ? askedAtMs + lifeMs * renewedAfter : Infinity };
  }
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic(id: string, secret: string): string {
  const encoded = [id, secret].map((part) => new URLSearchParams({ '': part }).toString().slice(1));
  return `Basic ${Buffer.from(encoded.join(':')).toString('base64')}`;
}

/** What a token says of itself, if it is a JWT: for messages only, nothing is decided by it. */
export function describeToken(token: string): { principal?: string; expiresAtMs?: number } {
  try {
    const { sub, exp } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    return {
      ...(typeof sub === 'string' ? { principal: `User:${sub}` } : {}),
      ...(typeof exp === 'number' ? { expiresAtMs: exp * 1000 } : {}),
    };
  } catch {
    return {};
  }
}
