import { FatalError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Schema } from './schema.ts';
import { isPrimitive, type PrimitiveType, type Type, typeName } from './types.ts';
import { decimalText, isoDate, isoTime, isoTimestamp } from './value-text.ts';

/** How rows are divided into table partitions (spec "Partitioning"). */
export interface PartitionSpec {
  specId: number;
  fields: readonly PartitionField[];
}

export interface PartitionField {
  sourceId: number;
  fieldId: number;
  name: string;
  /** The spec's text: `identity`, `bucket[16]`, `day`, ... */
  transform: string;
}

/**
 * One value of a partition tuple. Integers, dates and times as number or bigint, decimals as unscaled bigint,
 * uuid, fixed and binary as bytes.
 */
export type PartitionValue = null | boolean | number | bigint | string | Uint8Array;

export const unpartitioned: PartitionSpec = { specId: 0, fields: [] };
const firstFieldId = 1000;

export function specToJson(spec: PartitionSpec): { [key: string]: Json } {
  return { 'spec-id': spec.specId, fields: partitionFieldsToJson(spec) };
}

export function partitionFieldsToJson(spec: PartitionSpec): Json[] {
  return spec.fields.map((field) => ({
    'source-id': field.sourceId,
    'field-id': field.fieldId,
    name: field.name,
    transform: field.transform,
  }));
}

export function specFromJson(json: Json): PartitionSpec {
  const object = json as { [key: string]: Json };
  return {
    specId: object['spec-id'] as number,
    fields: (object['fields'] as { [key: string]: Json }[]).map((field, i) => ({
      sourceId: field['source-id'] as number,
      fieldId: (field['field-id'] as number | undefined) ?? firstFieldId + i,
      name: field['name'] as string,
      transform: field['transform'] as string,
    })),
  };
}

/** The spec that divides by the values of the named top-level columns. @throws {FatalError} naming the column. */
export function identitySpec(schema: Schema, columns: readonly string[]): PartitionSpec {
  const fields = columns.map((name, i) => {
    const field = schema.fields.find((candidate) => candidate.name === name);
    if (!field) throw new FatalError(`partitioning by ${name}: the table has no such column`);
    if (!canDivide(field.type))
      throw new FatalError(`partitioning by ${name}: a ${typeName(field.type)} cannot be a partition value`);
    if (columns.indexOf(name) !== i) throw new FatalError(`partitioning by ${name}: it is named twice`);
    return { sourceId: field.id, fieldId: firstFieldId + i, name, transform: 'identity' };
  });
  return { specId: 0, fields };
}

/** Whether a new table may be divided by a column: neither Java nor PyIceberg finds a uuid's partition (apache/iceberg#14216). */
export function canDivide(type: Type): boolean {
  return divides(type) && type.kind !== 'uuid';
}

/**
 * Java's library reads and writes fixed values in manifests as if they were bytes: it cannot read a table divided by them
 * when the manifests are as the specification has them, nor can others read Java's.
 */
function divides(type: Type): type is PrimitiveType {
  return isPrimitive(type) && type.kind !== 'fixed';
}

/** The highest partition field id given so far; 999 for a table that never had one (spec "Partition Specs"). */
export function lastPartitionId(specs: readonly PartitionSpec[]): number {
  return Math.max(firstFieldId - 1, ...specs.flatMap((spec) => spec.fields.map((field) => field.fieldId)));
}

/**
 * The type of each partition value. Identity keeps the source's type.
 * @throws {FatalError} for a transform this program does not compute, or a source that is gone.
 */
export function partitionTypes(spec: PartitionSpec, schema: Schema): PrimitiveType[] {
  return spec.fields.map((field) => {
    if (field.transform !== 'identity')
      throw new FatalError(
        `partition field ${field.name}: transform ${field.transform} is not supported, only identity`,
      );
    const source = schema.fields.find((candidate) => candidate.id === field.sourceId);
    if (!source)
      throw new FatalError(
        `partition field ${field.name}: its source column ${field.sourceId} is not a top-level column`,
      );
    if (!divides(source.type))
      throw new FatalError(
        `partition field ${field.name}: a ${typeName(source.type)} cannot be a partition value`,
      );
    return source.type;
  });
}

/**
 * The folder of a partition below the table's data folder, `region=eu/day=2024-03-01`, empty when unpartitioned.
 * A convention for people: readers go by the manifest's tuple (Java `PartitionSpec.partitionToPath`).
 */
export function partitionPath(
  spec: PartitionSpec,
  types: readonly PrimitiveType[],
  values: readonly PartitionValue[],
): string {
  return spec.fields
    .map((field, i) => `${urlEncode(field.name)}=${urlEncode(valueText(types[i]!, values[i]!))}`)
    .join('/');
}

/** A partition value as people read it. */
function valueText(type: PrimitiveType, value: PartitionValue): string {
  if (value === null) return 'null';
  switch (type.kind) {
    case 'date':
      return isoDate(Number(value));
    case 'time':
      return isoTime(BigInt(value as bigint));
    case 'timestamp':
      return isoTimestamp(BigInt(value as bigint));
    case 'timestamptz':
      return `${isoTimestamp(BigInt(value as bigint))}+00:00`;
    case 'decimal':
      return decimalText(BigInt(value as bigint), type.scale);
    case 'uuid': {
      const hex = Buffer.from(value as Uint8Array).toString('hex');
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      );
    }
    case 'fixed':
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('base64');
    default:
      return String(value);
  }
}

/** `application/x-www-form-urlencoded`, as Java's `URLEncoder` does: space is `+`, `*-._` stay. */
function urlEncode(text: string): string {
  return encodeURIComponent(text)
    .replace(/%20/g, '+')
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
