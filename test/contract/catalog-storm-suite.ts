import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, test } from 'vitest';
import type { Fault, FaultRule } from '../../localstack/lib/faults.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { isRetryable } from '../../src/base/errors.ts';
import { seededRandom, systemRandom, uuid } from '../../src/base/random.ts';
import type { Catalog, Table } from '../../src/catalog/catalog.ts';
import { type Ledger, resolveLedger } from '../../src/sink/ledger.ts';
import { type CommitOptions, commitFlush, type Flush } from '../../src/sink/table-commit.ts';
import type { Store } from '../../src/storage/store.ts';
import { LogBook } from '../unit/sink/lake.ts';
import { imaginaryFile } from './appends.ts';
import { benchFor, checkHistory, creation } from './catalog-bench.ts';
import type { CatalogBehindProxy } from './catalog-fault-suite.ts';
import { liveFiles, objectsOf, WatchedStore } from './watched-store.ts';

/** Waits and deadlines pass this much faster: an answer is waited for 1.2 s instead of a minute. */
const haste = 50;
const clock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * haste,
  sleep: (ms, signal) => systemClock.sleep(ms / haste, signal),
};

const options: CommitOptions = {
  pipeline: 'storm',
  worker: 'w',
  branch: 'main',
  origin: { clusterId: 'cluster', topicIds: new Map([['orders', 'topic']]) },
  onRollback: 'halt',
  engineVersion: '0',
  policy: { attemptsMax: 100, totalMs: 20 * 60_000, waitMinMs: 100, waitMaxMs: 5_000 },
};

const flushes = 20;
const offsetsPerFlush = 10;
/** The partition of each writer: two of them believe that they own partition 0. */
const writers = [0, 1, 2, 0];
const end = flushes * offsetsPerFlush;

const share = (probability: number, ...faults: Fault[]): Pick<FaultRule, 'probability' | 'fault'>[] =>
  faults.map((fault) => ({ probability, fault }));

/** Of each hundred commits some fifty meet one of these, of each hundred loads ten. */
const storm = {
  commit: {
    http: [
      ...share(0.06, { type: 'cut', when: 'before' }, { type: 'cut', when: 'after' }),
      ...share(0.06, { type: 'answer', status: 503, passed: true }, { type: 'answer', status: 500 }),
      ...share(0.08, { type: 'late', ms: 30 }, { type: 'again', ms: 30 }, { type: 'delay', ms: 20 }),
    ],
    sql: [
      ...share(0.1, { type: 'cut', when: 'before' }, { type: 'cut', when: 'after' }),
      ...share(0.1, { type: 'sqlstate', code: '57P01', passed: true }),
      ...share(0.1, { type: 'late', ms: 30 }, { type: 'delay', ms: 20 }),
    ],
  },
  load: {
    http: share(
      0.04,
      { type: 'cut', when: 'before' },
      { type: 'cut', when: 'within' },
      { type: 'answer', status: 503 },
    ),
    sql: share(0.05, { type: 'cut', when: 'before' }, { type: 'cut', when: 'within' }),
  },
};

/** The sink's commits through a network that fails: every offset lands exactly once, and nothing is lost (I1 to I4). */
export function catalogStormSuite(
  name: string,
  kind: 'http' | 'sql',
  open: () => Promise<CatalogBehindProxy>,
  seeds: readonly number[] = [1],
): void {
  describe(`a catalog of ${name} in a storm`, () => {
    const bench = benchFor(open);

    afterEach(() => bench.under.proxy.faults.set());

    function rules(): FaultRule[] {
      const { requests, service } = bench.under;
      const refused: Fault[] = service === 'sql' ? [] : [{ type: 'throttle', as: service }];
      return [
        { ...requests.commit, times: 2, probability: 0.02, fault: { type: 'silence' } },
        ...[...storm.commit[kind], ...share(0.02, ...refused)].map((rule) => ({
          ...requests.commit,
          ...rule,
        })),
        ...storm.load[kind].map((rule) => ({ ...requests.load, ...rule })),
      ];
    }

    test.each(seeds)('every offset lands exactly once (seed %i)', async (seed) => {
      const table = await bench.catalog.create(bench.orders, creation);
      const { faults } = bench.under.proxy;
      const before = faults.done.length;
      faults.reseed(seed);
      faults.set(...rules());
      const all = await Promise.all(
        writers.map(async (partition, i) => {
          const writer = new Writer(bench.under, table, partition, seed * 100 + i);
          await writer.run();
          return writer;
        }),
      );
      faults.set();
      await bench.under.proxy.release();
      const now = await bench.load();
      const partitions = [...new Set(writers)].sort();
      expect(await liveFiles(now, bench.under.store)).toHaveLength(partitions.length * flushes);
      expect(rangesOf(await liveFiles(now, bench.under.store))).toEqual(
        partitions
          .flatMap((partition) =>
            Array.from({ length: flushes }, (_, i) => `${partition} ${i * offsetsPerFlush}`),
          )
          .sort(),
      );
      expect(ledgerOf(now)?.next).toEqual(
        new Map(partitions.map((partition) => [`orders-${partition}`, end])),
      );
      checkHistory(now, partitions.length * flushes, bench.under.capabilities.history);
      await checkNothingDeleted(now, all);
      // It was a storm.
      expect(faults.done.length - before).toBeGreaterThan(20);
      expect(all.flatMap((writer) => [...writer.unknown]).length).toBeGreaterThan(0);
    });

    async function checkNothingDeleted(table: Table, all: readonly Writer[]): Promise<void> {
      const deleted = new Set(all.flatMap((writer) => [...writer.store.deleted]));
      const named = [
        table.metadataLocation,
        ...all.flatMap((writer) => [...writer.unknown]),
        ...(await objectsOf(table.metadata.snapshots, bench.under.store)),
      ];
      expect(named.filter((location) => deleted.has(location))).toEqual([]);
      for (const file of await liveFiles(table, bench.under.store)) await bench.under.store.get(file);
    }
  });
}

/** One worker's commits of one partition. What it gives up on it begins anew, as a worker that was restarted. */
class Writer {
  readonly store: WatchedStore;
  /** All that is named in attempts whose outcome was unknown. */
  readonly unknown = new Set<string>();
  /** What a commit writes: one that nobody waits for any longer goes on beside the next. */
  readonly #committing = new AsyncLocalStorage<string[]>();
  readonly #under: CatalogBehindProxy;
  readonly #table: Table;
  readonly #partition: number;
  readonly #seed: number;

  constructor(under: CatalogBehindProxy, table: Table, partition: number, seed: number) {
    this.store = new WatchedStore(under.store);
    this.#under = under;
    this.#table = table;
    this.#partition = partition;
    this.#seed = seed;
  }

  async run(): Promise<void> {
    const key = `orders-${this.#partition}`;
    const direct = await this.#under.direct(this.#under.store);
    const catalog = await this.#under.catalog(this.#noting());
    const ports = {
      catalog: this.#watching(catalog),
      store: this.store,
      clock,
      random: { ...seededRandom(this.#seed), bytes: systemRandom.bytes },
      log: new LogBook(),
    };
    try {
      for (let starts = 0; starts < 1_000; starts++) {
        // Where it begins, and begins again once somebody else has landed its offsets.
        const known = ledgerOf((await direct.load(this.#table.identifier))!)?.next.get(key);
        if (known === end) return;
        let claim = {
          key,
          start: known ?? 0,
          next: (known ?? 0) + offsetsPerFlush,
          initial: known === undefined,
        };
        try {
          while (
            claim.start < end &&
            (await commitFlush(await this.#flush(claim), options, ports)).type === 'landed'
          )
            claim = { key, start: claim.next, next: claim.next + offsetsPerFlush, initial: false };
        } catch (error) {
          if (!isRetryable(error)) throw error;
        }
      }
      throw new Error('a thousand starts were not enough');
    } finally {
      await direct.close();
      await catalog.close();
    }
  }

  async #flush(claim: Flush['claims'][number]): Promise<Flush> {
    const id = uuid(systemRandom);
    const path = `${this.#table.metadata.location}/data/${this.#partition}-${claim.start}-${id}.parquet`;
    await this.store.put(path, [Buffer.from(id)]);
    return {
      id,
      table: this.#table,
      files: [{ ...imaginaryFile(id, offsetsPerFlush), path }],
      claims: [claim],
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: undefined,
      createdAtMs: clock.nowMs(),
    };
  }

  /** The store, with a note of which commit has written what. */
  #noting(): Store {
    return {
      put: (location, parts) => {
        this.#committing.getStore()?.push(location);
        return this.store.put(location, parts);
      },
      get: (location) => this.store.get(location),
      delete: (location) => this.store.delete(location),
    };
  }

  /** The catalog, with a look at what each commit names and how it ends. */
  #watching(catalog: Catalog): Catalog {
    const commit: Catalog['commit'] = async (base, requirements, updates) => {
      const written: string[] = [];
      let type = 'unknown';
      try {
        const outcome = await this.#committing.run(written, () =>
          catalog.commit(base, requirements, updates),
        );
        ({ type } = outcome);
        return outcome;
      } finally {
        if (type === 'unknown') {
          const snapshots = updates.flatMap((update) =>
            update.action === 'add-snapshot' ? [update.snapshot] : [],
          );
          for (const named of await objectsOf(snapshots, this.#under.store)) this.unknown.add(named);
          // The metadata file, where the client writes it.
          for (const location of written) this.unknown.add(location);
        }
      }
    };
    return {
      load: (identifier) => catalog.load(identifier),
      create: () => Promise.reject(),
      commit,
      close: async () => {},
    };
  }
}

function ledgerOf({ metadata }: Table): Ledger | undefined {
  const resolution = resolveLedger(metadata, options.pipeline, options.branch);
  if (resolution.type === 'rolledBack') throw new Error(`the ledger is ${resolution.type}`);
  return resolution.type === 'known' ? resolution.ledger : undefined;
}

/** `partition start` of each file, sorted. */
function rangesOf(files: readonly string[]): string[] {
  return files.map((file) => /\/(\d+)-(\d+)-[^/]*$/.exec(file)!.slice(1).join(' ')).sort();
}
