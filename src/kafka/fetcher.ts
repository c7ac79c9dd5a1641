import type { Clock } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { KafkaError, kafkaErrorId, partitionError } from './errors.ts';
import { byBroker, inRequestOrder, noTopic, type Position, partitionBytesOf } from './fetch-plan.ts';
import type { FetchedPartition, FetchResponse } from './fetch-response.ts';
import { FetchSession } from './fetch-session.ts';
import { epochAt } from './leader-epochs.ts';
import { DamagedError, type RecordSetSummary, summarize } from './record-set.ts';
import { type FetchedLog, fetchBytesMin, type LogRange, type SourceEvent } from './source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';
import type { ClusterMetadata, Wire } from './wire.ts';

/**
 * Fetches record sets: one request in flight per broker, for all its topic-partitions that have a position, as long as
 * the owner allows bytes to come. Record sets are handed on undecoded.
 */

export interface FetcherPorts {
  wire: Wire;
  clock: Clock;
  log: Log;
  /** The metadata as last known. */
  metadata(): ClusterMetadata;
  refresh(): Promise<ClusterMetadata>;
  /** Undefined when the topic is gone. */
  logRange(topicPartition: TopicPartition): Promise<LogRange | undefined>;
  /** Nobody takes away what was assigned. */
  isFixed: boolean;
  /** Metadata is not to be older than this. */
  metadataAgeMaxMs: number;
  /** Where this program runs, if brokers are to say which replica is near (KIP-392). */
  rackId?: string | undefined;
  /** What a record batch may have at most, compressed and decompressed. */
  batchBytesMax?: number | undefined;
}

/** An answer is waited for this long at the broker, unless this much has come together before. */
const waitMs = 250;
const bytesMin = 64 * 1024;
/** Of one answer. */
const bytesMax = 16 * 1024 * 1024;
const retryMs = 200;
/** Between looks for a topic that is not there. */
const noTopicMs = 1_000;
/** A replica is fetched from for this long before the leader is asked again whether it is still the nearest. */
const nearestMs = 5 * 60_000;
/** What goes on failing is told this seldom per partition. */
const warnIntervalMs = 5_000;
/** A topic that is gone for this long is taken for deleted. */
const missingTopicMs = 30_000;
/** What came damaged is asked for again this often: the way here may have done it, or one replica's memory. */
const damagedMax = 5;

export class Fetcher {
  readonly logRanges: Map<TopicPartitionKey, FetchedLog> = new Map();
  readonly #ports: FetcherPorts;
  readonly #positions = new Map<TopicPartitionKey, Position>();
  /** Bytes each broker's request in flight may bring. */
  readonly #inFlight = new Map<number, number>();
  /** Brokers that are left alone for a while. */
  readonly #resting = new Set<number>();
  /** When each broker was asked last: with little allowed those that waited longest come first. */
  readonly #askedAt = new Map<number, number>();
  readonly #sessions = new Map<number, FetchSession>();
  /** How often each broker's answer, or a topic-partition's records, came damaged one after the other. */
  readonly #damaged = new Map<number | TopicPartitionKey, number>();
  readonly #end = new AbortController();
  #emit: (event: SourceEvent) => void = () => {};
  #allowed = 0;
  #generation = 0;
  #served = 0;
  #asked = 0;
  #refreshedAtMs: number;
  #topicMissingSinceMs: number | undefined;
  #closed = false;

  constructor(ports: FetcherPorts) {
    this.#ports = ports;
    this.#refreshedAtMs = ports.clock.monotonicMs();
  }

  start(emit: (event: SourceEvent) => void): void {
    this.#emit = emit;
    void this.#watch();
  }

  /** A group takes the partitions of a deleted topic away: whoever has none left would never hear why. */
  async #watch(): Promise<void> {
    while (!this.#closed) {
      await this.#ports.clock.sleep(missingTopicMs / 2, this.#end.signal);
      if (!this.#closed && this.#positions.size === 0) await this.#refresh();
    }
  }

  seek(topicPartition: TopicPartition & { topicId: string }, offset: number, epoch?: number): number {
    const { topic, partition, topicId } = topicPartition;
    const servedAt = this.#positions.get(keyOf(topicPartition))?.servedAt ?? 0;
    this.#positions.set(keyOf(topicPartition), {
      topic,
      partition,
      topicId,
      offset,
      epoch,
      generation: ++this.#generation,
      servedAt,
      warnedAtMs: Number.NEGATIVE_INFINITY,
      active: true,
      nearest: undefined,
    });
    this.#pump();
    return this.#generation;
  }

  stop(topicPartitions: readonly TopicPartition[]): void {
    for (const topicPartition of topicPartitions) {
      this.#positions.delete(keyOf(topicPartition));
      this.logRanges.delete(keyOf(topicPartition));
    }
  }

  allow(bytes: number): void {
    this.#allowed = Math.floor(bytes);
    this.#pump();
  }

  get reservedBytes(): number {
    let sum = 0;
    for (const bytes of this.#inFlight.values()) sum += bytes;
    return sum;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end.abort();
    this.#positions.clear();
  }

  /** Sends a request to every broker that has something for us and none in flight. */
  #pump(): void {
    if (this.#closed || this.#positions.size === 0) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const metadata = this.#ports.metadata();
    const byLeader = byBroker(this.#positions.values(), metadata, nowMs);
    const askedAt = (leader: number): number => this.#askedAt.get(leader) ?? 0;
    for (const [leader, positions] of [...byLeader].sort(([a], [b]) => askedAt(a) - askedAt(b))) {
      if (this.#inFlight.has(leader) || this.#resting.has(leader)) continue;
      const allowed = Math.min(bytesMax, this.#allowed - this.reservedBytes);
      if (allowed < fetchBytesMin) return;
      if (metadata.brokers.has(leader)) void this.#fetch(leader, positions, allowed);
      else if (leader === noTopic) void this.#refreshAndRest(leader, 'a topic is not there', noTopicMs);
      else void this.#refreshAndRest(leader, 'a partition has no leader');
    }
  }

  async #fetch(leader: number, positions: Position[], allowed: number): Promise<void> {
    this.#inFlight.set(leader, allowed);
    this.#askedAt.set(leader, ++this.#asked);
    // Those that waited longest first: the broker fills its answer in this order.
    positions.sort((a, b) => a.servedAt - b.servedAt);
    const asked = new Map(
      positions.map((position) => [`${position.topicId}-${position.partition}`, { ...position }]),
    );
    const session = this.#session(leader);
    const { rackId } = this.#ports;
    const request = {
      ...{ waitMs, bytesMin, bytesMax: allowed, rackId },
      partitionBytesMax: partitionBytesOf(bytesMax, positions.length),
      ...session.ask(inRequestOrder(positions, this.#ports.metadata())),
    };
    let rested: Promise<void>;
    try {
      const response = await this.#ports.wire.fetch(this.#ports.metadata().brokers.get(leader)!, request);
      this.#damaged.delete(leader);
      if (isOfSession(response.errorCode)) session.failed(true);
      else session.answered(response.errorCode === 0 ? response.sessionId : 0);
      rested = this.#rest(leader, this.#closed ? 0 : this.#takeAnswer(leader, asked, response));
    } catch (error) {
      session.failed();
      for (const position of positions) position.nearest = undefined;
      rested = this.#takeFailure(leader, error);
    }
    // Only now: the answer had to be taken, and the rest to begin, before anything else is asked of this broker.
    this.#inFlight.delete(leader);
    await rested;
    this.#pump();
  }

  #session(broker: number): FetchSession {
    const known = this.#sessions.get(broker) ?? new FetchSession();
    this.#sessions.set(broker, known);
    return known;
  }

  /** Hands on what came. @returns how long to leave the broker alone, in ms. */
  #takeAnswer(leader: number, asked: ReadonlyMap<string, Position>, response: FetchResponse): number {
    // The next request asks for everything anew.
    if (isOfSession(response.errorCode)) return response.throttleMs;
    if (response.errorCode !== 0) throw partitionError(`fetching from broker ${leader}`, response.errorCode);
    // A replica that leads no more may go on answering, with what it still gets: leaders are looked up now and then.
    const ageMs = this.#ports.clock.monotonicMs() - this.#refreshedAtMs;
    if (ageMs > this.#ports.metadataAgeMaxMs) void this.#refresh();
    let restMs = response.throttleMs;
    for (const fetched of response.partitions) {
      const request = asked.get(`${fetched.topicId}-${fetched.partition}`);
      const position = request && this.#positions.get(keyOf(request));
      if (!request || !position || this.#closed) continue;
      // Sought elsewhere, revoked or lost since the request: the answer is for nobody. So it is when another broker,
      // which leads the partition now, was faster.
      if (position.generation !== request.generation || position.offset !== request.offset) continue;
      if (position.nearest && (fetched.errorCode !== 0 || fetched.divergingEnd !== undefined))
        // A replica knows less than the leader, whose word counts.
        position.nearest = undefined;
      else if (fetched.errorCode === 0) restMs = Math.max(restMs, this.#takeRecords(position, fetched));
      else restMs = Math.max(restMs, this.#takeError(position, fetched.errorCode));
    }
    return restMs;
  }

  /** No answer, or one that is an error as a whole. */
  async #takeFailure(leader: number, error: unknown): Promise<void> {
    if (this.#closed) return;
    const isDamaged = error instanceof KafkaError && error.id === 'DAMAGED';
    if (isDamaged ? this.#isDamagedForGood(leader) : !isRetryable(error)) return this.#fail(error as Error);
    this.#ports.log.warn('fetching failed; trying again', { broker: leader, error: messageOf(error) });
    await this.#refreshAndRest(leader, messageOf(error));
  }

  /** Counts what came damaged. @returns whether to give up. */
  #isDamagedForGood(what: number | TopicPartitionKey): boolean {
    const times = (this.#damaged.get(what) ?? 0) + 1;
    this.#damaged.set(what, times);
    return times > damagedMax;
  }

  /** @returns how long to leave the broker alone, in ms. */
  #takeRecords(position: Position, fetched: FetchedPartition): number {
    if (fetched.divergingEnd !== undefined) {
      this.#reportTruncated(position, fetched.divergingEnd);
      return 0;
    }
    if (fetched.preferredReplica >= 0)
      position.nearest = {
        broker: fetched.preferredReplica,
        untilMs: this.#ports.clock.monotonicMs() + nearestMs,
      };
    const log: FetchedLog = {
      ...this.logRanges.get(keyOf(position)),
      start: fetched.logStartOffset,
      end: fetched.lastStableOffset,
      highWatermark: fetched.highWatermark,
      position: position.offset,
    };
    this.logRanges.set(keyOf(position), log);
    if (fetched.records.length === 0) return 0;
    const { topic, partition, generation, offset: from } = position;
    let summary: RecordSetSummary;
    try {
      summary = summarize(fetched.records, from, this.#ports.batchBytesMax);
      this.#damaged.delete(keyOf(position));
    } catch (error) {
      return this.#takeDamage(position, error);
    }
    const { next, epochs, timestampMaxMs } = summary;
    if (next === from) return 0; // not one whole batch: it comes when this topic-partition is asked for first
    position.servedAt = ++this.#served;
    position.offset = next;
    position.epoch = epochAt(epochs, next);
    log.position = next;
    if (timestampMaxMs >= 0) log.readTimestampMs = timestampMaxMs;
    // A copy of its own can be given to another thread; the answer's buffer is shared by all partitions.
    const records = new Uint8Array(fetched.records.length);
    records.set(fetched.records);
    this.#allowed -= records.length;
    this.#emit({
      type: 'records',
      set: {
        ...{ topic, partition, generation, from, next, records, epochs },
        aborted: fetched.aborted,
        batchBytesMax: this.#ports.batchBytesMax,
      },
    });
    return 0;
  }

  /** Of records that cannot be walked through nothing is handed on. @returns how long to leave the broker alone, in ms. */
  #takeDamage(position: Position, cause: unknown): number {
    const doing = `reading ${keyOf(position)} from offset ${position.offset}`;
    const error = new FatalError(`${doing}: ${messageOf(cause)}`, { cause });
    if (!(cause instanceof DamagedError) || this.#isDamagedForGood(keyOf(position))) {
      this.#fail(error);
      return 0;
    }
    position.nearest = undefined;
    this.#ports.log.warn('what was fetched is damaged; trying again', { error: error.message });
    return retryMs;
  }

  #takeError(position: Position, errorCode: number): number {
    const id = kafkaErrorId(errorCode);
    const doing = `fetching ${keyOf(position)} from offset ${position.offset}`;
    const error = partitionError(doing, errorCode, this.#ports.wire.access, position.topic);
    if (id === 'OFFSET_OUT_OF_RANGE') {
      position.active = false;
      void this.#reportOutOfRange(position);
      return 0;
    }
    if (!error.retryable) {
      this.#fail(error);
      return 0;
    }
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - position.warnedAtMs > warnIntervalMs) {
      position.warnedAtMs = nowMs;
      this.#ports.log.warn('a partition cannot be fetched; trying again', { error: error.message });
    }
    void this.#refresh();
    return retryMs;
  }

  /** The broker is of the leader's epoch, or it would have refused: its word counts. */
  #reportTruncated(position: Position, end: number): void {
    const { topic, partition, generation, offset } = position;
    position.active = false;
    const topicPartition = { topic, partition };
    this.#emit({ type: 'truncated', topicPartition, generation, position: offset, end });
  }

  async #reportOutOfRange(position: Position): Promise<void> {
    const { topic, partition, offset, generation } = position;
    try {
      // Whoever leads it: an old leader may have answered.
      await Promise.all([this.#ports.clock.sleep(retryMs, this.#end.signal), this.#refresh()]);
      const log = await this.#ports.logRange(position);
      if (this.#positions.get(keyOf(position))?.generation !== generation) return;
      if (!log) {
        position.active = true;
        return this.#pump();
      }
      this.#emit({
        type: 'outOfRange',
        topicPartition: { topic, partition },
        generation,
        position: offset,
        log,
      });
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Leaves a broker alone for a while and until there is new metadata. */
  async #refreshAndRest(leader: number, reason: string, restMs = retryMs): Promise<void> {
    this.#ports.log.debug('looking for leaders', { reason });
    await this.#rest(leader, restMs, this.#refresh());
    this.#pump();
  }

  async #rest(leader: number, ms: number, refreshed?: Promise<void>): Promise<void> {
    if (ms <= 0) return;
    this.#resting.add(leader);
    await Promise.all([this.#ports.clock.sleep(ms, this.#end.signal), refreshed]);
    this.#resting.delete(leader);
  }

  /**
   * New metadata. Offsets of a topic that was made anew mean other records now: the group takes the old one's partitions
   * away; where nobody does that it stops everything, as does a topic that was deleted.
   */
  async #refresh(): Promise<void> {
    this.#refreshedAtMs = this.#ports.clock.monotonicMs();
    try {
      const { topics } = await this.#ports.refresh();
      this.#topicMissingSinceMs = undefined;
      for (const { topic, topicId } of this.#positions.values()) {
        const now = topics.get(topic)?.topicId;
        if (this.#ports.isFixed && now !== undefined && now !== topicId)
          this.#fail(
            new FatalError(
              `fetching topic ${topic}: it was deleted and made anew (topic id ${topicId} is now ${now})`,
            ),
          );
      }
    } catch (error) {
      const nowMs = this.#ports.clock.monotonicMs();
      if ((error as { id?: string }).id === 'UNKNOWN_TOPIC_OR_PARTITION') {
        this.#topicMissingSinceMs ??= nowMs;
        if (nowMs - this.#topicMissingSinceMs > missingTopicMs) this.#fail(error as Error);
      }
      this.#ports.log.warn('the cluster metadata cannot be had; trying again', { error: messageOf(error) });
    }
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#emit({ type: 'failed', error });
  }
}

const sessionErrors = new Set([
  'FETCH_SESSION_ID_NOT_FOUND',
  'INVALID_FETCH_SESSION_EPOCH',
  'FETCH_SESSION_TOPIC_ID_ERROR',
]);

/** The broker has given the session up, or both do not agree on it: nothing is wrong with what was asked for. */
function isOfSession(errorCode: number): boolean {
  return errorCode !== 0 && sessionErrors.has(kafkaErrorId(errorCode));
}
