import { systemClock } from '../../../src/base/clock.ts';
import { type Log, silentLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { KafkaSource, type KafkaSourceOptions } from '../../../src/kafka/kafka-source.ts';
import { RecordSetReader, readHeaders } from '../../../src/kafka/record-set.ts';
import type { AssignedPartition, RecordSet, SourceEvent } from '../../../src/kafka/source.ts';
import { keyOf, type TopicPartition } from '../../../src/kafka/topic-partition.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { java } from '../../tools/java.ts';

/** `[offset, timestamp, type of timestamp, key, value, headers]`, as the Java tools dump a record; bytes in base64. */
export type Dumped = [
  number,
  number,
  string,
  string | null,
  string | null,
  (readonly [string, string | null])[],
];

export interface Dump {
  records: Record<string, Dumped[]>;
  positions: Record<string, number>;
}

/** What the Java consumer sees of a topic. The type of timestamp is left to it: we do not tell it. */
export async function dumped(topic: string): Promise<Dump> {
  const dump = await java.call<Dump>('dump', { topic });
  for (const records of Object.values(dump.records)) for (const record of records) record[2] = '';
  return dump;
}

export function openSource(
  brokers: string,
  options: KafkaSourceOptions,
  ports: { clock?: typeof systemClock; log?: Log } = {},
): KafkaSource {
  const clock = ports.clock ?? systemClock;
  const wire = new Wire({ brokers: brokers.split(','), clientId: 'test' }, clock);
  return new KafkaSource(options, { wire, clock, random: systemRandom, log: ports.log ?? silentLog });
}

/** Records of a set as the Java tools dump them. */
function recordsOf(set: RecordSet): { records: Dumped[]; next: number } {
  const reader = new RecordSetReader(Buffer.from(set.records.buffer), set.from, set.aborted);
  const records: Dumped[] = [];
  while (reader.read()) {
    const { columns } = reader;
    const base64 = (start: number, length: number): string | null =>
      length < 0 ? null : columns.bytes.toString('base64', start, start + length);
    for (let i = 0; i < columns.count; i++)
      records.push([
        columns.offsets[i]!,
        columns.timestamps[i]!,
        '',
        base64(columns.keyStarts[i]!, columns.keyLengths[i]!),
        base64(columns.valueStarts[i]!, columns.valueLengths[i]!),
        readHeaders(columns, i).map(({ key, value }) => [key, value?.toString('base64') ?? null] as const),
      ]);
  }
  return { records, next: reader.next };
}

export interface ReadOptions {
  /** Bytes allowed at a time: small ones make many small fetches. */
  allowed?: number;
  timeoutMs?: number;
}

/** All of a topic, from its start to its present end, by our own source: the counterpart of {@link dumped}. */
export async function readTopic(brokers: string, topic: string, options: ReadOptions = {}): Promise<Dump> {
  const allowed = options.allowed ?? 64 * 1024 * 1024;
  const partitions = await partitionsOf(topic);
  const source = openSource(brokers, {
    group: `read-${topic}`,
    topics: [topic],
    partitions: { [topic]: partitions },
  });
  const dump: Dump = { records: {}, positions: {} };
  const open = new Map<string, number>();
  const done = Promise.withResolvers<void>();
  const late = setTimeout(
    () => done.reject(new Error(`${topic} was not read to ${JSON.stringify([...open])}`)),
    options.timeoutMs ?? 60_000,
  );
  try {
    const { topicPartitions } = await source.start((event) => {
      if (event.type === 'failed') return done.reject(event.error);
      if (event.type === 'outOfRange') return done.reject(new Error(JSON.stringify(event)));
      if (event.type !== 'records') return;
      const { records, next } = recordsOf(event.set);
      const key = keyOf(event.set);
      if (event.set.from !== dump.positions[event.set.partition])
        done.reject(
          new Error(`${key}: a set from ${event.set.from} after ${dump.positions[event.set.partition]}`),
        );
      if (next !== event.set.next)
        done.reject(new Error(`${key}: ${next} and ${event.set.next} do not agree`));
      dump.records[event.set.partition]!.push(...records);
      dump.positions[event.set.partition] = next;
      if (next >= open.get(key)!) open.delete(key);
      if (open.size === 0) done.resolve();
      else source.allow(allowed);
    });
    const starts = await source.listOffsets(topicPartitions, 'earliest');
    const ends = await source.listOffsets(topicPartitions, 'latest');
    for (const topicPartition of topicPartitions) {
      const key = keyOf(topicPartition);
      dump.records[topicPartition.partition] = [];
      dump.positions[topicPartition.partition] = starts.get(key)!;
      if (starts.get(key)! < ends.get(key)!) open.set(key, ends.get(key)!);
    }
    if (open.size === 0) return dump;
    for (const topicPartition of topicPartitions)
      if (open.has(keyOf(topicPartition))) source.seek(topicPartition, starts.get(keyOf(topicPartition))!);
    source.allow(allowed);
    await done.promise;
    return dump;
  } finally {
    clearTimeout(late);
    await source.close();
  }
}

/** Creates a topic. The brokers know of it a little before they lead its partitions: waits until they do. */
export async function createTopic(brokers: string, topic: string, partitions: number): Promise<void> {
  await java.call('createTopic', { topic, partitions });
  const numbers = [...new Array(partitions).keys()];
  const source = openSource(brokers, { group: 'leaders', topics: [topic], partitions: { [topic]: numbers } });
  try {
    const { topicPartitions } = await source.start(() => {});
    await source.listOffsets(topicPartitions, 'latest');
  } finally {
    await source.close();
  }
}

export async function partitionsOf(topic: string): Promise<number[]> {
  const { partitions } = await java.call<{ partitions: { partition: number }[] }>('describeTopic', { topic });
  return partitions.map(({ partition }) => partition);
}

/** Waits until `condition` holds. Fails with `what` when it does not in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  timeoutMs = 30_000,
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > endMs)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A source with everything it told, read on from where it was told to. */
export class Reading {
  readonly source: KafkaSource;
  readonly events: SourceEvent[] = [];
  /** Offsets seen, by topic-partition, in the order in which they came. */
  readonly offsets = new Map<string, number[]>();
  readonly owned = new Map<string, AssignedPartition>();
  /** Called with each event, after it was noted. */
  onEvent: (event: SourceEvent) => void = () => {};
  readonly #next = new Map<string, number>();

  constructor(source: KafkaSource) {
    this.source = source;
  }

  async start(): Promise<void> {
    await this.source.start((event) => {
      this.events.push(event);
      if (event.type === 'assigned') for (const tp of event.topicPartitions) this.owned.set(keyOf(tp), tp);
      if (event.type === 'lost') for (const tp of event.topicPartitions) this.owned.delete(keyOf(tp));
      if (event.type === 'records') {
        const key = keyOf(event.set);
        const known = this.offsets.get(key) ?? [];
        this.offsets.set(key, known);
        for (const [offset] of recordsOf(event.set).records) known.push(offset);
        this.#next.set(key, event.set.next);
        this.source.allow(64 * 1024 * 1024);
      }
      this.onEvent(event);
    });
  }

  /** Reads what is owned from `offset` on. */
  seek(topicPartitions: Iterable<TopicPartition>, offset: number): void {
    for (const topicPartition of topicPartitions) this.source.seek(topicPartition, offset);
    this.source.allow(64 * 1024 * 1024);
  }

  position(topicPartition: TopicPartition): number | undefined {
    return this.#next.get(keyOf(topicPartition));
  }

  /** Gives up what a revocation names. */
  release(topicPartitions: readonly TopicPartition[]): void {
    for (const topicPartition of topicPartitions) this.owned.delete(keyOf(topicPartition));
    this.source.released(topicPartitions);
  }

  of<T extends SourceEvent['type']>(type: T): Extract<SourceEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<SourceEvent, { type: T }> => event.type === type);
  }
}
