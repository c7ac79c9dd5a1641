import { randomUUID } from 'node:crypto';
import type { Json } from '../../src/base/json.ts';
import type { TableIdentifier } from '../../src/catalog/catalog.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';
import { parseMetadata, type TableMetadata, writeMetadata } from '../../src/iceberg/metadata.ts';
import type { Store } from '../../src/storage/store.ts';

/** What other programs do to a table of a metastore: they write metadata and move the pointer. */
export async function changeForeign(
  pointers: Pointers,
  store: Store,
  identifier: TableIdentifier,
  change: (metadata: TableMetadata) => TableMetadata,
): Promise<void> {
  const from = (await pointers.get(identifier))!;
  const metadata = parseMetadata(Buffer.from(await store.get(from.location)).toString(), from.location);
  const next = change(metadata);
  const to = `${next.location}/metadata/foreign-${randomUUID()}.metadata.json`;
  await store.put(to, [Buffer.from(writeMetadata(next))]);
  const outcome = await pointers.swap(identifier, from, to, next);
  if (outcome.type !== 'applied') throw new Error(`a foreign change was ${outcome.type}: ${outcome.reason}`);
}

/** The metadata with one more optional column of strings. */
export function withColumn(metadata: TableMetadata, name: string): TableMetadata {
  const schemas = metadata.schemas as { [key: string]: Json }[];
  const current = schemas.find((schema) => schema['schema-id'] === metadata['current-schema-id'])!;
  const [schemaId, columnId] = [metadata['current-schema-id'] + 1, metadata['last-column-id'] + 1];
  const fields = [...(current['fields'] as Json[]), { id: columnId, name, required: false, type: 'string' }];
  return {
    ...metadata,
    'last-updated-ms': metadata['last-updated-ms'] + 1,
    schemas: [...schemas, { ...current, 'schema-id': schemaId, fields }],
    'current-schema-id': schemaId,
    'last-column-id': columnId,
  };
}
