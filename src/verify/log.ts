import type { LogRange } from '../kafka/source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Ledger } from '../sink/ledger.ts';
import type { Chain } from './chain.ts';
import type { Findings } from './finding.ts';
import type { OffsetRange } from './offset-set.ts';

/** What the logs are now. Topics that the cluster does not have are absent. */
export interface LogView {
  readonly clusterId: string;
  readonly topics: ReadonlyMap<string, { readonly topicId: string; readonly partitions: number }>;
  readonly ranges: ReadonlyMap<TopicPartitionKey, LogRange>;
  /** Where the logs' records of the epochs that were asked about end, as far as they can tell. */
  readonly epochEnds: ReadonlyMap<TopicPartitionKey, number>;
}

/** What stands at an offset of a log. Nothing does where it was compacted away. */
export type Record = 'record' | 'tombstone' | 'aborted' | 'control';

/** Kafka, as far as verifying asks it. */
export interface LogPort {
  /** `epochs`: leader epochs of the last records that have landed. */
  view(topics: readonly string[], epochs: ReadonlyMap<TopicPartitionKey, number>): Promise<LogView>;
  /** What there is at these offsets, which are in order and retained. */
  look(topicPartition: TopicPartition, ranges: readonly OffsetRange[]): Promise<ReadonlyMap<number, Record>>;
}

/** A ledger beside its log. */
export interface Stand {
  readonly logStart: number;
  readonly logEnd: number;
  /** Offsets that are in the log now. */
  readonly retained: number;
  /** Offsets that are retained and not yet landed. */
  readonly toCome: number;
}

/** Compares what a chain has landed with the logs it was read from. */
export function compareWithLog(
  chain: Chain,
  view: LogView,
  findings: Findings,
): Map<TopicPartitionKey, Stand> {
  const stands = new Map<TopicPartitionKey, Stand>();
  const { ledger, pipeline } = chain;
  for (const [topic, id] of ledger.topicIds) {
    const now = view.topics.get(topic);
    if (!now) {
      findings.exception(
        'not-looked-at',
        `topic ${topic} is not in the cluster: its ledger cannot be compared`,
        { topic },
      );
      continue;
    }
    if (ledger.clusterId !== view.clusterId || id !== now.topicId) {
      const what =
        ledger.clusterId === view.clusterId
          ? `topic ${topic} was deleted and made anew since (its id is ${now.topicId} now)`
          : `topic ${topic} is read from cluster ${view.clusterId}, the ledger is of ${ledger.clusterId}`;
      findings.problem(
        'topic-made-anew',
        `${what}: the ledger of pipeline ${pipeline} is about other records`,
        { topic },
      );
      continue;
    }
    for (let partition = 0; partition < now.partitions; partition++) {
      const key = keyOf({ topic, partition });
      const range = view.ranges.get(key);
      if (!range) continue;
      const next = ledger.next.get(key);
      stands.set(key, standOf({ topic, partition }, next, range, findings));
      const cutAt = Math.min(range.end, view.epochEnds.get(key) ?? range.end);
      if (next !== undefined && next > cutAt) tellAhead({ topic, partition }, next, cutAt, range, findings);
    }
  }
  return stands;
}

function standOf(
  topicPartition: TopicPartition,
  next: number | undefined,
  { start, end }: LogRange,
  findings: Findings,
): Stand {
  const key = keyOf(topicPartition);
  if (next !== undefined && next < start)
    findings.problem(
      'not-retained',
      `${key}: offsets [${next}, ${start}) have not landed, and retention has taken them`,
      {
        ...topicPartition,
        from: next,
        next: start,
        count: start - next,
      },
    );
  return {
    logStart: start,
    logEnd: end,
    retained: end - start,
    toCome: Math.max(0, end - Math.max(next ?? start, start)),
  };
}

function tellAhead(
  topicPartition: TopicPartition,
  next: number,
  cutAt: number,
  { end }: LogRange,
  findings: Findings,
): void {
  const what =
    cutAt === end
      ? `the log ends at ${end}: it was cut, or it is another log`
      : `the log has other records from ${cutAt} on: it was cut there, and has grown again`;
  findings.problem('ledger-ahead', `${keyOf(topicPartition)} has landed up to ${next}, ${what}`, {
    ...topicPartition,
    from: cutAt,
    next,
  });
}

/** Whether the log of a topic is the one that a ledger is about. */
export function isTopicOf(ledger: Ledger, view: LogView, topic: string): boolean {
  return (
    ledger.clusterId === view.clusterId && ledger.topicIds.get(topic) === view.topics.get(topic)?.topicId
  );
}
