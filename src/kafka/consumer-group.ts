import { type Clock, withDeadline } from '../base/clock.ts';
import { isRetryable, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { isNoConsumerGroup, KafkaError } from './errors.ts';
import {
  causes,
  type GroupEvents,
  type GroupMember,
  type GroupMembership,
  groupRetryMs,
  leaveTimeoutMs,
  revocationCause,
  revocationShare,
} from './group.ts';
import type { GroupHeartbeat, GroupHeartbeatAnswer } from './group-requests.ts';
import type { AssignedPartition } from './source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';

/**
 * Membership in a consumer group by its newer protocol, KIP-848: the broker decides who owns what, the member follows by heartbeats.
 *
 * - What is to be given up is given up first: fetching stops, the owner is told, and only when it has released the
 *   topic-partitions does a heartbeat say that they are free.
 * - A member that the broker has fenced has lost everything at once and joins anew.
 * - Heartbeats go on while a revocation is under way.
 */
export interface ConsumerGroupPorts extends GroupEvents {
  clock: Clock;
  log: Log;
  /** One heartbeat to the group's coordinator, wherever it is now. */
  heartbeat(beat: GroupHeartbeat): Promise<GroupHeartbeatAnswer>;
  /** The name of an assigned topic. @throws {KafkaError} when the metadata does not know it (yet). */
  topicName(topicId: string): Promise<string>;
}

export interface ConsumerGroupOptions {
  topics: readonly string[];
  memberId: string;
  /** Of a static member, whose partitions wait for it while it restarts. */
  instanceId: string | null;
  /** Where it runs, if brokers are to say who is near (KIP-881). */
  rackId: string | null;
  /** How long this member may take to give partitions up. */
  rebalanceTimeoutMs: number;
}

const joinEpoch = 0;
const leaveEpoch = -1;
/** Of a static member: it will be back. */
const restartEpoch = -2;
const firstIntervalMs = 500;
/** Longer than any session that brokers allow by default. */
const unreleasedMaxMs = 90_000;

export function joinConsumerGroup(options: ConsumerGroupOptions, ports: ConsumerGroupPorts): GroupMembership {
  const member = new Member(options, ports);
  member.start();
  return member;
}

class Member implements GroupMembership {
  #epoch: number = joinEpoch;
  readonly #options: ConsumerGroupOptions;
  readonly #ports: ConsumerGroupPorts;
  #topics: readonly string[];
  /** Why the next assignment comes, when it is the first. */
  #joining: string | undefined = causes.joined;
  /** True when the next heartbeat must name the topics. */
  #tellTopics = false;
  readonly #owned = new Map<TopicPartitionKey, AssignedPartition>();
  /** What the broker wants us to own, as last told; undefined while it has not said. */
  #target: Map<TopicPartitionKey, AssignedPartition> | undefined;
  readonly #revoking = new Set<TopicPartitionKey>();
  /** True when the next heartbeat must name what is owned: after each change. */
  #tellOwned = false;
  /**
   * True when the next heartbeat must tell everything: to join, and after any failure. The answer that was lost may have
   * held a new epoch or assignment, and only to a full heartbeat does the broker say them again.
   */
  #tellAll = true;
  #unreleasedSinceMs: number | undefined;
  #intervalMs = firstIntervalMs;
  #wake = new AbortController();
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ConsumerGroupOptions, ports: ConsumerGroupPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#topics = options.topics;
  }

  get member(): GroupMember {
    return { id: this.#options.memberId, epoch: this.#epoch, instanceId: this.#options.instanceId };
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let waitMs = groupRetryMs;
      try {
        if (this.#mayBeat) await this.#beat();
        waitMs = this.#tellOwned || this.#tellTopics ? 0 : this.#intervalMs;
      } catch (error) {
        if (!this.#survives(error)) return;
      }
      if (waitMs > 0 && !this.#stopped) await this.#ports.clock.sleep(waitMs, this.#wake.signal);
      this.#wake = new AbortController();
    }
  }

  /** Nobody may join who asks for nothing: a topic has to come first. */
  get #mayBeat(): boolean {
    return this.#epoch !== joinEpoch || this.#topics.length > 0;
  }

  async #beat(): Promise<void> {
    const all = this.#tellAll;
    const owned = all || this.#tellOwned;
    const topics = all || this.#tellTopics;
    this.#tellOwned = false;
    this.#tellTopics = false;
    try {
      const answer = await this.#ports.heartbeat({
        memberId: this.#options.memberId,
        instanceId: this.#options.instanceId,
        memberEpoch: this.#epoch,
        rackId: all ? this.#options.rackId : null,
        rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
        topics: topics ? this.#topics : null,
        owned: owned ? byTopic(this.#owned.values()) : null,
      });
      this.#epoch = answer.memberEpoch;
      this.#unreleasedSinceMs = undefined;
      if (this.#stopped) return;
      this.#intervalMs = answer.heartbeatIntervalMs;
      if (answer.assignment) this.#target = await this.#named(answer.assignment);
      this.#tellAll = false;
    } catch (error) {
      this.#tellAll = true;
      throw error;
    }
    this.#reconcile();
  }

  async #named(
    assignment: readonly { topicId: string; partitions: readonly number[] }[],
  ): Promise<Map<TopicPartitionKey, AssignedPartition>> {
    const target = new Map<TopicPartitionKey, AssignedPartition>();
    for (const { topicId, partitions } of assignment) {
      const topic = await this.#ports.topicName(topicId);
      for (const partition of partitions)
        target.set(keyOf({ topic, partition }), { topic, partition, topicId });
    }
    return target;
  }

  /** Moves from what is owned towards the target: first give up, then take. */
  #reconcile(): void {
    const target = this.#target;
    if (!target || this.#stopped || this.#revoking.size > 0) return;
    // A topic of the same name with another id is another topic.
    const kept = (key: TopicPartitionKey, owned: AssignedPartition): boolean =>
      target.get(key)?.topicId === owned.topicId;
    const revoked = [...this.#owned].filter(([key, owned]) => !kept(key, owned));
    if (revoked.length > 0) {
      for (const [key] of revoked) this.#revoking.add(key);
      const given = revoked.map(([, owned]) => owned);
      const withinMs = this.#options.rebalanceTimeoutMs * revocationShare;
      this.#ports.onRevoked(given, withinMs, revocationCause(given, target, this.#topics));
      return;
    }
    const assigned = [...target].filter(([key]) => !this.#owned.has(key));
    if (assigned.length === 0) return;
    for (const [key, owned] of assigned) this.#owned.set(key, owned);
    this.#tellOwned = true;
    const cause = this.#joining;
    this.#joining = undefined;
    this.#ports.onAssigned(
      assigned.map(([, owned]) => owned),
      cause,
    );
  }

  subscribe(topics: readonly string[]): void {
    this.#topics = topics;
    this.#tellTopics = true;
    this.#wake.abort();
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    for (const topicPartition of topicPartitions) {
      const key = keyOf(topicPartition);
      // Not when it was lost meanwhile, and perhaps assigned again.
      if (this.#revoking.delete(key)) this.#owned.delete(key);
    }
    if (this.#revoking.size > 0) return;
    this.#tellOwned = true;
    this.#reconcile();
    this.#wake.abort();
  }

  /** Whether the member goes on after a failed heartbeat. */
  #survives(error: unknown): boolean {
    if (this.#stopped) return false;
    const id = error instanceof KafkaError ? error.id : '';
    if (id === 'UNRELEASED_INSTANCE_ID' && this.#waitsForInstance()) return true;
    const isGone = id === 'GROUP_ID_NOT_FOUND' && this.#epoch !== joinEpoch;
    if (isGone || id === 'FENCED_MEMBER_EPOCH' || id === 'UNKNOWN_MEMBER_ID' || id === 'STALE_MEMBER_EPOCH') {
      this.#ports.log.warn('the group has given our partitions to others; joining again', { reason: id });
      this.#loseAll(id);
      return true;
    }
    if (isRetryable(error)) {
      this.#ports.log.warn('a heartbeat with the group coordinator failed; trying again', {
        error: messageOf(error),
      });
      return true;
    }
    this.#stopped = true;
    if (isNoConsumerGroup(error)) this.#loseAll(id);
    this.#epoch = joinEpoch;
    this.#ports.onFailed(error instanceof Error ? error : new Error(String(error)));
    return false;
  }

  /** A worker that was killed holds its instance id until its session is over; one that goes on does so for ever. */
  #waitsForInstance(): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#unreleasedSinceMs ??= nowMs;
    if (nowMs - this.#unreleasedSinceMs > unreleasedMaxMs) return false;
    this.#ports.log.warn('another member has our groupInstanceId; waiting for the end of its session', {
      instanceId: this.#options.instanceId,
    });
    return true;
  }

  #loseAll(cause: string): void {
    const lost = [...this.#owned.values()];
    this.#owned.clear();
    this.#revoking.clear();
    this.#target = undefined;
    this.#epoch = joinEpoch;
    this.#tellAll = true;
    this.#joining = causes.joinedAgain;
    if (lost.length > 0) this.#ports.onLost(lost, cause);
  }

  async leave(): Promise<void> {
    this.#stopped = true;
    this.#wake.abort();
    try {
      await withDeadline(this.#ports.clock, leaveTimeoutMs, 'leaving the group', async () => {
        await this.#running; // the heartbeat under way may be the one that joins
        if (this.#epoch === joinEpoch) return;
        await this.#ports.heartbeat({
          memberId: this.#options.memberId,
          instanceId: this.#options.instanceId,
          memberEpoch: this.#options.instanceId === null ? leaveEpoch : restartEpoch,
          rackId: null,
          rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
          topics: null,
          owned: [],
        });
      });
    } catch (error) {
      this.#ports.log.warn('leaving the group failed; its session has to run out', {
        error: messageOf(error),
      });
    }
  }
}

function byTopic(owned: Iterable<AssignedPartition>): { topicId: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topicId, partition } of owned)
    topics.set(topicId, [...(topics.get(topicId) ?? []), partition]);
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }));
}
