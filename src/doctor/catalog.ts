import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { type Random, uuid } from '../base/random.ts';
import {
  type Catalog,
  formatIdentifier,
  parseIdentifier,
  type Table,
  type TableIdentifier,
} from '../catalog/catalog.ts';
import type { Config } from '../config/config.ts';
import { writeManifestList } from '../iceberg/manifest-list.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import { unpartitioned } from '../iceberg/partition-spec.ts';
import { appendSummary, newSnapshotId } from '../iceberg/snapshot.ts';
import { appendRequirements, nextTimestampMs, type Update } from '../iceberg/update.ts';
import { resolveLedger } from '../sink/ledger.ts';
import { planTable } from '../sink/plan.ts';
import type { Store } from '../storage/store.ts';
import { tableOptions } from '../worker/worker.ts';
import { type Check, failed, type Outcome, ok, once, skipped, succeeds, warning } from './check.ts';

/** What is opened when it is first needed: the configured catalog with its store. */
export type Opened = () => Promise<{ readonly catalog: Catalog; readonly store: Store }>;

/** A table is made, committed to twice and dropped. */
const scratchTimeoutMs = 60_000;

interface Ports {
  clock: Clock;
  random: Random;
}

/** The configured tables, each loaded once. */
export class Tables {
  readonly #loads: { table: Config['tables'][number]; load: () => Promise<Table | undefined> }[];
  readonly #config: Config;

  constructor(config: Config, opened: Opened) {
    this.#config = config;
    this.#loads = config.tables.map((table) => ({
      table,
      load: once(async () => (await opened()).catalog.load(parseIdentifier(table.table))),
    }));
  }

  /** Those that are there; what is wrong with the others is told by their checks. */
  async loaded(): Promise<Table[]> {
    const tables = await Promise.allSettled(this.#loads.map(({ load }) => load()));
    return tables.flatMap((table) => (table.status === 'fulfilled' && table.value ? [table.value] : []));
  }

  /** A check for each. When the first cannot be loaded, no other is told to fail for the same reason. */
  checks(): Check[] {
    const [first] = this.#loads;
    return this.#loads.map(({ table, load }) => ({
      what: `table ${table.table}`,
      run: async (): Promise<Outcome> => {
        if (load !== first!.load && !(await succeeds(first!.load())))
          return skipped(`the catalog did not give ${first!.table.table} either`);
        return this.#check(table, await load());
      },
    }));
  }

  #check(configured: Config['tables'][number], table: Table | undefined): Outcome {
    if (!table) {
      if (!configured.create) return failed('it does not exist', 'make it, or write create: true');
      return ok('it does not exist; a worker will make it (whether it may: --scratch-table)');
    }
    const { pipeline } = this.#config;
    planTable(table, tableOptions(this.#config, configured), { pipeline, worker: 'doctor' });
    const ledger = resolveLedger(table.metadata, pipeline, mainBranch);
    const found = `at ${table.metadata.location}, ${table.metadata.snapshots.length} snapshots`;
    switch (ledger.type) {
      case 'known':
        return ok(`${found}; pipeline ${pipeline} has landed in it`);
      case 'new':
        return ok(`${found}; pipeline ${pipeline} has not landed in it yet`);
      case 'rolledBack': {
        const text = `${found}; it was rolled back behind what pipeline ${pipeline} has landed`;
        if (configured.onRollback === 'halt')
          return failed(text, 'see onRollback in docs/operating.md: a worker stops here');
        return warning(text, `nothing, if onRollback: ${configured.onRollback} is meant`);
      }
    }
  }
}

/**
 * Whether the catalog really compares before it swaps: of two commits onto the same state of a table one must be
 * refused. It takes a table of its own, which it makes and drops again.
 */
export function swapCheck(wanted: boolean, config: Config, opened: Opened, ports: Ports): Check {
  return {
    what: 'commits',
    timeoutMs: scratchTimeoutMs,
    async run(): Promise<Outcome> {
      if (!wanted)
        return skipped(
          'whether tables can be made, and commits onto a state that has passed are refused: --scratch-table',
        );
      const { catalog, store } = await opened();
      const { namespace } = parseIdentifier(config.tables[0]!.table);
      const name = `frazil_doctor_${uuid(ports.random).replaceAll('-', '')}`;
      return checkSwap({ namespace, name }, catalog, store, ports);
    },
  };
}

async function checkSwap(
  identifier: TableIdentifier,
  catalog: Catalog,
  store: Store,
  ports: Ports,
): Promise<Outcome> {
  const name = formatIdentifier(identifier);
  const base = await catalog.create(identifier, {
    fields: [{ id: 0, name: 'n', required: false, type: { kind: 'long' } }],
    spec: () => unpartitioned,
    properties: {},
  });
  const written: string[] = [];
  let outcome: Outcome;
  try {
    outcome = await commitTwice(base, catalog, store, ports, written);
  } catch (error) {
    outcome = failed(messageOf(error), 'look at the log of the catalog');
  }
  const gone = await tidy(identifier, catalog, store, written).catch(() => false);
  if (gone || outcome.status !== 'ok') return outcome;
  return warning(`${outcome.found}; the table is still there`, `drop table ${name}`);
}

async function commitTwice(
  base: Table,
  catalog: Catalog,
  store: Store,
  ports: Ports,
  written: string[],
): Promise<Outcome> {
  const name = formatIdentifier(base.identifier);
  const ends: string[] = [];
  for (let i = 0; i < 2; i++) {
    const updates = await emptyAppend(base, store, ports, written);
    const outcome = await catalog.commit(base, appendRequirements(base.metadata, mainBranch), updates);
    ends.push(outcome.type === 'applied' ? 'applied' : `${outcome.type} (${outcome.reason})`);
  }
  const [first, second] = ends;
  if (first !== 'applied')
    return failed(`a commit to the new table ${name} is ${first}`, 'look at the log of the catalog');
  if (second!.startsWith('rejected'))
    return ok(`made ${name}; of two commits onto the same state of it one was refused`);
  return failed(
    `of two commits onto the same state of ${name} the second is ${second}`,
    'use another catalog: with this one rows may get lost or doubled',
  );
}

/** @returns whether the table is dropped. Its files go only then. */
async function tidy(
  identifier: TableIdentifier,
  catalog: Catalog,
  store: Store,
  written: readonly string[],
): Promise<boolean> {
  const table = await catalog.load(identifier);
  if (!table || !(await catalog.drop?.(identifier))) return false;
  const logged = table.metadata['metadata-log'].map((entry) => entry['metadata-file']);
  const files = [...written, table.metadataLocation, ...logged];
  await Promise.allSettled(files.map((location) => store.delete(location)));
  return true;
}

/** A snapshot that adds nothing. */
async function emptyAppend(
  { metadata }: Table,
  store: Store,
  { clock, random }: Ports,
  written: string[],
): Promise<Update[]> {
  const snapshotId = newSnapshotId(random, metadata);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const list = `${metadata.location}/metadata/snap-${snapshotId}-1-${uuid(random)}.avro`;
  const header = { snapshotId, parentSnapshotId: null, sequenceNumber };
  written.push(list);
  await store.put(list, [writeManifestList(header, [], random.bytes(16))]);
  const snapshot = {
    'snapshot-id': snapshotId,
    'sequence-number': sequenceNumber,
    'timestamp-ms': nextTimestampMs(metadata, clock.nowMs()),
    'manifest-list': list,
    summary: appendSummary(undefined, [], { created: 0, kept: 0 }, {}),
    'schema-id': metadata['current-schema-id'],
  };
  return [
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', 'ref-name': mainBranch, type: 'branch', 'snapshot-id': snapshotId },
  ];
}
