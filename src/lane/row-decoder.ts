import { type Column, Columns } from '../arrow/columns.ts';
import { DecodeError, type Decoder } from '../decode/decoder.ts';
import type { SchemaSource } from '../decode/registry.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import { type FormatPorts, keyDecoder, valueDecoder } from './format.ts';
import type { TablePlan } from './lane.ts';
import { isMetadataField, type MetadataWriter, metadataWriters } from './metadata-columns.ts';

/** Turns records into rows of one table: the value's columns, the key's, and those that tell where a row came from. */
export class RowDecoder {
  /** The rows so far. */
  readonly rows: Columns;
  readonly #value: Decoder;
  readonly #key: Decoder | undefined;
  readonly #keyColumn: Column | undefined;
  readonly #isKeyRequired: boolean = false;
  readonly #metadata: readonly MetadataWriter[];
  #topic = '';
  #topicBytes: Buffer = Buffer.alloc(0);

  constructor(
    plan: Pick<TablePlan, 'schema' | 'value' | 'key' | 'keyColumn'>,
    registries: Map<string, SchemaSource>,
    ports: FormatPorts,
  ) {
    this.rows = new Columns(plan.schema);
    const { fields } = plan.schema;
    const { columns } = this.rows;
    const isOurs = (field: Field): boolean => field.name === plan.keyColumn || isMetadataField(field);
    const ofValue = [...fields.keys()].filter((i) => !isOurs(fields[i]!));
    const valueFields = ofValue.map((i) => fields[i]!);
    const valueColumns = ofValue.map((i) => columns[i]!);
    this.#value = valueDecoder(plan.value, valueFields, valueColumns, registries, ports);
    const keyIndex = fields.findIndex((field) => field.name === plan.keyColumn);
    if (keyIndex !== -1) {
      this.#keyColumn = columns[keyIndex]!;
      this.#isKeyRequired = fields[keyIndex]!.required;
      this.#key = keyDecoder(plan.key, fields[keyIndex]!, this.#keyColumn, registries, ports);
    }
    this.#metadata = metadataWriters(this.rows);
  }

  /** Fetches the schemas that a batch needs. */
  async prepare(records: RecordColumns): Promise<void> {
    await this.#value.prepare(records);
    await this.#key?.prepare(records);
  }

  /** Appends record `i`, which has a value, as a row. @throws {DecodeError} with the rows as they were. */
  append(from: TopicPartition, records: RecordColumns, i: number): void {
    const before = this.rows.rows;
    try {
      const start = records.valueStarts[i]!;
      this.#value.append(records.bytes, records.view, start, start + records.valueLengths[i]!);
      if (this.#key) this.#appendKey(this.#key, records, i);
    } catch (error) {
      this.rows.truncate(before);
      throw error;
    }
    if (from.topic !== this.#topic) {
      this.#topic = from.topic;
      this.#topicBytes = Buffer.from(from.topic);
    }
    for (const write of this.#metadata) write(from, this.#topicBytes, records, i);
  }

  #appendKey(decoder: Decoder, records: RecordColumns, i: number): void {
    const length = records.keyLengths[i]!;
    const start = records.keyStarts[i]!;
    if (length < 0) {
      if (this.#isKeyRequired) throw new DecodeError('key', 'null in a required column');
      this.#keyColumn!.appendNull();
      return;
    }
    try {
      decoder.append(records.bytes, records.view, start, start + length);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new DecodeError(error.field === '' ? 'key' : `key ${error.field}`, error.reason);
    }
  }
}
