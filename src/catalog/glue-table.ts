import type { Column, Table, TableInput } from '@aws-sdk/client-glue';
import { FatalError, TransientError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { TableMetadata } from '../iceberg/metadata.ts';

/**
 * An Iceberg table as Glue keeps it. `metadata_location` is what counts; columns and types are for people and for
 * consoles, in the words of Java's `IcebergToGlueConverter`, and nobody reads data by them.
 */

const tableType = 'table_type';
const metadataLocation = 'metadata_location';
const previousMetadataLocation = 'previous_metadata_location';

// What Glue holds at most (its API: Column, TableInput); more than that and it refuses the whole table.
const nameCharsMax = 255;
const typeCharsMax = 131_072;
const commentCharsMax = 255;
const descriptionCharsMax = 2048;

/**
 * Where the metadata of a table is.
 * @throws {FatalError} when it is no Iceberg table. @throws {TransientError} when it is only about to become one.
 */
export function locationOf(table: Table, doing: string): string {
  const { Parameters: parameters = {}, TableType: kind, TargetTable: target } = table;
  if (target)
    throw new FatalError(
      `${doing}: in Glue this is a link to ${target.DatabaseName}.${target.Name} of catalog ${target.CatalogId}: name ` +
        'that table, and its catalog in catalog.catalogId',
    );
  const type = parameters[tableType];
  if (type?.toLowerCase() !== 'iceberg') {
    const found = type === undefined ? `${kind ?? 'a table'} without table_type` : `table_type ${type}`;
    throw new FatalError(
      `${doing}: in Glue this is no Iceberg table (${found}): drop it, or choose another name in tables`,
    );
  }
  const location = parameters[metadataLocation];
  // With Lake Formation, Java makes the table first and its metadata after it.
  if (!location) throw new TransientError(`${doing}: in Glue it has no metadata_location yet`);
  return location;
}

/**
 * What Glue is told of a table whose metadata is at `location`. What others have put into an existing table stays:
 * parameters, owner, retention, comments on columns that have none in the schema.
 */
export function tableInput(
  name: string,
  location: string,
  metadata: TableMetadata,
  existing?: Table,
): TableInput {
  const { Owner, LastAccessTime, LastAnalyzedTime, Retention, PartitionKeys } = existing ?? {};
  const storage = existing?.StorageDescriptor;
  const parameters = existing?.Parameters ?? {};
  const previous = parameters[metadataLocation];
  const { comment } = metadata.properties;
  const elsewhere = additionalLocations(metadata);
  return {
    Owner,
    LastAccessTime,
    LastAnalyzedTime,
    Retention,
    PartitionKeys,
    Name: name,
    TableType: 'EXTERNAL_TABLE',
    Description: comment === undefined ? existing?.Description : cut(comment, descriptionCharsMax),
    Parameters: {
      ...parameters,
      [tableType]: 'ICEBERG',
      [metadataLocation]: location,
      ...(previous ? { [previousMetadataLocation]: previous } : {}),
    },
    StorageDescriptor: {
      ...storage,
      Location: metadata.location,
      Columns: columns(metadata, storage?.Columns ?? []),
      ...(elsewhere.length > 0 ? { AdditionalLocations: elsewhere } : {}),
    },
  };
}

/** Columns of the current schema, then those that only other schemas have. */
function columns(metadata: TableMetadata, existing: readonly Column[]): Column[] {
  const comments = new Map(existing.map((column) => [column.Name, column.Comment]));
  const isCurrent = (schema: JsonObject): boolean =>
    (schema['schema-id'] ?? 0) === metadata['current-schema-id'];
  const schemas = metadata.schemas as JsonObject[];
  const byName = new Map<string, Column>();
  for (const schema of [...schemas.filter(isCurrent), ...schemas.filter((each) => !isCurrent(each))])
    for (const field of schema['fields'] as JsonObject[]) {
      const column = columnOf(field, isCurrent(schema), comments.get(field['name'] as string));
      if (column && !byName.has(column.Name!)) byName.set(column.Name!, column);
    }
  return [...byName.values()];
}

/** Undefined for a column that Glue cannot hold: it is missing in consoles, which is better than a table that is refused. */
function columnOf(field: JsonObject, current: boolean, known: string | undefined): Column | undefined {
  const name = field['name'] as string;
  const type = glueType(field['type']!);
  if (name === '' || name.length > nameCharsMax || type.length > typeCharsMax) return undefined;
  if (/\p{Cc}/u.test(name + type)) return undefined;
  const comment = (field['doc'] as string | undefined) || known;
  return {
    Name: name,
    Type: type,
    ...(comment ? { Comment: cut(comment.replace(/\p{Cc}+/gu, ' '), commentCharsMax) } : {}),
    Parameters: {
      'iceberg.field.id': String(field['id']),
      'iceberg.field.optional': String(!field['required']),
      'iceberg.field.current': String(current),
    },
  };
}

/** The name of an Iceberg type in Glue. From JSON: other schemas may have types that this program does not know. */
function glueType(type: Json): string {
  if (typeof type === 'string') {
    const [, kind, rest] = /^([^([]*)(.*)$/s.exec(type)!;
    if (kind === 'decimal') return `decimal${rest!.replaceAll(' ', '')}`;
    return primitiveTypes[kind!] ?? kind!.toLowerCase();
  }
  const nested = type as JsonObject;
  switch (nested['type']) {
    case 'struct': {
      const fields = nested['fields'] as JsonObject[];
      return `struct<${fields.map((field) => `${field['name']}:${glueType(field['type']!)}`).join(',')}>`;
    }
    case 'list':
      return `array<${glueType(nested['element']!)}>`;
    default:
      return `map<${glueType(nested['key']!)},${glueType(nested['value']!)}>`;
  }
}

type JsonObject = { [key: string]: Json };

const primitiveTypes: Readonly<Record<string, string>> = {
  long: 'bigint',
  time: 'string',
  uuid: 'string',
  timestamptz: 'timestamp',
  fixed: 'binary',
};

/** Where else the table has files: Lake Formation vends credentials for these too. */
function additionalLocations({ properties }: TableMetadata): string[] {
  const names = [
    'write.data.path',
    'write.metadata.path',
    'write.object-storage.path',
    'write.folder-storage.path',
  ];
  return [...new Set(names.flatMap((name) => properties[name] ?? []))];
}

/** At most so many characters, none of them half. */
function cut(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replace(/[\uD800-\uDBFF]$/, '');
}
