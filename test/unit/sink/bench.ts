import type {
  AssignedPartition,
  ClusterTopics,
  CommittedOffset,
  FetchedLog,
  LogRange,
  Source,
  SourceEvent,
} from '../../../src/kafka/source.ts';
import { keyOf, parseKey, type TopicPartition } from '../../../src/kafka/topic-partition.ts';
import { writeBatch } from '../../../src/kafka/write-batch.ts';
import { inlineLane } from '../../../src/lane/inline.ts';
import { type Lane, LaneDiedError } from '../../../src/lane/lane.ts';
import type { SinkOptions } from '../../../src/sink/options.ts';
import { Sink } from '../../../src/sink/sink.ts';
import type { SinkTotals } from '../../../src/sink/totals.ts';
import { offsetEncoder } from '../../sim/storage.ts';
import { ManualClock } from '../base/clock.ts';
import { Lake } from './lake.ts';
import { sinkOptions } from './options.ts';

/** Kafka as a test tells it: nothing happens by itself. */
export class ScriptedSource implements Source {
  reservedBytes = 0;
  allowedBytes = 0;
  readonly partitions: AssignedPartition[];
  /** The group's offsets, as they would be kept. */
  readonly group = new Map<string, CommittedOffset>();
  readonly logs = new Map<string, FetchedLog>();
  /** Everything the sink asked for, in order. */
  readonly calls: string[] = [];
  /** Of the leader that writes what comes; -1 says nothing. */
  leaderEpoch = -1;
  /** While set, group offsets are not answered for. */
  offsetsGate: Promise<void> | undefined;
  readonly #positions = new Map<string, { offset: number; generation: number }>();
  #emit: (event: SourceEvent) => void = () => {};
  #generation = 0;

  constructor(partitions: number, topic = 'orders') {
    this.partitions = Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      topicId: 'id',
    }));
    for (const each of this.partitions) this.logs.set(keyOf(each), { start: 0, end: 0 });
  }

  async start(emit: (event: SourceEvent) => void): Promise<ClusterTopics> {
    this.#emit = emit;
    return { clusterId: 'cluster', topicPartitions: this.partitions };
  }

  assign(...partitions: number[]): void {
    this.#emit({
      type: 'assigned',
      topicPartitions: partitions.map((partition) => this.partitions[partition]!),
    });
  }

  revoke(withinMs: number, ...partitions: number[]): void {
    const topicPartitions = partitions.map((partition) => this.partitions[partition]!);
    for (const each of topicPartitions) this.#positions.delete(keyOf(each));
    this.#emit({ type: 'revoked', topicPartitions, withinMs });
  }

  lose(...partitions: number[]): void {
    this.because('UNKNOWN_MEMBER_ID', 'lost', ...partitions);
  }

  /** The group says something, and why. */
  because(cause: string, type: 'assigned' | 'revoked' | 'lost', ...partitions: number[]): void {
    const topicPartitions = partitions.map((partition) => this.partitions[partition]!);
    if (type !== 'assigned') for (const each of topicPartitions) this.#positions.delete(keyOf(each));
    this.#emit({ type, topicPartitions, withinMs: 60_000, cause });
  }

  fail(error: Error): void {
    this.#emit({ type: 'failed', error });
  }

  topics(appeared: readonly string[], vanished: readonly string[] = []): void {
    this.#emit({ type: 'topics', appeared, vanished });
  }

  position(partition = 0): number | undefined {
    return this.#positions.get(keyOf(this.partitions[partition]!))?.offset;
  }

  /** Brings records of these values from the present position on: numbers become `{"n":...}`, null is a tombstone. */
  bring(partition: number, ...values: (number | string | Buffer | null)[]): void {
    const { topic } = this.partitions[partition]!;
    const key = keyOf({ topic, partition });
    const position = this.#positions.get(key);
    if (!position) throw new Error(`${key} is not being fetched`);
    const { offset: from, generation } = position;
    const next = from + values.length;
    const records = values.map((value, i) => ({
      offsetDelta: i,
      timestampDelta: i,
      key: null,
      value: bytesOf(value),
    }));
    const batch = writeBatch({ baseOffset: from, baseTimestamp: 1_000 }, records);
    position.offset = next;
    const log = this.logs.get(key)!;
    log.end = Math.max(log.end, next);
    const epochs = [{ offset: from, epoch: this.leaderEpoch }];
    const set = {
      topic,
      partition,
      generation,
      from,
      next,
      records: new Uint8Array(batch),
      epochs,
      aborted: null,
    };
    this.#emit({ type: 'records', set });
  }

  /** `count` records that can be decoded. */
  bringSome(partition: number, count: number): void {
    this.bring(partition, ...Array.from({ length: count }, (_, i) => i));
  }

  /** The position turns out to be outside of the log. */
  outOfRange(partition: number, log: LogRange): void {
    const key = keyOf(this.partitions[partition]!);
    const { offset, generation } = this.#positions.get(key)!;
    this.#positions.delete(key);
    this.#emit({ type: 'outOfRange', topicPartition: parseKey(key), generation, position: offset, log });
  }

  /** The log was cut below what was read. */
  truncated(partition: number, end: number): void {
    const key = keyOf(this.partitions[partition]!);
    const { offset, generation } = this.#positions.get(key)!;
    this.#positions.delete(key);
    this.#emit({ type: 'truncated', topicPartition: parseKey(key), generation, position: offset, end });
  }

  seek(topicPartition: TopicPartition, offset: number, epoch?: number): number {
    this.calls.push(`seek ${keyOf(topicPartition)} ${offset}${epoch === undefined ? '' : `@${epoch}`}`);
    this.#positions.set(keyOf(topicPartition), { offset, generation: ++this.#generation });
    return this.#generation;
  }

  allow(bytes: number): void {
    this.allowedBytes = bytes;
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    this.calls.push(`released ${topicPartitions.map(keyOf).join()}`);
  }

  async committedOffsets(topicPartitions: readonly TopicPartition[]): Promise<Map<string, CommittedOffset>> {
    const found = topicPartitions.map(keyOf).filter((key) => this.group.has(key));
    const offsets = new Map(found.map((key) => [key, this.group.get(key)!]));
    await this.offsetsGate;
    return offsets;
  }

  async commitOffsets(
    offsets: ReadonlyMap<string, number>,
    metadata: string,
    epochs: ReadonlyMap<string, number> = new Map(),
  ): Promise<void> {
    for (const [key, offset] of offsets) {
      this.calls.push(`commit ${key} ${offset} (${metadata})`);
      this.group.set(key, { offset, metadata, ...(epochs.has(key) ? { epoch: epochs.get(key) } : {}) });
    }
  }

  async listOffsets(
    topicPartitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Map<string, number>> {
    return new Map(
      topicPartitions.map((each) => {
        const log = this.logs.get(keyOf(each))!;
        return [keyOf(each), at === 'earliest' ? log.start : at === 'latest' ? log.end : at];
      }),
    );
  }

  /** Of all epochs up to the asked one; a log that is not here was never cut. */
  readonly epochEndsOf = new Map<string, (epoch: number) => number>();

  async epochEnds(
    topicPartitions: readonly (TopicPartition & { readonly epoch: number })[],
  ): Promise<Map<string, number>> {
    this.calls.push(...topicPartitions.map((each) => `epoch ${each.epoch} of ${keyOf(each)}`));
    return new Map(
      topicPartitions.flatMap((each) => {
        const end = this.epochEndsOf.get(keyOf(each))?.(each.epoch);
        return end === undefined ? [] : [[keyOf(each), end] as const];
      }),
    );
  }

  logRanges(): ReadonlyMap<string, FetchedLog> {
    return this.logs;
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }
}

function bytesOf(value: number | string | Buffer | null): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === 'number' ? `{"n":${value}}` : value);
}

/** A lane that can be held up: commands wait until it is let go. */
export class HeldLane {
  readonly lane: Lane;
  #gate = Promise.resolve();
  #open: () => void = () => {};
  #death = Promise.withResolvers<never>();

  constructor(make: () => Lane) {
    let inner = make();
    let last: Promise<unknown> = Promise.resolve();
    const later = <A extends unknown[], T>(run: (...args: A) => Promise<T>) => {
      return (...args: A): Promise<T> => {
        const gate = this.#gate;
        const result = Promise.race([last.then(() => gate).then(() => run(...args)), this.#death.promise]);
        last = result.catch(() => {});
        return result;
      };
    };
    this.#death.promise.catch(() => {});
    this.lane = {
      open: later((plan) => inner.open(plan)),
      seek: later((...args) => inner.seek(...args)),
      append: later((set) => inner.append(set)),
      flush: later((table) => inner.flush(table)),
      drop: later((table) => inner.drop(table)),
      release: later((topicPartition) => inner.release(topicPartition)),
      describe: later((...args) => inner.describe(...args)),
      close: () => inner.close(),
      restart: () => {
        inner = make();
        last = Promise.resolve();
        this.#gate = Promise.resolve();
        this.#death = Promise.withResolvers();
        this.#death.promise.catch(() => {});
      },
    };
  }

  /** Nothing that it was asked is answered any more. */
  die(): void {
    this.#death.reject(new LaneDiedError('lane-1 died: out of memory'));
  }

  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    this.#open = resolve;
  }

  letGo(): void {
    this.#open();
  }
}

export interface BenchSettings {
  partitions?: number;
  lanes?: number;
  options?: Partial<SinkOptions>;
  /** What a schema registry answers, by path; nothing else is there. */
  registry?: Record<string, unknown>;
  /** A lake that others use too. */
  lake?: Lake<ManualClock>;
}

/** A sink on a scripted Kafka, with lanes, catalog and store in memory. Files say which offsets are in them. */
export class Bench {
  readonly lake: Lake<ManualClock>;
  readonly clock: ManualClock;
  readonly source: ScriptedSource;
  readonly lanes: readonly HeldLane[];
  readonly sink: Sink;
  /** How the run ended: what it resolved to, or the message of what it threw. */
  ended: SinkTotals | string | undefined;

  constructor({ partitions = 1, lanes = 1, options = {}, registry = {}, lake }: BenchSettings = {}) {
    this.lake = lake ?? new Lake(new ManualClock());
    this.clock = this.lake.clock;
    this.source = new ScriptedSource(partitions);
    const { store, log, random, catalog } = this.lake;
    const ports = { clock: this.clock, random, log };
    const fetch = async (url: unknown): Promise<Response> => {
      const { pathname } = new URL(String(url));
      return pathname in registry ? Response.json(registry[pathname]) : Response.json({}, { status: 404 });
    };
    this.lanes = Array.from(
      { length: lanes },
      () => new HeldLane(() => inlineLane({ ...ports, store, encoder: offsetEncoder, fetch })),
    );
    this.sink = new Sink(sinkOptions(options), {
      ...ports,
      source: this.source,
      lanes: this.lanes.map(({ lane }) => lane),
      catalog,
      store,
    });
  }

  /** Runs until something waits for the outside. */
  async start(...partitions: number[]): Promise<void> {
    this.sink.run().then(
      (totals) => {
        this.ended = totals;
      },
      (error: Error) => {
        this.ended = error.message;
      },
    );
    await this.pass();
    if (partitions.length > 0) this.source.assign(...partitions);
    await this.pass();
  }

  /** Lets `ms` pass and everything happen that needs no more time. */
  async pass(ms = 0): Promise<void> {
    await this.clock.pass(ms);
    for (let i = 0; i < 12; i++) await this.clock.pass(0);
  }

  /** What readers find in the table, as `partition:offset`, sorted; a row that is there twice is there twice. */
  async rows(table = 'shop.orders'): Promise<string> {
    const found: [number, number][] = [];
    for (const path of await this.lake.files(table))
      found.push(
        ...(JSON.parse(Buffer.from(await this.lake.store.get(path)).toString()) as [number, number][]),
      );
    return found
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map(([partition, offset]) => `${partition}:${offset}`)
      .join(' ');
  }
}

/** `0:3 0:4 0:5` for partition 0, 3 and 6. */
export function rowsOf(partition: number, from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `${partition}:${from + i}`).join(' ');
}
