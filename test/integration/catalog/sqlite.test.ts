import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { sqliteCatalog, sqlitePointers } from '../../../src/catalog/sqlite.ts';
import { LocalStore, localLocation } from '../../../src/storage/local.ts';
import { freshNamespace } from '../../contract/catalog-bench.ts';
import { javaSuite } from '../../contract/catalog-java-suite.ts';
import { changeForeign, withColumn } from '../../contract/foreign.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-sqlite-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

javaSuite('SQLite', async () => {
  const path = join(folder, 'lake.db');
  const warehouse = localLocation(join(folder, 'wh'));
  const files = new LocalStore();
  const pointers = sqlitePointers(path, 'lake');
  return {
    catalog: (store) =>
      sqliteCatalog({ path, name: 'lake', warehouse }, { clock: systemClock, random: systemRandom, store }),
    store: files,
    namespace: () => freshNamespace(1),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 1 },
    drop: () => Promise.reject(new Error('not needed')),
    addColumn: (identifier, name) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, name)),
    java: {
      name: 'lake',
      catalog: { type: 'jdbc', uri: `jdbc:sqlite:${path}`, warehouse, 'jdbc.schema-version': 'V1' },
    },
    close: () => pointers.close(),
  };
});
