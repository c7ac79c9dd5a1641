import { type Json, parseJson, writeJson } from '../../../src/base/json.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { RestCatalog } from '../../../src/catalog/rest.ts';
import type { RestSettings } from '../../../src/catalog/rest-client.ts';
import { metadataFromJson, newTableMetadata, type TableMetadata } from '../../../src/iceberg/metadata.ts';
import { specFromJson } from '../../../src/iceberg/partition-spec.ts';
import { schemaFromJson } from '../../../src/iceberg/schema.ts';
import {
  applyUpdates,
  type Requirement,
  type Update,
  unmetRequirement,
} from '../../../src/iceberg/update.ts';
import { checkedFetch } from '../../tools/rest-spec.ts';
import { ManualClock } from '../base/clock.ts';

/** What a client sent. */
export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

type Reply = (sent: Sent) => Response | Promise<Response> | undefined;

export const uri = 'https://catalog.test/api';

/** A REST catalog in the process: it keeps tables, and does to chosen requests what a test says. */
export class RestDouble {
  readonly clock = new ManualClock();
  readonly sent: Sent[] = [];
  readonly tables = new Map<string, { location: string; metadata: TableMetadata }>();
  readonly namespaces = new Set<string>();
  config: Record<string, unknown> = { defaults: {}, overrides: { prefix: 'lake' } };
  /** Added to what a load answers. */
  extra: Record<string, unknown> = {};
  readonly #scripted: { pattern: RegExp; reply: Reply; times: number }[] = [];
  readonly checked = checkedFetch((input, init) => this.#fetch(String(input), init ?? {}));
  #random = seededRandom(7);

  client(more: Partial<RestSettings> = {}): RestCatalog {
    const settings = { uri, auth: { type: 'none' }, vendedCredentials: false, headers: {}, ...more } as const;
    return new RestCatalog(settings, { clock: this.clock, random: this.#random, fetch: this.checked.fetch });
  }

  /** The next requests whose `METHOD path` matches are answered so; with undefined as ever. */
  on(pattern: RegExp, reply: Reply, times = 1): void {
    this.#scripted.push({ pattern, reply, times });
  }

  /** `METHOD path` of what was sent. */
  get log(): string[] {
    return this.sent.map(({ method, path }) => `${method} ${path}`);
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname, search } = new URL(url);
    const path = `${pathname.replace('/api', '')}${search}`;
    const sent: Sent = {
      method: init.method ?? 'GET',
      url,
      path,
      headers: new Headers(init.headers),
      body: String(init.body ?? ''),
    };
    this.sent.push(sent);
    const script = this.#scripted.find(
      (each) => each.times > 0 && each.pattern.test(`${sent.method} ${path}`),
    );
    if (script) {
      script.times--;
      const reply = await script.reply(sent);
      if (reply) return reply;
    }
    return this.#answer(sent);
  }

  #answer({ method, path, body }: Sent): Response {
    if (path.startsWith('/v1/config')) return json(200, this.config);
    const [, namespace, , table] = /\/namespaces\/([^/?]+)(\/tables(?:\/([^/?]+))?)?/.exec(path) ?? [];
    if (method === 'POST' && !namespace) {
      const { namespace: levels } = parseJson(body) as { namespace: string[] };
      this.namespaces.add(levels.join('\x1f'));
      return json(200, { namespace: levels });
    }
    if (!this.namespaces.has(decodeURIComponent(namespace!)))
      return problem(404, 'NoSuchNamespaceException', 'Namespace does not exist');
    if (!table) return this.#create(namespace!, parseJson(body) as { [key: string]: Json });
    const key = `${namespace}/${table}`;
    const found = this.tables.get(key);
    if (!found) return problem(404, 'NoSuchTableException', 'Table does not exist');
    return method === 'GET' ? this.#shown(key) : this.commit(key, body);
  }

  #shown(key: string): Response {
    const { location, metadata } = this.tables.get(key)!;
    return json(200, { ...answered(location, metadata), ...this.extra });
  }

  #create(namespace: string, request: { [key: string]: Json }): Response {
    const key = `${namespace}/${request['name'] as string}`;
    if (this.tables.has(key)) return problem(409, 'AlreadyExistsException', 'Table already exists');
    const { 'format-version': _, ...properties } = request['properties'] as Record<string, string>;
    const location = `s3://lake/${key}`;
    const metadata = newTableMetadata({
      uuid: '11111111-2222-4333-8444-555555555555',
      location,
      fields: schemaFromJson(request['schema']!).fields,
      spec: () => specFromJson(request['partition-spec']!),
      properties,
      nowMs: this.clock.nowMs(),
    });
    this.tables.set(key, { location: `${location}/metadata/0.metadata.json`, metadata });
    return this.#shown(key);
  }

  /** Applies a commit as the specification says. */
  commit(key: string, body: string): Response {
    const { location, metadata } = this.tables.get(key)!;
    const { requirements, updates } = parseJson(body) as unknown as {
      requirements: Requirement[];
      updates: Update[];
    };
    // Ids come as numbers where they are small.
    const asBigint = requirements.map((each) =>
      each.type === 'assert-ref-snapshot-id' && each['snapshot-id'] !== null
        ? { ...each, 'snapshot-id': BigInt(each['snapshot-id']) }
        : each,
    );
    const unmet = unmetRequirement(metadata, asBigint);
    if (unmet) return problem(409, 'CommitFailedException', unmet);
    const after = applyUpdates(metadata, location, updates, this.clock.nowMs());
    const next = metadataFromJson(parseJson(writeJson(after)) as { [key: string]: Json }, 'the double');
    const at = `${location}.next.metadata.json`;
    this.tables.set(key, { location: at, metadata: next });
    return json(200, answered(at, next));
  }
}

/** A table as servers show it: without the null that stands for no snapshot. */
function answered(location: string, { 'current-snapshot-id': current, ...metadata }: TableMetadata): object {
  const shown = current == null ? metadata : { ...metadata, 'current-snapshot-id': current };
  return { 'metadata-location': location, metadata: shown };
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(writeJson(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

export function problem(
  status: number,
  type: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return json(status, { error: { message, type, code: status } }, headers);
}
