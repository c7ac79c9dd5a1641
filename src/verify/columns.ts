import { FatalError } from '../base/errors.ts';
import { currentSchema, type TableMetadata } from '../iceberg/metadata.ts';
import { schemaFromJson } from '../iceberg/schema.ts';
import type { Field } from '../iceberg/types.ts';
import type { ColumnRef } from '../parquet/file-facts.ts';

/** The columns that say which record a row was. */
export interface OffsetColumns {
  readonly topic: ColumnRef | undefined;
  readonly partition: ColumnRef | undefined;
  readonly offset: ColumnRef;
}

export interface ColumnNames {
  readonly topic: string;
  readonly partition: string;
  readonly offset: string;
}

/**
 * Finds the columns by their names, in the present schema or, where they were dropped or renamed since, in earlier ones.
 * @returns undefined when the table never had a column of offsets.
 * @throws {FatalError} when one is of a type that no such column has.
 */
export function findColumns(metadata: TableMetadata, names: ColumnNames): OffsetColumns | undefined {
  const schemas = [currentSchema(metadata), ...metadata.schemas.map(schemaFromJson).reverse()];
  const find = (name: string, kinds: readonly Field['type']['kind'][]): ColumnRef | undefined => {
    const field = schemas.flatMap(({ fields }) => fields).find((each) => each.name === name);
    if (!field || kinds.includes(field.type.kind)) return field;
    throw new FatalError(`verifying: column ${name} is ${field.type.kind}, expected ${kinds.join(' or ')}`);
  };
  const offset = find(names.offset, ['long', 'int']);
  if (!offset) return undefined;
  return {
    topic: find(names.topic, ['string']),
    partition: find(names.partition, ['int', 'long']),
    offset,
  };
}
