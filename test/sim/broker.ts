import { TransientError } from '../../src/base/errors.ts';
import type { AssignedPartition, CommittedOffset } from '../../src/kafka/source.ts';
import { keyOf, parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import type { Moment } from './moment.ts';
import { PartitionLog } from './partition-log.ts';
import type { Process } from './process.ts';
import type { SimSource } from './source.ts';
import type { World } from './world.ts';

interface Member {
  process: Process;
  source: SimSource;
  /** The topic's id by key: a later topic of the same name is another one. */
  owned: Map<TopicPartitionKey, string>;
  revoking: Set<TopicPartitionKey>;
  /** Grows with each assignment: words of an earlier one are refused. */
  epoch: number;
  seenAtMs: number;
}

const sessionMs = 10_000;

/**
 * Kafka as far as the sink can tell: logs, one group, group offsets. With the protocol `incremental` a rebalance takes
 * only what moves (KIP-429, KIP-848); with `eager` everybody gives up everything first.
 */
export class SimBroker {
  readonly world: World;
  /** The logs of the topics that there are, and by their ids all that ever were. */
  readonly logs: Map<TopicPartitionKey, PartitionLog> = new Map();
  readonly logsById: Map<string, PartitionLog> = new Map();
  readonly offsets: Map<TopicPartitionKey, CommittedOffset> = new Map();
  /** By log, the furthest its group offset ever was: an offset commit that comes late may set it back, which is no harm. */
  readonly furthest: Map<string, number> = new Map();
  /** Of group offsets. */
  moves = 0;
  /** Called before group offsets move. */
  onOffsets: (offsets: ReadonlyMap<TopicPartitionKey, number>) => void = () => {};
  readonly #members: Member[] = [];
  readonly #isEager: boolean;
  #topicNumber = 0;
  /** In an eager rebalance: what was free is not given away before all is. */
  #isRebalancing = false;

  constructor(world: World, topics: ReadonlyMap<string, number>, protocol: 'incremental' | 'eager') {
    this.world = world;
    this.#isEager = protocol === 'eager';
    for (const [topic, partitions] of topics) this.#create(topic, partitions);
    this.#watch();
  }

  #create(topic: string, partitions: number): void {
    const topicId = `${topic}#${++this.#topicNumber}`;
    for (let partition = 0; partition < partitions; partition++) this.#add(topic, topicId, partition);
  }

  #add(topic: string, topicId: string, partition: number): void {
    const log = new PartitionLog(topicId, partition);
    this.logs.set(keyOf({ topic, partition }), log);
    this.logsById.set(log.id, log);
  }

  /** Deletes a topic and makes it anew: other records at the same offsets. Its group offsets go with it. */
  recreate(topic: string): void {
    const keys = this.keysOf(topic);
    for (const key of keys) this.offsets.delete(key);
    this.#create(topic, keys.length);
    this.#rebalance();
  }

  /** A topic comes, and members hear of it. */
  appear(topic: string, partitions: number): void {
    this.#create(topic, partitions);
    for (const { source } of this.#members) source.appeared(topic);
    this.#rebalance();
  }

  grow(topic: string): void {
    const partition = this.keysOf(topic).length;
    const { topicId } = this.logs.get(keyOf({ topic, partition: 0 }))!;
    this.#add(topic, topicId, partition);
    this.#rebalance();
  }

  keysOf(topic: string): TopicPartitionKey[] {
    return [...this.logs.keys()].filter((key) => parseKey(key).topic === topic);
  }

  topicPartitions(): AssignedPartition[] {
    return [...this.logs].map(([key, { topicId }]) => ({ ...parseKey(key), topicId }));
  }

  /** Who owns what, for messages. */
  owners(): string {
    return this.#members
      .map(
        ({ process, owned, revoking }) =>
          `${process.name} owns ${[...owned.keys()]} revoking ${[...revoking]}`,
      )
      .join('\n');
  }

  join(source: SimSource): void {
    this.#members.push({
      process: source.process,
      source,
      owned: new Map(),
      revoking: new Set(),
      epoch: 0,
      seenAtMs: this.world.nowMs,
    });
    this.#rebalance();
  }

  leave(source: SimSource): void {
    this.#remove(this.#member(source));
  }

  isMember(source: SimSource): boolean {
    return this.#member(source) !== undefined;
  }

  heartbeat(source: SimSource): boolean {
    const member = this.#member(source);
    if (member) member.seenAtMs = this.world.nowMs;
    return member !== undefined;
  }

  release(source: SimSource, keys: readonly TopicPartitionKey[]): void {
    const member = this.#member(source);
    if (!member || keys.length === 0) return;
    for (const key of keys) {
      member.revoking.delete(key);
      member.owned.delete(key);
    }
    if (!this.#isEager || this.#isRebalancing) this.#rebalance();
  }

  /** As OffsetCommit does by topic id: a member's words about a topic that is gone are refused. */
  commitOffsets(
    source: SimSource,
    epoch: number,
    topicIds: ReadonlyMap<TopicPartitionKey, string>,
    offsets: ReadonlyMap<TopicPartitionKey, number>,
    { metadata, epochs }: { metadata: string; epochs: ReadonlyMap<TopicPartitionKey, number> },
  ): void {
    const member = this.#member(source);
    if (!member) throw new TransientError('UNKNOWN_MEMBER_ID');
    if (member.epoch !== epoch) throw new TransientError('STALE_MEMBER_EPOCH');
    for (const key of offsets.keys())
      if (topicIds.get(key) !== this.logs.get(key)!.topicId) throw new TransientError('UNKNOWN_TOPIC_ID');
    this.onOffsets(offsets);
    this.moves++;
    for (const [key, offset] of offsets) {
      this.offsets.set(key, { offset, metadata, epoch: epochs.get(key) });
      const { id } = this.logs.get(key)!;
      this.furthest.set(id, Math.max(offset, this.furthest.get(id) ?? 0));
    }
  }

  #member(source: SimSource): Member | undefined {
    return this.#members.find((member) => member.source === source);
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

  /** The group forgets what it was told: its offsets have expired, or somebody has deleted them. */
  forgetOffsets(): void {
    this.offsets.clear();
  }

  /** Now and then a rebalance for no reason. */
  shake(moment: Moment): void {
    this.#rebalance(moment.below(7));
  }

  #rebalance(shift = 0): void {
    if (this.#members.length === 0) return;
    const target = new Map(
      [...this.logs.keys()].map((key, i) => [key, this.#members[(i + shift) % this.#members.length]!]),
    );
    const stays = (member: Member, key: TopicPartitionKey, topicId: string): boolean =>
      !this.#isEager && target.get(key) === member && this.logs.get(key)!.topicId === topicId;
    for (const member of this.#members) {
      const revoked = [...member.owned]
        .filter(([key, topicId]) => !stays(member, key, topicId) && !member.revoking.has(key))
        .map(([key]) => key);
      if (revoked.length === 0) continue;
      for (const key of revoked) member.revoking.add(key);
      member.source.revoked(revoked);
    }
    this.#isRebalancing = this.#members.some((member) => member.revoking.size > 0);
    if (!this.#isEager || !this.#isRebalancing)
      for (const member of this.#members) this.#assign(member, target);
  }

  #assign(member: Member, target: ReadonlyMap<TopicPartitionKey, Member>): void {
    const free = (key: TopicPartitionKey): boolean => !this.#members.some((other) => other.owned.has(key));
    const assigned = [...target]
      .filter(([key, owner]) => owner === member && free(key))
      .map(([key]) => ({ ...parseKey(key), topicId: this.logs.get(key)!.topicId }));
    if (assigned.length === 0) return;
    for (const topicPartition of assigned) member.owned.set(keyOf(topicPartition), topicPartition.topicId);
    member.source.assigned(assigned, ++member.epoch);
  }
}
