import {
  CreateDatabaseCommand,
  CreateTableCommand,
  type Database,
  DeleteTableCommand,
  GetDatabaseCommand,
  GetTableCommand,
  GlueClient,
  type GlueClientConfig,
  type Table,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import type { TableMetadata } from '../iceberg/metadata.ts';
import { awsError, awsFailure } from '../storage/aws.ts';
import { formatIdentifier, type TableIdentifier } from './catalog.ts';
import { locationOf, tableInput } from './glue-table.ts';
import {
  MetastoreCatalog,
  type MetastorePorts,
  type Pointer,
  type Pointers,
  type Swap,
} from './metastore.ts';

export interface GlueSettings {
  /** Absent: what environment or profile say. */
  readonly region?: string | undefined;
  /** Absent: the caller's own catalog. */
  readonly catalogId?: string | undefined;
  readonly createDatabase: boolean;
  readonly skipNameValidation: boolean;
  /** URL of what stands in for AWS. */
  readonly endpoint?: string | undefined;
}

/** A catalog over the AWS Glue Data Catalog, whose tables Athena, Spark, Trino and others find by database and name. */
export function glueCatalog(
  settings: GlueSettings & { readonly warehouse: string },
  ports: MetastorePorts,
): MetastoreCatalog {
  return new MetastoreCatalog(gluePointers(settings), settings.warehouse, ports);
}

/** Table pointers in Glue: the parameter `metadata_location`, swapped under the table's `VersionId`. */
export function gluePointers(settings: GlueSettings, timeouts: GlueTimeouts = usualTimeouts): Pointers {
  return new GluePointers(settings, clients(settings, timeouts));
}

/** The same with other clients than the SDK's: the simulator's. */
export function gluePointersOver(settings: GlueSettings, calls: GlueCalls): Pointers {
  return new GluePointers(settings, { reads: calls, writes: calls });
}

/** What sends commands to Glue. */
export type GlueCalls = Pick<GlueClient, 'send' | 'destroy'>;

interface GlueClients {
  readonly reads: GlueCalls;
  readonly writes: GlueCalls;
}

interface GlueTimeouts {
  readonly connectMs: number;
  /** From the request to the end of its answer. */
  readonly requestMs: number;
}

// A commit asks twice, within the minute that it may take (sink/table-commit.ts).
const usualTimeouts: GlueTimeouts = { connectMs: 5_000, requestMs: 15_000 };

/** The SDK's own tries of what only reads. */
const readTriesMax = 3;

class GluePointers implements Pointers {
  readonly #settings: GlueSettings;
  readonly #catalog: { CatalogId?: string };
  readonly #reads: GlueCalls;
  readonly #writes: GlueCalls;

  constructor(settings: GlueSettings, { reads, writes }: GlueClients) {
    this.#settings = settings;
    this.#catalog = settings.catalogId === undefined ? {} : { CatalogId: settings.catalogId };
    this.#reads = reads;
    this.#writes = writes;
  }

  async get(identifier: TableIdentifier): Promise<Pointer | undefined> {
    const doing = `loading table ${formatIdentifier(identifier)}`;
    const table = await this.#table(identifier, doing);
    return table && { location: locationOf(table, doing) };
  }

  /** Below the database's own location if it has one, else as Java has it: `<warehouse>/<database>.db/<table>`. */
  async place(identifier: TableIdentifier, warehouse: string): Promise<string> {
    const doing = `creating table ${formatIdentifier(identifier)}`;
    const { DatabaseName: name, Name: table } = this.#names(identifier, doing);
    const database = await this.#database(name, doing);
    if (!database) await this.#createDatabase(name, doing);
    const own = database?.LocationUri?.replace(/\/+$/, '');
    return `${own || `${warehouse}/${name}.db`}/${table}`;
  }

  async insert(identifier: TableIdentifier, location: string, metadata: TableMetadata): Promise<boolean> {
    const doing = `creating table ${formatIdentifier(identifier)}`;
    const { DatabaseName, Name } = this.#names(identifier, doing);
    const TableInput = tableInput(Name, location, metadata);
    try {
      await this.#writes.send(new CreateTableCommand({ ...this.#catalog, DatabaseName, TableInput }));
      return true;
    } catch (error) {
      const grant = `glue:CreateTable on the catalog, database ${DatabaseName} and its tables`;
      switch (refusalOf(error)) {
        case 'exists':
          return false;
        case 'final':
          throw this.#failure(doing, error, grant);
        case 'passing':
          throw new TransientError(`${doing}: ${toldBy(error)}`, { cause: error });
        case undefined:
          throw new TransientError(`${doing}: whether it was created is unknown: ${toldBy(error)}`, {
            cause: error,
          });
      }
    }
  }

  async swap(identifier: TableIdentifier, from: Pointer, to: string, metadata: TableMetadata): Promise<Swap> {
    const doing = `committing table ${formatIdentifier(identifier)}`;
    let table: Table | undefined;
    try {
      table = await this.#table(identifier, doing);
    } catch (error) {
      // So far it has only been asked.
      if (!isRetryable(error)) throw error;
      return { type: 'rejected', reason: messageOf(error) };
    }
    if (!table) return { type: 'rejected', reason: 'the table was dropped' };
    // A metadata file is never written twice: as long as the table is at this one, it is what the commit was made from.
    const location = locationOf(table, doing);
    if (location !== from.location) return { type: 'rejected', reason: `the table is at ${location} now` };
    return this.#update(identifier, table, tableInput(table.Name!, to, metadata, table), doing);
  }

  async close(): Promise<void> {
    this.#reads.destroy();
    this.#writes.destroy();
  }

  /** Replaces a table if nobody has changed it since it was read: each change gives it another VersionId. */
  async #update(
    identifier: TableIdentifier,
    { VersionId }: Table,
    TableInput: ReturnType<typeof tableInput>,
    doing: string,
  ): Promise<Swap> {
    if (!VersionId)
      throw new FatalError(`${doing}: the catalog gave no VersionId, without which commits overwrite others`);
    const { DatabaseName } = this.#names(identifier, doing);
    try {
      await this.#writes.send(
        // With archives Glue keeps each version of a table, up to a limit at which it refuses further ones.
        new UpdateTableCommand({ ...this.#catalog, DatabaseName, TableInput, VersionId, SkipArchive: true }),
      );
      return { type: 'applied' };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === 'final')
        throw this.#failure(
          doing,
          error,
          `glue:UpdateTable on the catalog, database ${DatabaseName} and its tables`,
        );
      const reason = `${doing}: ${toldBy(error)}`;
      return refusal === 'passing'
        ? { type: 'rejected', reason, doubtful: true }
        : { type: 'unknown', reason };
    }
  }

  async remove(identifier: TableIdentifier): Promise<void> {
    const doing = `dropping table ${formatIdentifier(identifier)}`;
    const names = this.#names(identifier, doing);
    try {
      await this.#writes.send(new DeleteTableCommand({ ...this.#catalog, ...names }));
    } catch (error) {
      if (awsFailure(error).code === 'EntityNotFoundException') return;
      const grant = `glue:DeleteTable on the catalog, database ${names.DatabaseName} and its tables`;
      throw this.#failure(doing, error, grant);
    }
  }

  /** The table; undefined when it, or its database, is not there. */
  async #table(identifier: TableIdentifier, doing: string): Promise<Table | undefined> {
    const names = this.#names(identifier, doing);
    try {
      const { Table: table } = await this.#reads.send(new GetTableCommand({ ...this.#catalog, ...names }));
      return table;
    } catch (error) {
      if (awsFailure(error).code === 'EntityNotFoundException') return undefined;
      const grant = `glue:GetTable on the catalog, database ${names.DatabaseName} and its tables`;
      throw this.#failure(doing, error, grant);
    }
  }

  async #database(name: string, doing: string): Promise<Database | undefined> {
    try {
      const found = await this.#reads.send(new GetDatabaseCommand({ ...this.#catalog, Name: name }));
      return found.Database;
    } catch (error) {
      if (awsFailure(error).code === 'EntityNotFoundException') return undefined;
      throw this.#failure(doing, error, `glue:GetDatabase on the catalog and database ${name}`);
    }
  }

  async #createDatabase(name: string, doing: string): Promise<void> {
    if (!this.#settings.createDatabase)
      throw new FatalError(
        `${doing}: Glue has no database ${name}: create it, or set catalog.createDatabase: true`,
      );
    try {
      await this.#reads.send(new CreateDatabaseCommand({ ...this.#catalog, DatabaseInput: { Name: name } }));
    } catch (error) {
      // Somebody else was faster, or an earlier try of ours.
      if (awsFailure(error).code === 'AlreadyExistsException') return;
      throw this.#failure(doing, error, `glue:CreateDatabase on the catalog and database ${name}`);
    }
  }

  /** What Glue calls a table. @throws {FatalError} for a name that it, or Athena, does not take. */
  #names(identifier: TableIdentifier, doing: string): { DatabaseName: string; Name: string } {
    const [database, ...deeper] = identifier.namespace;
    if (database === undefined || deeper.length > 0)
      throw new FatalError(`${doing}: Glue has no namespaces below a database: name it database.table`);
    const names = { DatabaseName: database, Name: identifier.name };
    if (this.#settings.skipNameValidation) return names;
    for (const [name, what, charsMax] of [
      [database, 'database', 252],
      [identifier.name, 'table', 255],
    ] as const)
      if (!/^[a-z0-9_]+$/.test(name) || name.length > charsMax)
        throw new FatalError(
          `${doing}: "${name}" as the name of a ${what} is not for Athena: use a-z, 0-9 and _, at most ${charsMax} ` +
            'characters, or set catalog.skipNameValidation: true',
        );
    return names;
  }

  /** What a failed call that has changed nothing, or may be made twice, means to the caller. */
  #failure(doing: string, error: unknown, grant: string): Error {
    const { code, status } = awsFailure(error);
    // Of an answer that was cut the SDK tells only that it cannot be read.
    const isCut = status !== undefined && status < 300;
    if (isCut || retryableCodes.has(code) || refusalOf(error) === 'passing')
      return new TransientError(`${doing}: ${toldBy(error)}`, { cause: error });
    return awsError(doing, error, { grant, regionSetting: 'catalog.region' });
  }
}

function clients(settings: GlueSettings, timeouts: GlueTimeouts): GlueClients {
  const config = clientConfig(settings, timeouts);
  return {
    reads: new GlueClient({ ...config, maxAttempts: readTriesMax }),
    // After a try of the SDK's own, "somebody has changed the table" may mean that we have (apache/iceberg#7151).
    writes: new GlueClient({ ...config, maxAttempts: 1 }),
  };
}

function clientConfig({ region, endpoint }: GlueSettings, timeouts: GlueTimeouts): GlueClientConfig {
  const config: GlueClientConfig = {
    requestHandler: new NodeHttpHandler({
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.requestMs,
    }),
  };
  if (endpoint) config.endpoint = endpoint;
  if (region) config.region = region;
  // What stands in for AWS has no region of its own, but is asked for one.
  else if (endpoint) config.region = () => new GlueClient({}).config.region().catch(() => 'us-east-1');
  return config;
}

const retryableCodes = new Set(['OperationTimeoutException', 'FederationSourceRetryableException']);

/** Answers to a write that was not carried out, and may be when it is made anew. */
const passingCodes = new Set([
  'ConcurrentModificationException',
  'EntityNotFoundException',
  'ResourceNotReadyException',
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'SlowDown',
  'TooManyRequestsException',
]);

/** Answers to a write that was not carried out, and will not be until somebody changes something. */
const finalCodes = new Set([
  'AccessDeniedException',
  'GlueEncryptionException',
  'InvalidInputException',
  'ResourceNumberLimitExceededException',
  'ValidationException',
  // The caller is not known.
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'RequestExpired',
  'UnrecognizedClientException',
]);

/**
 * How Glue has refused a write; undefined when it may have been carried out all the same: no answer, an answer to a
 * repeated request, a time-out or failure inside Glue (apache/iceberg#15530), or a code that is not known here.
 */
function refusalOf(error: unknown): 'passing' | 'exists' | 'final' | undefined {
  const { code, status, retried } = awsFailure(error);
  if (status === undefined || retried) return undefined;
  if (code === 'AlreadyExistsException') return 'exists';
  if (status === 429 || code.includes('Throttl') || passingCodes.has(code)) return 'passing';
  if (status === 403 || finalCodes.has(code)) return 'final';
  return undefined;
}

function toldBy(error: unknown): string {
  const { code, status } = awsFailure(error);
  return `${code}: ${messageOf(error)}${status === undefined ? '' : `, status ${status}`}`;
}
