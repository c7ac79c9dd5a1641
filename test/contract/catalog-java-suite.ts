import { afterAll, describe, expect, test } from 'vitest';
import { formatIdentifier, type Table } from '../../src/catalog/catalog.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { append, writeDataFile } from './appends.ts';
import { benchFor, type CatalogUnderTest, checkHistory, creation } from './catalog-bench.ts';

/** What holds where Java commits to the same tables. Needs `java` of the catalog under test. */
export function javaSuite(name: string, open: () => Promise<CatalogUnderTest>): void {
  describe(`a catalog of ${name}, with Java at work`, () => {
    const bench = benchFor(open);
    afterAll(() => java.close());

    const rows = (from: number, count: number): Row[] =>
      Array.from({ length: count }, (_, i) => ({ id: String(from + i), region: i % 2 ? 'eu' : null }));

    async function ours(table: Table, added: readonly Row[]): Promise<Table> {
      const file = await writeDataFile(table, added, [], bench.ports);
      return append(bench.catalog, table, [file], bench.ports);
    }

    test('its commits stay, what was staged before them is refused, and it reads all of ours', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      const at = { ...bench.under.java!, table: formatIdentifier(bench.orders) };
      const stale = await ours(base, rows(0, 2));
      await java.call('append', { ...at, rows: rows(2, 2) });
      expect((await bench.append(stale, 'refused')).type).toBe('rejected');
      await ours(base, rows(4, 2));
      await java.call('append', { ...at, rows: rows(6, 2), fast: true });
      const read = await java.call<{ rows: Row[]; uuid: string; currentSnapshotId: string }>('readTable', at);
      expect(sorted(read.rows)).toEqual(sorted(rows(0, 8)));
      const table = await bench.load();
      expect(read.uuid).toBe(base.metadata['table-uuid']);
      expect(read.currentSnapshotId).toBe(String(table.metadata['current-snapshot-id']));
      checkHistory(table, 4, bench.under.capabilities.history);
    });

    test('its properties and columns stay beside our snapshots', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      const at = { ...bench.under.java!, table: formatIdentifier(bench.orders) };
      await java.call('setProperties', { ...at, properties: { theirs: '1' } });
      await ours(base, rows(0, 2));
      await java.call('updateSchema', { ...at, add: [{ name: 'added', type: 'string' }] });
      const table = await ours(base, rows(2, 2));
      expect(table.metadata.properties).toMatchObject({ theirs: '1', owner: 'me' });
      const read = await java.call<{ rows: Row[] }>('readTable', at);
      expect(sorted(read.rows)).toEqual(sorted(rows(0, 4).map((row) => ({ ...row, added: null }))));
    });
  });
}
