import type { AssignedPartition } from './source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';

/** Membership in a consumer group, by whichever protocol. */
export interface GroupMembership {
  /** Who commits offsets. */
  readonly member: GroupMember;
  /** Leaves the group; its partitions are given to others at once, those of a static member when its session is over. */
  leave(): Promise<void>;
  /** These topics are asked for from now on. */
  subscribe(topics: readonly string[]): void;
  /** Ends a revocation. */
  released(topicPartitions: readonly TopicPartition[]): void;
}

export interface GroupMember {
  readonly id: string;
  /** The member's epoch, or the generation of a classic group. */
  readonly epoch: number;
  /** `group.instance.id` of a static member. */
  readonly instanceId: string | null;
}

/** What a member tells its owner. */
export interface GroupEvents {
  onAssigned(topicPartitions: readonly AssignedPartition[], cause?: string): void;
  onRevoked(topicPartitions: readonly TopicPartition[], withinMs: number, cause?: string): void;
  /** `cause` is what the coordinator has said. */
  onLost(topicPartitions: readonly TopicPartition[], cause: string): void;
  onFailed(error: Error): void;
}

/** Why partitions come and go, as far as a member can know: who else has come or gone it is not told. */
export const causes = {
  joined: 'joined',
  joinedAgain: 'joined again',
  madeAnew: 'the topic was made anew',
  notAskedFor: 'the topic is gone',
} as const;

/** Why all of these are given up, if that is known; `target` is what is to be owned instead. */
export function revocationCause(
  revoked: readonly TopicPartition[],
  target: ReadonlyMap<TopicPartitionKey, unknown>,
  subscribed: readonly string[],
): string | undefined {
  if (revoked.every((each) => target.has(keyOf(each)))) return causes.madeAnew;
  return revoked.some(({ topic }) => subscribed.includes(topic)) ? undefined : causes.notAskedFor;
}

/**
 * How much of the rebalance time-out a revocation may take: less than all of it, so that what is finished in time is also
 * acknowledged in time.
 */
export const revocationShare: number = 0.75;
/** Between attempts while the coordinator does not answer: often enough to be back well within a session. */
export const groupRetryMs: number = 500;
export const leaveTimeoutMs: number = 5_000;
