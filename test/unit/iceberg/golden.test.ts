import { describe, expect, test } from 'vitest';
import { readManifest, writeManifest } from '../../../src/iceberg/manifest.ts';
import { readManifestList, writeManifestList } from '../../../src/iceberg/manifest-list.ts';
import { currentSchema, defaultSpec, parseMetadata, writeMetadata } from '../../../src/iceberg/metadata.ts';
import { partitionTypes } from '../../../src/iceberg/partition-spec.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { type AvroNode, readAvroBytes } from './avro-bytes.ts';
import { decodeBound } from './bounds.ts';
import { goldenBytes, goldenJson, goldenText } from './golden.ts';

interface Planned {
  path: string;
  partition: Record<string, Canonical>;
  recordCount: string;
  fileSizeBytes: string;
  lowerBounds: Record<string, Canonical>;
  upperBounds: Record<string, Canonical>;
}

const metadataOf = (name: string) => parseMetadata(goldenText(`${name}.metadata.json`), name);

describe.each([
  ['java-v1', 1],
  ['java-v2', 2],
  ['java-v2-flat', 2],
  ['pyiceberg-v1', 1],
  ['pyiceberg-v2', 2],
])('a table of %s', (name, version) => {
  test('has metadata that is read with all its snapshots', () => {
    const metadata = metadataOf(name);
    expect(metadata['format-version']).toBe(version);
    expect(metadata.snapshots).toHaveLength(2);
    const [first, second] = metadata.snapshots;
    expect(typeof second!['snapshot-id']).toBe('bigint');
    expect(metadata.refs['main']).toEqual({ 'snapshot-id': second!['snapshot-id'], type: 'branch' });
    expect(metadata['current-snapshot-id']).toBe(second!['snapshot-id']);
    expect(second!['parent-snapshot-id']).toBe(first!['snapshot-id']);
    expect(first!['parent-snapshot-id']).toBeUndefined();
    expect(second!.summary['total-records']).toBe('4');
    expect(currentSchema(metadata).fields.map(({ name: column }) => column)).toContain('größe');
    expect(defaultSpec(metadata).fields.map(({ transform }) => transform)).not.toContain('void');
    // The writer's digits come back: no id is rounded on the way.
    for (const snapshot of metadata.snapshots)
      expect(goldenText(`${name}.metadata.json`)).toContain(`"snapshot-id":${snapshot['snapshot-id']}`);
  });

  test('has metadata that keeps everything when it is written again', () => {
    const given = goldenJson<object>(`${name}.metadata.json`);
    const written = JSON.parse(writeMetadata(metadataOf(name)));
    expect(written).toMatchObject(withoutNulls(given) as object);
  });

  test('has a manifest list whose rows are read', () => {
    const metadata = metadataOf(name);
    const rows = readManifestList(goldenBytes(`${name}.list.avro`), name);
    expect(rows).toHaveLength(2);
    const raw = readAvroBytes(goldenBytes(`${name}.list.avro`)).blocks.flat() as AvroNode[];
    for (const [i, row] of rows.entries()) {
      expect(row.path).toBe(raw[i].manifest_path);
      expect(row.length).toBe(Number(raw[i].manifest_length));
      expect(row.addedSnapshotId).toBe(raw[i].added_snapshot_id);
      expect(row.content).toBe(0);
      expect([row.sequenceNumber, row.minSequenceNumber]).toEqual(version === 1 ? [0, 0] : [2 - i, 2 - i]);
      expect(row.partitions).toHaveLength(defaultSpec(metadata).fields.length);
    }
    // The newest is first; each manifest is all new in its own snapshot.
    const [newest, oldest] = rows;
    expect(newest!.addedSnapshotId).toBe(metadata['current-snapshot-id']);
    expect([newest!.addedFiles, newest!.existingFiles, newest!.deletedFiles]).toEqual([1, 0, 0]);
    expect([newest!.addedRows, newest!.existingRows, newest!.deletedRows]).toEqual([1, 0, 0]);
    expect(oldest!.addedRows).toBe(3);
    for (const summary of oldest!.partitions!) expect(summary.containsNull).toBe(true);
    for (const summary of newest!.partitions!) expect(summary.containsNull).toBe(false);
  });

  test('has a manifest whose entries are those that Java plans', () => {
    const entries = readManifest(goldenBytes(`${name}.manifest.avro`), name);
    const planned = goldenJson<Planned[]>(`${name}.plan.json`);
    const types = new Map(currentSchema(metadataOf(name)).fields.map(({ id, type }) => [id, type]));
    const shown = (bounds: Map<number, Uint8Array>): Record<string, Canonical> =>
      Object.fromEntries([...bounds].map(([id, bytes]) => [id, decodeBound(types.get(id) as never, bytes)]));
    expect(entries.length).toBeGreaterThan(0);
    for (const entry of entries) {
      const file = planned.find(({ path }) => path === entry.path)!;
      expect(entry.status).toBe('added');
      expect(entry.content).toBe(0);
      expect(String(entry.recordCount)).toBe(file.recordCount);
      expect(String(entry.fileSizeBytes)).toBe(file.fileSizeBytes);
      expect(Object.keys(entry.partition)).toEqual(Object.keys(file.partition));
      expect(shown(entry.lowerBounds)).toEqual(file.lowerBounds);
      expect(shown(entry.upperBounds)).toEqual(file.upperBounds);
    }
  });
});

test.each(['java-v2', 'java-v2-flat'])('manifests are laid out as Java lays out those of %s', (name) => {
  const metadata = metadataOf(name);
  const [schema, spec] = [currentSchema(metadata), defaultSpec(metadata)];
  const ours = readAvroBytes(writeManifest(schema, spec, partitionTypes(spec, schema), [], Buffer.alloc(16)));
  const java = readAvroBytes(goldenBytes(`${name}.manifest.avro`));
  expect(ours.schema).toEqual(sanitized(withoutDocs(java.schema)));
  for (const key of ['format-version', 'content', 'partition-spec-id'])
    expect(ours.metadata[key]).toBe(java.metadata[key]);
  expect(JSON.parse(ours.metadata['schema']!)).toEqual(JSON.parse(java.metadata['schema']!));
  expect(JSON.parse(ours.metadata['partition-spec']!)).toEqual(JSON.parse(java.metadata['partition-spec']!));
});

test('manifest lists are laid out as Java lays them out', () => {
  const java = readAvroBytes(goldenBytes('java-v2.list.avro'));
  const header = { snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 1 };
  const ours = readAvroBytes(writeManifestList(header, [], Buffer.alloc(16)));
  expect(ours.schema).toEqual(withoutDocs(java.schema));
  for (const key of ['snapshot-id', 'parent-snapshot-id', 'sequence-number', 'format-version'])
    expect(Object.keys(java.metadata)).toContain(key);
});

test('rows of Java’s and PyIceberg’s lists say the same when they are copied into ours', () => {
  for (const name of ['java-v2', 'java-v2-flat', 'pyiceberg-v2']) {
    const rows = readManifestList(goldenBytes(`${name}.list.avro`), name);
    const header = { snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 3 };
    const copied = readAvroBytes(writeManifestList(header, rows, Buffer.alloc(16)));
    expect(copied.blocks.flat()).toEqual(readAvroBytes(goldenBytes(`${name}.list.avro`)).blocks.flat());
  }
});

function withoutDocs(node: AvroNode): AvroNode {
  if (Array.isArray(node)) return node.map(withoutDocs);
  if (node === null || typeof node !== 'object') return node;
  return Object.fromEntries(
    Object.entries(node).flatMap(([key, value]) => (key === 'doc' ? [] : [[key, withoutDocs(value)]])),
  );
}

/** Java leaves letters of all alphabets in Avro names, which Avro itself does not allow. */
function sanitized(node: AvroNode): AvroNode {
  if (Array.isArray(node)) return node.map(sanitized);
  if (node === null || typeof node !== 'object') return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, sanitized(value)]));
  return node.name === 'größe' ? { ...copy, name: 'gr_xF6_xDFe', 'iceberg-field-name': 'größe' } : copy;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (member === null ? [] : [[key, withoutNulls(member)]])),
  );
}
