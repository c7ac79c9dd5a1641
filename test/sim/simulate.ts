import type { SinkOptions, TableOptions } from '../../src/sink/options.ts';
import { SimBroker } from './broker.ts';
import { Chaos, foundTopic } from './chaos.ts';
import { Failures } from './failures.ts';
import { drawFeatures, type Features, tellFeatures } from './features.ts';
import { Process } from './process.ts';
import { Producer, valueFormat } from './records.ts';
import { pipeline, Tables } from './tables.ts';
import { SimWorker } from './worker.ts';
import { World } from './world.ts';

export interface SimResult {
  seed: number;
  features: Features;
  commits: number;
  /** All that went wrong, up to the violation. */
  events: readonly string[];
  /** What must not be; undefined when all is well. */
  violation?: string;
  log: readonly string[];
}

/** What of a world is not as its seed draws it. */
export interface Variation {
  readonly features?: Partial<Features> | undefined;
  /** Only these events happen. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Whether the log is wanted. */
  readonly tells?: boolean | undefined;
}

class Violation extends Error {}

const healMs = 20 * 60_000;
/** A pipeline that must stand still is watched this long: it must not go on after all. */
const haltedMs = 60_000;

/** One world from one seed: chaos for a while, then peace until everything has landed, or has not. */
export async function simulate(seed: number, variation: Variation = {}): Promise<SimResult> {
  const simulation = new Simulation(seed, variation);
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
  readonly features: Features;
  readonly broker: SimBroker;
  readonly producer: Producer;
  readonly tables: Tables;
  readonly failures: Failures;
  readonly options: Omit<SinkOptions, 'worker'>;
  readonly workers: SimWorker[] = [];
  readonly happened = new Set<string>();
  violation: Error | undefined;
  #seenVersion = -1;

  constructor(seed: number, { features: changed, only, tells }: Variation) {
    this.seed = seed;
    this.features = { ...drawFeatures(seed), ...changed };
    const { features } = this;
    this.world = new World({ seed, rates: features.rates, only, tells });
    this.world.note(`a world with ${tellFeatures(features)}`);
    const topics = features.topics.map((_, i) => `topic${i}`);
    const partitions = new Map(features.topics.map((count, i) => [`topic${i}`, count]));
    this.broker = new SimBroker(this.world, partitions, features.protocol);
    this.producer = new Producer(this.world, this.broker, features);
    const taken = features.appearance ? [...topics, foundTopic] : topics;
    const tables = features.tables.map((from, i) => tableOptions(`sim.t${i}`, taken.slice(from), features));
    this.tables = new Tables(this.world, this.broker, tables, this.producer.records, features, (what) =>
      this.broken(what),
    );
    this.failures = new Failures(features, this.broker, this.tables, this.happened);
    const { onGap, onTopicRecreated, onTruncation, bounded, large, commitMs, commitRows } = features;
    this.options = {
      pipeline,
      engineVersion: 'sim',
      topics,
      startAt: 'earliest',
      onGap,
      onTopicRecreated,
      onTruncation,
      tables,
      commit: { intervalMs: commitMs, bytes: 10_000_000, rows: commitRows },
      heldBytesMax: large ? 3_000_000 : 64 * 1024 * 1024,
      untilCaughtUp: bounded,
      graceMs: 5_000,
    };
    this.broker.onOffsets = (offsets) => {
      try {
        this.tables.checkOffsets(offsets);
      } catch (error) {
        this.broken(error);
      }
    };
  }

  result(): SimResult {
    const { seed, features, tables, world } = this;
    return { seed, features, commits: tables.moves, events: world.events, log: world.log };
  }

  /** Violations are found inside callbacks of all kinds: the first is kept, and ends the run. */
  broken(what: unknown): void {
    this.violation ??= what instanceof Error ? what : new Violation(String(what));
  }

  async run(): Promise<void> {
    const { world, features } = this;
    const { chaosMs } = features;
    for (let i = 0; i < features.workers; i++) this.startWorker();
    this.#keepProducing(world.nowMs + chaosMs);
    new Chaos(this).keepOn(world.nowMs + chaosMs);
    await this.#runFor(chaosMs, () => false);
    await this.#runFor(healMs, () => !world.isOut);
    await this.#peace();
  }

  async #peace(): Promise<void> {
    const { world } = this;
    world.note('peace');
    world.faulty = false;
    this.failures.told.clear();
    for (const { process } of this.workers) if (process.frozen) process.thaw();
    if (!this.workers.some((worker) => worker.process.alive)) this.startWorker();
    // Of a topic that is another's and was made anew a member of a bounded run never hears: somebody must act.
    if (this.features.bounded && this.happened.has('recreation'))
      world.after(healMs / 2, () => {
        for (const worker of this.workers) if (worker.process.alive) worker.stop();
      });
    const sinceMs = world.nowMs;
    const done = await this.#runFor(
      healMs,
      () => this.#isDone() || (world.nowMs > sinceMs + haltedMs && this.failures.isHaltedLoudly),
    );
    if (!done)
      throw new Violation(
        `not everything had landed after ${healMs / 60_000} minutes of peace: ${this.#missing()}\n${this.#whoIsThere()}`,
      );
  }

  async #runFor(ms: number, done: () => boolean): Promise<boolean> {
    const isDone = await this.world.run(ms, () => this.violation !== undefined || done());
    if (this.violation) throw this.violation;
    return isDone;
  }

  startWorker(): void {
    const { world } = this;
    const number = this.workers.length + 1;
    const process = new Process(world, number);
    const moment = world.moment('worker', number);
    const skewMs = (moment.float() - 0.5) * 1_200_000;
    if (moment.happens('its clock is wrong', 0.3)) process.skewMs = skewMs;
    world.note(`${process.name} starts`);
    const worker = new SimWorker(process, number, this);
    this.workers.push(worker);
    void worker.ended.then((error) => this.#ended(worker, error));
  }

  /** A worker that ended by itself is started again by its supervisor. It must have had a reason to fail. */
  #ended({ process }: SimWorker, error: Error | undefined): void {
    if (!process.alive) return;
    this.world.note(`${process.name} ${error ? `failed: ${error.message}` : 'stopped'}`);
    process.alive = false;
    if (error && !this.failures.isAllowed(error)) {
      this.world.note(this.failures.tell(error));
      this.broken(error);
    }
    this.world.after(2_000, () => this.startWorker());
  }

  #keepProducing(untilMs: number, n = 1): void {
    const { world } = this;
    if (world.nowMs > untilMs) return;
    let i = 0;
    for (const key of this.broker.logs.keys()) {
      const moment = world.moment('records', n * 100 + i++);
      if (moment.happens(`for ${key}`, 0.6)) this.producer.produce(key, 8, moment);
    }
    world.after(world.moment('producer', n).float() * 3_000, () => this.#keepProducing(untilMs, n + 1));
  }

  #whoIsThere(): string {
    const alive = this.workers.filter((worker) => worker.process.alive);
    return (
      alive.map(({ process, sink }) => `${process.name} ${JSON.stringify(sink.status())}`).join('\n') +
      `\n${this.broker.owners()}`
    );
  }

  /** Whether nothing is left to do; looked at only when something has moved. */
  #isDone(): boolean {
    const version = this.tables.moves + this.broker.moves;
    if (version === this.#seenVersion) return false;
    this.#seenVersion = version;
    return this.#missing() === '';
  }

  /** What has not landed, or is not yet told to the group; '' when nothing is left to do. */
  #missing(): string {
    const ends = new Map([...this.broker.logs].map(([key, { end }]) => [key, end]));
    const unlanded = this.tables.unlanded(ends);
    if (unlanded !== '') return unlanded;
    return [...this.broker.logs]
      .map(([key, log]) => ({ key, end: log.end, furthest: this.broker.furthest.get(log.id) ?? 0 }))
      .filter(({ end, furthest }) => furthest < end)
      .map(({ key, end, furthest }) => `the group is at ${furthest} of ${end} in ${key}`)
      .join('; ');
  }
}

function tableOptions(table: string, topics: string[], features: Features): TableOptions {
  const n = { id: 0, name: 'n', required: true, type: { kind: 'long' } } as const;
  const pad = { id: 0, name: 'pad', required: false, type: { kind: 'string' } } as const;
  const hasPad = features.large || features.values === 'avro';
  return {
    table,
    topics,
    create: true,
    fields: features.values === 'described' ? [] : hasPad ? [n, pad] : [n],
    partitionBy: [],
    metadataColumns: true,
    keyColumn: undefined,
    properties: {
      'write.metadata.previous-versions-max': '3',
      ...(features.pruned ? { 'write.metadata.delete-after-commit.enabled': 'true' } : {}),
      ...property('commit.manifest.min-count-to-merge', features.mergedManifests),
      ...property('commit.manifest.target-size-bytes', features.manifestBytes),
    },
    value: valueFormat(features),
    key: { format: 'bytes' },
    onError: features.onError,
    onTombstone: features.onTombstone,
    onRollback: features.onRollback,
  };
}

function property(name: string, value: number | undefined): Record<string, string> {
  // Worlds that were kept before there was such a property are without.
  return !value ? {} : { [name]: String(value) };
}
