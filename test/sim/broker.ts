import { TransientError } from '../../src/base/errors.ts';
import type {
  AssignedPartition,
  ClusterTopics,
  CommittedOffset,
  LogRange,
  Source,
  SourceEvent,
} from '../../src/kafka/source.ts';
import {
  keyOf,
  parseKey,
  type TopicPartition,
  type TopicPartitionKey,
} from '../../src/kafka/topic-partition.ts';
import { type BatchRecord, writeBatch } from '../../src/kafka/write-batch.ts';
import type { Process, World } from './world.ts';

/** A partition's log: which offsets hold a visible record; the others are holes (control records, compacted, aborted). */
interface Log {
  start: number;
  visible: boolean[];
}

interface Member {
  process: Process;
  source: SimSource;
  owned: Set<TopicPartitionKey>;
  revoking: Set<TopicPartitionKey>;
  seenAtMs: number;
}

const sessionMs = 10_000;
const topicId = 'topic-id';

/** Kafka as far as the sink can tell: logs, one group with sticky membership, group offsets. */
export class SimBroker {
  readonly world: World;
  readonly topic: string;
  readonly logs: Map<TopicPartitionKey, Log> = new Map();
  readonly offsets: Map<TopicPartitionKey, CommittedOffset> = new Map();
  /** Called before group offsets move. */
  onOffsets: (offsets: ReadonlyMap<TopicPartitionKey, number>) => void = () => {};
  readonly #members: Member[] = [];

  constructor(world: World, topic: string, partitions: number) {
    this.world = world;
    this.topic = topic;
    for (let partition = 0; partition < partitions; partition++)
      this.logs.set(keyOf({ topic, partition }), { start: 0, visible: [] });
    this.#watch();
  }

  produce(key: TopicPartitionKey, count: number): void {
    const log = this.logs.get(key)!;
    for (let i = 0; i < count; i++) log.visible.push(this.world.random.float() >= 0.15);
  }

  /** Offsets of visible records below `end`. */
  visible(key: TopicPartitionKey, from: number, end: number): number[] {
    const { visible } = this.logs.get(key)!;
    const offsets: number[] = [];
    for (let offset = from; offset < end; offset++) if (visible[offset]) offsets.push(offset);
    return offsets;
  }

  topicPartitions(): AssignedPartition[] {
    return [...this.logs.keys()].map((key) => ({ ...parseKey(key), topicId }));
  }

  /** Who owns what, for messages. */
  owners(): string {
    return this.#members
      .map(({ process, owned, revoking }) => `${process.name} owns ${[...owned]} revoking ${[...revoking]}`)
      .join('\n');
  }

  join(source: SimSource): void {
    this.#members.push({
      process: source.process,
      source,
      owned: new Set(),
      revoking: new Set(),
      seenAtMs: this.world.nowMs,
    });
    this.#rebalance();
  }

  leave(source: SimSource): void {
    this.#remove(this.#members.find((member) => member.source === source));
  }

  isMember(source: SimSource): boolean {
    return this.#members.some((member) => member.source === source);
  }

  heartbeat(source: SimSource): boolean {
    const member = this.#members.find((candidate) => candidate.source === source);
    if (member) member.seenAtMs = this.world.nowMs;
    return member !== undefined;
  }

  release(source: SimSource, keys: readonly TopicPartitionKey[]): void {
    const member = this.#members.find((candidate) => candidate.source === source);
    if (!member) return;
    for (const key of keys) {
      member.revoking.delete(key);
      member.owned.delete(key);
    }
    this.#rebalance();
  }

  /** Members that have not been heard of for a session are out, whatever they think. */
  #watch(): void {
    for (const member of [...this.#members])
      if (this.world.nowMs - member.seenAtMs > sessionMs) this.#remove(member);
    this.world.after(1_000, () => this.#watch());
  }

  #remove(member: Member | undefined): void {
    if (!member) return;
    this.world.note(`group: ${member.process.name} is out`);
    this.#members.splice(this.#members.indexOf(member), 1);
    this.#rebalance();
  }

  /** Now and then a rebalance for no reason. */
  shake(): void {
    this.#rebalance(Math.floor(this.world.random.float() * 7));
  }

  #rebalance(shift = 0): void {
    if (this.#members.length === 0) return;
    const target = new Map(
      [...this.logs.keys()].map((key, i) => [key, this.#members[(i + shift) % this.#members.length]!]),
    );
    for (const member of this.#members) {
      const revoked = [...member.owned].filter(
        (key) => target.get(key) !== member && !member.revoking.has(key),
      );
      if (revoked.length === 0) continue;
      for (const key of revoked) member.revoking.add(key);
      member.source.revoked(revoked);
    }
    for (const member of this.#members) {
      const free = (key: TopicPartitionKey): boolean => !this.#members.some((other) => other.owned.has(key));
      const assigned = [...target]
        .filter(([key, owner]) => owner === member && free(key))
        .map(([key]) => key);
      if (assigned.length === 0) continue;
      for (const key of assigned) member.owned.add(key);
      member.source.assigned(assigned.map((key) => ({ ...parseKey(key), topicId })));
    }
  }
}

interface Position {
  offset: number;
  generation: number;
}

/** One member's side of the simulated Kafka. */
export class SimSource implements Source {
  readonly process: Process;
  reservedBytes = 0;
  readonly #broker: SimBroker;
  readonly #positions = new Map<TopicPartitionKey, Position>();
  readonly #ranges = new Map<TopicPartitionKey, LogRange>();
  #emit: (event: SourceEvent) => void = () => {};
  /** What the group has told last: later words never overtake earlier ones. */
  #toldAtMs = 0;
  #generation = 0;
  #allowed = 0;
  #closed = false;
  readonly #revoked = new Set<TopicPartitionKey>();

  constructor(broker: SimBroker, process: Process) {
    this.#broker = broker;
    this.process = process;
  }

  async start(emit: (event: SourceEvent) => void): Promise<ClusterTopics> {
    this.#emit = emit;
    this.process.deliver(this.process.world.delayMs(), () => this.#join());
    this.#heartbeat();
    this.#poll();
    return { clusterId: 'cluster', topicPartitions: this.#broker.topicPartitions() };
  }

  #heartbeat(): void {
    this.process.deliver(2_000, () => {
      if (this.#closed) return;
      if (this.#joined && !this.#broker.heartbeat(this)) this.#lost();
      this.#heartbeat();
    });
  }

  #join(): void {
    if (this.#closed) return;
    this.#joined = true;
    this.#broker.join(this);
  }

  #joined = false;
  readonly #owned = new Map<TopicPartitionKey, AssignedPartition>();

  #lost(): void {
    this.#joined = false;
    const lost = [...this.#owned.values()];
    this.#owned.clear();
    this.#revoked.clear();
    this.#positions.clear();
    this.#emit({ type: 'lost', topicPartitions: lost });
    this.process.deliver(this.process.world.delayMs(), () => this.#join());
  }

  /** The group tells something, in order. */
  #told(what: () => void): void {
    const { world } = this.process;
    this.#toldAtMs = Math.max(this.#toldAtMs, world.nowMs + world.delayMs());
    this.process.deliver(this.#toldAtMs - world.nowMs, what);
  }

  assigned(topicPartitions: AssignedPartition[]): void {
    this.#told(() => {
      if (this.#closed || !this.#broker.isMember(this)) return;
      for (const topicPartition of topicPartitions) this.#owned.set(keyOf(topicPartition), topicPartition);
      this.#emit({ type: 'assigned', topicPartitions });
    });
  }

  revoked(keys: TopicPartitionKey[]): void {
    this.#told(() => {
      const known = keys.filter((key) => this.#owned.has(key));
      // What was never heard of as assigned can be given back at once.
      this.#broker.release(
        this,
        keys.filter((key) => !this.#owned.has(key)),
      );
      if (known.length === 0 || this.#closed) return;
      for (const key of known) {
        this.#positions.delete(key);
        this.#revoked.add(key);
      }
      this.#emit({ type: 'revoked', topicPartitions: known.map(parseKey), withinMs: 8_000 });
    });
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    const keys = topicPartitions.map(keyOf).filter((key) => this.#revoked.delete(key));
    for (const key of keys) this.#owned.delete(key);
    this.process.world.after(this.process.world.delayMs(), () => this.#broker.release(this, keys));
  }

  seek(topicPartition: TopicPartition, offset: number): number {
    this.#positions.set(keyOf(topicPartition), { offset, generation: ++this.#generation });
    return this.#generation;
  }

  allow(bytes: number): void {
    this.#allowed = bytes;
  }

  /** Now and then brings some records of each partition. */
  #poll(): void {
    const { world } = this.process;
    this.process.deliver(20 + world.random.float() * 400, () => {
      if (this.#closed) return;
      if (this.#allowed > 0) for (const [key, position] of this.#positions) this.#fetch(key, position);
      this.#poll();
    });
  }

  #fetch(key: TopicPartitionKey, position: Position): void {
    const { world } = this.process;
    const log = this.#broker.logs.get(key)!;
    const from = position.offset;
    this.#ranges.set(key, { start: log.start, end: log.visible.length });
    if (from < log.start || from > log.visible.length) {
      this.#positions.delete(key);
      const range = { start: log.start, end: log.visible.length };
      return this.#emit({
        type: 'outOfRange',
        topicPartition: parseKey(key),
        generation: position.generation,
        position: from,
        log: range,
      });
    }
    const next = Math.min(log.visible.length, from + 1 + Math.floor(world.random.float() * 12));
    if (next === from) return;
    const records: BatchRecord[] = this.#broker.visible(key, from, next).map((offset) => ({
      offsetDelta: offset - from,
      timestampDelta: 0,
      key: null,
      value: Buffer.from(`{"n":${offset}}`),
    }));
    const batch = writeBatch(
      { baseOffset: from, baseTimestamp: 1, lastOffsetDelta: next - from - 1 },
      records,
    );
    position.offset = next;
    const set = {
      ...parseKey(key),
      generation: position.generation,
      from,
      next,
      records: new Uint8Array(batch),
      aborted: null,
    };
    this.#emit({ type: 'records', set });
  }

  async committedOffsets(
    topicPartitions: readonly TopicPartition[],
  ): Promise<Map<TopicPartitionKey, CommittedOffset>> {
    const found = new Map<TopicPartitionKey, CommittedOffset>();
    for (const key of topicPartitions.map(keyOf)) {
      const offset = this.#broker.offsets.get(key);
      if (offset) found.set(key, offset);
    }
    await this.process.clock.sleep(this.process.world.delayMs());
    return found;
  }

  commitOffsets(offsets: ReadonlyMap<TopicPartitionKey, number>, metadata: string): Promise<void> {
    return this.process.call('commit offsets', () => {
      if (!this.#broker.isMember(this)) throw new TransientError('UNKNOWN_MEMBER_ID');
      this.#broker.onOffsets(offsets);
      for (const [key, offset] of offsets) this.#broker.offsets.set(key, { offset, metadata });
    });
  }

  async listOffsets(
    topicPartitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Map<TopicPartitionKey, number>> {
    const found = topicPartitions.map((topicPartition): [TopicPartitionKey, number] => {
      const log = this.#broker.logs.get(keyOf(topicPartition))!;
      return [keyOf(topicPartition), at === 'earliest' ? log.start : log.visible.length];
    });
    await this.process.clock.sleep(this.process.world.delayMs());
    return new Map(found);
  }

  logRanges(): ReadonlyMap<TopicPartitionKey, LogRange> {
    return this.#ranges;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#broker.leave(this);
  }
}
