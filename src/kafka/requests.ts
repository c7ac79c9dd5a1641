import {
  type API,
  consumerGroupHeartbeatV1,
  describeConfigsV4,
  findCoordinatorV3,
  findCoordinatorV4,
  findCoordinatorV5,
  findCoordinatorV6,
  heartbeatV4,
  joinGroupV7,
  joinGroupV8,
  joinGroupV9,
  leaveGroupV4,
  leaveGroupV5,
  listOffsetsV6,
  listOffsetsV7,
  listOffsetsV8,
  listOffsetsV9,
  metadataV11,
  metadataV12,
  offsetCommitV8,
  offsetCommitV9,
  offsetFetchV7,
  offsetFetchV8,
  offsetFetchV9,
  offsetForLeaderEpochV3,
  offsetForLeaderEpochV4,
  syncGroupV5,
} from '@platformatic/kafka';
import { request } from './versions.ts';

/** The requests used beside Fetch, in all versions from Apache Kafka 2.8 on. */
export const requests = {
  listOffsets: request(
    'ListOffsets',
    listOffsetsV9.api,
    listOffsetsV8.api,
    listOffsetsV7.api,
    listOffsetsV6.api,
  ),
  offsetForLeaderEpoch: request(
    'OffsetForLeaderEpoch',
    offsetForLeaderEpochV4.api,
    offsetForLeaderEpochV3.api,
  ),
  metadata: request('Metadata', metadataV12.api, metadataV11.api),
  offsetCommit: request('OffsetCommit', offsetCommitV9.api, offsetCommitV8.api),
  offsetFetch: request<OffsetFetchArguments, OffsetFetchAnswer>(
    'OffsetFetch',
    offsetFetchV9.api,
    offsetFetchV8.api,
    offsetFetchV7.api,
  ),
  findCoordinator: request(
    'FindCoordinator',
    findCoordinatorV6.api,
    findCoordinatorV5.api,
    findCoordinatorV4.api,
    findCoordinatorV3.api,
  ),
  heartbeat: request('Heartbeat', heartbeatV4.api),
};

/** These a broker may lack, and we do without. */
export const optional = {
  consumerGroupHeartbeat: {
    ...request('ConsumerGroupHeartbeat', consumerGroupHeartbeatV1.api),
    advice: 'it came with Apache Kafka 4.0: set source.groupProtocol to auto or classic',
  },
  joinGroup: request('JoinGroup', joinGroupV9.api, joinGroupV8.api, joinGroupV7.api),
  syncGroup: request('SyncGroup', syncGroupV5.api),
  leaveGroup: request('LeaveGroup', leaveGroupV5.api, leaveGroupV4.api),
  describeConfigs: request('DescribeConfigs', describeConfigsV4.api),
};

export type MetadataAnswer = Awaited<ReturnType<typeof metadataV12.api.async>>;
type OffsetFetchArguments = typeof offsetFetchV9.api extends API<infer A, unknown> ? A : never;
interface OffsetFetchAnswer {
  topics?: OffsetFetchTopic[];
  groups: { topics: OffsetFetchTopic[] }[];
}
interface OffsetFetchTopic {
  name: string;
  partitions: {
    partitionIndex: number;
    committedOffset: bigint;
    committedLeaderEpoch: number;
    metadata: string | null | undefined;
  }[];
}
