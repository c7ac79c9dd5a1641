import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FatalError, messageOf, TransientError } from '../base/errors.ts';
import { formatIdentifier, type TableIdentifier } from './catalog.ts';
import { MetastoreCatalog, type MetastorePorts, type Pointers } from './metastore.ts';

/**
 * The embedded catalog: one SQLite file with the tables that Java's JdbcCatalog (schema version V1), PyIceberg's
 * SqlCatalog and Trino's JDBC catalog use, so that each of them opens it. Several processes of one host may share it.
 *
 * Non-obvious: `catalog_name` is part of the key. A reader sees our tables only under the same catalog name.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
  );
  CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
  );`;

// Rows of other kinds (views) share the table since V1; older writers leave the column null.
const isTable = `(iceberg_type = 'TABLE' OR iceberg_type IS NULL)`;
const key = 'catalog_name = ? AND table_namespace = ? AND table_name = ?';

// SQLite is called synchronously: waiting longer for another process's lock would hold up heartbeats. The caller retries.
const busyTimeoutMs = 100;

/** Opens (and where needed makes) the catalog file. @throws {FatalError} when it cannot be opened or is read-only. */
export function sqlitePointers(path: string, catalogName: string): Pointers {
  let db: DatabaseSync;
  try {
    mkdirSync(dirname(path), { recursive: true });
    db = new DatabaseSync(path, { timeout: busyTimeoutMs });
  } catch (error) {
    throw new FatalError(`opening catalog ${path}: ${messageOf(error)}`, { cause: error });
  }
  let ready = false;
  /** Runs one statement; busy locks become retryable errors. */
  const run = <T>(doing: string, statement: () => T): T => {
    try {
      if (!ready) prepareSchema(db);
      ready = true;
      return statement();
    } catch (error) {
      throw failure(`${doing} in catalog ${path}`, error);
    }
  };
  const keyOf = (id: TableIdentifier): [string, string, string] => [
    catalogName,
    id.namespace.join('.'),
    id.name,
  ];

  return {
    async get(identifier) {
      const sql = `SELECT metadata_location FROM iceberg_tables WHERE ${key} AND ${isTable}`;
      const row = run(`loading table ${formatIdentifier(identifier)}`, () =>
        db.prepare(sql).get(...keyOf(identifier)),
      );
      return row ? { location: row['metadata_location'] as string } : undefined;
    },

    async insert(identifier, location) {
      const [catalog, namespace, name] = keyOf(identifier);
      return run(`creating table ${formatIdentifier(identifier)}`, () => {
        db.prepare('INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)').run(
          catalog,
          namespace,
          'exists',
          'true',
        );
        const inserted = db
          .prepare(`INSERT OR IGNORE INTO iceberg_tables
              (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type)
            VALUES (?, ?, ?, ?, NULL, 'TABLE')`)
          .run(catalog, namespace, name, location);
        const other = db.prepare(`SELECT 1 FROM iceberg_tables WHERE ${key} AND NOT ${isTable}`);
        if (other.get(catalog, namespace, name)) throw new FatalError('there is a view of this name');
        return inserted.changes === 1;
      });
    },

    async swap(identifier, from, to) {
      const sql = `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
        WHERE ${key} AND metadata_location = ? AND ${isTable}`;
      try {
        const updated = run(`committing table ${formatIdentifier(identifier)}`, () =>
          db.prepare(sql).run(to, from.location, ...keyOf(identifier), from.location),
        );
        return updated.changes === 1
          ? { type: 'applied' }
          : { type: 'rejected', reason: 'another commit moved the table first' };
      } catch (error) {
        if (sqliteCode((error as Error).cause) === SQLITE_READONLY) throw error;
        return { type: outcomeOf(error), reason: messageOf(error) };
      }
    },

    async close() {
      db.close();
    },
  };
}

export function sqliteCatalog(
  options: { path: string; name: string; warehouse: string },
  ports: MetastorePorts,
): MetastoreCatalog {
  return new MetastoreCatalog(sqlitePointers(options.path, options.name), options.warehouse, ports);
}

function prepareSchema(db: DatabaseSync): void {
  db.exec(schema);
  if (hasTypeColumn(db)) return;
  // A file made by an older Java or PyIceberg (V0): the same upgrade that Java makes for jdbc.schema-version=V1.
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been faster.
    if (!hasTypeColumn(db)) db.exec('ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)');
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function hasTypeColumn(db: DatabaseSync): boolean {
  const columns = db.prepare('PRAGMA table_info(iceberg_tables)').all();
  return columns.some((column) => column['name'] === 'iceberg_type');
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_FULL = 13;

function sqliteCode(error: unknown): number | undefined {
  // Extended result codes carry the primary one in the low byte.
  const code = (error as { errcode?: number }).errcode;
  return code === undefined ? undefined : code & 0xff;
}

function failure(doing: string, error: unknown): Error {
  const code = sqliteCode(error);
  const message = `${doing}: ${messageOf(error)}`;
  if (code === SQLITE_BUSY || code === SQLITE_LOCKED || code === SQLITE_FULL)
    return new TransientError(message, { cause: error });
  if (code === SQLITE_READONLY)
    return new FatalError(`${message}: the file must be writable`, { cause: error });
  return new FatalError(message, { cause: error });
}

/** A statement that could not get its lock or its space was rolled back; of an I/O error nobody can tell. */
function outcomeOf(error: unknown): 'rejected' | 'unknown' {
  const code = sqliteCode((error as Error).cause);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED || code === SQLITE_FULL ? 'rejected' : 'unknown';
}
