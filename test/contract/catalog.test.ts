import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import { memoryPointers } from '../../src/catalog/memory.ts';
import { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import { sqliteCatalog, sqlitePointers } from '../../src/catalog/sqlite.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import type { CatalogUnderTest } from './catalog-bench.ts';
import { freshNamespace } from './catalog-bench.ts';
import { raceOfProcesses } from './catalog-race.ts';
import { catalogRaceSuite } from './catalog-race-suite.ts';
import { catalogSuite } from './catalog-suite.ts';
import { changeForeign, withColumn } from './foreign.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-catalog-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const ports = { clock: systemClock, random: systemRandom };
const capabilities = { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 } as const;
const namespace = (): string[] => freshNamespace(2);

async function memory(): Promise<CatalogUnderTest> {
  const pointers = memoryPointers();
  const files = new MemoryStore();
  return {
    catalog: (store) => new MetastoreCatalog(pointers, 'memory://wh/', { ...ports, store }),
    store: files,
    namespace,
    capabilities,
    drop: async (identifier) => void pointers.tables.delete(formatIdentifier(identifier)),
    addColumn: (identifier, name) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, name)),
    close: async () => {},
  };
}

catalogSuite('memory', memory);
catalogRaceSuite('memory', memory);

catalogSuite('SQLite', async () => {
  const path = join(folder, 'lake.db');
  const files = new MemoryStore();
  const pointers = sqlitePointers(path, 'lake');
  const database = new DatabaseSync(path);
  return {
    catalog: (store) => sqliteCatalog({ path, name: 'lake', warehouse: 'memory://wh' }, { ...ports, store }),
    store: files,
    namespace,
    capabilities,
    drop: async (identifier) => {
      database
        .prepare('DELETE FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?')
        .run(identifier.namespace.join('.'), identifier.name);
    },
    addColumn: (identifier, name) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, name)),
    close: async () => {
      database.close();
      await pointers.close();
    },
  };
});

test('SQLite lets committers of several processes race, and loses nothing', async () => {
  const path = join(folder, 'processes.db');
  const warehouse = localLocation(join(folder, 'wh'));
  const catalog = sqliteCatalog({ path, name: 'lake', warehouse }, { ...ports, store: new LocalStore() });
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
