import { systemClock } from '../../src/base/clock.ts';
import { isRetryable } from '../../src/base/errors.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { Catalog, CommitOutcome, Table } from '../../src/catalog/catalog.ts';
import { postgresCatalog } from '../../src/catalog/postgres.ts';
import { sqliteCatalog } from '../../src/catalog/sqlite.ts';
import { branchHead, mainBranch } from '../../src/iceberg/metadata.ts';
import { unpartitioned } from '../../src/iceberg/partition-spec.ts';
import { appendRequirements, nextTimestampMs } from '../../src/iceberg/update.ts';
import { LocalStore } from '../../src/storage/local.ts';

/** Commits a snapshot without files onto the table as it was loaded. */
export function commitSnapshot(catalog: Catalog, table: Table, id: bigint): Promise<CommitOutcome> {
  const { metadata } = table;
  const head = branchHead(metadata, mainBranch);
  return catalog.commit(table, appendRequirements(metadata, mainBranch), [
    {
      action: 'add-snapshot',
      snapshot: {
        'snapshot-id': id,
        ...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),
        'sequence-number': metadata['last-sequence-number'] + 1,
        'timestamp-ms': nextTimestampMs(metadata, Date.now()),
        'manifest-list': `memory://lists/${id}.avro`,
        summary: { operation: 'append' },
        'schema-id': 0,
      },
    },
    { action: 'set-snapshot-ref', 'ref-name': mainBranch, type: 'branch', 'snapshot-id': id },
  ]);
}

/**
 * A process that commits to a table of a catalog which others use too, and prints the ids that were applied:
 * node committer.ts <file of SQLite or URL of PostgreSQL> <warehouse> <number of the process> <commits>
 */
async function main(place: string, warehouse: string, process: number, count: number): Promise<void> {
  const ports = { store: new LocalStore(), clock: systemClock, random: systemRandom };
  const catalog = place.startsWith('postgres:')
    ? postgresCatalog({ url: place, name: 'lake', warehouse }, ports)
    : sqliteCatalog({ path: place, name: 'lake', warehouse }, ports);
  const name = { namespace: ['shop'], name: 'raced' };
  const fields = [{ id: 0, name: 'id', required: true, type: { kind: 'long' as const } }];
  const creation = { fields, spec: () => unpartitioned, properties: {} };
  let table: Table | undefined;
  for (let done = 0; done < count; ) {
    try {
      table ??= await catalog.create(name, creation);
      const id = BigInt(process + 1) * 1_000_000n + BigInt(done);
      const outcome = await commitSnapshot(catalog, table, id);
      if (outcome.type === 'unknown') throw new Error(outcome.reason);
      if (outcome.type === 'applied') {
        done++;
        console.log(String(id));
      }
      table = outcome.type === 'applied' ? outcome.table : await catalog.load(name);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      table = undefined;
    }
  }
  await catalog.close();
}

if (process.argv[1] === import.meta.filename) {
  const [place, warehouse, number, count] = process.argv.slice(2) as [string, string, string, string];
  await main(place, warehouse, Number(number), Number(count));
}
