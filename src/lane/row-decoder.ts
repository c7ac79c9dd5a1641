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
  /** Why the record at which {@link append} stopped makes no row. */
  failure: DecodeError | undefined;
  readonly #value: Decoder;
  readonly #valueColumns: readonly Column[];
  readonly #key: Decoder | undefined;
  readonly #keyColumn: Column | undefined;
  readonly #isKeyRequired: boolean = false;
  readonly #metadata: readonly MetadataWriter[];

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
    this.#valueColumns = ofValue.map((i) => columns[i]!);
    this.#value = valueDecoder(plan.value, valueFields, this.#valueColumns, registries, ports);
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

  /**
   * Appends the records from `first` up to `to`, which all have a value, as rows. Returns `to`, or the first record that
   * makes no row: nothing of it is in the rows then.
   */
  append(from: TopicPartition, records: RecordColumns, first: number, to: number): number {
    const before = this.rows.rows;
    const { bytes, view, valueStarts: starts, valueLengths: lengths } = records;
    let end = this.#value.append({ bytes, view, starts, lengths }, first, to);
    this.failure = this.#value.failure;
    if (this.#key) {
      const behindValues = end;
      end = this.#appendKeys(this.#key, records, first, behindValues);
      if (end < behindValues) for (const column of this.#valueColumns) column.truncate(before + end - first);
    }
    if (end > first) for (const write of this.#metadata) write(from, records, first, end);
    return end;
  }

  #appendKeys(decoder: Decoder, records: RecordColumns, first: number, to: number): number {
    const { bytes, view, keyStarts: starts, keyLengths: lengths } = records;
    for (let i = first; i < to; ) {
      if (lengths[i]! < 0) {
        if (this.#isKeyRequired) {
          this.failure = new DecodeError('key', 'null in a required column');
          return i;
        }
        this.#keyColumn!.appendNull();
        i++;
        continue;
      }
      let behind = i + 1;
      while (behind < to && lengths[behind]! >= 0) behind++;
      const end = decoder.append({ bytes, view, starts, lengths }, i, behind);
      if (end < behind) {
        const { field, reason } = decoder.failure!;
        this.failure = new DecodeError(field === '' ? 'key' : `key ${field}`, reason);
        return end;
      }
      i = behind;
    }
    return to;
  }
}
