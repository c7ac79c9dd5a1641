import { readManifest } from '../../src/iceberg/manifest.ts';
import { readManifestList } from '../../src/iceberg/manifest-list.ts';
import { branchHead, parseMetadata, type TableMetadata } from '../../src/iceberg/metadata.ts';
import { keyOf, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import type { SimObjects, SimPointers } from './storage.ts';

/** What a reader sees: the table through its bytes, never through a writer's memory. */
export function readTable(
  objects: SimObjects,
  pointers: SimPointers,
  table: string,
): { metadata: TableMetadata; location: string } {
  const location = pointers.pointers.get(table)!;
  return { metadata: parseMetadata(Buffer.from(objects.get(location)).toString('utf8'), location), location };
}

/** Live rows by topic-partition, in the order found: a doubled offset is there twice. */
export function liveOffsets(
  objects: SimObjects,
  metadata: TableMetadata,
  topic: string,
): Map<TopicPartitionKey, number[]> {
  const found = new Map<TopicPartitionKey, number[]>();
  const head = branchHead(metadata, 'main');
  if (!head) return found;
  for (const manifest of readManifestList(objects.get(head['manifest-list']), head['manifest-list'])) {
    for (const entry of readManifest(objects.get(manifest.path), manifest.path)) {
      if (entry.status === 'deleted') continue;
      const rows = JSON.parse(Buffer.from(objects.get(entry.path)).toString('utf8')) as [number, number][];
      for (const [partition, offset] of rows) {
        const key = keyOf({ topic, partition });
        const offsets = found.get(key);
        if (offsets) offsets.push(offset);
        else found.set(key, [offset]);
      }
    }
  }
  return found;
}
