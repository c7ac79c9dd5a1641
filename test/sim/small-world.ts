import type { Clock } from '../../src/base/clock.ts';
import { TransientError } from '../../src/base/errors.ts';
import { seededRandom, uuid } from '../../src/base/random.ts';
import type { Catalog, Table } from '../../src/catalog/catalog.ts';
import type { AssignedPartition, Source } from '../../src/kafka/source.ts';
import type { SinkOptions, TableOptions } from '../../src/sink/options.ts';
import { openTable } from '../../src/sink/positions.ts';
import { commitFlush, type Flush } from '../../src/sink/table-commit.ts';
import type { Store } from '../../src/storage/store.ts';
import { SimBroker } from './broker.ts';
import { openCatalog } from './catalogs.ts';
import { drawFeatures, type Features } from './features.ts';
import { emptyFile } from './foreign.ts';
import type { Moment } from './moment.ts';
import type { Caller } from './process.ts';
import { Producer } from './records.ts';
import { simStore } from './storage.ts';
import { pipeline, Tables } from './tables.ts';
import { World } from './world.ts';

/** What may happen to a call that has been sent. */
const fates: readonly Fate[] = [
  'answered',
  'refused',
  'answer lost',
  'applied late',
  'doubled',
  'killed before',
  'killed after',
];
type Fate =
  | 'answered'
  | 'refused'
  | 'answer lost'
  | 'applied late'
  | 'doubled'
  | 'killed before'
  | 'killed after';

/** The next thing to happen: to the call of a worker, or to a request that comes late. */
export interface Step {
  readonly worker?: number;
  readonly fate?: Fate;
  readonly late?: number;
}

interface Pending {
  readonly kind: string;
  readonly apply: (moment: Moment) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Only these meet others': objects have names of their own, and never change. */
const shared = new Set(['get table', 'swap']);
const records = 3;
const topic = 'topic0';
const key = 'topic0-0';
const origin = { clusterId: 'cluster', topicIds: new Map([[topic, 'topic0#1']]) };

/**
 * Two workers that both believe to own the one topic-partition, with three records: the sink's own commit on the sink's own
 * catalog, one step of one call at a time. The first takes two records and then the third, the other all at once.
 */
export class SmallWorld {
  readonly tables: Tables;
  readonly world: World;
  readonly broker: SimBroker;
  readonly features: Features;
  readonly late: { readonly name: string; readonly apply: () => void }[] = [];
  violation: unknown;
  readonly #workers: SmallWorker[] = [];

  constructor(catalog: Features['catalog'], doubled: boolean) {
    this.features = { ...drawFeatures(1), ...plainFeatures, catalog, doubled };
    this.world = new World({ seed: 1, rates: this.features.rates });
    this.broker = new SimBroker(this.world, new Map([[topic, 1]]), 'incremental');
    const producer = new Producer(this.world, this.broker, this.features);
    producer.append(key, Array(records).fill('row'));
    this.tables = new Tables(this.world, this.broker, [options], producer.records, this.features, (what) => {
      this.violation ??= what;
    });
  }

  /** Makes the table, which is not what is tried here, and lets both workers begin. */
  async begin(): Promise<void> {
    await new SmallWorker(this, 2, records).make();
    for (const [i, step] of [2, records].entries()) this.#workers.push(new SmallWorker(this, i, step));
    for (const worker of this.#workers) void worker.run();
    await settle();
  }

  /** All that may happen next; with faults, if there may be any more. */
  steps(withFaults: boolean): Step[] {
    const steps: Step[] = this.late.map((_, late) => ({ late }));
    for (const [worker, { pending }] of this.#workers.entries()) {
      if (!pending) continue;
      steps.push({ worker, fate: 'answered' });
      if (!withFaults) continue;
      for (const fate of fates)
        if (fate !== 'answered' && (fate !== 'doubled' || (pending.kind === 'swap' && this.features.doubled)))
          steps.push({ worker, fate });
    }
    return steps;
  }

  async take({ worker, fate, late }: Step): Promise<void> {
    this.world.nowMs += 10;
    if (late !== undefined) this.late.splice(late, 1)[0]!.apply();
    else this.#workers[worker!]!.go(fate!);
    await settle();
  }

  /** What the rest of all depends on: the tables, what is under way, and what each worker has heard. */
  get state(): string {
    const table = this.tables.catalog.tables.get(options.table)!;
    const workers = this.#workers.map(({ heard, pending }) => `${heard.join()}>${pending?.kind}`);
    return [table.location, table.version, this.late.map(({ name }) => name).join(), ...workers].join('|');
  }

  get isDone(): boolean {
    return this.#workers.every(({ pending }) => !pending);
  }

  /** When nobody has anything to do any more, all must have landed; the tables have been looked at all the time. */
  check(): void {
    for (const { failure } of this.#workers) this.violation ??= failure;
    const missing = this.tables.unlanded(new Map([[key, records]]));
    if (missing !== '') this.violation ??= missing;
  }
}

/** Lets all go on that can. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A worker as far as commits go: it opens the table, lands what comes next, and opens it again when it is fenced. */
class SmallWorker implements Caller {
  readonly name: string;
  readonly world: World;
  pending: Pending | undefined;
  /** What it has been told so far, which is all that it knows. */
  heard: string[] = [];
  failure: unknown;
  readonly #small: SmallWorld;
  readonly #number: number;
  readonly #step: number;
  #life = 0;

  constructor(small: SmallWorld, number: number, step: number) {
    this.#small = small;
    this.#number = number;
    this.#step = step;
    this.world = small.world;
    this.name = `w${number + 1}`;
  }

  /** Runs until all has landed; what has been killed begins anew. */
  async run(): Promise<void> {
    const life = ++this.#life;
    const ports = this.#ports(life);
    try {
      for (;;) {
        const { table, positions } = await openTable(options, sink, 'main', origin, asked, ports);
        let { offset, initial } = positions.get(key)!;
        let isFenced = false;
        while (offset < records && !isFenced) {
          const next = Math.min(offset + this.#step, records);
          const flush = this.#flush(table!, { offset, next, initial }, ports);
          const landing = await commitFlush(flush, { ...commitOptions, worker: this.name }, ports);
          isFenced = landing.type !== 'landed';
          if (!isFenced) [offset, initial] = [next, false];
        }
        if (!isFenced) return;
      }
    } catch (error) {
      if (life === this.#life) this.failure = error;
    }
  }

  async make(): Promise<void> {
    const ports = this.#ports(++this.#life);
    const opening = openTable(options, sink, 'main', origin, asked, ports);
    for (let isOpen = false; !isOpen; ) {
      void opening.then(() => {
        isOpen = true;
      });
      await settle();
      if (this.pending) this.go('answered');
    }
  }

  call<T>(kind: string, apply: (moment: Moment) => T): Promise<T> {
    if (!shared.has(kind)) return Promise.resolve(this.world.moment(this.name, 0)).then(apply);
    return new Promise((resolve, reject) => {
      this.pending = { kind, apply, resolve, reject };
    });
  }

  /** Lets the pending call meet its fate. */
  go(fate: Fate): void {
    const { kind, apply, resolve, reject } = this.pending!;
    this.pending = undefined;
    const { heard } = this;
    const failed = (how: string): void => {
      heard.push(how);
      reject(new TransientError(`${kind}: ${how}`));
    };
    const run = (): { value?: unknown; error?: Error } => {
      const moment = this.world.moment(`${this.name} ${kind}`, heard.length);
      moment.happens = () => fate === 'doubled';
      try {
        return { value: apply(moment) };
      } catch (error) {
        return { error: error as Error };
      }
    };
    if (fate === 'refused') return failed('refused');
    if (fate === 'applied late') {
      this.#small.late.push({ name: `${this.name} ${heard.length}`, apply: run });
      return failed('timed out');
    }
    if (fate === 'killed before') return this.#restart();
    const { value, error } = run();
    if (fate === 'killed after') return this.#restart();
    if (fate === 'answer lost') return failed('answer lost');
    heard.push(error ? error.message : JSON.stringify(value ?? null));
    if (error) reject(error);
    else resolve(value as never);
  }

  #restart(): void {
    this.heard = [`life ${this.#life + 1}`];
    void this.run();
  }

  #ports(life: number): Ports {
    // Of a life that is over nothing goes on: its calls are never answered.
    const random = seededRandom(this.#number * 100 + life);
    const clock: Clock = {
      nowMs: () => this.world.nowMs,
      monotonicMs: () => 0,
      // Deadlines do not pass, waits do.
      sleep: (_, signal) => (signal ? new Promise(() => {}) : Promise.resolve()),
    };
    const { tables, features } = this.#small;
    const store = simStore(tables.objects, this, false);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const ports = { clock, random, log, store };
    return { ...ports, source, catalog: openCatalog(features, tables, this, ports) };
  }

  #flush(table: Table, { offset, next, initial }: Claimed, { random }: Ports): Flush {
    const id = uuid(random);
    const { objects } = this.#small.tables;
    const rows = Array.from({ length: next - offset }, (_, i) => [0, offset + i, offset + i]);
    const bytes = Buffer.from(JSON.stringify(rows));
    const path = `${table.metadata.location}/data/${this.name}-${id}.parquet`;
    objects.put(path, bytes, this.world.nowMs);
    return {
      id,
      table,
      files: [{ ...emptyFile, path, recordCount: rows.length, fileSizeBytes: bytes.length }],
      claims: [{ key, start: offset, next, initial }],
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: undefined,
      createdAtMs: this.world.nowMs,
    };
  }
}

interface Claimed {
  readonly offset: number;
  readonly next: number;
  readonly initial: boolean;
}

interface Ports {
  readonly clock: Clock;
  readonly random: ReturnType<typeof seededRandom>;
  readonly log: { debug(): void; info(): void; warn(): void; error(): void };
  readonly store: Store;
  readonly catalog: Catalog;
  readonly source: Source;
}

/** Kafka, of which nothing is asked but where the log begins. */
const source = {
  committedOffsets: async () => new Map(),
  listOffsets: async () => new Map([[key, 0]]),
  commitOffsets: async () => {},
} as unknown as Source;

const asked: { topicPartitions: readonly AssignedPartition[]; siblings: readonly AssignedPartition[] } = {
  topicPartitions: [{ topic, partition: 0, topicId: 'topic0#1' }],
  siblings: [],
};

const sink: Pick<SinkOptions, 'pipeline' | 'topics' | 'startAt' | 'onTopicRecreated' | 'onTruncation'> = {
  topics: [topic],
  pipeline,
  startAt: 'earliest',
  onTopicRecreated: 'halt',
  onTruncation: 'halt',
};

const commitOptions = {
  pipeline,
  branch: 'main',
  origin,
  onRollback: 'halt',
  engineVersion: 'sim',
  policy: { attemptsMax: 100, totalMs: 1_000_000, waitMinMs: 1, waitMaxMs: 1 },
} as const;

const options: TableOptions = {
  table: 'sim.t0',
  topics: [topic],
  create: true,
  fields: [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }],
  partitionBy: [],
  metadataColumns: true,
  keyColumn: undefined,
  properties: {},
  value: { format: 'json', envelope: 'none', epoch: 'ms' },
  key: { format: 'bytes' },
  onError: 'halt',
  onTombstone: 'halt',
  onRollback: 'halt',
};

/** Nothing but what is chosen step by step. */
const plainFeatures: Partial<Features> = {
  rates: { refused: 0, lostReply: 0, late: 0, lateMs: 0, silent: 0, slow: 0, slowMs: 0 },
  values: 'json',
  large: false,
  onRollback: 'halt',
};
