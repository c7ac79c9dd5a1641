import { describe, expect, test } from 'vitest';
import { benchFor, checkHistory, creation, type TestedCatalog } from './catalog-bench.ts';
import { race } from './race.ts';

/** Many committers at one table: all that they were told is applied is there, once. */
export function catalogRaceSuite(
  name: string,
  open: () => Promise<TestedCatalog>,
  { committers = 8, commits = 200 } = {},
): void {
  describe(`a catalog of ${name}`, () => {
    const bench = benchFor(open);

    test(`${committers} committers of ${commits} commits each lose none`, { timeout: 600_000 }, async () => {
      await bench.catalog.create(bench.orders, creation);
      const raced = await Promise.all(
        Array.from({ length: committers }, async (_, i) =>
          race(await bench.client(), bench.orders, i, commits),
        ),
      );
      const count = committers * commits;
      const table = await bench.load();
      const { history } = bench.under.capabilities;
      checkHistory(table, count, history);
      const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
      const ids = raced.flatMap((each) => each.ids).sort(order);
      const found = table.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']).sort(order);
      if (history === 'all') expect(found).toEqual(ids);
      else expect(table.metadata['last-sequence-number']).toBe(count);
      expect(bench.store.deleted).not.toContain(table.metadataLocation);
      // It was a race.
      expect(raced.reduce((sum, { rejected }) => sum + rejected, 0)).toBeGreaterThan(0);
    });
  });
}
