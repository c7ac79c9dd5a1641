import { FatalError, messageOf } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { type Place, type Schema, singleFields } from './schema.ts';
import { type PartitionValue, parseTransform, partitionText, resultType } from './transforms.ts';
import { isPrimitive, type PrimitiveType, typeName } from './types.ts';

/** How rows are divided into table partitions (spec "Partitioning"). */
export interface PartitionSpec {
  specId: number;
  fields: readonly PartitionField[];
}

export interface PartitionField {
  sourceId: number;
  /** In place of `sourceId`, of a transform of several columns (format version 3). */
  sourceIds?: readonly number[];
  fieldId: number;
  name: string;
  /** The spec's text: `identity`, `bucket[16]`, `day`, ... */
  transform: string;
}

export const unpartitioned: PartitionSpec = { specId: 0, fields: [] };
export const firstPartitionFieldId = 1000;

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
    fields: (object['fields'] as { [key: string]: Json }[]).map((field, i) => {
      const sourceIds = (field['source-ids'] as number[] | undefined) ?? [];
      return {
        sourceId: (field['source-id'] as number | undefined) ?? sourceIds[0]!,
        ...(sourceIds.length > 1 ? { sourceIds } : {}),
        fieldId: (field['field-id'] as number | undefined) ?? firstPartitionFieldId + i,
        name: field['name'] as string,
        transform: field['transform'] as string,
      };
    }),
  };
}

/** The highest partition field id given so far; 999 for a table that never had one (spec "Partition Specs"). */
export function lastPartitionId(specs: readonly PartitionSpec[]): number {
  return Math.max(
    firstPartitionFieldId - 1,
    ...specs.flatMap((spec) => spec.fields.map((field) => field.fieldId)),
  );
}

/**
 * The type of each partition value.
 * @throws {FatalError} for what this program does not compute, and when a column that divides the table is gone.
 */
export function partitionTypes(spec: PartitionSpec, schema: Schema): PrimitiveType[] {
  const places = singleFields(schema.fields);
  return spec.fields.map((field) => {
    try {
      return partitionType(field, places);
    } catch (error) {
      throw new FatalError(`partition field ${field.name}: ${messageOf(error)}`, { cause: error });
    }
  });
}

function partitionType(field: PartitionField, places: readonly Place[]): PrimitiveType {
  if (field.sourceIds)
    throw new FatalError(`transform ${field.transform} of several columns is not supported`);
  const transform = parseTransform(field.transform);
  const source = places.find((place) => place.field.id === field.sourceId);
  if (!source) {
    // What is always null needs no column; its type is nowhere to be seen any more, and of no account.
    if (transform.kind === 'void') return { kind: 'int' };
    throw new FatalError(`its source column ${field.sourceId} is gone, or inside a list or map`);
  }
  const { type } = source.field;
  if (!isPrimitive(type)) throw new FatalError(`a ${typeName(type)} cannot be a partition value`);
  return resultType(transform, type);
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
    .map((field, i) => {
      const text = partitionText(parseTransform(field.transform), types[i]!, values[i]!);
      return `${urlEncode(field.name)}=${urlEncode(text)}`;
    })
    .join('/');
}

/** `application/x-www-form-urlencoded`, as Java's `URLEncoder` does: space is `+`, `*-._` stay. */
function urlEncode(text: string): string {
  return encodeURIComponent(text)
    .replace(/%20/g, '+')
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
