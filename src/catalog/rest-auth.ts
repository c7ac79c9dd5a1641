import { FatalError } from '../base/errors.ts';
import { exchange, type HttpPorts, type HttpRequest } from '../base/http.ts';
import type { Json } from '../base/json.ts';
import { type Lease, Renewed, renewAtMs } from '../base/renewed.ts';
import { failureOf } from './rest-http.ts';

/** How requests to a REST catalog are authorised. */
export type RestAuth =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  | {
      readonly type: 'oauth2';
      /** `id:secret` */
      readonly credential: string;
      readonly serverUri?: string | undefined;
      readonly scope: string;
    }
  | { readonly type: 'sigv4'; readonly region?: string | undefined; readonly service: string };

export interface Authorizer {
  /** The headers that the request needs besides its own. @throws {TransientError} @throws {FatalError} */
  headersFor(request: HttpRequest): Promise<Record<string, string>>;
  /** What had these headers was refused. @returns true when the next request will have others. */
  refused(headers: Readonly<Record<string, string>>): boolean;
}

export function staticAuthorizer(headers: Record<string, string> = {}): Authorizer {
  return { headersFor: async () => headers, refused: () => false };
}

/** @throws {FatalError} when it has characters that no header takes. */
export function bearer(token: string): { authorization: string } {
  if (/^[\x21-\x7e]+$/.test(token)) return { authorization: `Bearer ${token}` };
  throw new FatalError(
    'authorising at the catalog: its token has characters that none may have: check catalog.auth.token',
  );
}

/**
 * OAuth2 client credentials (RFC 6749 section 4.4): a token is kept until shortly before it expires or until it is
 * refused. Concurrent requests share the asking.
 */
export class ClientCredentials implements Authorizer {
  readonly #form: Record<string, string>;
  readonly #serverUri: () => string;
  readonly #ports: HttpPorts;
  readonly #token: Renewed<{ authorization: string }>;

  /** `serverUri` may change when the catalog has told its configuration. */
  constructor(
    auth: { readonly credential: string; readonly scope: string },
    serverUri: () => string,
    ports: HttpPorts,
  ) {
    const colon = auth.credential.indexOf(':');
    this.#form = {
      grant_type: 'client_credentials',
      // Servers that know their client by the secret alone are given that.
      ...(colon >= 0 ? { client_id: auth.credential.slice(0, colon) } : {}),
      client_secret: auth.credential.slice(colon + 1),
      scope: auth.scope,
    };
    this.#serverUri = serverUri;
    this.#ports = ports;
    this.#token = new Renewed(ports.clock, () => this.#ask());
  }

  headersFor(): Promise<Record<string, string>> {
    return this.#token.get();
  }

  refused(headers: Readonly<Record<string, string>>): boolean {
    // Another request may have replaced it meanwhile.
    this.#token.drop((token) => token.authorization === headers['authorization']);
    return true;
  }

  async #ask(): Promise<Lease<{ authorization: string }>> {
    const url = this.#serverUri();
    const doing = `getting a token from ${url}`;
    const askedAtMs = this.#ports.clock.monotonicMs();
    const request: HttpRequest = {
      method: 'POST',
      url,
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(this.#form).toString(),
    };
    const answer = await exchange(doing, request, this.#ports);
    if (answer.status !== 200)
      throw failureOf(doing, answer, 'catalog.auth.credential and catalog.auth.serverUri');
    const { access_token: token, expires_in: expiresIn } = (answer.json ?? {}) as { [key: string]: Json };
    if (typeof token !== 'string')
      throw new FatalError(`${doing}: the answer has no access_token: check catalog.auth.serverUri`);
    return { value: bearer(token), renewAtMs: renewAtMs(askedAtMs, Number(expiresIn ?? 0) * 1000) };
  }
}
