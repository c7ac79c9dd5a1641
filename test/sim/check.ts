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
    for (const entry of parsed(objects.get(manifest.path), (bytes) => readManifest(bytes, manifest.path))) {
      if (entry.status === 'deleted') continue;
      for (const [partition, offset] of parsed(objects.get(entry.path), rowsOf)) {
        const key = keyOf({ topic, partition });
        const offsets = found.get(key);
        if (offsets) offsets.push(offset);
        else found.set(key, [offset]);
      }
    }
  }
  return found;
}

function rowsOf(bytes: Uint8Array): [number, number][] {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as [number, number][];
}

const known = new WeakMap<Uint8Array, unknown>();

/** Objects never change, and most are looked at after every commit: each is parsed once. One that is gone is still an error. */
function parsed<T>(bytes: Uint8Array, parse: (bytes: Uint8Array) => T): T {
  if (!known.has(bytes)) known.set(bytes, parse(bytes));
  return known.get(bytes) as T;
}
