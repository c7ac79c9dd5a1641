import {
  type API,
  apiVersionsV3,
  type Broker,
  type Connection,
  type ConnectionOptions,
  ConnectionPool,
  consumerGroupHeartbeatV1,
  describeConfigsV4,
  fetchV17,
  findCoordinatorV6,
  listOffsetsV9,
  metadataV12,
  offsetCommitV9,
  offsetFetchV9,
  offsetForLeaderEpochV4,
} from '@platformatic/kafka';
import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError } from '../base/errors.ts';
import { asKafkaError } from './errors.ts';
import { type FetchResponse, parseFetchResponse } from './fetch-response.ts';

/**
 * Kafka's wire protocol: connections, request encoding and version checks of `@platformatic/kafka`, and nothing else of
 * it. Its consumer, its commits and its isolation filter are not used: they deliver aborted records and commit for
 * partitions that are owned no more.
 */

export interface TopicMetadata {
  topic: string;
  topicId: string;
  /** Leader's node id per partition, -1 while there is none. */
  leaders: number[];
  /** The epoch of each leader: it grows with every election. */
  epochs: number[];
}

export interface ClusterMetadata {
  clusterId: string;
  brokers: Map<number, Broker>;
  topics: Map<string, TopicMetadata>;
}

export interface WireOptions {
  brokers: readonly string[];
  clientId: string;
  connection?: ConnectionOptions;
}

const connectTimeoutMs = 5_000;
/** The client's own limit on an answer. Fetches wait at the broker for less than this. */
const requestTimeoutMs = 30_000;

/** The requests used, in the version they are written in. All came with Apache Kafka 4.0 or before. */
const apis: { name: string; api: { key: number; version: number } }[] = [
  { name: 'Fetch', api: fetchV17.api },
  { name: 'ListOffsets', api: listOffsetsV9.api },
  { name: 'OffsetForLeaderEpoch', api: offsetForLeaderEpochV4.api },
  { name: 'Metadata', api: metadataV12.api },
  { name: 'OffsetCommit', api: offsetCommitV9.api },
  { name: 'OffsetFetch', api: offsetFetchV9.api },
  { name: 'FindCoordinator', api: findCoordinatorV6.api },
];

export class Wire {
  /** Whom to ask what every broker knows: those of the cluster as last known, then the configured ones. */
  #anyone: Broker[];
  readonly #bootstrap: Broker[];
  readonly #pool: ConnectionPool;
  readonly #clock: Clock;
  readonly #checked = new Set<Connection>();

  constructor(options: WireOptions, clock: Clock) {
    this.#bootstrap = options.brokers.map(parseBroker);
    this.#anyone = this.#bootstrap;
    this.#clock = clock;
    this.#pool = new ConnectionPool(options.clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      ...options.connection,
    });
  }

  /** One request to one broker. @throws {KafkaError} */
  async #send<A extends unknown[], R>(
    doing: string,
    broker: Broker | 'any',
    api: API<A, R>,
    ...args: A
  ): Promise<R> {
    try {
      return await withDeadline(this.#clock, connectTimeoutMs * 2 + requestTimeoutMs, doing, async () => {
        const connection =
          broker === 'any' ? await this.#pool.getFirstAvailable(this.#anyone) : await this.#pool.get(broker);
        await this.#checkVersions(connection);
        return api.async(connection, ...args);
      });
    } catch (error) {
      throw asKafkaError(doing, error);
    }
  }

  /** Refuses brokers that do not speak our versions, once per connection, before anything is asked of them. */
  async #checkVersions(connection: Connection): Promise<void> {
    if (this.#checked.has(connection)) return;
    const { apiKeys } = await apiVersionsV3.api.async(connection, 'frazil', '1');
    for (const { name, api } of apis) {
      const offered = apiKeys.find((candidate) => candidate.apiKey === api.key);
      if (offered && offered.minVersion <= api.version && api.version <= offered.maxVersion) continue;
      const range = offered ? `version ${offered.minVersion} to ${offered.maxVersion}` : 'no version';
      throw new FatalError(
        `broker ${connection.host}:${connection.port} offers ${range} of ${name}, version ${api.version} is needed: Apache Kafka 4.0 or newer`,
      );
    }
    this.#checked.add(connection);
    connection.once('close', () => this.#checked.delete(connection));
  }

  /** The cluster and the named topics, of which there may be none, as they are now. @throws {KafkaError} naming a topic that does not exist. */
  async metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    const doing =
      topics.length === 0 ? 'asking for the brokers' : `asking for the metadata of ${topics.join(', ')}`;
    let answer: MetadataAnswer;
    try {
      answer = await this.#send(doing, 'any', metadataV12.api, [...topics], false, false);
    } catch (error) {
      // A partition without a leader makes the library throw; the rest of its answer is as good as ever.
      const partial = ((error as Error).cause as { response?: MetadataAnswer } | undefined)?.response;
      if (!partial?.topics?.every((topic) => topic.errorCode === 0)) throw error;
      answer = partial;
    }
    const brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    const known = new Set([...brokers.values()].map(({ host, port }) => `${host}:${port}`));
    this.#anyone = [
      ...brokers.values(),
      ...this.#bootstrap.filter(({ host, port }) => !known.has(`${host}:${port}`)),
    ];
    return {
      clusterId: answer.clusterId ?? '',
      brokers,
      topics: new Map(
        answer.topics.map(({ name, topicId, partitions }) => {
          const leaders: number[] = [];
          const epochs: number[] = [];
          for (const { partitionIndex, leaderId, leaderEpoch } of partitions) {
            leaders[partitionIndex] = leaderId;
            epochs[partitionIndex] = leaderEpoch;
          }
          return [name!, { topic: name!, topicId, leaders, epochs }];
        }),
      ),
    };
  }

  async coordinator(group: string): Promise<Broker> {
    const doing = `looking for the coordinator of group ${group}`;
    const answer = await this.#send(doing, 'any', findCoordinatorV6.api, 0, [group]);
    const { host, port } = answer.coordinators[0]!;
    return { host, port };
  }

  /**
   * Fetches from one broker (protocol v17). `topics` are in the order in which the broker fills the answer. Errors of
   * single partitions are in the answer.
   */
  async fetch(broker: Broker, request: FetchRequest): Promise<FetchResponse> {
    const doing = `fetching from ${broker.host}:${broker.port}`;
    try {
      const connection = await this.#pool.get(broker);
      await this.#checkVersions(connection);
      return await new Promise<FetchResponse>((resolve, reject) => {
        const create = (): ReturnType<typeof fetchV17.createRequest> =>
          fetchV17.createRequest(
            request.waitMs,
            request.bytesMin,
            request.bytesMax,
            readCommitted,
            noSession.id,
            noSession.epoch,
            request.topics.map(({ topicId, partitions }) => ({
              topicId,
              partitions: partitions.map(({ partition, offset, leaderEpoch, epoch }) => ({
                partition,
                currentLeaderEpoch: leaderEpoch ?? -1,
                fetchOffset: BigInt(offset),
                lastFetchedEpoch: epoch ?? -1,
                partitionMaxBytes: request.partitionBytesMax,
              })),
            })),
            [],
            '',
          );
        connection.send(
          fetchV17.api.key,
          fetchV17.api.version,
          create,
          parseFetchResponse,
          true,
          true,
          (error, answer) => (error ? reject(error) : resolve(answer!)),
        );
      });
    } catch (error) {
      throw asKafkaError(doing, error);
    }
  }

  /** Offsets by timestamp: -2 the log's start, -1 its end. Partitions whose leader has moved are left out. */
  async listOffsets(
    broker: Broker,
    topics: { topic: string; partitions: number[] }[],
    timestamp: number,
  ): Promise<{ topic: string; partition: number; offset: number }[]> {
    const doing = `asking ${broker.host}:${broker.port} for offsets of ${topics.map(({ topic }) => topic).join(', ')}`;
    const answer = await this.#send(
      doing,
      broker,
      listOffsetsV9.api,
      -1,
      readCommitted,
      topics.map(({ topic, partitions }) => ({
        name: topic,
        partitions: partitions.map((partitionIndex) => ({
          partitionIndex,
          currentLeaderEpoch: -1,
          timestamp: BigInt(timestamp),
        })),
      })),
    );
    return answer.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, offset }) => ({
        topic: name,
        partition: partitionIndex,
        offset: Number(offset),
      })),
    );
  }

  /**
   * Where the log's records up to a leader epoch end, per partition; -1 where the log cannot tell. `leaderEpoch` is the
   * present leader's: a broker that is of another one refuses. @throws {KafkaError}
   */
  async offsetForLeaderEpoch(
    broker: Broker,
    topics: {
      topic: string;
      partitions: { partition: number; epoch: number; leaderEpoch: number }[];
    }[],
  ): Promise<{ topic: string; partition: number; end: number }[]> {
    const answer = await this.#send(
      `asking ${broker.host}:${broker.port} where leader epochs end of ${topics.map(({ topic }) => topic).join(', ')}`,
      broker,
      offsetForLeaderEpochV4.api,
      consumerReplica,
      topics.map(({ topic, partitions }) => ({
        name: topic,
        partitions: partitions.map(({ partition, epoch, leaderEpoch }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: leaderEpoch,
          leaderEpoch: epoch,
        })),
      })),
    );
    return answer.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, endOffset }) => ({ topic, partition, end: Number(endOffset) })),
    );
  }

  async offsetFetch(
    coordinator: Broker,
    group: string,
    topics: { topic: string; partitions: number[] }[],
  ): Promise<
    { topic: string; partition: number; offset: number; epoch?: number | undefined; metadata: string }[]
  > {
    const answer = await this.#send(
      `asking for the offsets of group ${group}`,
      coordinator,
      offsetFetchV9.api,
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
    return answer.groups[0]!.topics.flatMap(({ name, partitions }) =>
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
    member: { id: string; epoch: number },
    topics: {
      topic: string;
      partitions: { partition: number; offset: number; epoch?: number | undefined }[];
    }[],
    metadata: string,
  ): Promise<void> {
    await this.#send(
      `committing the offsets of group ${group}`,
      coordinator,
      offsetCommitV9.api,
      group,
      member.epoch,
      member.id,
      null,
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
    const answer = await this.#send(
      `heartbeat of group ${group}`,
      coordinator,
      consumerGroupHeartbeatV1.api,
      group,
      beat.memberId,
      beat.memberEpoch,
      null,
      null,
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

  /** A broker-side setting of a topic or group, undefined when it is not told. */
  async config(type: 'topic' | 'group', name: string, setting: string): Promise<string | undefined> {
    const resourceType = type === 'topic' ? 2 : 32;
    const answer = await this.#send(
      `asking for ${setting} of ${type} ${name}`,
      'any',
      describeConfigsV4.api,
      [{ resourceType: resourceType as never, resourceName: name, configurationKeys: [setting] }],
    );
    return answer.results[0]?.configs.find((config) => config.name === setting)?.value ?? undefined;
  }

  async close(): Promise<void> {
    await this.#pool.close().catch(() => {});
  }
}

type MetadataAnswer = Awaited<ReturnType<typeof metadataV12.api.async>>;

export interface FetchRequest {
  waitMs: number;
  bytesMin: number;
  bytesMax: number;
  partitionBytesMax: number;
  topics: readonly { topicId: string; partitions: readonly FetchPosition[] }[];
}

export interface FetchPosition {
  partition: number;
  offset: number;
  /** Of the record before `offset`, where it is known. */
  epoch?: number | undefined;
  /** The leader's, as the metadata has it: a broker that is of another one refuses. */
  leaderEpoch?: number | undefined;
}

export interface GroupHeartbeat {
  memberId: string;
  /** 0 joins, -1 leaves. */
  memberEpoch: number;
  rebalanceTimeoutMs: number;
  topics: readonly string[] | null;
  owned: readonly { topicId: string; partitions: readonly number[] }[] | null;
}

export interface GroupHeartbeatAnswer {
  memberEpoch: number;
  heartbeatIntervalMs: number;
  assignment: readonly { topicId: string; partitions: readonly number[] }[] | null;
}

/** The isolation level as a number: the string form is silently read as uncommitted. */
const readCommitted = 1;
/** Who asks is a consumer, not a replica. */
const consumerReplica = -1;
/** Every fetch names all its partitions: no incremental session. */
const noSession = { id: 0, epoch: -1 };

function parseBroker(text: string): Broker {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
