import { FatalError } from '../base/errors.ts';
import type { Table, TableCreation } from '../catalog/catalog.ts';
import { currentSchema, defaultSpec } from '../iceberg/metadata.ts';
import { identitySpec, partitionTypes } from '../iceberg/partition-spec.ts';
import type { Field } from '../iceberg/types.ts';
import type { TablePlan } from '../lane/lane.ts';
import { metadataFields } from '../lane/metadata-columns.ts';
import type { SinkOptions, TableOptions } from './options.ts';

/**
 * What lanes must know to write into a table.
 * @throws {FatalError} when this program cannot write into it, before anything is written.
 */
export function planTable(
  table: Table,
  options: TableOptions,
  sink: Pick<SinkOptions, 'pipeline' | 'worker'>,
): TablePlan {
  const { metadata } = table;
  const doing = `opening table ${options.table}`;
  const version = metadata['format-version'];
  if (version !== 2)
    throw new FatalError(`${doing}: its format-version is ${version}, only version 2 can be written`);
  const schema = currentSchema(metadata);
  const spec = defaultSpec(metadata);
  try {
    partitionTypes(spec, schema);
  } catch (error) {
    throw new FatalError(`${doing}: ${(error as Error).message}`, { cause: error });
  }
  if (options.keyColumn !== undefined && !schema.fields.some((field) => field.name === options.keyColumn))
    throw new FatalError(`${doing}: it has no column ${options.keyColumn} for the key (keyColumn)`);
  return {
    table: options.table,
    schema,
    spec,
    properties: metadata.properties,
    dataLocation: (metadata.properties['write.data.path'] ?? `${metadata.location}/data`).replace(/\/+$/, ''),
    filePrefix: `frazil-${sink.pipeline}-${sink.worker}`,
    value: options.value,
    key: options.key,
    keyColumn: options.keyColumn,
    onError: options.onError,
    onTombstone: options.onTombstone,
  };
}

/** The table to create for `fields` of the value (and key), with the metadata columns where they are asked for. */
export function creationOf(fields: readonly Field[], options: TableOptions): TableCreation {
  const all = options.metadataColumns ? [...fields, ...metadataFields] : [...fields];
  const taken = new Map<string, string>();
  for (const { name } of all) {
    // Most engines fold the case of names: two columns that differ in it only make a table they cannot read.
    const other = taken.get(name.toLowerCase());
    if (other !== undefined)
      throw new FatalError(
        `creating table ${options.table}: columns ${other} and ${name} have the same name for most engines`,
      );
    taken.set(name.toLowerCase(), name);
  }
  return {
    fields: all,
    spec: (schema) => identitySpec(schema, options.partitionBy),
    properties: options.properties,
  };
}
