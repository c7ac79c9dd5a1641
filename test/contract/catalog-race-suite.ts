import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { backoffMs } from '../../src/base/retry.ts';
import type { Catalog, TableIdentifier } from '../../src/catalog/catalog.ts';
import { benchFor, checkHistory, creation, type TestedCatalog } from './catalog-bench.ts';
import { commitSnapshot } from './committer.ts';

/** Shorter than the sink's, which has minutes; long enough that most attempts of many committers are not in vain. */
const waits = { waitMinMs: 50, waitMaxMs: 2_000 };

/** What became of the attempts of one committer. */
export interface Raced {
  readonly ids: bigint[];
  readonly rejected: number;
}

/** Commits `count` snapshots without files, each onto the table as it then is. */
export async function race(
  catalog: Catalog,
  name: TableIdentifier,
  committer: number,
  count: number,
): Promise<Raced> {
  const ids: bigint[] = [];
  let rejected = 0;
  let table = (await catalog.load(name))!;
  for (let attempt = 1; ids.length < count; attempt++) {
    const id = BigInt(committer + 1) * 1_000_000n + BigInt(ids.length);
    const outcome = await commitSnapshot(catalog, table, id);
    if (outcome.type === 'unknown') throw new Error(`unknown: ${outcome.reason}`);
    if (outcome.type === 'applied') {
      ids.push(id);
      attempt = 0;
      table = outcome.table;
      continue;
    }
    rejected++;
    await systemClock.sleep(backoffMs(waits, attempt, systemRandom));
    table = (await catalog.load(name))!;
  }
  return { ids, rejected };
}

/** Many committers at one table: all that they were told is applied is there, once. */
export function catalogRaceSuite(
  name: string,
  open: () => Promise<TestedCatalog>,
  committers = 8,
  commits = 200,
): void {
  describe(`a catalog of ${name}`, () => {
    const bench = benchFor(open);

    test(`${committers} committers of ${commits} commits each lose none`, async () => {
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
      // It was a race.
      expect(raced.reduce((sum, { rejected }) => sum + rejected, 0)).toBeGreaterThan(0);
    });
  });
}
