import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow';
import type { Column, Columns } from '../../src/arrow/columns.ts';
import { assert } from '../../src/base/assert.ts';
import type { Type } from '../../src/iceberg/types.ts';

/**
 * The Arrow schema of an Iceberg schema (protocol "Types -> Parquet"): field ids on every node, so that they end up on
 * every node of the Parquet file.
 */
export function arrowSchema(columns: Columns): Schema {
  return new Schema(
    columns.schema.fields.map((field) => arrowField(field.name, field.type, !field.required, field.id)),
  );
}

function arrowField(name: string, type: Type, nullable: boolean, id: number): Field {
  return new Field(name, arrowType(type), nullable, new Map([['PARQUET:field_id', String(id)]]));
}

function arrowType(type: Type): DataType {
  switch (type.kind) {
    case 'boolean':
      return new Bool();
    case 'int':
      return new Int32();
    case 'long':
      return new Int64();
    case 'float':
      return new Float32();
    case 'double':
      return new Float64();
    case 'date':
      return new DateDay();
    case 'time':
      return new TimeMicrosecond();
    case 'timestamp':
      return new TimestampMicrosecond();
    case 'timestamptz':
      return new TimestampMicrosecond('UTC');
    case 'string':
      return new Utf8();
    case 'binary':
      return new Binary();
    case 'uuid':
      return new FixedSizeBinary(16);
    case 'fixed':
      return new FixedSizeBinary(type.length);
    case 'decimal':
      return new Decimal(type.scale, type.precision, 128);
    case 'struct':
      return new Struct(
        type.fields.map((field) => arrowField(field.name, field.type, !field.required, field.id)),
      );
    case 'list':
      return new List(arrowField('element', type.element, !type.elementRequired, type.elementId));
    case 'map': {
      const key = arrowField('key', type.key, false, type.keyId);
      const value = arrowField('value', type.value, !type.valueRequired, type.valueId);
      return new Map_(
        new Field('key_value', new Struct<{ key: DataType; value: DataType }>([key, value]), false),
      );
    }
  }
}

/** The rows of `columns` as a record batch. */
export function recordBatch(columns: Columns, schema: Schema): RecordBatch {
  const children = columns.columns.map((column, i) => toData(column, schema.fields[i]!.type));
  const struct = makeData({ type: new Struct(schema.fields), length: columns.rows, nullCount: 0, children });
  return new RecordBatch(schema, struct);
}

/** Arrow data over a column's own memory. */
function toData(column: Column, type: DataType): Data {
  const { length, nullCount } = column;
  const nulls = column.validity
    ? { nullCount, nullBitmap: column.validity.subarray(0, (length + 7) >> 3) }
    : { nullCount: 0 };
  // makeData is overloaded per type; the switch has already decided which overload is meant.
  const make = (props: Record<string, unknown>): Data =>
    makeData({ type, length, ...nulls, ...props } as never);
  switch (column.kind) {
    case 'boolean':
      return make({ data: column.values.subarray(0, (length + 7) >> 3) });
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return make({ data: column.values.subarray(0, length) });
    case 'decimal':
      return make({ data: column.words.subarray(0, length * 4) });
    case 'fixed':
      return make({ data: column.values.subarray(0, length * column.width) });
    case 'bytes':
      return make({
        valueOffsets: column.offsets.subarray(0, length + 1),
        data: column.data.subarray(0, column.offsets[length]!),
      });
    case 'struct':
      return make({ children: column.children.map((child, i) => toData(child, type.children![i]!.type)) });
    case 'list':
      return make({
        valueOffsets: column.offsets.subarray(0, length + 1),
        child: toData(column.element, type.children![0]!.type),
      });
    case 'map': {
      assert(column.key.length === column.value.length, 'a map has as many values as keys');
      const entries = type.children![0]!.type;
      const child = makeData({
        type: entries as Struct,
        length: column.key.length,
        nullCount: 0,
        children: [
          toData(column.key, entries.children![0]!.type),
          toData(column.value, entries.children![1]!.type),
        ],
      });
      return make({ valueOffsets: column.offsets.subarray(0, length + 1), child });
    }
  }
}
