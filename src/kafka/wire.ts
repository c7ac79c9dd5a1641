import type { Broker, Connection } from '@platformatic/kafka';
import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import type { AccessSettings } from './access.ts';
import type { JoinAnswer, JoinRequest, MemberBytes } from './classic-group.ts';
import { Connections } from './connections.ts';
import { Credentials, type CredentialsPorts } from './credentials.ts';
import { type Access, asKafkaError, KafkaError } from './errors.ts';
import {
  createFetch,
  type FetchRequest,
  fetchByIdVersion,
  fetchRequest,
  readCommitted,
} from './fetch-request.ts';
import { type FetchResponse, namedFetchResponseParser, parseFetchResponse } from './fetch-response.ts';
import type { GroupMember } from './group.ts';
import { type MetadataAnswer, optional, requests } from './requests.ts';
import { BrokerVersions, type Request } from './versions.ts';

/**
 * Kafka's wire protocol: connections and request encoding of `@platformatic/kafka`, and nothing else of
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
  /** How to get in; without it brokers are spoken to in plain text and without a login. */
  access?: AccessSettings | undefined;
}

/** What some ways to get in need. */
export type WirePorts = Omit<CredentialsPorts, 'clock'>;

const connectTimeoutMs = 5_000;
/** The client's own limit on an answer. Fetches wait at the broker for less than this. */
const requestTimeoutMs = 30_000;
/** For an answer that comes when all members of a group have joined: longer than a member may take to do so. */
const joinTimeoutMs = 90_000;

export class Wire {
  /** Who we are to brokers. */
  readonly access: Access;
  /** Whom to ask what every broker knows: those of the cluster as last known, then the configured ones. */
  #anyone: Broker[];
  readonly #bootstrap: Broker[];
  readonly #pool: Connections;
  /** A broker answers the requests of a connection one after the other: joining would keep heartbeats and commits. */
  readonly #joining: Connections;
  readonly #clock: Clock;
  readonly #versions = new WeakMap<Connection, Promise<BrokerVersions>>();

  constructor(options: WireOptions, clock: Clock, ports: WirePorts = plainPorts) {
    this.#bootstrap = options.brokers.map(parseBroker);
    this.#anyone = this.#bootstrap;
    this.#clock = clock;
    const credentials = new Credentials(options.access ?? {}, { ...ports, clock });
    this.access = credentials;
    const open = (timeoutMs: number): Connections =>
      new Connections(
        options.clientId,
        credentials,
        { connectTimeoutMs, requestTimeoutMs: timeoutMs },
        { clock, warn: (message) => ports.warn(message) },
      );
    this.#pool = open(requestTimeoutMs);
    this.#joining = open(joinTimeoutMs);
  }

  /** One request to one broker, in the newest version that both know. @throws {KafkaError} */
  #send<A extends unknown[], R>(
    doing: string,
    broker: Broker | 'any',
    asked: Request<A, R>,
    ...args: A
  ): Promise<R> {
    const connecting = (): Promise<Connection> =>
      broker === 'any' ? this.#pool.getFirstAvailable(this.#anyone) : this.#pool.get(broker);
    return this.#ask(doing, connecting, requestTimeoutMs, asked, args);
  }

  async #ask<A extends unknown[], R>(
    doing: string,
    connecting: () => Promise<Connection>,
    timeoutMs: number,
    asked: Request<A, R>,
    args: A,
  ): Promise<R> {
    try {
      return await withDeadline(this.#clock, connectTimeoutMs * 2 + timeoutMs, doing, async () => {
        const connection = await connecting();
        const versions = await this.#versionsOf(connection);
        return versions.choose(asked).async(connection, ...args);
      });
    } catch (error) {
      throw asKafkaError(doing, error, this.access);
    }
  }

  /** Refuses brokers with which we share no version of what is needed, before anything is asked of them. */
  #versionsOf(connection: Connection): Promise<BrokerVersions> {
    let versions = this.#versions.get(connection);
    if (!versions) {
      versions = BrokerVersions.ask(connection).then((offered) => {
        for (const needed of [fetchRequest, ...Object.values(requests)])
          offered.choose<never, unknown>(needed);
        return offered;
      });
      this.#versions.set(connection, versions);
      // What was no answer is asked for again, as long as there is the connection.
      versions.catch(() => this.#versions.delete(connection));
    }
    return versions;
  }

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
    const known = new Set([...brokers.values()].map(({ host, port }) => `${host}:${port}`));
    this.#anyone = [
      ...brokers.values(),
      ...this.#bootstrap.filter(({ host, port }) => !known.has(`${host}:${port}`)),
    ];
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
      return await this.#send(doing, 'any', requests.metadata, topics && [...topics], false, false);
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

  async coordinator(group: string): Promise<Broker> {
    const doing = `looking for the coordinator of group ${group}`;
    const answer = await this.#send(doing, 'any', requests.findCoordinator, 0, [group]);
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
      await this.#send(doing, coordinator, requests.heartbeat, group, -1, 'frazil-doctor', null);
    } catch (error) {
      // Who may read is told that there is no such member, or no such group.
      if (!(error instanceof KafkaError) || deniedOrAway.has(error.id)) throw error;
    }
  }

  /**
   * Fetches from one broker. `topics` are in the order in which the broker fills the answer. Errors of single partitions
   * are in the answer.
   */
  async fetch(broker: Broker, asked: FetchRequest): Promise<FetchResponse> {
    const doing = `fetching from ${broker.host}:${broker.port}`;
    try {
      const connection = await this.#pool.get(broker);
      const api = (await this.#versionsOf(connection)).choose(fetchRequest);
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
    const answer = await this.#send(
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
    const answer = await this.#send(
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
    await this.#send(
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
    const answer = await this.#send(
      `heartbeat of group ${group}`,
      coordinator,
      optional.consumerGroupHeartbeat,
      group,
      beat.memberId,
      beat.memberEpoch,
      beat.instanceId,
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

  /** Joins a group by the classic protocol; answered when all its members have. */
  async joinGroup(coordinator: Broker, group: string, asked: JoinRequest): Promise<JoinAnswer> {
    const doing = `joining group ${group}`;
    try {
      const answer = await this.#ask(
        doing,
        () => this.#joining.get(coordinator),
        joinTimeoutMs,
        optional.joinGroup,
        [
          group,
          asked.sessionTimeoutMs,
          asked.rebalanceTimeoutMs,
          asked.memberId,
          asked.instanceId,
          consumerProtocolType,
          [...asked.protocols],
          null,
        ],
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
    const answer = await this.#ask(
      `asking group ${group} for the assignment`,
      () => this.#joining.get(coordinator),
      joinTimeoutMs,
      optional.syncGroup,
      [group, member.epoch, member.id, member.instanceId, consumerProtocolType, assignor, [...assignments]],
    );
    return answer.assignment;
  }

  async heartbeat(coordinator: Broker, group: string, member: GroupMember): Promise<void> {
    const doing = `heartbeat of group ${group}`;
    await this.#send(
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
    await this.#send(`leaving group ${group}`, coordinator, optional.leaveGroup, group, members);
  }

  /** A broker-side setting of a topic or group, undefined when it is not told. */
  async config(type: 'topic' | 'group', name: string, setting: string): Promise<string | undefined> {
    const resourceType = type === 'topic' ? 2 : 32;
    const answer = await this.#send(
      `asking for ${setting} of ${type} ${name}`,
      'any',
      optional.describeConfigs,
      [{ resourceType: resourceType as never, resourceName: name, configurationKeys: [setting] }],
    );
    return answer.results[0]?.configs.find((config) => config.name === setting)?.value ?? undefined;
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#pool.close(), this.#joining.close()]);
  }
}

export interface GroupHeartbeat {
  memberId: string;
  instanceId: string | null;
  /** 0 joins, -1 leaves, -2 leaves to come back. */
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

/** What all groups of consumers are. */
const consumerProtocolType = 'consumer';
/** What needs neither tokens nor signatures needs no ports. */
const plainPorts: WirePorts = {
  random: systemRandom,
  fetch,
  awsSigner: () => Promise.reject(new FatalError('signing for MSK: there is no signer')),
  warn: () => {},
};

const deniedOrAway = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'NETWORK',
  'REFUSED',
  'COORDINATOR_NOT_AVAILABLE',
]);

/** Who asks is a consumer, not a replica. */
const consumerReplica = -1;

/** What a broker gives whose cluster is still operated as one from before topics had ids. */
const noTopicId = '00000000-0000-0000-0000-000000000000';

function parseBroker(text: string): Broker {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
