import type { BytesColumn, Column, Columns, Int32Column, Int64Column } from '../arrow/columns.ts';
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
    writers.push((from, _records, first, to) => {
      for (let i = first; i < to; i++) partition.append(from.partition);
    });
  const offset = column<Int64Column>('_kafka_offset');
  if (offset)
    writers.push((_from, { offsets }, first, to) => {
      for (let i = first; i < to; i++) offset.appendNumber(offsets[i]!);
    });
  const timestamp = column<Int64Column>('_kafka_timestamp');
  if (timestamp)
    writers.push((_from, { timestamps }, first, to) => {
      for (let i = first; i < to; i++) {
        const ms = timestamps[i]!;
        if (ms < 0) timestamp.appendNull();
        else timestamp.appendNumber(ms * 1000);
      }
    });
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
    for (let i = first; i < to; i++) column.append(text, 0, text.length);
  };
}
