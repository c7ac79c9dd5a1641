import type { Clock } from '../base/clock.ts';
import { FatalError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { kafkaErrorId, partitionError } from './errors.ts';
import type { FetchedPartition } from './fetch-response.ts';
import { summarize } from './record-set.ts';
import type { LogRange, SourceEvent } from './source.ts';
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
  logRange(topicPartition: TopicPartition): Promise<LogRange>;
}

/** An answer is waited for this long at the broker, unless this much has come together before. */
const waitMs = 250;
const bytesMin = 64 * 1024;
/** Of one answer and of one topic-partition in it. A single record batch may be larger, and then comes alone. */
const bytesMax = 16 * 1024 * 1024;
const partitionBytesMax = 4 * 1024 * 1024;
/** With less than this allowed a fetch is not worth its overhead. */
const allowedMin = 256 * 1024;
const retryMs = 200;
/** A topic that is gone for this long is taken for deleted. */
const missingTopicMs = 30_000;

interface Position extends TopicPartition {
  offset: number;
  /** Changes with every seek, so that answers to older requests can be told. */
  generation: number;
  /** When an answer last brought records: those that waited longest are asked for first. */
  servedAt: number;
  /** False while its position is outside of the log and nobody has decided. */
  active: boolean;
}

export class Fetcher {
  readonly logRanges: Map<TopicPartitionKey, LogRange> = new Map();
  readonly #ports: FetcherPorts;
  readonly #positions = new Map<TopicPartitionKey, Position>();
  /** Bytes each broker's request in flight may bring. */
  readonly #inFlight = new Map<number, number>();
  /** Brokers that are left alone for a while. */
  readonly #resting = new Set<number>();
  #emit: (event: SourceEvent) => void = () => {};
  #allowed = 0;
  #generation = 0;
  #served = 0;
  #topicMissingSinceMs: number | undefined;
  #closed = false;

  constructor(ports: FetcherPorts) {
    this.#ports = ports;
  }

  start(emit: (event: SourceEvent) => void): void {
    this.#emit = emit;
  }

  seek(topicPartition: TopicPartition, offset: number): number {
    const { topic, partition } = topicPartition;
    const servedAt = this.#positions.get(keyOf(topicPartition))?.servedAt ?? 0;
    this.#positions.set(keyOf(topicPartition), {
      topic,
      partition,
      offset,
      generation: ++this.#generation,
      servedAt,
      active: true,
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
    this.#allowed = bytes;
    this.#pump();
  }

  get reservedBytes(): number {
    let sum = 0;
    for (const bytes of this.#inFlight.values()) sum += bytes;
    return sum;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#positions.clear();
  }

  /** Sends a request to every broker that has something for us and none in flight. */
  #pump(): void {
    if (this.#closed || this.#positions.size === 0) return;
    const byLeader = new Map<number, Position[]>();
    for (const position of this.#positions.values()) {
      if (!position.active) continue;
      const leader = this.#ports.metadata().topics.get(position.topic)?.leaders[position.partition] ?? -1;
      const led = byLeader.get(leader);
      if (led) led.push(position);
      else byLeader.set(leader, [position]);
    }
    for (const [leader, positions] of byLeader) {
      if (this.#inFlight.has(leader) || this.#resting.has(leader)) continue;
      const allowed = Math.min(bytesMax, this.#allowed - this.reservedBytes);
      if (allowed < allowedMin) return;
      if (this.#ports.metadata().brokers.has(leader)) void this.#fetch(leader, positions, allowed);
      else void this.#refreshAndRest(leader, 'a partition has no leader');
    }
  }

  async #fetch(leader: number, positions: Position[], allowed: number): Promise<void> {
    this.#inFlight.set(leader, allowed);
    const metadata = this.#ports.metadata();
    // Those that waited longest first: the broker fills its answer in this order.
    positions.sort((a, b) => a.servedAt - b.servedAt);
    const asked = new Map(positions.map((position) => [keyOf(position), { ...position }]));
    const request = {
      waitMs,
      bytesMin,
      bytesMax: allowed,
      partitionBytesMax: Math.min(partitionBytesMax, allowed),
      topics: inRequestOrder(positions, (topic) => metadata.topics.get(topic)!.topicId),
    };
    let restMs = 0;
    try {
      const response = await this.#ports.wire.fetch(metadata.brokers.get(leader)!, request);
      restMs = response.throttleMs;
      if (response.errorCode !== 0)
        throw partitionError(`fetching from broker ${leader}`, response.errorCode);
      this.#inFlight.delete(leader);
      if (!this.#closed) restMs = Math.max(restMs, this.#takeAnswer(metadata, asked, response.partitions));
    } catch (error) {
      this.#inFlight.delete(leader);
      if (this.#closed) return;
      this.#ports.log.warn('fetching failed; trying again', { broker: leader, error: messageOf(error) });
      await this.#refreshAndRest(leader, messageOf(error));
      return;
    }
    if (restMs > 0) await this.#rest(leader, restMs);
    this.#pump();
  }

  /** Hands on what came. @returns how long to leave the broker alone, in ms. */
  #takeAnswer(
    metadata: ClusterMetadata,
    asked: Map<TopicPartitionKey, Position>,
    partitions: FetchedPartition[],
  ): number {
    const names = new Map([...metadata.topics.values()].map(({ topic, topicId }) => [topicId, topic]));
    let restMs = 0;
    for (const fetched of partitions) {
      const topic = names.get(fetched.topicId);
      if (topic === undefined) continue;
      const key = keyOf({ topic, partition: fetched.partition });
      const position = this.#positions.get(key);
      // Sought elsewhere, revoked or lost since the request: the answer is for nobody.
      if (!position || position.generation !== asked.get(key)?.generation) continue;
      if (fetched.errorCode === 0) this.#takeRecords(position, fetched);
      else restMs = Math.max(restMs, this.#takeError(position, fetched.errorCode));
    }
    return restMs;
  }

  #takeRecords(position: Position, fetched: FetchedPartition): void {
    this.logRanges.set(keyOf(position), { start: fetched.logStartOffset, end: fetched.lastStableOffset });
    if (fetched.records.length === 0) return;
    position.servedAt = ++this.#served;
    const { topic, partition, generation, offset: from } = position;
    let next: number;
    try {
      next = summarize(fetched.records, from).next;
    } catch (error) {
      this.#fail(
        new FatalError(`reading ${keyOf(position)} from offset ${from}: ${messageOf(error)}`, {
          cause: error,
        }),
      );
      return;
    }
    if (next === from) return; // not one whole batch: it comes when this topic-partition is asked for first
    position.offset = next;
    // A copy of its own can be given to another thread; the answer's buffer is shared by all partitions.
    const records = new Uint8Array(fetched.records.length);
    records.set(fetched.records);
    this.#emit({
      type: 'records',
      set: { topic, partition, generation, from, next, records, aborted: fetched.aborted },
    });
  }

  #takeError(position: Position, errorCode: number): number {
    const id = kafkaErrorId(errorCode);
    const error = partitionError(`fetching ${keyOf(position)} from offset ${position.offset}`, errorCode);
    if (id === 'OFFSET_OUT_OF_RANGE') {
      position.active = false;
      void this.#reportOutOfRange(position);
      return 0;
    }
    if (!error.retryable) {
      this.#fail(error);
      return 0;
    }
    this.#ports.log.warn('a partition cannot be fetched; trying again', { error: error.message });
    void this.#refresh();
    return retryMs;
  }

  async #reportOutOfRange(position: Position): Promise<void> {
    const { topic, partition, offset, generation } = position;
    try {
      const log = await this.#ports.logRange(position);
      if (this.#positions.get(keyOf(position))?.generation !== generation) return;
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

  async #refreshAndRest(leader: number, reason: string): Promise<void> {
    this.#ports.log.debug('looking for leaders', { reason });
    await Promise.all([this.#refresh(), this.#rest(leader, retryMs)]);
    this.#pump();
  }

  async #rest(leader: number, ms: number): Promise<void> {
    this.#resting.add(leader);
    await this.#ports.clock.sleep(ms);
    this.#resting.delete(leader);
  }

  /** New metadata. A topic that was deleted or made anew stops everything: its offsets mean other records now. */
  async #refresh(): Promise<void> {
    const before = this.#ports.metadata();
    try {
      const after = await this.#ports.refresh();
      this.#topicMissingSinceMs = undefined;
      for (const [topic, { topicId }] of before.topics) {
        const now = after.topics.get(topic)?.topicId;
        if (now !== undefined && now !== topicId)
          this.#fail(
            new FatalError(
              `fetching topic ${topic}: it was deleted and made anew (topic id ${topicId} is now ${now})`,
            ),
          );
      }
    } catch (error) {
      const nowMs = this.#ports.clock.nowMs();
      if ((error as { id?: string }).id === 'UNKNOWN_TOPIC_OR_PARTITION') {
        this.#topicMissingSinceMs ??= nowMs;
        if (nowMs - this.#topicMissingSinceMs > missingTopicMs) this.#fail(error as Error);
      }
      this.#ports.log.warn('the cluster metadata cannot be had; trying again', { error: messageOf(error) });
    }
  }

  #fail(error: Error): void {
    this.#closed = true;
    this.#emit({ type: 'failed', error });
  }
}

/** Partitions grouped by topic, topics in the order of their first partition. */
function inRequestOrder(
  positions: readonly Position[],
  topicIdOf: (topic: string) => string,
): { topicId: string; partitions: { partition: number; offset: number }[] }[] {
  const topics = new Map<string, { topicId: string; partitions: { partition: number; offset: number }[] }>();
  for (const { topic, partition, offset } of positions) {
    let entry = topics.get(topic);
    if (!entry) {
      entry = { topicId: topicIdOf(topic), partitions: [] };
      topics.set(topic, entry);
    }
    entry.partitions.push({ partition, offset });
  }
  return [...topics.values()];
}
