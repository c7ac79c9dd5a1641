import type { FetchTopic } from './fetch-request.ts';
import type { TopicPartition } from './topic-partition.ts';
import type { ClusterMetadata } from './wire.ts';

/** Where a topic-partition is read, and how that has gone. */
export interface Position extends TopicPartition {
  /** Of the topic that the offset is one of: a later one of the same name has other records at the same offsets. */
  topicId: string;
  offset: number;
  /** The leader epoch of the record before; undefined where it is not known. */
  epoch: number | undefined;
  /** Changes with every seek, so that answers to older requests can be told. */
  generation: number;
  /** When an answer last brought records: those that waited longest are asked for first. */
  servedAt: number;
  warnedAtMs: number;
  /** False while its position is outside of the log and nobody has decided. */
  active: boolean;
  /** A replica that the leader has said is nearer, for a while (KIP-392). */
  nearest: { broker: number; untilMs: number } | undefined;
}

/** Of a partition without a leader. */
const noBroker = -1;
/** Of one whose topic is gone, or another by now: it is taken from us soon. Or it is new, and not known yet. */
export const noTopic = -2;

/** Which broker each position is fetched from. */
export function byBroker(
  positions: Iterable<Position>,
  { topics, brokers }: ClusterMetadata,
  nowMs: number,
): Map<number, Position[]> {
  const found = new Map<number, Position[]>();
  for (const position of positions) {
    if (!position.active) continue;
    const { nearest } = position;
    if (nearest && (nowMs > nearest.untilMs || !brokers.has(nearest.broker))) position.nearest = undefined;
    const topic = topics.get(position.topic);
    const leader = topic?.leaders[position.partition] ?? noBroker;
    const broker = topic?.topicId === position.topicId ? (position.nearest?.broker ?? leader) : noTopic;
    const others = found.get(broker);
    if (others) others.push(position);
    else found.set(broker, [position]);
  }
  return found;
}

/** Positions grouped by topic, topics in the order of their first one. */
export function inRequestOrder(positions: readonly Position[], metadata: ClusterMetadata): FetchTopic[] {
  const topics = new Map<string, FetchTopic>();
  for (const { topic, topicId, partition, offset, epoch } of positions) {
    const entry = topics.get(topicId) ?? { topic, topicId, partitions: [] };
    topics.set(topicId, entry);
    const leaderEpoch = metadata.topics.get(topic)?.epochs[partition];
    entry.partitions.push({ partition, offset, epoch, leaderEpoch });
  }
  return [...topics.values()];
}

const partitionBytesMax = 4 * 1024 * 1024;
const partitionBytesMin = 256 * 1024;

/**
 * What an answer of at most `bytesMax` may bring of one topic-partition, when so many are asked for: an even share, so that
 * each gets its turn soon, but no less than is worth while. In powers of two, for brokers remember it with the session. A
 * single record batch may be larger, and then comes alone.
 */
export function partitionBytesOf(bytesMax: number, count: number): number {
  const share = 2 ** Math.floor(Math.log2(bytesMax / count));
  return Math.min(partitionBytesMax, Math.max(partitionBytesMin, share));
}
