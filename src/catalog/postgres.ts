import { Client, type ClientConfig, DatabaseError, Pool, type PoolClient, type QueryResult } from 'pg';
import { FatalError, FrazilError, messageOf, TransientError } from '../base/errors.ts';
import { formatIdentifier } from './catalog.ts';
import { MetastoreCatalog, type MetastorePorts, type Pointers } from './metastore.ts';
import {
  deleteTable,
  insertNamespace,
  insertTable,
  keyOf,
  schema,
  selectLocation,
  selectOther,
  swapLocation,
  upgrade,
} from './sql.ts';

/** Commits are short and one per table: more connections would only be held. */
const connectionsMax = 2;
/** Shorter than the usual commit interval: a connection that something in between has dropped is not met again. */
const idleTimeoutMs = 30_000;
const connectTimeoutMs = 10_000;
/** The server gives up first, so that mostly it is certain that it has. */
const statementTimeoutMs = 15_000;
const queryTimeoutMs = 20_000;

/** Tells workers that make the tables at the same time from each other's; any number that others do not lock. */
const schemaLock = 7_266_217_805;

/**
 * The tables of a PostgreSQL database. Connects when first asked; makes its tables where they are missing.
 * @throws {FatalError} when the URL cannot be used.
 */
export function postgresPointers(url: string, catalogName: string): Pointers {
  const database = new Database(url);
  return {
    async get(identifier) {
      const doing = `loading table ${formatIdentifier(identifier)}`;
      const { rows } = await database.query(doing, selectLocation, keyOf(catalogName, identifier));
      return rows[0] && { location: rows[0]['metadata_location'] as string };
    },

    async insert(identifier, location) {
      const doing = `creating table ${formatIdentifier(identifier)}`;
      const key = keyOf(catalogName, identifier);
      await database.query(doing, insertNamespace, [key[0], key[1]]);
      const inserted = await database.query(doing, insertTable, [...key, location]);
      const { rows } = await database.query(doing, selectOther, key);
      if (rows.length > 0)
        throw new FatalError(`${doing} in catalog ${database.name}: there is a view of this name`);
      return inserted.rowCount === 1;
    },

    async swap(identifier, from, to) {
      const doing = `committing table ${formatIdentifier(identifier)}`;
      const parameters = [to, from.location, ...keyOf(catalogName, identifier), from.location];
      try {
        const { rowCount } = await database.query(doing, swapLocation, parameters);
        return rowCount === 1
          ? { type: 'applied' }
          : { type: 'rejected', reason: 'another commit moved the table first' };
      } catch (error) {
        if (error instanceof FatalError) throw error;
        return { type: isRolledBack(error) ? 'rejected' : 'unknown', reason: messageOf(error) };
      }
    },

    async remove(identifier) {
      const doing = `dropping table ${formatIdentifier(identifier)}`;
      await database.query(doing, deleteTable, keyOf(catalogName, identifier));
    },

    close: () => database.close(),
  };
}

export function postgresCatalog(
  options: { url: string; name: string; warehouse: string },
  ports: MetastorePorts,
): MetastoreCatalog {
  return new MetastoreCatalog(postgresPointers(options.url, options.name), options.warehouse, ports);
}

/** No statement has been sent. */
class NotConnectedError extends TransientError {}

class Database {
  /** Host, port and database, for messages. */
  readonly name: string;
  readonly #user: string;
  readonly #pool: Pool;
  #ready: Promise<void> | undefined;

  constructor(url: string) {
    const config = clientConfig(url);
    let client: Client;
    try {
      // It is not connected: it tells what the URL and the environment come to.
      client = new Client(config);
    } catch (error) {
      // Without the cause, which may show the URL.
      throw new FatalError(`opening the catalog: catalog.url cannot be used: ${messageOf(error)}`);
    }
    this.name = `${client.host}:${client.port}/${client.database ?? ''}`;
    this.#user = client.user ?? '';
    this.#pool = new Pool({
      ...config,
      max: connectionsMax,
      idleTimeoutMillis: idleTimeoutMs,
      allowExitOnIdle: true,
    });
    // An idle connection has ended: it has left the pool, and the next query makes another.
    this.#pool.on('error', () => {});
  }

  /** Runs one statement in a transaction of its own; its parameters are written as `?`. */
  async query(doing: string, sql: string, parameters: readonly string[]): Promise<QueryResult> {
    const what = `${doing} in catalog ${this.name}`;
    await this.#prepare(what);
    let n = 0;
    const numbered = sql.replaceAll('?', () => `$${++n}`);
    return this.#run(what, (client) => client.query(numbered, [...parameters]));
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  async #run<T>(doing: string, statements: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      const failed = failure(doing, error, this.#user);
      throw failed instanceof TransientError
        ? new NotConnectedError(failed.message, { cause: error })
        : failed;
    }
    // The failing query tells the same.
    const ignore = (): void => {};
    client.on('error', ignore);
    let failed: Error | undefined;
    try {
      return await statements(client);
    } catch (error) {
      failed = error as Error;
      throw failure(doing, error, this.#user);
    } finally {
      client.off('error', ignore);
      // After an error the next one may get a better connection, to another server after a fail-over.
      client.release(failed);
    }
  }

  /** Makes and upgrades the tables once; an attempt that failed is made again. */
  #prepare(doing: string): Promise<void> {
    this.#ready ??= this.#run(doing, prepareSchema).catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }
}

/** `allow` and `prefer` of libpq go on without TLS where the server has none. */
const sslmodes = ['disable', 'require', 'verify-ca', 'verify-full'];

function clientConfig(url: string): ClientConfig {
  const doing = 'opening the catalog: catalog.url';
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new FatalError(`${doing} cannot be used: expected postgres://user:password@host/database`);
  const sslmode = /[?&]sslmode=([^&#]*)/.exec(url)?.[1] ?? 'disable';
  if (!sslmodes.includes(sslmode))
    throw new FatalError(`${doing}: sslmode=${sslmode} is not supported: write ${sslmodes.join(', ')}`);
  if (sslmode === 'verify-ca' && !/[?&]sslrootcert=/.test(url))
    throw new FatalError(`${doing}: sslmode=verify-ca needs sslrootcert=FILE, or write verify-full`);
  return {
    // By default the driver means something else by the names of the modes than libpq.
    connectionString: `${url}${url.includes('?') ? '&' : '?'}uselibpqcompat=true`,
    fallback_application_name: 'frazil',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

const findSchema = `SELECT
  to_regclass('iceberg_tables') IS NOT NULL AND to_regclass('iceberg_namespace_properties') IS NOT NULL AS made,
  EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('iceberg_tables')
    AND attname = 'iceberg_type' AND NOT attisdropped) AS upgraded`;

async function prepareSchema(client: PoolClient): Promise<void> {
  const [found] = (await client.query<{ made: boolean; upgraded: boolean }>(findSchema)).rows;
  // Who may only use the tables must get by without the right to make them.
  if (found!.made && found!.upgraded) return;
  const statements = found!.made ? '' : schema;
  try {
    // Several statements sent as one text are one transaction.
    await client.query(`SELECT pg_advisory_xact_lock(${schemaLock}); ${statements} ${idempotentUpgrade}`);
  } catch (error) {
    if (stateOf(error) !== '42501') throw error;
    const fix = found!.made
      ? `let their owner run: ${upgrade}`
      : 'grant CREATE on the schema, or let somebody who has it run this once';
    throw new FatalError(
      `its tables cannot be ${found!.made ? 'upgraded' : 'made'}: ${messageOf(error)}; ${fix}`,
    );
  }
}

const idempotentUpgrade = upgrade.replace('ADD COLUMN', 'ADD COLUMN IF NOT EXISTS');

/** The SQLSTATE of an error that the server has told. */
function stateOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

// Connections, resources, locks, operators, I/O and internal errors may pass (SQLSTATE classes 08, 40, 53, 57, 58, XX).
const transientStates = /^(08|40|53|57|58|XX|55P03|55006)/;
// Two at once have made the tables, one of them without our lock.
const raced = new Set(['23505', '42P07', '42701']);

function failure(doing: string, error: unknown, user: string): Error {
  if (error instanceof FrazilError) return new FatalError(`${doing}: ${error.message}`, { cause: error });
  const state = stateOf(error);
  const message = `${doing}: ${messageOf(error)}`;
  const hint = hintOf(state, error as Error, user);
  if (hint !== undefined) return new FatalError(`${message}: ${hint}`, { cause: error });
  if (state === undefined || transientStates.test(state) || raced.has(state))
    return new TransientError(message, { cause: error });
  return new FatalError(message, { cause: error });
}

/** What to change, where a person must. */
function hintOf(state: string | undefined, error: Error, user: string): string | undefined {
  const tables = 'iceberg_tables and iceberg_namespace_properties';
  switch (state) {
    case '28P01':
      return 'correct user and password in catalog.url';
    case '28000':
      return 'the server takes no such user, or not from here, or not without TLS (sslmode in catalog.url)';
    case '3D000':
      return 'make the database, or correct its name in catalog.url';
    case '42501':
      return `grant ${user} SELECT, INSERT and UPDATE on ${tables}`;
    case '25006':
      return 'catalog.url must name a server and a user that may write';
    case '08P01':
      return /startup parameter/.test(error.message)
        ? 'let the connection pooler ignore it (ignore_startup_parameters)'
        : undefined;
    case undefined:
      return localHint(error);
    default:
      return undefined;
  }
}

/** The same for what was noticed on this side of the connection. */
function localHint(error: Error): string | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (/CERT|VERIFY|SELF_SIGNED|ALTNAME/.test(code))
    return 'name the authority in catalog.url (sslrootcert=FILE), or use sslmode=require, which checks nothing';
  if (/does not support SSL/.test(error.message))
    return 'use another server, or sslmode=disable in catalog.url';
  if (/^SASL/.test(error.message)) return 'the server asks for a password: write it into catalog.url';
  return undefined;
}

/**
 * A statement that the server has answered with an error has not happened, except where the error is about the
 * connection or the server, or says that it does not know (40003).
 */
function isRolledBack(error: unknown): boolean {
  if (error instanceof NotConnectedError) return true;
  const cause = (error as Error).cause;
  if (!(cause instanceof DatabaseError) || cause.severity !== 'ERROR') return false;
  const state = cause.code ?? '';
  return (/^(22|23|25|40|42|53|54|55)/.test(state) && state !== '40003') || state === '57014';
}
