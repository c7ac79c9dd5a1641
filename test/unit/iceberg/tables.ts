import { newTableMetadata, type Snapshot, type TableMetadata } from '../../../src/iceberg/metadata.ts';
import { newSpec } from '../../../src/iceberg/partition-by.ts';

/** Table metadata to change in tests. */

export const createdAtMs = 1_700_000_000_000;

export function newTable(properties: Record<string, string> = {}): TableMetadata {
  return newTableMetadata({
    uuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
    location: 'file:///warehouse/shop/orders',
    fields: [
      { id: 0, name: 'id', required: true, type: { kind: 'long' } },
      { id: 0, name: 'region', required: false, type: { kind: 'string' } },
    ],
    spec: (schema) => newSpec(schema, ['region']),
    properties,
    nowMs: createdAtMs,
  });
}

export function snapshot(id: bigint, sequenceNumber: number, timestampMs: number, parent?: bigint): Snapshot {
  return {
    'snapshot-id': id,
    ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }),
    'sequence-number': sequenceNumber,
    'timestamp-ms': timestampMs,
    'manifest-list': `file:///warehouse/shop/orders/metadata/snap-${id}.avro`,
    summary: { operation: 'append' },
    'schema-id': 0,
  };
}
