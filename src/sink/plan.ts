import { FatalError } from '../base/errors.ts';
import type { Table, TableCreation } from '../catalog/catalog.ts';
import { dataLocation } from '../iceberg/data-location.ts';
import { currentSchema, defaultSpec, type TableMetadata } from '../iceberg/metadata.ts';
import { newSpec } from '../iceberg/partition-by.ts';
import { partitionTypes } from '../iceberg/partition-spec.ts';
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
  checkVersion(metadata, doing);
  const schema = currentSchema(metadata);
  const spec = defaultSpec(metadata);
  try {
    partitionTypes(spec, schema);
  } catch (error) {
    throw new FatalError(`${doing}: ${(error as Error).message}`, { cause: error });
  }
  if (options.keyColumn !== undefined && !schema.fields.some((field) => field.name === options.keyColumn))
    throw new FatalError(`${doing}: it has no column ${options.keyColumn} for the key (keyColumn)`);
  const { folder, hashed } = dataLocation(metadata.location, metadata.properties);
  return {
    table: options.table,
    schema,
    spec,
    properties: metadata.properties,
    dataLocation: folder,
    hashed,
    filePrefix: `frazil-${sink.pipeline}-${sink.worker}`,
    value: options.value,
    key: options.key,
    keyColumn: options.keyColumn,
    onError: options.onError,
    onTombstone: options.onTombstone,
  };
}

function checkVersion({ 'format-version': version, properties }: TableMetadata, doing: string): void {
  if (version === 1)
    throw new FatalError(
      `${doing}: its format-version is 1, only version 2 can be written; upgrade it by setting the table property ` +
        'format-version to 2',
    );
  if (version !== 2)
    throw new FatalError(`${doing}: its format-version is ${version}, only version 2 can be written`);
  // Java writes every file of such a table encrypted: ours would lie there in the clear.
  if (properties['encryption.key-id'] !== undefined)
    throw new FatalError(`${doing}: it is encrypted (encryption.key-id), which is not supported`);
}

/**
 * What a table asks of its writers and this program does otherwise. Its readers find their way all the same: each is a
 * matter of layout.
 */
export function unheeded({ metadata }: Table): string[] {
  const { properties } = metadata;
  const format = properties['write.format.default']?.toLowerCase() ?? 'parquet';
  const order = metadata['default-sort-order-id'] ?? 0;
  return [
    ...(format === 'parquet' ? [] : [`write.format.default is ${format}: files are written as Parquet`]),
    ...(order === 0 ? [] : ['it has a sort order: files are written unsorted, and are marked so']),
    ...(properties['write.location-provider.impl'] === undefined
      ? []
      : [
          'write.location-provider.impl names a class of Java: files go where the other properties say, write.data.path first',
        ]),
  ];
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
    spec: (schema) => newSpec(schema, options.partitionBy),
    properties: options.properties,
  };
}
