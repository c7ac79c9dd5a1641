import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import { postgresCatalog } from '../../src/catalog/postgres.ts';
import type { Field } from '../../src/iceberg/types.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { append, tryAppend, writeDataFile } from '../contract/appends.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { python } from '../tools/python.ts';
import type { Repl } from '../tools/repl.ts';
import { type Described, readers } from './tables-lake.ts';

/** One PostgreSQL catalog that Java's JdbcCatalog, PyIceberg's SqlCatalog and we use in turn. */

let stack: Localstack;
let folder = '';
let warehouse = '';
let catalog: MetastoreCatalog;
const ports = { store: new LocalStore(), clock: systemClock, random: systemRandom };

beforeAll(async () => {
  stack = await Localstack.start(['postgres']);
  folder = await mkdtemp(join(tmpdir(), 'frazil-postgres-'));
  warehouse = localLocation(join(folder, 'warehouse'));
  catalog = postgresCatalog({ url: stack.env['FRAZIL_POSTGRES']!, name: 'lake', warehouse }, ports);
});
afterAll(async () => {
  await catalog.close();
  await java.close();
  await python.close();
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The arguments with which a tool finds a table in this catalog. */
function at(tool: Repl, table: string, more: object = {}): { name: string; table: string; catalog: object } {
  const { host } = new URL(stack.env['FRAZIL_POSTGRES']!);
  const properties =
    tool === java
      ? {
          type: 'jdbc',
          uri: `jdbc:postgresql://${host}/postgres?user=postgres`,
          warehouse,
          'jdbc.schema-version': 'V1',
        }
      : { type: 'sql', uri: `postgresql+psycopg2://postgres@${host}/postgres`, warehouse };
  return { name: 'lake', table: `db.${table}`, catalog: { ...properties, ...more } };
}

const field = (name: string, kind: 'long' | 'string'): Field => ({
  id: 0,
  name,
  required: false,
  type: { kind },
});
const schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'n', required: false, type: 'long' },
    { id: 2, name: 'region', required: false, type: 'string' },
  ],
};

async function ours(name: string, rows: Row[]): Promise<void> {
  const table = (await catalog.load({ namespace: ['db'], name }))!;
  await append(catalog, table, [await writeDataFile(table, rows, [], ports)], ports);
}

const rowsBy = async (tool: Repl, name: string): Promise<Row[]> =>
  sorted((await tool.call<Described>('readTable', at(tool, name))).rows);

// First, for the tables are made by whoever comes first.
test('a database of Java’s older layout is taken over, and Java goes on with it', async () => {
  const V0 = { 'jdbc.schema-version': 'V0' };
  await java.call('createTable', { ...at(java, 'old', V0), schema });
  await java.call('append', { ...at(java, 'old', V0), rows: [{ n: '1', region: 'eu' }] });
  await ours('old', [{ n: '2', region: 'us' }]);
  await java.call('append', { ...at(java, 'old', V0), rows: [{ n: '3', region: null }] });
  await java.call('append', { ...at(java, 'old'), rows: [{ n: '4', region: null }] });
  for (const [reader, tool] of readers)
    expect(
      (await rowsBy(tool, 'old')).map((row) => row['n']),
      reader,
    ).toEqual(['1', '2', '3', '4']);
});

test('a table of ours is appended to by all in turn', async () => {
  await catalog.create(
    { namespace: ['db'], name: 'ours' },
    {
      fields: [field('n', 'long'), field('region', 'string')],
      spec: () => ({ specId: 0, fields: [] }),
      properties: {},
    },
  );
  const all: Row[] = [];
  const next = (region: string): Row[] => {
    const row = { n: String(all.length), region };
    all.push(row);
    return [row];
  };
  await ours('ours', next('ours'));
  for (const [reader, tool] of readers) {
    await tool.call('append', { ...at(tool, 'ours'), rows: next(reader) });
    await ours('ours', next('ours'));
  }
  for (const [reader, tool] of readers) expect(await rowsBy(tool, 'ours'), reader).toEqual(sorted(all));
});

test.each(readers)('a table of %s is appended to by us', async (reader, tool) => {
  await tool.call('createTable', { ...at(tool, `by${reader}`), schema });
  await tool.call('append', { ...at(tool, `by${reader}`), rows: [{ n: '1', region: 'theirs' }] });
  const identifier = { namespace: ['db'], name: `by${reader}` };
  const stale = (await catalog.load(identifier))!;
  await tool.call('append', { ...at(tool, `by${reader}`), rows: [{ n: '2', region: 'theirs' }] });
  expect((await tryAppend(catalog, stale, [], ports)).type).toBe('rejected');
  await ours(`by${reader}`, [{ n: '3', region: 'ours' }]);
  for (const [, other] of readers)
    expect((await rowsBy(other, `by${reader}`)).map((row) => row['n'])).toEqual(['1', '2', '3']);
});
