import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError } from '../base/errors.ts';
import { controlRanges, RecordSetReader } from '../kafka/record-set.ts';
import { fetchBytesMin, type RecordSet, type Source, type SourceEvent } from '../kafka/source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { LogPort, LogView, Record } from './log.ts';
import type { OffsetRange } from './offset-set.ts';

/** What a cluster has of a topic; undefined when it does not have it. */
export type DescribeTopic = (
  topic: string,
) => Promise<{ clusterId: string; topicId: string; partitions: number } | undefined>;

/** A source of all partitions of these topics, by a fixed assignment. */
export type OpenSource = (partitions: Readonly<globalThis.Record<string, readonly number[]>>) => Source;

/** Holes that are closer together are looked at in one go. */
const nearOffsets = 10_000;
const fetchBytes = 32 * fetchBytesMin;
const answerTimeoutMs = 60_000;

/** Kafka through the Source port: no group is joined, no offset committed. */
export class SourceLog implements LogPort {
  readonly #describe: DescribeTopic;
  readonly #open: OpenSource;
  readonly #clock: Clock;
  #source: Source | undefined;
  #onEvent: (event: SourceEvent) => void = () => {};

  constructor(describe: DescribeTopic, open: OpenSource, clock: Clock) {
    this.#describe = describe;
    this.#open = open;
    this.#clock = clock;
  }

  async view(topics: readonly string[], epochs: ReadonlyMap<TopicPartitionKey, number>): Promise<LogView> {
    const found = new Map<string, { topicId: string; partitions: number }>();
    let clusterId = '';
    for (const topic of topics) {
      const described = await this.#describe(topic);
      if (!described) continue;
      ({ clusterId } = described);
      found.set(topic, described);
    }
    const numbers = [...found].map(
      ([topic, { partitions }]) => [topic, [...Array(partitions).keys()]] as const,
    );
    const source = this.#open(Object.fromEntries(numbers));
    this.#source = source;
    const { topicPartitions } = await source.start((event) => this.#onEvent(event));
    const starts = await source.listOffsets(topicPartitions, 'earliest');
    const ends = await source.listOffsets(topicPartitions, 'latest');
    const ranges = new Map([...starts].map(([key, start]) => [key, { start, end: ends.get(key)! }]));
    const told = topicPartitions.flatMap((each) => {
      const epoch = epochs.get(keyOf(each));
      return epoch === undefined ? [] : [{ ...each, epoch }];
    });
    return { clusterId, topics: found, ranges, epochEnds: await source.epochEnds(told) };
  }

  async look(topicPartition: TopicPartition, ranges: readonly OffsetRange[]): Promise<Map<number, Record>> {
    const found = new Map<number, Record>();
    for (const group of grouped(ranges))
      await this.#read(topicPartition, { from: group[0]!.from, next: group.at(-1)!.next }, (set) =>
        classify(set, group, found),
      );
    return found;
  }

  /** Reads record sets up to the end of a range. */
  async #read(
    topicPartition: TopicPartition,
    { from, next }: OffsetRange,
    take: (set: RecordSet) => void,
  ): Promise<void> {
    const source = this.#source!;
    let at = from;
    let failure: unknown;
    let wake = (): void => {};
    const generation = source.seek(topicPartition, from);
    this.#onEvent = (event) => {
      try {
        at = Math.max(at, nextAfter(event, topicPartition, generation, take) ?? at);
      } catch (error) {
        failure = error;
      }
      wake();
    };
    while (at < next && !failure) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      source.allow(fetchBytes);
      const doing = `looking at ${keyOf(topicPartition)} from offset ${at}`;
      await withDeadline(this.#clock, answerTimeoutMs, doing, () => changed);
    }
    source.allow(0);
    this.#onEvent = () => {};
    if (failure) throw failure;
  }
}

/** Takes what an event brings. @returns the offset that follows; undefined when it is about something else. */
function nextAfter(
  event: SourceEvent,
  topicPartition: TopicPartition,
  generation: number,
  take: (set: RecordSet) => void,
): number | undefined {
  if (event.type === 'failed') throw event.error;
  if (event.type === 'outOfRange' && event.generation === generation)
    throw new FatalError(
      `looking at ${keyOf(topicPartition)}: offset ${event.position} is not retained any more`,
    );
  if (event.type !== 'records' || event.set.generation !== generation) return undefined;
  take(event.set);
  return event.set.next;
}

function grouped(ranges: readonly OffsetRange[]): OffsetRange[][] {
  const groups: OffsetRange[][] = [];
  for (const range of ranges) {
    const last = groups.at(-1);
    if (last && range.from - last.at(-1)!.next <= nearOffsets) last.push(range);
    else groups.push([range]);
  }
  return groups;
}

function classify(set: RecordSet, ranges: readonly OffsetRange[], found: Map<number, Record>): void {
  const bytes = Buffer.from(set.records.buffer, set.records.byteOffset, set.records.byteLength);
  let i = 0;
  const isAsked = (offset: number): boolean => {
    while (i < ranges.length && ranges[i]!.next <= offset) i++;
    return i < ranges.length && ranges[i]!.from <= offset;
  };
  const read = (aborted: RecordSet['aborted'], take: (offset: number, hasValue: boolean) => void): void => {
    const reader = new RecordSetReader(bytes, set.from, aborted);
    i = 0;
    while (reader.read())
      for (let k = 0; k < reader.columns.count; k++) {
        const offset = reader.columns.offsets[k]!;
        if (isAsked(offset)) take(offset, reader.columns.valueLengths[k]! >= 0);
      }
  };
  // Without the list of aborted transactions their records are seen, too.
  if (set.aborted && set.aborted.length > 0) read(null, (offset) => found.set(offset, 'aborted'));
  read(set.aborted, (offset, hasValue) => found.set(offset, hasValue ? 'record' : 'tombstone'));
  i = 0;
  for (const { from, next } of controlRanges(bytes))
    for (let offset = from; offset < next; offset++) if (isAsked(offset)) found.set(offset, 'control');
}
