/**
 * Produces orders to a topic, quickly: record batches are built here and sent as they are (batch-producer.ts). From the
 * command line: localstack/produce.
 */
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config/config.ts';
import { type BatchRecord, writeBatch } from '../src/kafka/write-batch.ts';
import { BatchProducer } from './batch-producer.ts';
import { OrderWriter, orderSchema } from './orders.ts';

export interface ProduceOptions {
  brokers: string;
  topic: string;
  partitions: number;
  count: number;
  format: 'avro' | 'json';
  registry?: string | undefined;
  codec?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  seed?: number;
  /** Records a second; as fast as it goes when absent. */
  rate?: number | undefined;
  /** JSON only: values are padded to this many bytes with text that does not compress, in a field `pad`. */
  padTo?: number | undefined;
  onProgress?: (sent: number) => void;
  /** Ends it early. */
  signal?: AbortSignal;
}

const recordsPerBatch = 1000;

/** Registers the order schema as the topic's value schema. @returns its id. */
async function registerOrders(registry: string, topic: string): Promise<number> {
  const response = await fetch(`${registry}/subjects/${topic}-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(orderSchema) }),
  });
  if (!response.ok)
    throw new Error(`registering the order schema: HTTP ${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: number }).id;
}

/** Creates the topic if need be and produces. @returns how many records were acknowledged, per partition. */
export async function produceOrders(options: ProduceOptions): Promise<number[]> {
  const producer = await BatchProducer.open(options.brokers, options.topic, options.partitions);
  try {
    const schemaId = options.format === 'avro' ? await registerOrders(options.registry!, options.topic) : 0;
    const orders = new OrderWriter(options.seed);
    const acknowledged = new Array<number>(producer.partitions).fill(0);
    const startedAt = performance.now();
    const inFlight: Promise<void>[] = [];
    for (let sent = 0, batch = 0; sent < options.count && !options.signal?.aborted; batch++) {
      const partition = batch % producer.partitions;
      // Every partition gets its share, also of few records.
      const share = Math.ceil(options.rate ? options.rate / 20 : options.count / producer.partitions);
      const perBatch = Math.min(recordsPerBatch, share);
      const size = Math.min(perBatch, options.count - sent);
      const records = nextRecords(orders, size, schemaId, options.padTo);
      const bytes = writeBatch(
        { baseOffset: 0, baseTimestamp: Date.now(), codec: options.codec ?? 'none' },
        records,
      );
      const sending = producer.send(partition, bytes).then(() => {
        acknowledged[partition]! += size;
      });
      sending.catch(() => {}); // awaited below
      inFlight.push(sending);
      if (inFlight.length >= 8) await inFlight.shift();
      sent += size;
      options.onProgress?.(sent);
      if (options.rate) await pause(startedAt + (sent / options.rate) * 1000 - performance.now());
    }
    await Promise.all(inFlight);
    return acknowledged;
  } finally {
    await producer.close();
  }
}

function nextRecords(
  orders: OrderWriter,
  size: number,
  schemaId: number,
  padTo: number | undefined,
): BatchRecord[] {
  return Array.from({ length: size }, (_, i) => {
    const value = Buffer.from(schemaId === 0 ? orders.json(padTo) : orders.avro(schemaId));
    return { offsetDelta: i, timestampDelta: 0, key: null, value };
  });
}

async function pause(ms: number): Promise<void> {
  if (ms > 1) await new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', short: 'c' },
      partitions: { type: 'string', default: '4' },
      count: { type: 'string', default: '1000000' },
      codec: { type: 'string', default: 'none' },
      rate: { type: 'string' },
    },
  });
  if (values.config === undefined) throw new Error('name the configuration: -c frazil.yaml');
  const { source, decode } = loadConfig(values.config);
  const topic = source.topics[0]!;
  const count = Number(values.count);
  const startedAt = performance.now();
  const live = process.stderr.isTTY;
  await produceOrders({
    brokers: source.brokers.join(','),
    registry: decode.value.format === 'avro' ? decode.value.registry.url : undefined,
    topic,
    partitions: Number(values.partitions),
    count,
    format: decode.value.format,
    codec: values.codec as 'none',
    rate: values.rate === undefined ? undefined : Number(values.rate),
    onProgress: (sent) => live && process.stderr.write(`\r${sent} of ${count} orders`),
  });
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`${live ? '\r' : ''}${count} orders to ${topic} in ${seconds.toFixed(1)} s`);
  process.exit(0);
}
