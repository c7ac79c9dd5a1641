import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { backoffMs } from '../../src/base/retry.ts';
import type { Catalog, TableIdentifier } from '../../src/catalog/catalog.ts';
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
