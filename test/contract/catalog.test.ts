import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { memoryPointers } from '../../src/catalog/memory.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';
import { sqliteCatalog, sqlitePointers } from '../../src/catalog/sqlite.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { SkippingClock } from '../unit/base/clock.ts';
import { metastoreContract, raceOfProcesses } from './catalog.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-catalog-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

let files = 0;

describe.each([
  ['memory', memoryPointers],
  ['SQLite', () => sqlitePointers(join(folder, `${++files}.db`), 'lake')],
] as [string, () => Pointers][])('a catalog over %s', (_name, openPointers) => {
  metastoreContract(openPointers);
});

test('SQLite lets committers of several processes race, and loses nothing', async () => {
  const path = join(folder, 'processes.db');
  const warehouse = localLocation(join(folder, 'wh'));
  const ports = { store: new LocalStore(), clock: new SkippingClock(), random: seededRandom(1) };
  const catalog = sqliteCatalog({ path, name: 'lake', warehouse }, ports);
  // Made by an older writer: each process finds that it must be brought up to date.
  makeV0File(path);
  await raceOfProcesses(catalog, path, warehouse, 3, 30);
  await catalog.close();
});

function makeV0File(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
    PRIMARY KEY (catalog_name, table_namespace, table_name))`);
  database.close();
}
