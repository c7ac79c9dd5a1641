import type { Broker } from '@platformatic/kafka';
import { Brokers } from './brokers.ts';
import type { JoinAnswer, JoinRequest, MemberBytes } from './classic-group.ts';
import { KafkaError } from './errors.ts';
import type { GroupMember } from './group.ts';
import { optional, requests } from './requests.ts';

export interface GroupHeartbeat {
  memberId: string;
  instanceId: string | null;
  /** 0 joins, -1 leaves, -2 leaves to come back. */
  memberEpoch: number;
  /** Where this member runs, for brokers that assign partitions near their replicas (KIP-881). */
  rackId: string | null;
  rebalanceTimeoutMs: number;
  topics: readonly string[] | null;
  owned: readonly { topicId: string; partitions: readonly number[] }[] | null;
}

export interface GroupHeartbeatAnswer {
  memberEpoch: number;
  heartbeatIntervalMs: number;
  assignment: readonly { topicId: string; partitions: readonly number[] }[] | null;
}

/** What all groups of consumers are. */
const consumerProtocolType = 'consumer';
const deniedOrAway = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'NETWORK',
  'REFUSED',
  'COORDINATOR_NOT_AVAILABLE',
]);

/** What is asked for the sake of a consumer group, most of it of its coordinator. */
export class GroupRequests extends Brokers {
  async coordinator(group: string): Promise<Broker> {
    const doing = `looking for the coordinator of group ${group}`;
    const answer = await this.send(doing, 'any', requests.findCoordinator, 0, [group]);
    const { host, port } = answer.coordinators[0]!;
    return { host, port };
  }

  /**
   * Asks, as a member that does not exist, whether we may read for this group: to find offsets it is enough to DESCRIBE it.
   * @throws {KafkaError} `GROUP_AUTHORIZATION_FAILED` when we may not.
   */
  async mayRead(coordinator: Broker, group: string): Promise<void> {
    const doing = `asking for the right to read as group ${group}`;
    try {
      await this.send(doing, coordinator, requests.heartbeat, group, -1, 'frazil-doctor', null);
    } catch (error) {
      // Who may read is told that there is no such member, or no such group.
      if (!(error instanceof KafkaError) || deniedOrAway.has(error.id)) throw error;
    }
  }

  async offsetFetch(
    coordinator: Broker,
    group: string,
    topics: { topic: string; partitions: number[] }[],
  ): Promise<
    { topic: string; partition: number; offset: number; epoch?: number | undefined; metadata: string }[]
  > {
    const answer = await this.send(
      `asking for the offsets of group ${group}`,
      coordinator,
      requests.offsetFetch,
      [
        {
          groupId: group,
          memberId: null,
          memberEpoch: -1,
          topics: topics.map(({ topic, partitions }) => ({ name: topic, partitionIndexes: partitions })),
        },
      ],
      false,
    );
    // Up to version 7 it is about one group.
    const found = answer.topics ?? answer.groups[0]!.topics;
    return found.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0n)
        .map(({ partitionIndex, committedOffset, committedLeaderEpoch, metadata }) => ({
          topic: name,
          partition: partitionIndex,
          offset: Number(committedOffset),
          epoch: committedLeaderEpoch < 0 ? undefined : committedLeaderEpoch,
          metadata: metadata ?? '',
        })),
    );
  }

  async offsetCommit(
    coordinator: Broker,
    group: string,
    member: GroupMember,
    topics: {
      topic: string;
      partitions: { partition: number; offset: number; epoch?: number | undefined }[];
    }[],
    metadata: string,
  ): Promise<void> {
    await this.send(
      `committing the offsets of group ${group}`,
      coordinator,
      requests.offsetCommit,
      group,
      member.epoch,
      member.id,
      member.instanceId,
      topics.map(({ topic, partitions }) => ({
        name: topic,
        partitions: partitions.map(({ partition, offset, epoch = -1 }) => ({
          partitionIndex: partition,
          committedOffset: BigInt(offset),
          committedLeaderEpoch: epoch,
          committedMetadata: metadata,
        })),
      })),
    );
  }

  /** One heartbeat of the KIP-848 protocol. Null fields have not changed since the last one. */
  async groupHeartbeat(
    coordinator: Broker,
    group: string,
    beat: GroupHeartbeat,
  ): Promise<GroupHeartbeatAnswer> {
    const answer = await this.send(
      `heartbeat of group ${group}`,
      coordinator,
      optional.consumerGroupHeartbeat,
      group,
      beat.memberId,
      beat.memberEpoch,
      beat.instanceId,
      beat.rackId,
      beat.rebalanceTimeoutMs,
      beat.topics === null ? null : [...beat.topics],
      null,
      null,
      beat.owned === null
        ? null
        : beat.owned.map(({ topicId, partitions }) => ({ topicId, partitions: [...partitions] })),
    );
    return {
      memberEpoch: answer.memberEpoch,
      heartbeatIntervalMs: answer.heartbeatIntervalMs,
      assignment: answer.assignment?.topicPartitions ?? null,
    };
  }

  /** Joins a group by the classic protocol; answered when all its members have. */
  async joinGroup(coordinator: Broker, group: string, asked: JoinRequest): Promise<JoinAnswer> {
    const doing = `joining group ${group}`;
    try {
      const answer = await this.sendJoining(
        doing,
        coordinator,
        optional.joinGroup,
        group,
        asked.sessionTimeoutMs,
        asked.rebalanceTimeoutMs,
        asked.memberId,
        asked.instanceId,
        consumerProtocolType,
        [...asked.protocols],
        null,
      );
      return {
        memberId: answer.memberId,
        generation: answer.generationId,
        assignor: answer.protocolName ?? '',
        leader: answer.leader,
        skipAssignment: answer.skipAssignment ?? false,
        members: answer.members.map(({ memberId, groupInstanceId, metadata }) => ({
          memberId,
          instanceId: groupInstanceId ?? null,
          metadata,
        })),
      };
    } catch (error) {
      // The answer has an id beside the error, by which the member is known from now on.
      const { response } = ((error as Error).cause ?? {}) as { response?: { memberId: string } };
      if (!(error instanceof KafkaError) || error.id !== 'MEMBER_ID_REQUIRED' || !response) throw error;
      const { memberId } = response;
      return { memberId, generation: -1, assignor: '', leader: '', skipAssignment: false, members: [] };
    }
  }

  /** What the group has assigned to this member, as its leader says; answered when that has said it. */
  async syncGroup(
    coordinator: Broker,
    group: string,
    member: GroupMember,
    assignor: string,
    assignments: readonly MemberBytes[],
  ): Promise<Buffer> {
    const answer = await this.sendJoining(
      `asking group ${group} for the assignment`,
      coordinator,
      optional.syncGroup,
      group,
      member.epoch,
      member.id,
      member.instanceId,
      consumerProtocolType,
      assignor,
      [...assignments],
    );
    return answer.assignment;
  }

  async heartbeat(coordinator: Broker, group: string, member: GroupMember): Promise<void> {
    const doing = `heartbeat of group ${group}`;
    await this.send(
      doing,
      coordinator,
      requests.heartbeat,
      group,
      member.epoch,
      member.id,
      member.instanceId,
    );
  }

  async leaveGroup(coordinator: Broker, group: string, member: GroupMember): Promise<void> {
    const members = [{ memberId: member.id, groupInstanceId: member.instanceId, reason: null }];
    await this.send(`leaving group ${group}`, coordinator, optional.leaveGroup, group, members);
  }
}
