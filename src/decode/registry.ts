import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError, messageOf, NotFoundError, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type RetryPolicy, retry } from '../base/retry.ts';

/** A schema as the registry keeps it, with the texts it refers to, in an order in which they can be parsed. */
export interface RegisteredSchema {
  /** `AVRO`, `JSON` or `PROTOBUF`. */
  type: string;
  text: string;
  references: readonly string[];
}

/** Where writer schemas come from, by id. */
export interface SchemaSource {
  /** @throws {NotFoundError} for an unknown id. @throws {TransientError} when the registry stays away. */
  get(id: number): Promise<RegisteredSchema>;
}

export interface RegistryOptions {
  url: string;
  auth?: { username: string; password: string } | { token: string } | undefined;
}

export interface RegistryPorts {
  clock: Clock;
  random: Random;
  log: Log;
  fetch: typeof fetch;
}

const requestTimeoutMs = 10_000;
/** A registry that is down delays for this long, then stops the pipeline with offsets unmoved. */
const policy: RetryPolicy = { attemptsMax: 1000, totalMs: 15 * 60_000, waitMinMs: 200, waitMaxMs: 10_000 };
/** References may refer on; a registry that leads in circles must not keep us for ever. */
const referencesMax = 1000;

/**
 * A read-only client of a Confluent-compatible schema registry. Schemas never change under their id, so they are kept
 * for ever; concurrent requests for one id share a call.
 */
export function registryClient(options: RegistryOptions, ports: RegistryPorts): SchemaSource {
  const { base, headers } = endpoint(options);
  const cache = new Map<number, Promise<RegisteredSchema>>();
  const request = (path: string): Promise<SchemaAnswer> => getSchema(`${base}${path}`, headers, ports);

  async function load(id: number): Promise<RegisteredSchema> {
    const answer = await request(`/schemas/ids/${id}`);
    const references: string[] = [];
    try {
      await follow(answer, references, new Set());
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      // Of the record nothing is wrong: the registry is not whole.
      throw new FatalError(`loading what schema ${id} refers to: ${error.message}`, { cause: error });
    }
    return { type: answer.schemaType ?? 'AVRO', text: answer.schema, references };
  }

  /** Depth first, so that each schema comes after those it refers to. */
  async function follow(answer: SchemaAnswer, references: string[], seen: Set<string>): Promise<void> {
    for (const { subject, version } of answer.references ?? []) {
      const key = `${subject}/${version}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (seen.size > referencesMax)
        throw new FatalError(`loading schema references: more than ${referencesMax}`);
      const referred = await request(`/subjects/${encodeURIComponent(subject)}/versions/${version}`);
      await follow(referred, references, seen);
      references.push(referred.schema);
    }
  }

  return {
    get(id) {
      let pending = cache.get(id);
      if (!pending) {
        pending = load(id);
        cache.set(id, pending);
        pending.catch(() => cache.delete(id)); // a failure is not a fact about the id
      }
      return pending;
    },
  };
}

interface SchemaAnswer {
  schema: string;
  schemaType?: string;
  references?: { name: string; subject: string; version: number }[];
}

/** Where to ask and what to say of ourselves. User and password may be part of the URL; no message may have them. */
function endpoint({ url, auth }: RegistryOptions): { base: string; headers: Record<string, string> } {
  const parsed = new URL(url);
  const { username, password } = parsed;
  parsed.username = '';
  parsed.password = '';
  const base = parsed.href.replace(/\/+$/, '');
  const accept = 'application/vnd.schemaregistry.v1+json, application/json';
  const login =
    auth ??
    (username === ''
      ? undefined
      : { username: decodeURIComponent(username), password: decodeURIComponent(password) });
  if (!login) return { base, headers: { accept } };
  if ('token' in login) {
    if (!/^[\x21-\x7e]+$/.test(login.token))
      throw new FatalError(
        'asking the schema registry: its token has characters that none may have: check decode.*.registry.auth',
      );
    return { base, headers: { accept, authorization: `Bearer ${login.token}` } };
  }
  const basic = Buffer.from(`${login.username}:${login.password}`).toString('base64');
  return { base, headers: { accept, authorization: `Basic ${basic}` } };
}

/**
 * Asks a registry once.
 * @throws {NotFoundError} when it says that there is no such thing. @throws {TransientError} @throws {FatalError}
 */
export async function askRegistry(
  options: RegistryOptions,
  path: string,
  ports: Pick<RegistryPorts, 'clock' | 'fetch'>,
): Promise<unknown> {
  const { base, headers } = endpoint(options);
  return ask(`${base}${path}`, headers, ports);
}

async function ask(
  url: string,
  headers: Record<string, string>,
  ports: Pick<RegistryPorts, 'clock' | 'fetch'>,
): Promise<unknown> {
  const doing = `asking the schema registry for ${url}`;
  return withDeadline(ports.clock, requestTimeoutMs, doing, async (signal) => {
    const { status, body } = await receive(doing, () => ports.fetch(url, { headers, signal }));
    if (status < 200 || status > 299) throw failure(doing, status, body);
    const answer = jsonOf(body);
    if (answer !== null && typeof answer === 'object') return answer;
    throw new FatalError(`${doing}: the answer is not a schema: check decode.*.registry.url`);
  });
}

async function getSchema(
  url: string,
  headers: Record<string, string>,
  ports: RegistryPorts,
): Promise<SchemaAnswer> {
  return retry(
    ports,
    policy,
    async () => {
      const answer = (await ask(url, headers, ports)) as Partial<SchemaAnswer>;
      if (typeof answer.schema === 'string') return answer as SchemaAnswer;
      throw new FatalError(
        `asking the schema registry for ${url}: the answer is not a schema: check decode.*.registry.url`,
      );
    },
    {
      onRetry: (error, attempt, waitMs) =>
        ports.log.warn('the schema registry does not answer; records wait', {
          attempt,
          waitMs,
          error: messageOf(error),
        }),
    },
  );
}

async function receive(
  doing: string,
  request: () => Promise<Response>,
): Promise<{ status: number; body: string }> {
  try {
    const response = await request();
    return { status: response.status, body: await response.text() };
  } catch (error) {
    throw new TransientError(`${doing}: ${messageOf(error)}`, { cause: error });
  }
}

/** JSON, undefined when it is none. */
function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function failure(doing: string, status: number, body: string): Error {
  const message = `${doing}: HTTP ${status}${body === '' ? '' : ` ${body.slice(0, 200)}`}`;
  if (status === 404) {
    // Only the registry itself can say that it has no such schema. Anything else that answers is not the registry, and
    // must not make records look bad.
    const isRegistry = Number.isInteger((jsonOf(body) as { error_code?: unknown } | undefined)?.error_code);
    return isRegistry
      ? new NotFoundError(message)
      : new FatalError(`${message}: check decode.*.registry.url`);
  }
  if (status === 401 || status === 403) return new FatalError(`${message}: check decode.*.registry.auth`);
  if (status === 408 || status === 429 || status >= 500) return new TransientError(message);
  return new FatalError(message);
}
