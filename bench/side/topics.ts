import { ConnectionPool, deleteTopicsV6 } from '@platformatic/kafka';
import { BatchProducer } from '../../localstack/batch-producer.ts';
import { type BatchRecord, writeBatch } from '../../src/kafka/write-batch.ts';
import { pause } from '../../test/tools/pipeline.ts';
import type { Cell } from './cells.ts';
import { avroSchema, ValueWriter } from './records.ts';

/** Where Kafka and the schema registry (Confluent's API) are. */
export interface Servers {
  readonly brokers: string;
  readonly registry: string;
}

/** Record batches as they go into each topic of a cell. */
export interface Batches {
  readonly batches: readonly { partition: number; bytes: Buffer }[];
  readonly records: number;
  /** Of the values, uncompressed. */
  readonly valueBytes: number;
}

const recordsPerBatch = 1_000;
const inFlightMax = 8;

/** Puts the cell's schema under the subjects of these topics. @returns its id, the same for all; 0 for JSON. */
export async function registerSchema(
  cell: Cell,
  { registry }: Servers,
  topics: readonly string[],
): Promise<number> {
  if (cell.format === 'json') return 0;
  const ids = new Set<number>();
  for (const topic of topics) {
    const response = await fetch(`${registry}/subjects/${topic}-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema: JSON.stringify(avroSchema(cell)) }),
    });
    if (!response.ok)
      throw new Error(`registering the schema of ${topic}: HTTP ${response.status} ${await response.text()}`);
    ids.add(((await response.json()) as { id: number }).id);
  }
  if (ids.size !== 1) throw new Error(`registering the schema of ${topics}: it has the ids ${[...ids]}`);
  return [...ids][0]!;
}

/** Writes `records` values into batches, spread over the partitions. */
export function makeBatches(cell: Cell, schemaId: number, records: number): Batches {
  const values = new ValueWriter(cell, schemaId);
  const batches: { partition: number; bytes: Buffer }[] = [];
  const perBatch = Math.max(1, Math.min(recordsPerBatch, Math.floor(records / cell.partitions)));
  let valueBytes = 0;
  for (let made = 0; made < records; made += perBatch) {
    const batch = nextRecords(values, Math.min(perBatch, records - made));
    valueBytes += batch.reduce((bytes, { value }) => bytes + value!.length, 0);
    const bytes = writeBatch({ baseOffset: 0, baseTimestamp: Date.now(), codec: cell.codec }, batch);
    batches.push({ partition: batches.length % cell.partitions, bytes });
  }
  return { batches, records, valueBytes };
}

const nextRecords = (values: ValueWriter, count: number): BatchRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    offsetDelta: i,
    timestampDelta: 0,
    key: null,
    value: values.next(),
  }));

/** Makes empty topics. */
export async function makeTopics(cell: Cell, { brokers }: Servers, topics: readonly string[]): Promise<void> {
  for (const topic of topics) await (await BatchProducer.open(brokers, topic, cell.partitions)).close();
}

/** Deletes topics; Kafka takes their files from the disk a minute later. One broker is the controller, too. */
export async function removeTopics({ brokers }: Servers, topics: readonly string[]): Promise<void> {
  const [host, port] = brokers.split(':');
  const pool = new ConnectionPool('bench', { requestTimeout: 60_000 });
  try {
    const connection = await pool.get({ host: host!, port: Number(port) });
    await deleteTopicsV6.api.async(
      connection,
      topics.map((name) => ({ name })),
      10_000,
    );
  } finally {
    await pool.close();
  }
}

/** Puts the batches into each of the topics, as fast as it goes. */
export async function fillTopics(
  cell: Cell,
  { brokers }: Servers,
  topics: readonly string[],
  { batches }: Batches,
): Promise<void> {
  for (const topic of topics) {
    const producer = await BatchProducer.open(brokers, topic, cell.partitions);
    try {
      const inFlight: Promise<void>[] = [];
      for (const { partition, bytes } of batches) {
        const sending = producer.send(partition, bytes);
        sending.catch(() => {}); // awaited below
        inFlight.push(sending);
        if (inFlight.length >= inFlightMax) await inFlight.shift();
      }
      await Promise.all(inFlight);
    } finally {
      await producer.close();
    }
  }
}

const batchesPerSecond = 40;

/**
 * Produces `rate` records a second for so many seconds; `updated_at` of each is the time at which its batch, 25 ms worth
 * of records, was made and sent. @returns how many were acknowledged.
 */
export async function produceSteadily(
  cell: Cell,
  { brokers }: Servers,
  topic: string,
  schemaId: number,
  rate: number,
  seconds: number,
): Promise<number> {
  const producer = await BatchProducer.open(brokers, topic, cell.partitions);
  try {
    const values = new ValueWriter(cell, schemaId, { now: Date.now });
    const startedAt = performance.now();
    const sending: Promise<void>[] = [];
    const perBatch = Math.round(rate / batchesPerSecond);
    for (let batch = 0; batch < seconds * batchesPerSecond; batch++) {
      await pause(Math.max(0, startedAt + (batch / batchesPerSecond) * 1000 - performance.now()));
      const bytes = writeBatch(
        { baseOffset: 0, baseTimestamp: Date.now(), codec: cell.codec },
        nextRecords(values, perBatch),
      );
      const sent = producer.send(batch % cell.partitions, bytes);
      sent.catch(() => {}); // awaited below
      sending.push(sent);
    }
    await Promise.all(sending);
    return sending.length * perBatch;
  } finally {
    await producer.close();
  }
}
