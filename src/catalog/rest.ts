import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import { type Answer, isThrottled, isUnknown } from '../base/http.ts';
import type { Json } from '../base/json.ts';
import { mainBranch, metadataFromJson, newTableMetadata, type TableMetadata } from '../iceberg/metadata.ts';
import type { Requirement, Update } from '../iceberg/update.ts';
import type { AccessSource } from '../storage/access.ts';
import {
  type Catalog,
  type CommitOutcome,
  formatIdentifier,
  type Table,
  type TableCreation,
  type TableIdentifier,
} from './catalog.ts';
import { type StorageCredential, type Vended, VendedAccess } from './rest-access.ts';
import {
  type Called,
  RestClient,
  type RestConfig,
  type RestPorts,
  type RestSettings,
} from './rest-client.ts';
import { failureOf } from './rest-http.ts';

const credentialsEndpoint = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials';

/**
 * A catalog that speaks the Iceberg REST protocol: the server writes the metadata files and swaps the pointer
 * (protocol "REST catalog"; open-api/rest-catalog-open-api.yaml).
 */
export class RestCatalog implements Catalog {
  /** What the catalog vends for its tables' files; undefined when it is not asked for that. */
  readonly access: AccessSource | undefined;
  readonly #client: RestClient;
  readonly #vended: VendedAccess | undefined;
  /** Tokens that came with tables, by the table's name. */
  readonly #tokens = new Map<string, string>();

  constructor(settings: RestSettings, ports: RestPorts) {
    this.#client = new RestClient(settings, ports);
    if (!settings.vendedCredentials) return;
    const vended = new VendedAccess(ports.clock, (identifier) => this.#renewAccess(identifier));
    this.#vended = vended;
    this.access = (location) => vended.find(location);
  }

  async load(identifier: TableIdentifier): Promise<Table | undefined> {
    return (await this.#load(identifier))?.table;
  }

  async #load(identifier: TableIdentifier): Promise<{ table: Table; vended: Vended } | undefined> {
    const doing = `loading table ${formatIdentifier(identifier)}`;
    // The history is needed whole: the ledger may be in a snapshot that no branch or tag names.
    const path = `${await this.#client.tablePath(identifier)}?snapshots=all`;
    const answer = await this.#client.get(doing, { path, headers: this.#delegation() });
    if (isMissing(answer)) return undefined;
    if (answer.status !== 200) throw failureOf(doing, answer);
    const table = tableOf(identifier, answer.json);
    if (!table) throw new FatalError(`${doing}: the answer is not a table: check catalog.uri`);
    const { properties } = await this.#client.config();
    const { config, 'storage-credentials': credentials } = answer.json as {
      config?: Record<string, string> | null;
      'storage-credentials'?: StorageCredential[] | null;
    };
    this.#keepToken(identifier, config?.['token']);
    const vended = { config: { ...properties, ...config }, credentials: credentials ?? [] };
    this.#vended?.remember(table, vended);
    return { table, vended };
  }

  async create(identifier: TableIdentifier, creation: TableCreation): Promise<Table> {
    const name = formatIdentifier(identifier);
    const doing = `creating table ${name}`;
    let answer = await this.#postTable(doing, identifier, creation);
    // Nessie has 409 for a missing namespace of several levels.
    if (isMissing(answer) || (answer.status === 409 && /namespace/i.test(answer.words))) {
      const trouble = await this.#createNamespace(identifier.namespace);
      answer = await this.#postTable(doing, identifier, creation);
      if (trouble && isMissing(answer)) throw trouble;
    }
    if (answer.renewed) throw new TransientError(`${doing}: ${answer.words}`);
    const exists = answer.status === 409;
    if (answer.status !== 200 && !exists && !isUnknown(answer)) throw failureOf(doing, answer);
    // Ours or another worker's, and even if no answer came: what the catalog shows now is the table.
    const table = await this.load(identifier);
    if (table) return table;
    if (exists)
      throw new FatalError(
        `${doing}: ${answer.words}, but the catalog shows no such table: if there is a view of this name, take another`,
      );
    throw new TransientError(`${doing}: ${answer.words}, but the catalog shows no such table`);
  }

  async drop(identifier: TableIdentifier): Promise<boolean> {
    const doing = `dropping table ${formatIdentifier(identifier)}`;
    const answer = await this.#client.delete(doing, { path: await this.#client.tablePath(identifier) });
    if (answer.status === 204 || answer.status === 200 || isMissing(answer)) return true;
    throw failureOf(doing, answer);
  }

  async commit(
    base: Table,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome> {
    const { identifier } = base;
    const doing = `committing table ${formatIdentifier(identifier)}`;
    let answer: Called;
    try {
      const call = {
        path: await this.#client.tablePath(identifier),
        prefix: nessiePrefix(await this.#client.config(), base.metadata),
        token: this.#tokens.get(formatIdentifier(identifier)),
      };
      answer = await this.#client.post(doing, call, { requirements, updates });
    } catch (error) {
      // Nothing was sent.
      if (!isRetryable(error)) throw error;
      return { type: 'rejected', reason: messageOf(error) };
    }
    if (answer.status === 200) return appliedOrUnknown(base, updates, answer);
    const reason = answer.words;
    // Who is not let in, or is one too many, is turned away before anything is done. A table that is gone shows at the
    // next load.
    const refusals = [answer.status === 409, isMissing(answer), isOutdated(answer)];
    if (refusals.includes(true) || isThrottled(answer) || answer.renewed) return { type: 'rejected', reason };
    if (isUnknown(answer) || answer.status < 300) return { type: 'unknown', reason };
    throw failureOf(doing, answer);
  }

  async close(): Promise<void> {}

  async #postTable(doing: string, identifier: TableIdentifier, creation: TableCreation): Promise<Called> {
    const { fields, spec, properties } = creation;
    // Only schema, spec, order and properties of it are sent: the rest is the server's to choose.
    const draft = newTableMetadata({ uuid: '', location: '', fields, spec, properties, nowMs: 0 });
    const path = `${await this.#client.namespacePath(identifier.namespace)}/tables`;
    return this.#client.post(
      doing,
      { path, headers: this.#delegation() },
      {
        name: identifier.name,
        schema: draft.schemas[0],
        'partition-spec': draft['partition-specs'][0],
        'write-order': draft['sort-orders'][0],
        'stage-create': false,
        properties: { ...draft.properties, 'format-version': String(draft['format-version']) },
      },
    );
  }

  /**
   * With those above it: some servers ask for each. One that exists is as good as made.
   * @returns what went wrong, if it may be that another worker is just making it. @throws {FatalError}
   */
  async #createNamespace(namespace: readonly string[]): Promise<Error | undefined> {
    let trouble: Error | undefined;
    for (let depth = 1; depth <= namespace.length; depth++) {
      const levels = namespace.slice(0, depth);
      const doing = `creating namespace ${levels.join('.')}`;
      const body = { namespace: levels, properties: {} };
      const answer = await this.#client.post(doing, { path: '/namespaces' }, body);
      const failure = answer.renewed
        ? new TransientError(`${doing}: ${answer.words}`)
        : failureOf(doing, answer);
      trouble = answer.status === 200 || answer.status === 409 ? undefined : failure;
    }
    // Who may not make those above may still find them there.
    if (trouble && !isRetryable(trouble)) throw trouble;
    return trouble;
  }

  /** Asks for a table's credentials alone where the server has a way to, else for the table. */
  async #renewAccess(identifier: TableIdentifier): Promise<Vended | undefined> {
    const { endpoints, properties } = await this.#client.config();
    if (!endpoints.has(credentialsEndpoint)) return (await this.#load(identifier))?.vended;
    const doing = `renewing the credentials of table ${formatIdentifier(identifier)}`;
    const path = `${await this.#client.tablePath(identifier)}/credentials`;
    const token = this.#tokens.get(formatIdentifier(identifier));
    const answer = await this.#client.get(doing, { path, token });
    if (isMissing(answer)) return undefined;
    if (answer.status !== 200) throw failureOf(doing, answer);
    const body = answer.json as { 'storage-credentials'?: StorageCredential[] } | undefined;
    const credentials = body?.['storage-credentials'];
    // Where all the keys came in `config` of the table, they are renewed there only.
    if (!credentials?.length) return (await this.#load(identifier))?.vended;
    return { config: properties, credentials };
  }

  #delegation(): Record<string, string> {
    return this.#vended ? { 'x-iceberg-access-delegation': 'vended-credentials' } : {};
  }

  #keepToken(identifier: TableIdentifier, token: string | undefined): void {
    const name = formatIdentifier(identifier);
    if (token === undefined || !this.#client.takesTableTokens) this.#tokens.delete(name);
    else this.#tokens.set(name, token);
  }
}

/** undefined when the answer is no table. @throws {FatalError} when it is one of a format that is not known. */
function tableOf(identifier: TableIdentifier, json: Json | undefined): Table | undefined {
  const { metadata, 'metadata-location': location } = (json ?? {}) as { [key: string]: Json };
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return undefined;
  if (typeof metadata['table-uuid'] !== 'string' || typeof metadata['location'] !== 'string')
    return undefined;
  return {
    identifier,
    metadataLocation: typeof location === 'string' ? location : '',
    metadata: metadataFromJson(metadata, `table ${formatIdentifier(identifier)}`),
  };
}

/**
 * Nessie lets a stale first commit pass: that a branch has no snapshot yet is a requirement it does not look at (0.99.0).
 * But its prefix, `<branch>|<warehouse>`, may name the Nessie commit that a change is based on: then the table must still
 * be what it was there.
 */
function nessiePrefix(config: RestConfig, { properties, refs }: TableMetadata): string | undefined {
  const commit = properties['nessie.commit.id'];
  const isOfNessie = config.properties['nessie.is-nessie-catalog'] === 'true';
  if (refs[mainBranch] || !isOfNessie || !commit) return undefined;
  const [, branch, warehouse] = /^([^@|]+)\|(.+)$/.exec(decodeURIComponent(config.prefix)) ?? [];
  return branch && encodeURIComponent(`${branch}@${commit}|${warehouse}`);
}

/**
 * Only the catalog itself can say that it has no such table or namespace: of anything else that answers 404 (a proxy, a
 * wrong path, an unknown warehouse) no table must come to be.
 */
function isMissing({ status, errorType }: Answer): boolean {
  return status === 404 && errorType !== undefined && !/warehouse|catalog|prefix/i.test(errorType);
}

/**
 * A table that moved on in a way that the requirements let pass (another branch took the sequence number): the
 * specification's 409 comes as 400 from some servers.
 */
function isOutdated({ status, words }: Answer): boolean {
  return status === 400 && /sequence.?number|first.?row.?id|CommitFailed|ConcurrentModification/i.test(words);
}

/** What was answered is the new table, if it can be read and has the snapshot; else nobody can tell what happened. */
function appliedOrUnknown(base: Table, updates: readonly Update[], { json, words }: Answer): CommitOutcome {
  let table: Table | undefined;
  try {
    table = tableOf(base.identifier, json);
  } catch (error) {
    return { type: 'unknown', reason: messageOf(error) };
  }
  if (table?.metadataLocation && isAfter(base.metadata, updates, table.metadata))
    return { type: 'applied', table };
  return { type: 'unknown', reason: `${words}: the answer is not the table after the commit` };
}

function isAfter(base: TableMetadata, updates: readonly Update[], metadata: TableMetadata): boolean {
  if (metadata['table-uuid'] !== base['table-uuid']) return false;
  const ids = new Set(metadata.snapshots.map((snapshot) => snapshot['snapshot-id']));
  return updates.every(
    (update) => update.action !== 'add-snapshot' || ids.has(update.snapshot['snapshot-id']),
  );
}
