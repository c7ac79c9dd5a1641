import { type Clock, withDeadline } from '../base/clock.ts';
import { isRetryable, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { KafkaError } from './errors.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';
import type { GroupHeartbeat, GroupHeartbeatAnswer } from './wire.ts';

/**
 * Membership in a consumer group by KIP-848: the broker decides who owns what, the member follows by heartbeats.
 *
 * - What is to be given up is given up first: fetching stops, the owner is told, and only when it has released the
 *   topic-partitions does a heartbeat say that they are free.
 * - A member that the broker has fenced has lost everything at once and joins anew.
 * - Heartbeats go on while a revocation is under way.
 */
export interface GroupMembership {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Leaves the group; its partitions are given to others at once. */
  leave(): Promise<void>;
  /** Ends a revocation. */
  released(topicPartitions: readonly TopicPartition[]): void;
}

export interface GroupPorts {
  clock: Clock;
  log: Log;
  /** One heartbeat to the group's coordinator, wherever it is now. */
  heartbeat(beat: GroupHeartbeat): Promise<GroupHeartbeatAnswer>;
  /** The name of an assigned topic. @throws {KafkaError} when the metadata does not know it (yet). */
  topicName(topicId: string): Promise<string>;
  onAssigned(topicPartitions: readonly (TopicPartition & { topicId: string })[]): void;
  onRevoked(topicPartitions: readonly TopicPartition[], withinMs: number): void;
  onLost(topicPartitions: readonly TopicPartition[]): void;
  onFailed(error: Error): void;
}

export interface GroupOptions {
  topics: readonly string[];
  memberId: string;
  /** How long this member may take to give partitions up. */
  rebalanceTimeoutMs: number;
}

const joinEpoch = 0;
const leaveEpoch = -1;
const firstIntervalMs = 500;
/** Between attempts while the coordinator does not answer: often enough to be back well within a session. */
const retryMs = 500;
const leaveTimeoutMs = 5_000;

export function joinGroup(options: GroupOptions, ports: GroupPorts): GroupMembership {
  const member = new Member(options, ports);
  member.start();
  return member;
}

interface Owned extends TopicPartition {
  topicId: string;
}

class Member implements GroupMembership {
  readonly memberId: string;
  memberEpoch: number = joinEpoch;
  readonly #options: GroupOptions;
  readonly #ports: GroupPorts;
  readonly #owned = new Map<TopicPartitionKey, Owned>();
  /** What the broker wants us to own, as last told; undefined while it has not said. */
  #target: Map<TopicPartitionKey, Owned> | undefined;
  readonly #revoking = new Set<TopicPartitionKey>();
  /** True when the next heartbeat must name what is owned: after each change. */
  #tellOwned = false;
  /**
   * True when the next heartbeat must tell everything: to join, and after any failure. The answer that was lost may have
   * held a new epoch or assignment, and only to a full heartbeat does the broker say them again.
   */
  #tellAll = true;
  #intervalMs = firstIntervalMs;
  #wake = new AbortController();
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: GroupOptions, ports: GroupPorts) {
    this.memberId = options.memberId;
    this.#options = options;
    this.#ports = ports;
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let waitMs = retryMs;
      try {
        await this.#beat();
        waitMs = this.#tellOwned ? 0 : this.#intervalMs;
      } catch (error) {
        if (!this.#survives(error)) return;
      }
      if (waitMs > 0 && !this.#stopped) await this.#ports.clock.sleep(waitMs, this.#wake.signal);
      this.#wake = new AbortController();
    }
  }

  async #beat(): Promise<void> {
    const all = this.#tellAll;
    const owned = all || this.#tellOwned;
    this.#tellOwned = false;
    try {
      const answer = await this.#ports.heartbeat({
        memberId: this.memberId,
        memberEpoch: this.memberEpoch,
        rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
        topics: all ? this.#options.topics : null,
        owned: owned ? byTopic(this.#owned.values()) : null,
      });
      this.memberEpoch = answer.memberEpoch;
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
  ): Promise<Map<TopicPartitionKey, Owned>> {
    const target = new Map<TopicPartitionKey, Owned>();
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
    const kept = (key: TopicPartitionKey, owned: Owned): boolean =>
      target.get(key)?.topicId === owned.topicId;
    const revoked = [...this.#owned].filter(([key, owned]) => !kept(key, owned));
    if (revoked.length > 0) {
      for (const [key] of revoked) this.#revoking.add(key);
      // Less than the broker's limit, so that what is finished in time is also acknowledged in time.
      this.#ports.onRevoked(
        revoked.map(([, owned]) => owned),
        this.#options.rebalanceTimeoutMs * 0.75,
      );
      return;
    }
    const assigned = [...target].filter(([key]) => !this.#owned.has(key));
    if (assigned.length === 0) return;
    for (const [key, owned] of assigned) this.#owned.set(key, owned);
    this.#tellOwned = true;
    this.#ports.onAssigned(assigned.map(([, owned]) => owned));
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
    if (id === 'FENCED_MEMBER_EPOCH' || id === 'UNKNOWN_MEMBER_ID' || id === 'STALE_MEMBER_EPOCH') {
      this.#ports.log.warn('the group has given our partitions to others; joining again', { reason: id });
      this.#loseAll();
      return true;
    }
    if (isRetryable(error)) {
      this.#ports.log.warn('a heartbeat with the group coordinator failed; trying again', {
        error: messageOf(error),
      });
      return true;
    }
    this.#stopped = true;
    this.memberEpoch = joinEpoch;
    this.#ports.onFailed(error instanceof Error ? error : new Error(String(error)));
    return false;
  }

  #loseAll(): void {
    const lost = [...this.#owned.values()];
    this.#owned.clear();
    this.#revoking.clear();
    this.#target = undefined;
    this.memberEpoch = joinEpoch;
    this.#tellAll = true;
    if (lost.length > 0) this.#ports.onLost(lost);
  }

  async leave(): Promise<void> {
    this.#stopped = true;
    this.#wake.abort();
    try {
      await withDeadline(this.#ports.clock, leaveTimeoutMs, 'leaving the group', async () => {
        await this.#running; // the heartbeat under way may be the one that joins
        if (this.memberEpoch === joinEpoch) return;
        await this.#ports.heartbeat({
          memberId: this.memberId,
          memberEpoch: leaveEpoch,
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

function byTopic(owned: Iterable<Owned>): { topicId: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topicId, partition } of owned)
    topics.set(topicId, [...(topics.get(topicId) ?? []), partition]);
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }));
}
