import type { Broker } from '@platformatic/kafka';
import { FatalError } from '../base/errors.ts';
import { asKafkaError } from './errors.ts';
import {
  createFetch,
  type FetchRequest,
  fetchByIdVersion,
  fetchRequest,
  readCommitted,
} from './fetch-request.ts';
import { type FetchResponse, namedFetchResponseParser, parseFetchResponse } from './fetch-response.ts';
import { GroupRequests } from './group-requests.ts';
import { type MetadataAnswer, optional, requests } from './requests.ts';

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

/** All that is asked of a cluster. */
export class Wire extends GroupRequests {
  /**
   * The cluster, the named topics, of which there may be none, and those others that are found: of all topics that we may
   * know of. @throws {KafkaError} naming a topic that does not exist.
   */
  async metadata(
    named: readonly string[],
    isFound?: ((topic: string) => boolean) | undefined,
  ): Promise<ClusterMetadata> {
    const doing =
      named.length === 0 ? 'asking for the brokers' : `asking for the metadata of ${named.join(', ')}`;
    const isSound = ({ errorCode }: MetadataAnswer['topics'][number]): boolean => errorCode === 0;
    const answer = await this.#metadataOf(doing, named, (partial) => partial.topics.every(isSound));
    const topics = [...answer.topics];
    if (isFound) {
      const all = await this.#metadataOf('looking for topics', null, () => true);
      topics.push(
        ...all.topics.filter(
          (topic) => isSound(topic) && !named.includes(topic.name!) && isFound(topic.name!),
        ),
      );
    }
    for (const { name, topicId } of topics)
      if (topicId === noTopicId)
        throw new FatalError(
          `${doing}: topic ${name} has no id, by which it can be told from one that is made anew under its name: set inter.broker.protocol.version of the brokers to 2.8 or newer`,
        );
    const brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.know([...brokers.values()]);
    return {
      clusterId: answer.clusterId ?? '',
      brokers,
      topics: new Map(
        topics.map(({ name, topicId, partitions }) => {
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

  /** The metadata of these topics, or (null) of all. What is wrong with some makes the library throw: the rest may do. */
  async #metadataOf(
    doing: string,
    topics: readonly string[] | null,
    isEnough: (partial: MetadataAnswer) => boolean,
  ): Promise<MetadataAnswer> {
    try {
      return await this.send(doing, 'any', requests.metadata, topics && [...topics], false, false);
    } catch (error) {
      const partial = ((error as Error).cause as { response?: MetadataAnswer } | undefined)?.response;
      if (!partial?.topics || !isEnough(partial)) throw error;
      return partial;
    }
  }

  /** Those of the named topics that exist and may be read. @throws {KafkaError} */
  async existingTopics(
    topics: readonly string[],
  ): Promise<Map<string, { topicId: string; partitions: number }>> {
    const found = await this.#metadataOf('looking for topics', topics, () => true);
    return new Map(
      found.topics
        .filter(({ errorCode }) => errorCode === 0)
        .map(({ name, topicId, partitions }) => [name!, { topicId, partitions: partitions.length }]),
    );
  }

  /**
   * Fetches from one broker. `topics` are in the order in which the broker fills the answer. Errors of single partitions
   * are in the answer.
   */
  async fetch(broker: Broker, asked: FetchRequest): Promise<FetchResponse> {
    const doing = `fetching from ${broker.host}:${broker.port}`;
    try {
      const { connection, versions } = await this.connect(broker);
      const api = versions.choose(fetchRequest);
      return await new Promise<FetchResponse>((resolve, reject) => {
        connection.send(
          api.key,
          api.version,
          () => createFetch(api.version, asked),
          api.version >= fetchByIdVersion
            ? parseFetchResponse
            : namedFetchResponseParser(asked.answered ?? asked.topics),
          true,
          true,
          (error, answer) => (error ? reject(error) : resolve(answer!)),
        );
      });
    } catch (error) {
      throw asKafkaError(doing, error, this.access);
    }
  }

  /** Offsets by timestamp: -2 the log's start, -1 its end. Partitions whose leader has moved are left out. */
  async listOffsets(
    broker: Broker,
    topics: { topic: string; partitions: number[] }[],
    timestamp: number,
  ): Promise<{ topic: string; partition: number; offset: number }[]> {
    const doing = `asking ${broker.host}:${broker.port} for offsets of ${topics.map(({ topic }) => topic).join(', ')}`;
    const answer = await this.send(
      doing,
      broker,
      requests.listOffsets,
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
    const answer = await this.send(
      `asking ${broker.host}:${broker.port} where leader epochs end of ${topics.map(({ topic }) => topic).join(', ')}`,
      broker,
      requests.offsetForLeaderEpoch,
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

  /** A broker-side setting of a topic or group, undefined when it is not told. */
  async config(type: 'topic' | 'group', name: string, setting: string): Promise<string | undefined> {
    const resourceType = type === 'topic' ? 2 : 32;
    const answer = await this.send(
      `asking for ${setting} of ${type} ${name}`,
      'any',
      optional.describeConfigs,
      [{ resourceType: resourceType as never, resourceName: name, configurationKeys: [setting] }],
    );
    return answer.results[0]?.configs.find((config) => config.name === setting)?.value ?? undefined;
  }
}

/** Who asks is a consumer, not a replica. */
const consumerReplica = -1;

/** What a broker gives whose cluster is still operated as one from before topics had ids. */
const noTopicId = '00000000-0000-0000-0000-000000000000';
