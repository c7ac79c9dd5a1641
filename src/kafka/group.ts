import type { AssignedPartition } from './source.ts';
import type { TopicPartition } from './topic-partition.ts';

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
  onAssigned(topicPartitions: readonly AssignedPartition[]): void;
  onRevoked(topicPartitions: readonly TopicPartition[], withinMs: number): void;
  /** `cause` is what the coordinator has said. */
  onLost(topicPartitions: readonly TopicPartition[], cause: string): void;
  onFailed(error: Error): void;
}

/**
 * How much of the rebalance time-out a revocation may take: less than all of it, so that what is finished in time is also
 * acknowledged in time.
 */
export const revocationShare: number = 0.75;
/** Between attempts while the coordinator does not answer: often enough to be back well within a session. */
export const groupRetryMs: number = 500;
export const leaveTimeoutMs: number = 5_000;
