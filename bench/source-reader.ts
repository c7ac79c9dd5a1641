/**
 * Reads a topic to its end with one client, as a process of its own, and prints what it took as JSON. For source.ts.
 *
 *   node bench/source-reader.ts frazil BROKERS TOPIC COUNT
 */
import { createRequire } from 'node:module';
import { Consumer, MessagesStreamModes } from '@platformatic/kafka';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import { KafkaSource } from '../src/kafka/kafka-source.ts';
import { RecordSetReader } from '../src/kafka/record-set.ts';
import type { RecordSet } from '../src/kafka/source.ts';
import { Wire } from '../src/kafka/wire.ts';

export type Client = 'frazil' | 'platformatic' | 'kafkajs' | 'confluent';

/** From the first record to the last: joining a group is not what is measured. */
export interface Reading {
  records: number;
  bytes: number;
  seconds: number;
  cpuSeconds: number;
  rssBytesPeak: number;
}

/** Counts records and the bytes of their values, which is the least that anybody does with them. */
class Count {
  records = 0;
  bytes = 0;
  readonly done: Promise<void>;
  readonly #wanted: number;
  readonly #resolve: () => void;
  #startedAt = 0;
  #cpu = process.cpuUsage();
  #reading: Reading | undefined;

  constructor(wanted: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    [this.done, this.#resolve, this.#wanted] = [promise, resolve, wanted];
  }

  /** Call before the first record is looked at. */
  begin(): void {
    if (this.#startedAt !== 0) return;
    this.#startedAt = performance.now();
    this.#cpu = process.cpuUsage();
  }

  add(records: number, bytes: number): void {
    this.records += records;
    this.bytes += bytes;
    if (this.records < this.#wanted || this.#reading) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#reading = {
      records: this.records,
      bytes: this.bytes,
      seconds: (performance.now() - this.#startedAt) / 1000,
      cpuSeconds: (user + system) / 1e6,
      rssBytesPeak: process.resourceUsage().maxRSS * 1024,
    };
    this.#resolve();
  }

  get reading(): Reading {
    return this.#reading!;
  }
}

type Read = (brokers: string[], topic: string, count: Count) => Promise<void>;

/** Group names must be new each time, or nothing is read. */
const group = (): string => `bench-${process.pid}-${Date.now()}`;
const heldBytesMax = 64 << 20;

const readers: Record<Client, Read> = {
  /** The source as the sink has it, and each record set decoded to columns on the same thread. */
  async frazil(brokers, topic, count) {
    const wire = new Wire({ brokers, clientId: 'bench' }, systemClock);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const ports = { clock: systemClock, random: systemRandom, log, wire };
    const source = new KafkaSource({ group: group(), topics: [topic] }, ports);
    await source.start((event) => {
      if (event.type === 'failed') throw event.error;
      if (event.type === 'assigned') for (const each of event.topicPartitions) source.seek(each, 0);
      if (event.type !== 'records') return;
      count.begin();
      decode(event.set, count);
      source.allow(heldBytesMax);
    });
    source.allow(heldBytesMax);
    await count.done;
  },

  async platformatic(brokers, topic, count) {
    const consumer = new Consumer({ groupId: group(), clientId: 'bench', bootstrapBrokers: brokers });
    const stream = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.EARLIEST,
      autocommit: false,
      isolationLevel: 1,
      maxWaitTime: 250,
      highWaterMark: 4096,
    });
    stream.on('data', ({ value }) => {
      count.begin();
      count.add(1, value.length);
    });
    await count.done;
  },

  async kafkajs(brokers, topic, count) {
    const { Kafka, logLevel } = rivals('kafkajs');
    const consumer = new Kafka({ clientId: 'bench', brokers, logLevel: logLevel.ERROR }).consumer({
      groupId: group(),
      maxBytesPerPartition: 4 << 20,
      maxBytes: 16 << 20,
      readUncommitted: false,
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async ({
        batch,
        resolveOffset,
      }: {
        batch: { messages: { value: Buffer; offset: string }[] };
        resolveOffset(offset: string): void;
      }) => {
        count.begin();
        let bytes = 0;
        for (const { value } of batch.messages) bytes += value.length;
        resolveOffset(batch.messages.at(-1)!.offset);
        count.add(batch.messages.length, bytes);
      },
    });
    await count.done;
  },

  async confluent(brokers, topic, count) {
    const { KafkaConsumer } = rivals('@confluentinc/kafka-javascript');
    const settings = {
      'group.id': group(),
      'metadata.broker.list': brokers.join(),
      'enable.auto.commit': false,
      'fetch.message.max.bytes': 4 << 20,
      'queued.max.messages.kbytes': 65_536,
    };
    const consumer = new KafkaConsumer(settings, { 'auto.offset.reset': 'earliest' });
    await new Promise((ready) => consumer.connect({}, ready));
    consumer.subscribe([topic]);
    const next = (): void =>
      consumer.consume(5_000, (error: Error | null, messages: { value: Buffer }[] = []) => {
        if (error) throw error;
        if (messages.length > 0) count.begin();
        let bytes = 0;
        for (const { value } of messages) bytes += value.length;
        count.add(messages.length, bytes);
        setImmediate(next);
      });
    next();
    await count.done;
  },
};

function decode(set: RecordSet, count: Count): void {
  const { buffer, byteOffset, byteLength } = set.records;
  const reader = new RecordSetReader(Buffer.from(buffer, byteOffset, byteLength), set.from, set.aborted);
  while (reader.read()) {
    const { columns } = reader;
    let bytes = 0;
    for (let i = 0; i < columns.count; i++) bytes += columns.valueLengths[i]!;
    count.add(columns.count, bytes);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: other people's packages, which are not here when types are checked.
function rivals(name: string): any {
  return createRequire(new URL('rivals/package.json', import.meta.url))(name);
}

const [client, brokers, topic, wanted] = process.argv.slice(2) as [Client, string, string, string];
const count = new Count(Number(wanted));
await readers[client](brokers.split(','), topic, count);
console.log(JSON.stringify(count.reading));
process.exit();
