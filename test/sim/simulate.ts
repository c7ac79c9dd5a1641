import type { Log } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import type { DataFile } from '../../src/iceberg/data-file.ts';
import { writeManifest } from '../../src/iceberg/manifest.ts';
import { addedManifest, writeManifestList } from '../../src/iceberg/manifest-list.ts';
import {
  branchHead,
  currentSchema,
  defaultSpec,
  type Snapshot,
  type TableMetadata,
  writeMetadata,
} from '../../src/iceberg/metadata.ts';
import { appendSummary, newSnapshotId } from '../../src/iceberg/snapshot.ts';
import { applyUpdates, type Update } from '../../src/iceberg/update.ts';
import { parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import { inlineLane } from '../../src/lane/inline.ts';
import { ledgerNames, resolveLedger } from '../../src/sink/ledger.ts';
import type { SinkOptions, TableOptions } from '../../src/sink/options.ts';
import { Sink } from '../../src/sink/sink.ts';
import { SimBroker, SimSource } from './broker.ts';
import { liveOffsets, readTable } from './check.ts';
import { offsetEncoder, SimObjects, SimPointers, simPointers, simStore } from './storage.ts';
import { Process, World } from './world.ts';

export interface SimResult {
  seed: number;
  commits: number;
  faults: number;
  /** What went wrong; undefined when nothing did. */
  violation?: string;
  log: string[];
}

class Violation extends Error {}

const pipeline = 'sim';
const topic = 'orders';
const chaosMs = 240_000;
const healMs = 30 * 60_000;

/** One world from one seed: chaos for a while, then peace until everything has landed, or has not. */
export async function simulate(seed: number): Promise<SimResult> {
  const simulation = new Simulation(seed);
  try {
    await simulation.run();
    return simulation.result();
  } catch (error) {
    return {
      ...simulation.result(),
      violation: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

class Simulation {
  readonly seed: number;
  readonly world: World;
  readonly broker: SimBroker;
  readonly objects = new SimObjects();
  readonly pointers = new SimPointers();
  readonly tables: readonly TableOptions[];
  readonly options: Omit<SinkOptions, 'worker'>;
  /** Whether tables are rolled back in this world. */
  readonly rollbacks: boolean;
  readonly workers: { process: Process; sink: Sink }[] = [];
  /** Tables that were rolled back once: group offsets are ahead of them since. */
  readonly rolledBack = new Set<string>();
  /** What readers see of each table since its last move. */
  readonly live = new Map<string, Map<TopicPartitionKey, number[]>>();
  commits = 0;
  violation: Error | undefined;
  #workerNumber = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.world = new World(seed);
    const { random } = this.world;
    this.broker = new SimBroker(this.world, topic, 1 + random.below(4));
    this.rollbacks = random.float() < 0.3;
    this.tables = Array.from({ length: 1 + random.below(2) }, (_, i) => tableOptions(`sim.t${i}`));
    this.options = {
      pipeline,
      engineVersion: 'sim',
      topics: [topic],
      startAt: 'earliest',
      onGap: 'halt',
      onTopicRecreated: 'halt',
      tables: this.tables,
      commit: { intervalMs: 500 + random.below(10_000), bytes: 1_000_000, rows: 5 + random.below(200) },
      heldBytesMax: 64 * 1024 * 1024,
      untilCaughtUp: false,
      graceMs: 5_000,
    };
    this.pointers.onMove = (table) => this.#guard(() => this.#checkTable(table));
    this.broker.onOffsets = (offsets) => this.#guard(() => this.#checkOffsets(offsets));
  }

  result(): SimResult {
    return { seed: this.seed, commits: this.commits, faults: this.world.log.length, log: this.world.log };
  }

  /** Violations are found inside callbacks of all kinds: they are kept, and end the run. */
  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.violation ??= error as Error;
    }
  }

  async run(): Promise<void> {
    const { world } = this;
    for (let i = 1 + world.random.below(3); i > 0; i--) this.#startWorker();
    this.#keepProducing(world.nowMs + chaosMs);
    this.#keepBreaking(world.nowMs + chaosMs);
    await world.run(chaosMs, () => this.violation !== undefined);
    this.#check();
    world.note('peace');
    world.faulty = false;
    for (const worker of this.workers) if (worker.process.frozen) worker.process.thaw();
    if (!this.workers.some((worker) => worker.process.alive)) this.#startWorker();
    const landed = await world.run(healMs, () => this.violation !== undefined || this.#everythingLanded());
    this.#check();
    if (!landed)
      throw new Violation(
        `not everything had landed after ${healMs / 60_000} minutes of peace: ${this.#missing()}\n${this.#whoIsThere()}`,
      );
  }

  #check(): void {
    if (this.violation) throw this.violation;
  }

  #startWorker(): void {
    const { world, objects } = this;
    const process = new Process(world, `w${++this.#workerNumber}`);
    process.skewMs = world.random.float() < 0.3 ? (world.random.float() - 0.5) * 1_200_000 : 0;
    const store = simStore(objects, process);
    // Each process draws its own numbers: a crash must not change what the others draw.
    const random = seededRandom(this.seed * 1000 + this.#workerNumber);
    const log = logOf(process);
    const ports = { clock: process.clock, random, log };
    const sink = new Sink(
      { ...this.options, worker: process.name },
      {
        ...ports,
        source: new SimSource(this.broker, process),
        lanes: [inlineLane({ ...ports, store, encoder: offsetEncoder, fetch })],
        catalog: new MetastoreCatalog(simPointers(this.pointers, process), 'mem://lake', { ...ports, store }),
        store,
      },
    );
    world.note(`${process.name} starts`);
    const worker = { process, sink };
    this.workers.push(worker);
    sink.run().then(
      () => this.#ended(worker, 'stopped'),
      (error: Error) => {
        if (error.name === 'AssertionError') this.violation ??= error;
        this.#ended(worker, `failed: ${error.message}`);
      },
    );
  }

  /** A worker that ended by itself is started again by its supervisor. */
  #ended(worker: { process: Process }, how: string): void {
    if (!worker.process.alive) return;
    this.world.note(`${worker.process.name} ${how}`);
    worker.process.alive = false;
    this.world.after(2_000, () => this.#startWorker());
  }

  #keepProducing(untilMs: number): void {
    if (this.world.nowMs > untilMs) return;
    for (const key of this.broker.logs.keys())
      if (this.world.random.float() < 0.6) this.broker.produce(key, this.world.random.below(8));
    this.world.after(this.world.random.float() * 3_000, () => this.#keepProducing(untilMs));
  }

  #keepBreaking(untilMs: number): void {
    const { random } = this.world;
    this.world.after(random.float() * 15_000, () => {
      if (this.world.nowMs > untilMs) return;
      this.#breakSomething();
      this.#keepBreaking(untilMs);
    });
  }

  #breakSomething(): void {
    const { world } = this;
    const alive = this.workers.filter((worker) => worker.process.alive);
    const victim = alive[world.random.below(Math.max(1, alive.length))];
    switch (world.random.below(9)) {
      case 0:
        if (!victim) return;
        world.note(`${victim.process.name} is killed`);
        victim.process.alive = false;
        world.after(world.random.float() * 5_000, () => this.#startWorker());
        return;
      case 1: {
        if (!victim) return;
        const ms = world.random.float() * 40_000;
        world.note(`${victim.process.name} freezes for ${ms.toFixed(0)} ms`);
        victim.process.frozen = true;
        world.after(ms, () => victim.process.thaw());
        return;
      }
      case 2:
        if (alive.length < 4) this.#startWorker();
        return;
      case 3:
        victim?.sink.stop('SIGTERM');
        return;
      case 4:
        world.note('group: rebalance');
        this.broker.shake();
        return;
      case 5:
        return this.#foreign('compaction', compacted);
      case 6:
        return this.#foreign('expiry', expired);
      case 7:
        if (this.rollbacks) this.#foreign('rollback', world.random.float() < 0.7 ? rolledBack : replaced);
        return;
      default:
        if (victim) victim.process.skewMs = (world.random.float() - 0.5) * 1_200_000;
    }
  }

  /** Somebody else's commit. */
  #foreign(
    what: string,
    change: (simulation: Simulation, metadata: TableMetadata) => TableMetadata | undefined,
  ): void {
    const table = this.tables[this.world.random.below(this.tables.length)]!.table;
    if (!this.pointers.pointers.has(table)) return;
    const { metadata, location } = readTable(this.objects, this.pointers, table);
    const next = change(this, metadata);
    if (!next) return;
    const to = `${location.replace(/\/[^/]*$/, '')}/foreign-${this.world.random.below(1e9)}-${this.commits}.metadata.json`;
    this.objects.put(to, Buffer.from(writeMetadata(next)));
    this.world.note(`${table}: foreign ${what}`);
    if (what === 'rollback') this.rolledBack.add(table);
    this.pointers.swap(table, location, to);
  }

  /**
   * After every commit: of each topic-partition the table holds exactly the visible records below its ledger, each once
   * (I1, I2), and no file it names has been deleted (I4: reading them is the test).
   */
  #checkTable(table: string): void {
    this.commits++;
    const { metadata } = readTable(this.objects, this.pointers, table);
    const resolution = resolveLedger(metadata, pipeline, 'main');
    const ledger =
      resolution.type === 'known'
        ? resolution.ledger
        : resolution.type === 'rolledBack'
          ? resolution.lineage
          : undefined;
    const next = typeof ledger === 'object' ? ledger.next : new Map<TopicPartitionKey, number>();
    const live = liveOffsets(this.objects, metadata, topic);
    this.live.set(table, live);
    for (const key of this.broker.logs.keys()) {
      const found = (live.get(key) ?? []).toSorted((a, b) => a - b);
      const expected = this.broker.visible(key, 0, next.get(key) ?? 0);
      if (found.join() !== expected.join())
        throw new Violation(`${table} ${key}: ledger ${next.get(key)}, ${difference(found, expected)}`);
    }
  }

  /** I3: below a group offset every record is in every table. */
  #checkOffsets(offsets: ReadonlyMap<TopicPartitionKey, number>): void {
    for (const { table } of this.tables) {
      if (this.rolledBack.has(table)) continue;
      for (const [key, offset] of offsets) {
        const live = new Set(this.live.get(table)?.get(key));
        const missing = this.broker.visible(key, 0, offset).filter((each) => !live.has(each));
        if (missing.length > 0)
          throw new Violation(`I3: group offset ${key} ${offset}, but ${table} lacks ${missing.join()}`);
      }
    }
  }

  #whoIsThere(): string {
    const alive = this.workers.filter((worker) => worker.process.alive);
    return (
      alive.map(({ process, sink }) => `${process.name} ${JSON.stringify(sink.status())}`).join('\n') +
      `\n${this.broker.owners()}`
    );
  }

  #everythingLanded(): boolean {
    return this.#missing() === '';
  }

  #missing(): string {
    const missing: string[] = [];
    for (const { table } of this.tables) {
      for (const [key, log] of this.broker.logs) {
        const expected = this.broker.visible(key, 0, log.visible.length).length;
        const found = this.live.get(table)?.get(key)?.length ?? 0;
        if (found !== expected) missing.push(`${table} ${key} ${found} of ${expected}`);
      }
    }
    return missing.join('; ');
  }
}

function difference(found: readonly number[], expected: readonly number[]): string {
  const doubled = found.filter((offset, i) => found[i - 1] === offset);
  const missing = expected.filter((offset) => !found.includes(offset));
  const strange = found.filter((offset) => !expected.includes(offset));
  return `doubled [${doubled.join()}], missing [${missing.join()}], beyond the ledger [${strange.join()}]`;
}

function logOf(process: Process): Log {
  const say = (message: string, fields?: Record<string, unknown>): void =>
    process.world.note(`${process.name} ${message} ${fields ? JSON.stringify(fields) : ''}`);
  return { debug: say, info: say, warn: say, error: say };
}

function tableOptions(table: string): TableOptions {
  return {
    table,
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
    onTombstone: 'skip',
    onRollback: 'replay',
  };
}

/** All live rows into one file, by a job that knows nothing of us. */
function compacted(simulation: Simulation, metadata: TableMetadata): TableMetadata | undefined {
  const head = branchHead(metadata, 'main');
  if (!head) return undefined;
  const { objects, world } = simulation;
  const live = liveOffsets(objects, metadata, topic);
  const rows = [...live].flatMap(([key, offsets]) =>
    offsets.map((offset): [number, number] => [parseKey(key).partition, offset]),
  );
  if (rows.length === 0) return undefined;
  const unique = `${metadata.location}/compacted-${world.random.below(1e9)}-${simulation.commits}`;
  const file = { path: `${unique}.parquet`, recordCount: rows.length, ...emptyFile };
  objects.put(file.path, Buffer.from(JSON.stringify(rows)));
  const schema = currentSchema(metadata);
  const spec = defaultSpec(metadata);
  const manifest = writeManifest(schema, spec, [], [file], world.random.bytes(16));
  objects.put(`${unique}-m0.avro`, manifest);
  const snapshotId = newSnapshotId(world.random, metadata);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const row = addedManifest(
    { path: `${unique}-m0.avro`, length: manifest.length },
    { snapshotId, sequenceNumber },
    spec,
    [],
    [file],
  );
  const header = { snapshotId, parentSnapshotId: head['snapshot-id'], sequenceNumber };
  objects.put(`${unique}-snap.avro`, writeManifestList(header, [row], world.random.bytes(16)));
  const snapshot: Snapshot = {
    'snapshot-id': snapshotId,
    'parent-snapshot-id': head['snapshot-id'],
    'sequence-number': sequenceNumber,
    'timestamp-ms': Math.round(world.nowMs),
    'manifest-list': `${unique}-snap.avro`,
    summary: { ...appendSummary(head, [], { created: 1, kept: 0 }, {}), operation: 'replace' },
  };
  return applied(simulation, metadata, snapshot);
}

const emptyFile: Omit<DataFile, 'path' | 'recordCount'> = {
  format: 'PARQUET',
  partition: [],
  fileSizeBytes: 1,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
};

function applied(simulation: Simulation, metadata: TableMetadata, snapshot: Snapshot): TableMetadata {
  const updates: Update[] = [
    { action: 'add-snapshot', snapshot },
    {
      action: 'set-snapshot-ref',
      'ref-name': 'main',
      type: 'branch',
      'snapshot-id': snapshot['snapshot-id'],
    },
  ];
  return applyUpdates(metadata, 'foreign', updates, Math.round(simulation.world.nowMs));
}

/** Only the newest snapshot is kept: the ledger in older summaries is gone. */
function expired(_simulation: Simulation, metadata: TableMetadata): TableMetadata | undefined {
  const head = branchHead(metadata, 'main');
  // After a rollback that nobody has resolved yet it would hide what happened: the one case that cannot be told.
  if (resolveLedger(metadata, pipeline, 'main').type === 'rolledBack') return undefined;
  return head && { ...metadata, snapshots: [head] };
}

/** Back to an ancestor of ours, as an operator undoes a bad load: the branch is moved, no snapshot is made. */
function rolledBack({ world }: Simulation, metadata: TableMetadata): TableMetadata | undefined {
  if (resolveLedger(metadata, pipeline, 'main').type !== 'known') return undefined;
  const own = metadata.snapshots.filter(
    (snapshot) => snapshot.summary[ledgerNames(pipeline).offsets] !== undefined,
  );
  const back = own[world.random.below(Math.max(1, own.length - 1))];
  if (!back || back === branchHead(metadata, 'main')) return undefined;
  return {
    ...metadata,
    'current-snapshot-id': back['snapshot-id'],
    refs: { ...metadata.refs, main: { 'snapshot-id': back['snapshot-id'], type: 'branch' } },
  };
}

/** CREATE OR REPLACE TABLE: the same table with the same properties begins anew, without a snapshot. */
function replaced(_simulation: Simulation, metadata: TableMetadata): TableMetadata | undefined {
  if (resolveLedger(metadata, pipeline, 'main').type !== 'known') return undefined;
  return { ...metadata, 'current-snapshot-id': null, refs: {}, 'snapshot-log': [] };
}
