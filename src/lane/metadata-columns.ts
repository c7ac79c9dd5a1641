import type { BytesColumn, Column, Columns, Int32Column, Int64Column } from '../arrow/columns.ts';
import { setLengthPresent } from '../arrow/set-length.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';

/**
 * Where a row came from. With these columns duplicates and gaps are a matter of one SQL query, by any engine.
 * The timestamp may be missing: records of ancient producers have none.
 */
export const metadataFields: readonly Field[] = [
  { id: 0, name: '_kafka_topic', required: true, type: { kind: 'string' } },
  { id: 0, name: '_kafka_partition', required: true, type: { kind: 'int' } },
  { id: 0, name: '_kafka_offset', required: true, type: { kind: 'long' } },
  { id: 0, name: '_kafka_timestamp', required: false, type: { kind: 'timestamptz' } },
];

/** Whether a column of this name and type is filled with metadata. One of another type is a column as any other. */
export function isMetadataField(field: Field): boolean {
  return metadataFields.some(({ name, type }) => name === field.name && type.kind === field.type.kind);
}

/** Appends the metadata of the records from `first` up to `to`. */
export type MetadataWriter = (
  from: TopicPartition,
  records: RecordColumns,
  first: number,
  to: number,
) => void;

/** Writers for those metadata columns that the table has, under their name and with their type. */
export function metadataWriters(columns: Columns): MetadataWriter[] {
  const column = <C extends Column>(name: string): C | undefined => {
    const index = columns.schema.fields.findIndex((field) => field.name === name && isMetadataField(field));
    return columns.columns[index] as C | undefined;
  };
  const writers: MetadataWriter[] = [];
  const topic = column<BytesColumn>('_kafka_topic');
  if (topic) writers.push(topicWriter(topic));
  const partition = column<Int32Column>('_kafka_partition');
  if (partition)
    writers.push((from, _records, first, to) => appendSame(partition, from.partition, to - first));
  const offset = column<Int64Column>('_kafka_offset');
  if (offset) writers.push((_from, { offsets }, first, to) => appendNumbers(offset, offsets, first, to, 1));
  const timestamp = column<Int64Column>('_kafka_timestamp');
  if (timestamp) writers.push((_from, records, first, to) => appendTimes(timestamp, records, first, to));
  return writers;
}

function topicWriter(column: BytesColumn): MetadataWriter {
  let name = '';
  let text: Buffer = Buffer.alloc(0);
  return ({ topic }, _records, first, to) => {
    if (topic !== name) {
      name = topic;
      text = Buffer.from(topic);
    }
    appendSameText(column, text, to - first);
  };
}

function appendSameText(column: BytesColumn, text: Buffer, count: number): void {
  column.makeRoom(count);
  const { length, offsets } = column;
  let end = offsets[length]!;
  column.reserveData(end + count * text.length);
  column.data.set(text, end);
  // What is there is doubled until it is enough.
  const whole = end + count * text.length;
  for (let filled = end + text.length; filled < whole; filled += filled - end)
    column.data.copyWithin(filled, end, Math.min(filled, end + whole - filled));
  for (let row = length; row < length + count; row++) offsets[row + 1] = end += text.length;
  setLengthPresent(column, length + count);
}

function appendSame(column: Int32Column, value: number, count: number): void {
  column.makeRoom(count);
  column.values.fill(value, column.length, column.length + count);
  setLengthPresent(column, column.length + count);
}

/** Appends `numbers[first, to)`, each times `factor`: integers that doubles hold exactly. */
function appendNumbers(
  column: Int64Column,
  numbers: Float64Array,
  first: number,
  to: number,
  factor: number,
): void {
  column.makeRoom(to - first);
  const { halves } = column;
  for (let i = first, at = column.length * 2; i < to; i++, at += 2) {
    const value = numbers[i]! * factor;
    halves[at] = value | 0;
    halves[at + 1] = Math.floor(value / 4294967296);
  }
  setLengthPresent(column, column.length + to - first);
}

function appendTimes(column: Int64Column, { timestamps }: RecordColumns, first: number, to: number): void {
  let from = first;
  for (let i = first; i < to; i++) {
    if (timestamps[i]! >= 0) continue;
    appendNumbers(column, timestamps, from, i, 1000);
    column.appendNull();
    from = i + 1;
  }
  appendNumbers(column, timestamps, from, to, 1000);
}
