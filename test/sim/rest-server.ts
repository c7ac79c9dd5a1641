import { messageOf } from '../../src/base/errors.ts';
import { type Json, parseJson, writeJson } from '../../src/base/json.ts';
import { uuid } from '../../src/base/random.ts';
import {
  branchHead,
  newTableMetadata,
  type Snapshot,
  type TableMetadata,
  writeMetadata,
} from '../../src/iceberg/metadata.ts';
import { applyUpdates, type Requirement, type Update, unmetRequirement } from '../../src/iceberg/update.ts';
import type { CatalogServer } from './catalog-server.ts';
import { readMetadata } from './check.ts';
import type { Moment } from './moment.ts';
import type { Caller } from './process.ts';
import type { SimObjects } from './storage.ts';

export const restUri = 'http://catalog';
const tokenLifeMs = 20_000;

interface Told {
  status: number;
  text: string;
}

/** What a REST catalog of a world is like. */
export interface RestManners {
  readonly doubled: boolean;
  /**
   * As Nessie: only the newest snapshot is shown; that a branch has none yet is a requirement it does not look at, nor does
   * it look at sequence numbers.
   */
  readonly newest: boolean;
}

/** The REST catalog as one caller speaks to it: the server looks at the requirements and writes the metadata. */
export function simRest(
  server: CatalogServer,
  objects: SimObjects,
  caller: Caller,
  { doubled, newest }: RestManners,
): typeof fetch {
  const { world } = caller;

  const isTaken = (headers: Record<string, string>): boolean =>
    (server.tokens.get(headers['authorization'] ?? '') ?? 0) > world.nowMs;

  const table = (name: string): Told => {
    const location = server.location(name);
    if (location === undefined) return failure(404, 'NoSuchTableException', `no table ${name}`);
    const metadata = Buffer.from(objects.get(location)).toString('utf8');
    return { status: 200, text: `{"metadata-location":"${location}","metadata":${metadata},"config":{}}` };
  };

  /** Nobody but the server writes metadata here. */
  const write = (metadata: TableMetadata, moment: Moment): string => {
    const location = `${metadata.location}/metadata/${metadata['last-sequence-number']}-${uuid(moment)}.metadata.json`;
    objects.put(location, Buffer.from(writeMetadata(metadata)), world.nowMs);
    return location;
  };

  const create = (body: Creation, namespace: string, moment: Moment): Told => {
    const name = `${namespace}.${body.name}`;
    if (!server.namespaces.has(namespace))
      return failure(404, 'NoSuchNamespaceException', `no namespace ${namespace}`);
    if (server.tables.has(name)) return failure(409, 'AlreadyExistsException', `table ${name} exists`);
    const location = `mem://lake/${namespace}/${body.name}-${uuid(moment)}`;
    const fresh = newTableMetadata({
      uuid: uuid(moment),
      location,
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      properties: body.properties,
      nowMs: Math.round(world.nowMs),
    });
    const ids = JSON.stringify(body.schema).match(/"id":(\d+)/g) ?? [];
    const lastColumnId = Math.max(0, ...ids.map((id) => Number(id.slice(5))));
    const made = { ...fresh, schemas: [body.schema], 'last-column-id': lastColumnId };
    server.insert(name, write(newest ? shown(made, moment) : made, moment), caller.name);
    return table(name);
  };

  const commit = (name: string, branchOnly: string | undefined, body: Change, moment: Moment): Told => {
    const location = server.location(name);
    if (location === undefined) return failure(404, 'NoSuchTableException', `no table ${name}`);
    const base = readMetadata(objects, location);
    const requirements = newest
      ? body.requirements.filter(
          (each) => each.type !== 'assert-ref-snapshot-id' || each['snapshot-id'] !== null,
        )
      : body.requirements;
    const unmet =
      branchOnly !== undefined && branchOnly !== base.properties['nessie.commit.id']
        ? 'the table has changed since'
        : unmetRequirement(base, requirements);
    if (unmet !== undefined) return failure(409, 'CommitFailedException', unmet);
    const { snapshot } = snapshotIn(body.updates);
    if (!newest && snapshot['sequence-number'] <= base['last-sequence-number'])
      return failure(400, 'BadRequestException', `Cannot add snapshot with sequence number, older than last`);
    const applied = applyUpdates(base, location, body.updates, Math.round(world.nowMs));
    server.swap(name, location, write(newest ? shown(applied, moment) : applied, moment), caller.name);
    return table(name);
  };

  /** The request is carried out by the server; `headers` are looked at when it comes there. */
  const asked = (
    kind: string,
    headers: Record<string, string>,
    carryOut: (moment: Moment) => Told,
  ): Promise<Told> =>
    caller
      .call(kind, (moment) =>
        isTaken(headers) ? carryOut(moment) : failure(401, 'NotAuthorizedException', 'token is over'),
      )
      .catch((error) => {
        if (messageOf(error).endsWith('refused') && !world.isOut)
          return failure(429, 'TooManyRequestsException', 'slow down');
        throw error;
      });

  async function commitAsked(
    name: string,
    branchOnly: string | undefined,
    text: string,
    headers: Record<string, string>,
  ): Promise<Told> {
    const body = parseJson(text) as unknown as Change;
    const snapshot = snapshotIn(body.updates).snapshot as Snapshot;
    const request = { worker: caller.name, table: name, snapshot: withIds(snapshot) };
    const change = {
      requirements: body.requirements.map(withIds),
      updates: body.updates.map((update) =>
        update.action === 'add-snapshot'
          ? { ...update, snapshot: request.snapshot }
          : (withIds(update) as Update),
      ),
    };
    server.onRequest(request);
    let first: Told | undefined;
    try {
      const told = await asked('swap', headers, (moment) => {
        first = commit(name, branchOnly, change, moment);
        return doubled && moment.happens('doubled', 0.2) ? commit(name, branchOnly, change, moment) : first;
      });
      server.onAnswer(request, first?.status === 200 ? 'applied' : 'rejected');
      return told;
    } catch (error) {
      server.onAnswer(request, 'unknown');
      throw error;
    }
  }

  const respond = async (url: string, method: string, headers: Record<string, string>, body: string) => {
    const path = url.slice(`${restUri}/v1`.length);
    if (path === '/oauth/tokens')
      return caller.call('get token', (moment) => {
        const token = uuid(moment);
        server.tokens.set(`Bearer ${token}`, world.nowMs + tokenLifeMs);
        return ok({ access_token: token, token_type: 'bearer', expires_in: tokenLifeMs / 1000 });
      });
    if (path === '/config') {
      const overrides = newest ? { prefix: 'main%7Clake', 'nessie.is-nessie-catalog': 'true' } : {};
      return asked('get config', headers, () => ok({ defaults: {}, overrides }));
    }
    const [, prefix, rest] = /^(?:\/([^/]*%7C[^/]*))?(\/namespaces.*)$/.exec(path)!;
    if (rest === '/namespaces')
      return asked('create namespace', headers, () => {
        server.namespaces.add((JSON.parse(body) as { namespace: string[] }).namespace.join('.'));
        return ok({});
      });
    const [, namespace, name] = /^\/namespaces\/([^/]+)\/tables(?:\/([^?]+))?/.exec(rest!)!;
    if (name === undefined)
      return asked('create table', headers, (moment) =>
        create(parseJson(body) as unknown as Creation, namespace!, moment),
      );
    const full = `${namespace}.${name}`;
    if (method === 'GET') return asked('get table', headers, () => table(full));
    return commitAsked(full, /%40(\w+)/.exec(prefix ?? '')?.[1], body, headers);
  };

  return (async (url: string, init: RequestInit = {}) => {
    const headers = init.headers as Record<string, string>;
    const { status, text } = await respond(url, init.method ?? 'GET', headers, String(init.body ?? ''));
    return { status, headers: new Map(), text: async () => text };
  }) as unknown as typeof fetch;
}

interface Change {
  requirements: Requirement[];
  updates: Update[];
}

interface Creation {
  name: string;
  schema: Json;
  properties: Record<string, string>;
}

function ok(body: unknown): Told {
  return { status: 200, text: writeJson(body) };
}

function failure(code: number, type: string, message: string): Told {
  return { status: code, text: JSON.stringify({ error: { message, type, code } }) };
}

function snapshotIn(updates: readonly Update[]): Extract<Update, { action: 'add-snapshot' }> {
  return updates.find((update) => update.action === 'add-snapshot')!;
}

/** Ids as this program has them, however small. */
function withIds<T extends object>(json: T): T {
  const ids = Object.entries(json).map(([name, value]) =>
    /snapshot-id$/.test(name) && value !== null ? [name, BigInt(value as number)] : [name, value],
  );
  return Object.fromEntries(ids) as T;
}

/** What Nessie keeps and shows of a table: the newest snapshot, as if it had been the first. */
export function shown(metadata: TableMetadata, moment: Moment): TableMetadata {
  const head = branchHead(metadata, 'main');
  const { 'parent-snapshot-id': _, ...orphan } = head ?? ({} as Snapshot);
  return {
    ...metadata,
    properties: { ...metadata.properties, 'nessie.commit.id': Buffer.from(moment.bytes(16)).toString('hex') },
    snapshots: head ? [orphan] : [],
    'snapshot-log': metadata['snapshot-log'].slice(-1),
    'metadata-log': [],
  };
}
