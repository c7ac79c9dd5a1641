import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import avsc from 'avsc';
import { orderColumns, orderSchema } from '../localstack/orders.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Log } from '../src/base/log.ts';
import { seededRandom } from '../src/base/random.ts';
import { column } from '../src/config/columns.ts';
import { unpartitioned } from '../src/iceberg/partition-spec.ts';
import { assignFieldIds, type Schema } from '../src/iceberg/schema.ts';
import type { Field } from '../src/iceberg/types.ts';
import { KafkaSource } from '../src/kafka/kafka-source.ts';
import { RecordSetReader } from '../src/kafka/record-set.ts';
import type { RecordSet } from '../src/kafka/source.ts';
import { Wire } from '../src/kafka/wire.ts';
import type { ValueFormat } from '../src/lane/format.ts';
import { inlineLane } from '../src/lane/inline.ts';
import type { TablePlan } from '../src/lane/lane.ts';
import { metadataFields } from '../src/lane/metadata-columns.ts';
import { OpenFile } from '../src/lane/open-file.ts';
import { RowDecoder } from '../src/lane/row-decoder.ts';
import { encodingOptions } from '../src/parquet/encoder.ts';
import { parquetEncoder } from '../src/parquet/file-writer.ts';
import { LocalStore, localLocation } from '../src/storage/local.ts';
import { type Cost, costOf, medianCost } from './measure.ts';

/** The parts of a lane on their own, each over the same records, in this process. */

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const ports = { clock: systemClock, random: seededRandom(1), log: silent, fetch };

/** Fetches all record sets of a topic. */
export async function fetchAll(
  brokers: readonly string[],
  topic: string,
  partitions: number,
): Promise<{ sets: RecordSet[]; cost: Cost }> {
  const wire = new Wire({ brokers, clientId: 'bench' }, systemClock);
  const numbers = Array.from({ length: partitions }, (_, i) => i);
  const source = new KafkaSource(
    { group: 'bench', topics: [topic], partitions: { [topic]: numbers } },
    { ...ports, wire },
  );
  const sets: RecordSet[] = [];
  const done = Promise.withResolvers<void>();
  const left = new Map<number, number>();
  const { topicPartitions } = await source.start((event) => {
    if (event.type === 'failed') done.reject(event.error);
    if (event.type !== 'records') return;
    sets.push(event.set);
    source.allow(64 << 20);
    if (event.set.next >= left.get(event.set.partition)!) left.delete(event.set.partition);
    if (left.size === 0) done.resolve();
  });
  const ends = await source.listOffsets(topicPartitions, 'latest');
  for (const { partition, ...rest } of topicPartitions)
    left.set(partition, ends.get(`${rest.topic}-${partition}`)!);
  const cost = await costOf(async () => {
    source.allow(64 << 20);
    for (const topicPartition of topicPartitions) source.seek(topicPartition, 0);
    await done.promise;
  });
  await source.close();
  return { sets, cost };
}

/** The lane's plan for a table of orders, as the sink would make it. */
export function ordersPlan(value: ValueFormat, folder: string): TablePlan {
  const fields = orderColumns.map((raw) => column.read(raw, [], () => {}) as Field);
  const schema: Schema = { schemaId: 0, ...assignFieldIds([...fields, ...metadataFields]) };
  return {
    table: 'bench.orders',
    schema,
    spec: unpartitioned,
    properties: { 'write.parquet.compression-codec': 'zstd' },
    dataLocation: localLocation(folder),
    filePrefix: 'bench',
    value,
    key: { format: 'bytes' },
    keyColumn: undefined,
    onError: 'halt',
    onTombstone: 'skip',
  };
}

const readerOf = (set: RecordSet): RecordSetReader =>
  new RecordSetReader(
    Buffer.from(set.records.buffer, set.records.byteOffset, set.records.byteLength),
    set.from,
    set.aborted,
  );

/** Each step of a lane, what libraries need for the same decoding, and the lane as a whole. */
export async function laneParts(
  sets: readonly RecordSet[],
  value: ValueFormat,
): Promise<Record<string, Cost>> {
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  const plan = ordersPlan(value, folder);
  const encoding = encodingOptions(plan.properties);
  const decode = new RowDecoder(plan, new Map(), ports);
  /** Decodes everything; `onChunk` gets the rows as they go to the encoder. */
  const decodeAll = async (
    onChunk?: (columns: RowDecoder['rows']) => Promise<void> | void,
  ): Promise<void> => {
    for (const set of sets) {
      const reader = readerOf(set);
      while (reader.read()) {
        await decode.prepare(reader.columns);
        decode.append(set, reader.columns, 0, reader.columns.count);
        if (decode.rows.rows < 65_536) continue;
        await onChunk?.(decode.rows);
        decode.rows.truncate(0);
      }
    }
    if (decode.rows.rows > 0) await onChunk?.(decode.rows);
    decode.rows.truncate(0);
  };
  try {
    return {
      'read record sets (CRC, columns)': await medianCost(3, () => {
        for (const set of sets) for (const reader = readerOf(set); reader.read(); );
      }),
      '+ decode into columns': await medianCost(3, () => decodeAll()),
      '+ Parquet (zstd), with the bounds for manifests': await medianCost(3, async () => {
        const file = new OpenFile(plan, [], parquetEncoder, encoding);
        await decodeAll((columns) => file.encode(columns));
        await file.close('file:///nowhere');
      }),
      'lane, with files on disk': await medianCost(3, async () => {
        const lane = inlineLane({ ...ports, store: new LocalStore(), encoder: parquetEncoder });
        await lane.open(plan);
        for (const partition of new Set(sets.map((set) => set.partition)))
          await lane.seek(plan.table, { topic: sets[0]!.topic, partition }, 0);
        for (const set of sets) await lane.append(set);
        await lane.flush(plan.table);
        await lane.close();
      }),
      [`by the library: ${value.format === 'avro' ? 'avsc to objects' : 'JSON.parse'}`]: await medianCost(
        3,
        () => (value.format === 'avro' ? avscObjects(sets) : jsonObjects(sets)),
      ),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let kept: unknown;

function avscObjects(sets: readonly RecordSet[]): void {
  const type = avsc.Type.forSchema(orderSchema as unknown as avsc.Schema);
  eachValue(sets, (bytes, start, end) => {
    kept = type.fromBuffer(bytes.subarray(start + 5, end));
  });
}

function jsonObjects(sets: readonly RecordSet[]): void {
  eachValue(sets, (bytes, start, end) => {
    kept = JSON.parse(bytes.toString('utf8', start, end));
  });
}

function eachValue(
  sets: readonly RecordSet[],
  take: (bytes: Buffer, start: number, end: number) => void,
): void {
  for (const set of sets) {
    const reader = readerOf(set);
    while (reader.read()) {
      const { count, bytes, valueStarts, valueLengths } = reader.columns;
      for (let i = 0; i < count; i++) take(bytes, valueStarts[i]!, valueStarts[i]! + valueLengths[i]!);
    }
  }
  if (kept === undefined) throw new Error('nothing was decoded');
}
