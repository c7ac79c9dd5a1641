import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FatalError, messageOf, TransientError } from '../base/errors.ts';
import { formatIdentifier } from './catalog.ts';
import { MetastoreCatalog, type MetastorePorts, type Pointers } from './metastore.ts';
import {
  insertNamespace,
  insertTable,
  keyOf,
  schema,
  selectLocation,
  selectOther,
  swapLocation,
  upgrade,
} from './sql.ts';

// SQLite is called synchronously: waiting longer for another process's lock would hold up heartbeats. The caller retries.
const busyTimeoutMs = 100;

/**
 * The embedded catalog: one SQLite file. Several processes of one host may share it. Opens (and where needed makes) it.
 * @throws {FatalError} when it cannot be opened.
 */
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

  return {
    async get(identifier) {
      const row = run(`loading table ${formatIdentifier(identifier)}`, () =>
        db.prepare(selectLocation).get(...keyOf(catalogName, identifier)),
      );
      return row ? { location: row['metadata_location'] as string } : undefined;
    },

    async insert(identifier, location) {
      const key = keyOf(catalogName, identifier);
      return run(`creating table ${formatIdentifier(identifier)}`, () => {
        db.prepare(insertNamespace).run(key[0], key[1]);
        const inserted = db.prepare(insertTable).run(...key, location);
        if (db.prepare(selectOther).get(...key)) throw new FatalError('there is a view of this name');
        return inserted.changes === 1;
      });
    },

    async swap(identifier, from, to) {
      const parameters = [to, from.location, ...keyOf(catalogName, identifier), from.location];
      try {
        const updated = run(`committing table ${formatIdentifier(identifier)}`, () =>
          db.prepare(swapLocation).run(...parameters),
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
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been faster.
    if (!hasTypeColumn(db)) db.exec(upgrade);
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
