import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import { memoryPointers } from '../../src/catalog/memory.ts';
import { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import { sqliteCatalog, sqlitePointers } from '../../src/catalog/sqlite.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import { checkHistory, freshNamespace } from './catalog-bench.ts';
import { catalogSuite } from './catalog-suite.ts';
import { changeForeign, withColumn } from './foreign.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-catalog-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const ports = { clock: systemClock, random: systemRandom };
const capabilities = { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 } as const;
const namespace = (): string[] => freshNamespace(2);

catalogSuite('memory', async () => {
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
});

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
  const script = fileURLToPath(new URL('committer.ts', import.meta.url));
  // The table is made by whichever of them is first.
  const children = Array.from({ length: 3 }, (_, i) =>
    spawn(process.execPath, [script, path, warehouse, String(i), '30'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const outputs = await Promise.all(children.map(outputOf));
  const table = (await catalog.load({ namespace: ['shop'], name: 'raced' }))!;
  const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
  const ids = outputs.flatMap((output) => output.trim().split('\n').map(BigInt));
  expect(table.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']).sort(order)).toEqual(
    ids.sort(order),
  );
  checkHistory(table, 90, 'all');
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

async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(0);
  return output;
}
