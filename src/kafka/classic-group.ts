import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type AssignorName, assign, assignorNames, type Subscriber } from './assignor.ts';
import { readAssignment, readSubscription, writeAssignment, writeSubscription } from './consumer-protocol.ts';
import { KafkaError } from './errors.ts';
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
import type { AssignedPartition } from './source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';

/**
 * Membership in a consumer group by the classic protocol: all members join, one of them, the leader, says who owns what,
 * and whenever something changes they all join again.
 *
 * - With eager assignors everything is given up before joining again. With the cooperative one what is owned is kept; what
 *   is then given to others is given up first, and by joining again it is said to be free.
 * - Heartbeats go on while the owner finishes what it gives up; joining waits for that.
 * - A member that the coordinator does not know has lost everything at once and joins anew.
 */
export interface ClassicGroupPorts extends GroupEvents {
  clock: Clock;
  log: Log;
  /** Requests to the group's coordinator, wherever it is now. */
  join(request: JoinRequest): Promise<JoinAnswer>;
  sync(member: GroupMember, assignor: string, assignments: readonly MemberBytes[]): Promise<Buffer>;
  heartbeat(member: GroupMember): Promise<void>;
  leave(member: GroupMember): Promise<void>;
  /** Those of the topics that exist, as they are now. */
  topics(names: readonly string[]): Promise<Topics>;
}

export interface JoinRequest {
  memberId: string;
  instanceId: string | null;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  /** What the member offers, the best first: the group takes one that all offer. */
  protocols: readonly { name: string; metadata: Buffer }[];
}

export interface JoinAnswer {
  memberId: string;
  /** -1 when the answer only tells the member its id, to join with. */
  generation: number;
  assignor: string;
  leader: string;
  /** A leader that has come back finds the assignment made. */
  skipAssignment: boolean;
  /** For the leader. */
  members: readonly { memberId: string; instanceId: string | null; metadata: Buffer }[];
}

export interface MemberBytes {
  memberId: string;
  assignment: Buffer;
}

export interface ClassicGroupOptions {
  topics: readonly string[];
  instanceId: string | null;
  /** Where it runs, for leaders that assign partitions near their replicas (KIP-881). */
  rackId: string | null;
  assignors: readonly AssignorName[];
  /** How long the coordinator waits for a heartbeat before it gives the partitions to others. */
  sessionTimeoutMs: number;
  /** How long this member may take to give partitions up. */
  rebalanceTimeoutMs: number;
}

type Topics = ReadonlyMap<string, { topicId: string; partitions: number }>;

const noGeneration = -1;
const heartbeatMs = 3_000;
/** Topics are looked at this often: whether they have grown, or were made anew. */
const lookMs = 10_000;

export function joinClassicGroup(options: ClassicGroupOptions, ports: ClassicGroupPorts): GroupMembership {
  const member = new ClassicMember(options, ports);
  member.start();
  return member;
}

class ClassicMember implements GroupMembership {
  readonly #options: ClassicGroupOptions;
  readonly #ports: ClassicGroupPorts;
  readonly #intervalMs: number;
  readonly #isCooperative: boolean;
  readonly #owned = new Map<TopicPartitionKey, AssignedPartition>();
  readonly #revoking = new Set<TopicPartitionKey>();
  /** Partitions of each topic, by its id. */
  readonly #counts = new Map<string, number>();
  /** What the group has assigned and has not been compared with what is owned. */
  #assigned: readonly TopicPartition[] | undefined;
  #memberId = '';
  #generation = noGeneration;
  /** In which what is owned was assigned. */
  #ownedGeneration = noGeneration;
  #mustJoin = true;
  #subscribed: readonly string[];
  /** Why the next assignment comes, when it is the first. */
  #joining: string | undefined = causes.joined;
  /** As leader: the topics that the assignment was made for, and as what. As follower: ours. */
  #seen = '';
  #watched: readonly string[];
  #lookedAtMs: number;
  #isLooking = false;
  #wake = new AbortController();
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ClassicGroupOptions, ports: ClassicGroupPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#intervalMs = Math.min(heartbeatMs, options.sessionTimeoutMs / 3);
    this.#isCooperative = options.assignors.every((name) => name === 'cooperative-sticky');
    this.#subscribed = options.topics;
    this.#watched = options.topics;
    this.#lookedAtMs = ports.clock.monotonicMs();
  }

  get member(): GroupMember {
    return { id: this.#memberId, epoch: this.#generation, instanceId: this.#options.instanceId };
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let waitMs = groupRetryMs;
      try {
        waitMs = await this.#step();
      } catch (error) {
        if (!this.#survives(error)) return;
      }
      if (waitMs > 0 && !this.#stopped) await this.#ports.clock.sleep(waitMs, this.#wake.signal);
      this.#wake = new AbortController();
    }
  }

  /** Joins, or says that we are there. @returns how long to wait before the next step. */
  async #step(): Promise<number> {
    if (this.#mustJoin && !this.#isCooperative) this.#revoke([...this.#owned.values()]);
    if (this.#mustJoin && this.#revoking.size === 0) await this.#join();
    else await this.#beat();
    if (this.#stopped) return 0;
    if (this.#assigned) await this.#reconcile();
    void this.#look();
    return this.#mustJoin && this.#revoking.size === 0 ? 0 : this.#intervalMs;
  }

  async #beat(): Promise<void> {
    try {
      await this.#ports.heartbeat(this.member);
    } catch (error) {
      if (idOf(error) !== 'REBALANCE_IN_PROGRESS') throw error;
      this.#mustJoin = true;
    }
  }

  // ---- joining ----

  async #join(): Promise<void> {
    this.#assigned = undefined;
    const isNew = this.#memberId === '';
    const subscribed = this.#subscribed;
    const answer = await this.#ports.join({
      memberId: this.#memberId,
      instanceId: this.#options.instanceId,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
      protocols: this.#protocols(),
    });
    this.#memberId = answer.memberId;
    if (this.#stopped || answer.generation === noGeneration) return;
    this.#generation = answer.generation;
    const leads = answer.leader === answer.memberId;
    const assignments = leads && !answer.skipAssignment ? await this.#assignAll(answer) : [];
    if (this.#stopped) return;
    const bytes = await this.#ports.sync(this.member, answer.assignor, assignments);
    if (this.#stopped) return;
    const assigned = readAssignment(bytes);
    // Made before we were away: topics may have grown since, which only a new assignment can tell.
    this.#mustJoin = (answer.skipAssignment && isNew) || subscribed !== this.#subscribed;
    if (!this.#mustJoin || this.#isCooperative) this.#assigned = assigned;
    this.#ownedGeneration = answer.generation;
    if (!leads || answer.skipAssignment) this.#watch(subscribed);
    this.#ports.log.debug('joined the group', {
      generation: answer.generation,
      assignor: answer.assignor,
      leads,
    });
  }

  #protocols(): JoinRequest['protocols'] {
    const subscription = {
      topics: this.#subscribed,
      owned: [...this.#owned.values()],
      generation: this.#ownedGeneration,
    };
    const metadata = writeSubscription(subscription, this.#options.rackId);
    return this.#options.assignors.map((name) => ({ name, metadata }));
  }

  /** The leader's part. Other members may read topics that we do not. */
  async #assignAll({ assignor, members }: JoinAnswer): Promise<MemberBytes[]> {
    const known = assignorNames.find((name) => name === assignor);
    if (!known)
      throw new FatalError(
        `joining the group: it has chosen the assignor ${assignor}, which is none of ${assignorNames.join(', ')}`,
      );
    const subscribers: Subscriber[] = members.map(({ memberId, instanceId, metadata }) => ({
      memberId,
      instanceId,
      ...readSubscription(memberId, metadata),
    }));
    const wanted = [...new Set(subscribers.flatMap(({ topics }) => topics))].sort();
    const topics = await this.#topics(wanted);
    this.#watch(wanted, topics);
    const counts = new Map([...topics].map(([topic, { partitions }]) => [topic, partitions]));
    return [...assign(known, subscribers, counts)].map(([memberId, partitions]) => ({
      memberId,
      assignment: writeAssignment(partitions),
    }));
  }

  // ---- what is owned ----

  /** Moves from what is owned to what was assigned: gives up, or takes if there is nothing to give up. */
  async #reconcile(): Promise<void> {
    const assigned = this.#assigned!;
    const names = [...new Set(assigned.map(({ topic }) => topic))];
    const topics = names.length === 0 ? new Map() : await this.#topics(names);
    if (this.#stopped) return;
    const target = new Map<TopicPartitionKey, AssignedPartition>();
    for (const topicPartition of assigned) {
      const topicId = topics.get(topicPartition.topic)?.topicId;
      if (topicId === undefined)
        throw new KafkaError(
          `taking ${keyOf(topicPartition)}`,
          'UNKNOWN_TOPIC_OR_PARTITION',
          'the metadata does not know the topic yet',
          undefined,
        );
      target.set(keyOf(topicPartition), { ...topicPartition, topicId });
    }
    this.#assigned = undefined;
    // A topic of the same name with another id is another topic.
    const kept = ([key, { topicId }]: [TopicPartitionKey, AssignedPartition]): boolean =>
      target.get(key)?.topicId === topicId;
    const revoked = [...this.#owned].filter((each) => !kept(each)).map(([, owned]) => owned);
    // By joining again it is said that they are free, and what was assigned beside is assigned again.
    if (revoked.length > 0) return this.#revoke(revoked, revocationCause(revoked, target, this.#subscribed));
    const added = [...target].filter(([key]) => !this.#owned.has(key));
    for (const [key, owned] of added) this.#owned.set(key, owned);
    if (added.length === 0) return;
    const cause = this.#joining;
    this.#joining = undefined;
    this.#ports.onAssigned(
      added.map(([, owned]) => owned),
      cause,
    );
  }

  #revoke(owned: readonly AssignedPartition[], cause?: string): void {
    const revoked = owned.filter((each) => !this.#revoking.has(keyOf(each)));
    if (revoked.length === 0) return;
    for (const each of revoked) this.#revoking.add(keyOf(each));
    this.#ports.onRevoked(revoked, this.#options.rebalanceTimeoutMs * revocationShare, cause);
  }

  /** By joining again: the group takes nobody's word for it before. */
  subscribe(topics: readonly string[]): void {
    this.#subscribed = topics;
    this.#mustJoin = true;
    this.#wake.abort();
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    for (const topicPartition of topicPartitions) {
      const key = keyOf(topicPartition);
      // Not when it was lost meanwhile, and perhaps assigned again.
      if (this.#revoking.delete(key)) this.#owned.delete(key);
    }
    if (this.#revoking.size > 0) return;
    this.#mustJoin = true;
    this.#wake.abort();
  }

  #loseAll(cause: string): void {
    const lost = [...this.#owned.values()];
    this.#owned.clear();
    this.#revoking.clear();
    this.#assigned = undefined;
    this.#generation = noGeneration;
    this.#ownedGeneration = noGeneration;
    this.#mustJoin = true;
    this.#joining = causes.joinedAgain;
    if (lost.length > 0) this.#ports.onLost(lost, cause);
  }

  // ---- topics that change ----

  /** The topics as they are now. Partitions only become more: a broker that has not heard of the last is not believed. */
  async #topics(names: readonly string[]): Promise<Topics> {
    const topics = new Map(await this.#ports.topics(names));
    for (const [name, { topicId, partitions }] of topics) {
      const most = Math.max(partitions, this.#counts.get(topicId) ?? 0);
      this.#counts.set(topicId, most);
      topics.set(name, { topicId, partitions: most });
    }
    return topics;
  }

  #watch(topics: readonly string[], seen?: Topics): void {
    this.#watched = topics;
    this.#seen = seen ? describe(seen) : '';
    this.#lookedAtMs = seen ? this.#ports.clock.monotonicMs() : Number.NEGATIVE_INFINITY;
  }

  /** Nobody tells a classic group that its topics have changed: a member that notices has all join again. */
  async #look(): Promise<void> {
    const { clock, log } = this.#ports;
    if (this.#isLooking || this.#mustJoin || clock.monotonicMs() - this.#lookedAtMs < lookMs) return;
    this.#isLooking = true;
    const generation = this.#generation;
    try {
      const seen = describe(await this.#topics(this.#watched));
      if (generation !== this.#generation || this.#mustJoin || this.#stopped) return;
      this.#lookedAtMs = clock.monotonicMs();
      if (this.#seen !== '' && this.#seen !== seen) {
        log.info('topics have changed; joining the group again');
        this.#mustJoin = true;
        this.#wake.abort();
      }
      this.#seen = seen;
    } catch (error) {
      log.debug('the topics cannot be looked at; trying again', { error: messageOf(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  // ---- failing, leaving ----

  /** Whether the member goes on after a failed request. */
  #survives(error: unknown): boolean {
    if (this.#stopped) return false;
    const id = idOf(error);
    if (id === 'UNKNOWN_MEMBER_ID' || id === 'ILLEGAL_GENERATION') {
      this.#ports.log.warn('the group has given our partitions to others; joining again', { reason: id });
      if (id === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
      this.#loseAll(id);
      return true;
    }
    if (id === 'REBALANCE_IN_PROGRESS') return true;
    if (isRetryable(error)) {
      this.#ports.log.warn('a request to the group coordinator failed; trying again', {
        error: messageOf(error),
      });
      return true;
    }
    this.#stopped = true;
    this.#ports.onFailed(error instanceof Error ? error : new Error(String(error)));
    return false;
  }

  async leave(): Promise<void> {
    this.#stopped = true;
    this.#wake.abort();
    if (this.#options.instanceId !== null) return;
    try {
      await withDeadline(this.#ports.clock, leaveTimeoutMs, 'leaving the group', async () => {
        // The request under way may be the one that tells our id. One that has to wait for others ends by our leaving.
        if (this.#memberId === '') await this.#running;
        if (this.#memberId !== '') await this.#ports.leave(this.member);
      });
    } catch (error) {
      this.#ports.log.warn('leaving the group failed; its session has to run out', {
        error: messageOf(error),
      });
    }
  }
}

const idOf = (error: unknown): string => (error instanceof KafkaError ? error.id : '');

function describe(topics: Topics): string {
  return [...topics]
    .map(([topic, { topicId, partitions }]) => `${topic} ${topicId} ${partitions}`)
    .sort()
    .join();
}
