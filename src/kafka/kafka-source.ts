import type { Broker } from '@platformatic/kafka';
import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Random, uuid } from '../base/random.ts';
import { type RetryPolicy, retry } from '../base/retry.ts';
import type { AssignorName } from './assignor.ts';
import { joinClassicGroup } from './classic-group.ts';
import { joinConsumerGroup } from './consumer-group.ts';
import { isNoConsumerGroup, KafkaError } from './errors.ts';
import { Fetcher } from './fetcher.ts';
import type { GroupEvents, GroupMembership } from './group.ts';
import { KnownCluster } from './known-cluster.ts';
import type {
  AssignedPartition,
  ClusterTopics,
  CommittedOffset,
  FetchedLog,
  LogRange,
  Source,
  SourceEvent,
} from './source.ts';
import { keyOf, parseKey, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';
import type { ClusterMetadata, Wire } from './wire.ts';

export interface KafkaSourceOptions {
  group: string;
  topics: readonly string[];
  /** Whether a topic that is not named is read all the same: such topics come and go. Not with a fixed assignment. */
  isFound?: ((topic: string) => boolean) | undefined;
  /** The cluster is asked this often at least which topics and leaders there are (Java's `metadata.max.age.ms`). */
  metadataAgeMaxMs?: number | undefined;
  /** A fixed assignment instead of membership: partitions per topic. */
  partitions?: Readonly<Record<string, readonly number[]>> | undefined;
  membership?: Partial<MembershipOptions>;
  /** Where this program runs, as brokers name it: replicas there are fetched from (KIP-392). */
  clientRack?: string | undefined;
  /** A record batch of more than this, compressed or decompressed, is refused. */
  batchBytesMax?: number | undefined;
}

/** How a worker is a member of its group. */
export interface MembershipOptions {
  /** `auto`: `consumer` (KIP-848), or `classic` where the brokers or the group do not have that. */
  protocol: GroupProtocol;
  /** Makes it a static member: its partitions wait for it while it restarts. */
  instanceId: string | null;
  /** Of the classic protocol, the best first. */
  assignors: readonly AssignorName[];
  /** Of the classic protocol; by the other one it is the group's configuration on the broker. */
  sessionTimeoutMs: number;
  /** How long a worker may take to land what it holds when partitions move. */
  rebalanceTimeoutMs: number;
}

export type GroupProtocol = 'auto' | 'consumer' | 'classic';

export interface KafkaSourcePorts {
  wire: Wire;
  clock: Clock;
  random: Random;
  log: Log;
}

const defaultMembership: MembershipOptions = {
  protocol: 'auto',
  instanceId: null,
  assignors: ['cooperative-sticky'],
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 60_000,
};
/** Joining does not wait longer than this for offsets to be committed by the member that it was. */
const lastCommitsMs = 5_000;
/** For questions that are asked once: offsets, metadata, coordinators. */
const askPolicy: RetryPolicy = { attemptsMax: 60, totalMs: 60_000, waitMinMs: 100, waitMaxMs: 2_000 };

const defaultMetadataAgeMaxMs = 60_000;

const earliest = -2;
const latest = -1;

/** Of a position that is not fetched: no record set ever carries it. */
const noGeneration = -1;

/** The real Kafka behind the Source port. */
export class KafkaSource implements Source {
  readonly #options: KafkaSourceOptions;
  readonly #ports: KafkaSourcePorts;
  readonly #fetcher: Fetcher;
  readonly #cluster: KnownCluster;
  #coordinator: Broker | undefined;
  /** Which topic each assigned topic-partition is one of: positions are those of that topic, whatever comes after it. */
  readonly #topicIds = new Map<TopicPartitionKey, string>();
  #membership: GroupMembership | undefined;
  readonly #committing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: KafkaSourceOptions, ports: KafkaSourcePorts) {
    this.#options = options;
    this.#ports = ports;
    const { topics, isFound, metadataAgeMaxMs = defaultMetadataAgeMaxMs } = options;
    this.#cluster = new KnownCluster({ topics, isFound, ageMaxMs: metadataAgeMaxMs }, ports);
    this.#fetcher = new Fetcher({
      ...ports,
      metadata: () => this.#cluster.metadata,
      refresh: () => this.#cluster.refresh(),
      logRange: (topicPartition) => this.#logRange(topicPartition),
      isFixed: options.partitions !== undefined,
      metadataAgeMaxMs,
      rackId: options.clientRack,
      batchBytesMax: options.batchBytesMax,
    });
  }

  async start(emit: (event: SourceEvent) => void): Promise<ClusterTopics> {
    this.#fetcher.start(emit);
    const metadata = await retry(this.#ports, askPolicy, () => this.#cluster.refresh(), {
      onRetry: (error) =>
        this.#ports.log.warn('the cluster does not answer; trying again', { error: messageOf(error) }),
    });
    if (this.#closed) throw new FatalError('starting: it was closed meanwhile');
    const { partitions } = this.#options;
    if (!partitions) {
      this.#join(emit);
      if (this.#options.isFound) this.#follow(emit);
      return { clusterId: metadata.clusterId, topicPartitions: allPartitions(metadata) };
    }
    const topicPartitions = this.#fixedAssignment(partitions);
    this.#assign(topicPartitions, emit);
    return { clusterId: metadata.clusterId, topicPartitions, isFixed: true };
  }

  /** Topics that come are asked for, those that are gone no more: who reads them the group decides. */
  #follow(emit: (event: SourceEvent) => void): void {
    this.#cluster.onChange = (changes) => {
      emit({ type: 'topics', ...changes });
      this.#membership?.subscribe(this.#cluster.topics);
    };
    void this.#cluster.watch();
  }

  #fixedAssignment(partitions: Readonly<Record<string, readonly number[]>>): AssignedPartition[] {
    return Object.entries(partitions).flatMap(([topic, numbers]) => {
      const metadata = this.#cluster.metadata.topics.get(topic)!;
      return numbers.map((partition) => {
        if (metadata.leaders[partition] === undefined)
          throw new FatalError(
            `assigning ${topic}-${partition}: the topic has ${metadata.leaders.length} partitions`,
          );
        return { topic, partition, topicId: metadata.topicId };
      });
    });
  }

  #assign(
    topicPartitions: readonly AssignedPartition[],
    emit: (event: SourceEvent) => void,
    cause?: string,
  ): void {
    for (const topicPartition of topicPartitions)
      this.#topicIds.set(keyOf(topicPartition), topicPartition.topicId);
    emit({ type: 'assigned', topicPartitions, cause });
  }

  #join(emit: (event: SourceEvent) => void): void {
    const events: GroupEvents = {
      onAssigned: (topicPartitions, cause) => this.#assign(topicPartitions, emit, cause),
      onRevoked: (topicPartitions, withinMs, cause) => {
        this.#fetcher.stop(topicPartitions);
        emit({ type: 'revoked', topicPartitions, withinMs, cause });
      },
      onLost: (topicPartitions, cause) => {
        this.#disown(topicPartitions);
        emit({ type: 'lost', topicPartitions, cause });
      },
      onFailed: (error) => emit({ type: 'failed', error }),
    };
    const options = { ...defaultMembership, ...this.#options.membership };
    if (options.protocol === 'classic') return this.#joinClassic(options, events);
    this.#joinConsumer(options, {
      ...events,
      onFailed: (error) => {
        if (options.protocol !== 'auto' || !isNoConsumerGroup(error)) return events.onFailed(error);
        this.#ports.log.info('joining the group by the classic protocol', { reason: error.message });
        if (!this.#closed) this.#joinClassic(options, events);
      },
    });
  }

  #joinConsumer(options: MembershipOptions, events: GroupEvents): void {
    const { clock, log, random, wire } = this.#ports;
    const { group, clientRack: rackId = null } = this.#options;
    this.#membership = joinConsumerGroup(
      { ...options, rackId, topics: this.#cluster.topics, memberId: uuid(random) },
      {
        ...events,
        clock,
        log,
        heartbeat: (beat) => this.#atCoordinator((broker) => wire.groupHeartbeat(broker, group, beat)),
        topicName: (topicId) => this.#cluster.topicName(topicId),
      },
    );
  }

  #joinClassic(options: MembershipOptions, events: GroupEvents): void {
    const { clock, log, wire } = this.#ports;
    const { group, clientRack: rackId = null } = this.#options;
    this.#membership = joinClassicGroup(
      { ...options, rackId, topics: this.#cluster.topics },
      {
        ...events,
        clock,
        log,
        join: async (request) => {
          // By joining it becomes another member: what the one before has to commit is committed first.
          const committed = (): Promise<unknown> => Promise.allSettled(this.#committing);
          await withDeadline(clock, lastCommitsMs, 'committing the last offsets', committed).catch(() => {});
          return this.#atCoordinator((broker) => wire.joinGroup(broker, group, request));
        },
        sync: (member, assignor, assignments) =>
          this.#atCoordinator((broker) => wire.syncGroup(broker, group, member, assignor, assignments)),
        heartbeat: (member) => this.#atCoordinator((broker) => wire.heartbeat(broker, group, member)),
        leave: (member) => this.#atCoordinator((broker) => wire.leaveGroup(broker, group, member)),
        topics: async (names) => {
          const found = await wire.existingTopics(names);
          const known = this.#cluster.metadata.topics;
          const isAnother = ([topic, { topicId }]: [string, { topicId: string }]): boolean =>
            known.has(topic) && known.get(topic)!.topicId !== topicId;
          // What the group is told must not be news to who fetches; if it cannot be had, it is asked for again there.
          if ([...found].some(isAnother)) await this.#cluster.refresh().catch(() => {});
          return found;
        },
      },
    );
  }

  /** They are others' now: nothing of them is fetched, whoever asks. */
  #disown(topicPartitions: readonly TopicPartition[]): void {
    this.#fetcher.stop(topicPartitions);
    for (const topicPartition of topicPartitions) this.#topicIds.delete(keyOf(topicPartition));
  }

  seek(topicPartition: TopicPartition, offset: number, epoch?: number): number {
    const topicId = this.#topicIds.get(keyOf(topicPartition));
    // Lost a moment ago, and the owner has not heard of it yet.
    if (topicId === undefined) return noGeneration;
    return this.#fetcher.seek({ ...topicPartition, topicId }, offset, epoch);
  }

  allow(bytes: number): void {
    this.#fetcher.allow(bytes);
  }

  get reservedBytes(): number {
    return this.#fetcher.reservedBytes;
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    this.#disown(topicPartitions);
    this.#membership?.released(topicPartitions);
  }

  logRanges(): ReadonlyMap<TopicPartitionKey, FetchedLog> {
    return this.#fetcher.logRanges;
  }

  async committedOffsets(
    topicPartitions: readonly TopicPartition[],
  ): Promise<Map<TopicPartitionKey, CommittedOffset>> {
    const found = await retry(this.#ports, askPolicy, () =>
      this.#atCoordinator((coordinator) =>
        this.#ports.wire.offsetFetch(coordinator, this.#options.group, groupByTopic(topicPartitions)),
      ),
    );
    return new Map(
      found.map(({ topic, partition, offset, epoch, metadata }) => [
        keyOf({ topic, partition }),
        { offset, epoch, metadata },
      ]),
    );
  }

  async commitOffsets(
    offsets: ReadonlyMap<TopicPartitionKey, number>,
    metadata: string,
    epochs: ReadonlyMap<TopicPartitionKey, number> = new Map(),
  ): Promise<void> {
    const topics = new Map<string, { partition: number; offset: number; epoch: number | undefined }[]>();
    for (const [key, offset] of offsets) {
      const { topic, partition } = parseKey(key);
      if (this.#isOfAnother(key)) continue;
      topics.set(topic, [...(topics.get(topic) ?? []), { partition, offset, epoch: epochs.get(key) }]);
    }
    if (topics.size === 0) return;
    // Outside of a membership the offsets of an empty group may be moved by anyone.
    const member = this.#membership?.member ?? { id: '', epoch: -1, instanceId: null };
    const committing = this.#atCoordinator((coordinator) =>
      this.#ports.wire.offsetCommit(
        coordinator,
        this.#options.group,
        member,
        [...topics].map(([topic, partitions]) => ({ topic, partitions })),
        metadata,
      ),
    );
    this.#committing.add(committing);
    await committing.finally(() => this.#committing.delete(committing));
  }

  /** Its topic is gone, or another has its name: offsets are committed by name, and would be taken for that one's. */
  #isOfAnother(key: TopicPartitionKey): boolean {
    const { topic } = parseKey(key);
    const ours = this.#topicIds.get(key);
    const now = this.#cluster.metadata.topics.get(topic)?.topicId;
    return this.#cluster.isGone(topic) || (ours !== undefined && ours !== now);
  }

  async listOffsets(
    topicPartitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Map<TopicPartitionKey, number>> {
    const timestamp = at === 'earliest' ? earliest : at === 'latest' ? latest : at;
    const found = await retry(this.#ports, askPolicy, () => this.#listOffsets(topicPartitions, timestamp), {
      onRetry: () => void this.#cluster.refresh().catch(() => {}),
    });
    // No record at or after the time: from the end on.
    const missing = topicPartitions.filter((topicPartition) => found.get(keyOf(topicPartition)) === -1);
    if (missing.length > 0)
      for (const [key, offset] of await this.listOffsets(missing, 'latest')) found.set(key, offset);
    return found;
  }

  async #listOffsets(
    topicPartitions: readonly TopicPartition[],
    timestamp: number,
  ): Promise<Map<TopicPartitionKey, number>> {
    const found = new Map<TopicPartitionKey, number>();
    for (const [broker, led] of this.#byLeader(topicPartitions)) {
      const offsets = await this.#ports.wire.listOffsets(broker, groupByTopic(led), timestamp);
      for (const { topic, partition, offset } of offsets) found.set(keyOf({ topic, partition }), offset);
    }
    return found;
  }

  async epochEnds(
    topicPartitions: readonly (TopicPartition & { readonly epoch: number })[],
  ): Promise<Map<TopicPartitionKey, number>> {
    return retry(this.#ports, askPolicy, () => this.#epochEnds(topicPartitions), {
      onRetry: () => void this.#cluster.refresh().catch(() => {}),
    });
  }

  async #epochEnds(
    topicPartitions: readonly (TopicPartition & { readonly epoch: number })[],
  ): Promise<Map<TopicPartitionKey, number>> {
    const found = new Map<TopicPartitionKey, number>();
    for (const [broker, led] of this.#byLeader(topicPartitions)) {
      const topics = Map.groupBy(led, ({ topic }) => topic);
      const asked = [...topics].map(([topic, ofTopic]) => ({
        topic,
        partitions: ofTopic.map(({ partition, epoch }) => ({
          partition,
          epoch,
          leaderEpoch: this.#cluster.metadata.topics.get(topic)!.epochs[partition]!,
        })),
      }));
      for (const { topic, partition, end } of await this.#ports.wire.offsetForLeaderEpoch(broker, asked))
        if (end >= 0) found.set(keyOf({ topic, partition }), end);
    }
    return found;
  }

  /** Without those of topics that are gone. @throws {KafkaError} while one of them has no leader. */
  #byLeader<T extends TopicPartition>(topicPartitions: readonly T[]): [Broker, T[]][] {
    const { topics, brokers } = this.#cluster.metadata;
    const leaderOf = ({ topic, partition }: T): number => topics.get(topic)?.leaders[partition] ?? -1;
    const present = topicPartitions.filter(({ topic }) => !this.#cluster.isGone(topic));
    return [...Map.groupBy(present, leaderOf)].map(([leader, led]) => {
      const broker = brokers.get(leader);
      if (broker) return [broker, led];
      const doing = `asking for offsets of ${keyOf(led[0]!)}`;
      throw new KafkaError(doing, 'LEADER_NOT_AVAILABLE', 'it has no leader', undefined);
    });
  }

  async #logRange(topicPartition: TopicPartition): Promise<LogRange | undefined> {
    const key = keyOf(topicPartition);
    const start = (await this.listOffsets([topicPartition], 'earliest')).get(key);
    const end = (await this.listOffsets([topicPartition], 'latest')).get(key);
    return start === undefined || end === undefined ? undefined : { start, end };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cluster.close();
    await this.#fetcher.close();
    await this.#membership?.leave();
    await this.#ports.wire.close();
  }

  /** Asks the group's coordinator, looked up anew after it moved or went away. */
  async #atCoordinator<T>(ask: (coordinator: Broker) => Promise<T>): Promise<T> {
    try {
      this.#coordinator ??= await this.#ports.wire.coordinator(this.#options.group);
      return await ask(this.#coordinator);
    } catch (error) {
      const id = error instanceof KafkaError ? error.id : 'NETWORK';
      if (id === 'NETWORK' || id.includes('COORDINATOR')) this.#coordinator = undefined;
      throw error;
    }
  }
}

function groupByTopic(topicPartitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of topicPartitions)
    topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

function allPartitions(metadata: ClusterMetadata): AssignedPartition[] {
  return [...metadata.topics.values()].flatMap(({ topic, topicId, leaders }) =>
    leaders.map((_, partition) => ({ topic, partition, topicId })),
  );
}
