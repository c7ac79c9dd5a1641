import { FatalError } from '../base/errors.ts';
import { type Answer, exchange, type HttpPorts, type HttpRequest, isUnauthorized } from '../base/http.ts';
import { type Json, writeJson } from '../base/json.ts';
import { type Random, timedUuid } from '../base/random.ts';
import type { TableIdentifier } from './catalog.ts';
import { type Authorizer, bearer, ClientCredentials, type RestAuth, staticAuthorizer } from './rest-auth.ts';
import { failureOf } from './rest-http.ts';

/** How an Iceberg REST catalog is reached. */
export interface RestSettings {
  readonly uri: string;
  readonly warehouse?: string | undefined;
  readonly auth: RestAuth;
  readonly vendedCredentials: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RestPorts extends HttpPorts {
  random: Random;
}

/** What the catalog says of itself (`GET /v1/config`). */
export interface RestConfig {
  /** What all paths but that of the configuration are below: this and the prefix. */
  readonly root: string;
  /** Encoded as it stands in a path; empty when there is none. */
  readonly prefix: string;
  /** Between the levels of a namespace, encoded as it stands in a path. */
  readonly separator: string;
  /** The server's defaults and, above them, its overrides. */
  readonly properties: Readonly<Record<string, string>>;
  /** `GET /v1/{prefix}/...`; empty when the server does not list them. */
  readonly endpoints: ReadonlySet<string>;
  readonly takesIdempotencyKeys: boolean;
}

/** A request below the catalog's root and prefix. */
export interface Call {
  readonly path: string;
  /** Instead of the catalog's own. */
  readonly prefix?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Authorises instead of the catalog's own: a table may bring one. */
  readonly token?: string | undefined;
}

/** The answer to a call, and whether a new token has been asked for because of it. */
export interface Called extends Answer {
  readonly renewed: boolean;
}

/** A busy server is left alone for as long as it asks, but not longer. */
const standOffMaxMs = 15_000;

/** The requests of the Iceberg REST protocol (open-api/rest-catalog-open-api.yaml), each authorised and with a deadline. */
export class RestClient {
  readonly #settings: RestSettings;
  readonly #ports: RestPorts;
  #authorizer: Promise<Authorizer> | undefined;
  #config: Promise<RestConfig> | undefined;
  /** The configuration once it is there. */
  #known: RestConfig | undefined;
  /** On the monotonic clock. */
  #standOffUntilMs = 0;

  constructor(settings: RestSettings, ports: RestPorts) {
    this.#settings = { ...settings, uri: settings.uri.replace(/\/+$/, '') };
    this.#ports = ports;
  }

  /** Loaded once. @throws {TransientError} @throws {FatalError} when this is no REST catalog, or has no such warehouse. */
  config(): Promise<RestConfig> {
    if (!this.#config) {
      const asked = this.#loadConfig();
      this.#config = asked;
      asked.catch(() => {
        this.#config = undefined;
      });
    }
    return this.#config;
  }

  /** Sends a GET; once more with a new token when the old one is refused. */
  async get(doing: string, call: Call): Promise<Called> {
    const url = urlOf(await this.config(), call);
    const send = (token?: string): Promise<Called> =>
      this.#send(doing, { method: 'GET', url, headers: { ...call.headers } }, token);
    const answer = await send(call.token);
    return answer.renewed ? { ...(await send()), renewed: false } : answer;
  }

  /** Sends a POST, once, whatever comes of it. @throws only when it was not sent. */
  async post(doing: string, call: Call, body: unknown): Promise<Called> {
    const config = await this.config();
    const key = config.takesIdempotencyKeys
      ? timedUuid(this.#ports.clock.nowMs(), this.#ports.random)
      : undefined;
    const headers = {
      ...call.headers,
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    };
    const request: HttpRequest = {
      method: 'POST',
      url: urlOf(config, call),
      headers,
      body: writeJson(body),
    };
    return this.#send(doing, request, call.token);
  }

  /** Sends a DELETE, once. */
  async delete(doing: string, call: Call): Promise<Called> {
    const url = urlOf(await this.config(), call);
    return this.#send(doing, { method: 'DELETE', url, headers: { ...call.headers } }, call.token);
  }

  async namespacePath(namespace: readonly string[]): Promise<string> {
    const { separator } = await this.config();
    return `/namespaces/${namespace.map(encodeURIComponent).join(separator)}`;
  }

  async tablePath({ namespace, name }: TableIdentifier): Promise<string> {
    return `${await this.namespacePath(namespace)}/tables/${encodeURIComponent(name)}`;
  }

  /** Whether a token that comes with a table authorises what is asked of it. */
  get takesTableTokens(): boolean {
    return this.#settings.auth.type === 'oauth2' || this.#settings.auth.type === 'bearer';
  }

  async #send(doing: string, request: HttpRequest, token?: string): Promise<Called> {
    await this.#standOff();
    const authorizer = await this.#authorizes();
    const plain = { accept: 'application/json', ...this.#settings.headers, ...request.headers };
    const authorization =
      token === undefined ? await authorizer.headersFor({ ...request, headers: plain }) : bearer(token);
    const headers = { ...plain, ...authorization };
    const answer = await exchange(doing, { ...request, headers }, this.#ports);
    if (answer.retryAfterMs !== undefined && (answer.status === 429 || answer.status === 503))
      this.#standOffUntilMs = this.#ports.clock.monotonicMs() + Math.min(answer.retryAfterMs, standOffMaxMs);
    // A table's token is not asked for again here: the catalog's own does too, and the table brings another.
    const renewed = isUnauthorized(answer) && (token !== undefined || authorizer.refused(headers));
    return { ...answer, renewed };
  }

  async #standOff(): Promise<void> {
    const waitMs = this.#standOffUntilMs - this.#ports.clock.monotonicMs();
    if (waitMs > 0) await this.#ports.clock.sleep(waitMs);
  }

  async #loadConfig(): Promise<RestConfig> {
    const { uri, warehouse } = this.#settings;
    const url = `${uri}/v1/config${warehouse === undefined ? '' : `?warehouse=${encodeURIComponent(warehouse)}`}`;
    const doing = `opening the catalog at ${uri}`;
    const send = (): Promise<Called> => this.#send(doing, { method: 'GET', url, headers: {} });
    const first = await send();
    const answer = first.renewed ? await send() : first;
    if (answer.status !== 200) {
      const allowed = !isUnauthorized(answer) && answer.status !== 403;
      throw failureOf(doing, answer, allowed ? 'catalog.uri and catalog.warehouse' : undefined);
    }
    const config = configOf(uri, answer.json);
    if (!config)
      throw new FatalError(`${doing}: ${url} is not that of an Iceberg REST catalog: check catalog.uri`);
    this.#known = config;
    return config;
  }

  #authorizes(): Promise<Authorizer> {
    this.#authorizer ??= this.#makeAuthorizer(this.#settings.auth);
    return this.#authorizer;
  }

  async #makeAuthorizer(auth: RestAuth): Promise<Authorizer> {
    switch (auth.type) {
      case 'none':
        return staticAuthorizer();
      case 'bearer':
        return staticAuthorizer(bearer(auth.token));
      case 'oauth2':
        return new ClientCredentials(
          auth,
          () =>
            auth.serverUri ??
            this.#known?.properties['oauth2-server-uri'] ??
            `${this.#settings.uri}/v1/oauth/tokens`,
          this.#ports,
        );
      case 'sigv4': {
        // The AWS SDK is loaded by those who need it.
        const { defaultSigner, sigv4Authorizer } = await import('./rest-sigv4.ts');
        return sigv4Authorizer(auth.service, defaultSigner(auth.region));
      }
    }
  }
}

function urlOf({ root, prefix: own }: RestConfig, { path, prefix = own }: Call): string {
  return `${root}${prefix === '' ? '' : `/${prefix}`}${path}`;
}

/** undefined when it is no configuration. */
function configOf(uri: string, json: Json | undefined): RestConfig | undefined {
  const config = json as { [key: string]: Json } | null | undefined;
  const { defaults, overrides } = config ?? {};
  if (!isMapping(defaults) && !isMapping(overrides)) return undefined;
  const properties = { ...(defaults as object), ...(overrides as object) } as Record<string, string>;
  const base = (overrides as Record<string, string> | undefined)?.['uri'] ?? uri;
  return {
    root: `${base.replace(/\/+$/, '')}/v1`,
    prefix: (properties['prefix'] ?? '').replace(/^\/+|\/+$/g, ''),
    separator: properties['namespace-separator'] ?? '%1F',
    properties,
    endpoints: new Set(Array.isArray(config?.['endpoints']) ? (config['endpoints'] as string[]) : []),
    takesIdempotencyKeys: typeof config?.['idempotency-key-lifetime'] === 'string',
  };
}

function isMapping(json: Json | undefined): boolean {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
