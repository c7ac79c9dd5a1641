import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { type Json, parseJson } from '../../../src/base/json.ts';
import {
  branchHead,
  currentSchema,
  defaultSpec,
  lineageOf,
  newTableMetadata,
  parseMetadata,
  type Snapshot,
  type TableMetadata,
  writeMetadata,
} from '../../../src/iceberg/metadata.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { createdAtMs, newTable, snapshot } from './tables.ts';

const written = (metadata: Parameters<typeof writeMetadata>[0]): { [key: string]: Json } =>
  parseJson(writeMetadata(metadata)) as { [key: string]: Json };

/** Metadata of format version 2 with ids that a double would round. */
const text = `{
  "format-version": 2,
  "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
  "location": "s3://bucket/orders",
  "last-sequence-number": 34,
  "last-updated-ms": 1602638573590,
  "last-column-id": 1,
  "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": true, "type": "long", "initial-default": 5}]},
              {"type": "struct", "schema-id": 1, "identifier-field-ids": [1], "fields": [{"id": 1, "name": "x", "required": true, "type": "long"}]}],
  "current-schema-id": 1,
  "partition-specs": [{"spec-id": 0, "fields": []}, {"spec-id": 3, "fields": [{"source-id": 1, "field-id": 1000, "name": "x", "transform": "identity"}]}],
  "default-spec-id": 3,
  "last-partition-id": 1000,
  "sort-orders": [{"order-id": 3, "fields": [{"transform": "identity", "source-id": 1, "direction": "asc", "null-order": "nulls-first"}]}],
  "default-sort-order-id": 3,
  "properties": {"owner": "me"},
  "current-snapshot-id": 9223372036854775807,
  "refs": {"main": {"snapshot-id": 9223372036854775807, "type": "branch", "max-ref-age-ms": 10000000},
           "old": {"snapshot-id": 12, "type": "tag", "future": [9007199254740993]}},
  "snapshots": [
    {"snapshot-id": 12, "timestamp-ms": 1515100955770, "sequence-number": 0, "summary": {"operation": "append"}, "manifest-list": "s3://a/1.avro"},
    {"snapshot-id": 9223372036854775807, "parent-snapshot-id": 12, "timestamp-ms": 1555100955770, "sequence-number": 1,
     "summary": {"operation": "append", "added-records": "3"}, "manifest-list": "s3://a/2.avro", "schema-id": 1, "key-id": "k"}],
  "snapshot-log": [{"snapshot-id": 12, "timestamp-ms": 1515100955770}, {"snapshot-id": 9223372036854775807, "timestamp-ms": 1555100955770}],
  "metadata-log": [{"metadata-file": "s3://bucket/v1.json", "timestamp-ms": 1515100955760}],
  "statistics": [{"snapshot-id": 9223372036854775807, "statistics-path": "s3://s.puffin", "file-size-in-bytes": 413}],
  "invented-later": {"id": 9007199254740993, "list": [1, null]}
}`;

test('ids of 63 bits are exact, small ones are bigints too', () => {
  const metadata = parseMetadata(text, 'v3.json');
  expect(metadata['current-snapshot-id']).toBe(2n ** 63n - 1n);
  expect(metadata.snapshots.map((snapshot) => snapshot['snapshot-id'])).toEqual([12n, 2n ** 63n - 1n]);
  expect(metadata.snapshots[1]!['parent-snapshot-id']).toBe(12n);
  expect(metadata.refs['old']!['snapshot-id']).toBe(12n);
  expect(metadata['snapshot-log'].map((entry) => entry['snapshot-id'])).toEqual([12n, 2n ** 63n - 1n]);
  expect(metadata['last-sequence-number']).toBe(34);
});

test('metadata says the same when it is written again, members from later versions included', () => {
  expect(written(parseMetadata(text, 'v3.json'))).toEqual(parseJson(text));
});

test('current schema, default spec and branch heads are found', () => {
  const metadata = parseMetadata(text, 'v3.json');
  expect(currentSchema(metadata)).toEqual({
    schemaId: 1,
    identifierFieldIds: [1],
    fields: [{ id: 1, name: 'x', required: true, type: { kind: 'long' } }],
  });
  expect(defaultSpec(metadata).specId).toBe(3);
  expect(branchHead(metadata, 'main')!['sequence-number']).toBe(1);
  expect(branchHead(metadata, 'old')!['snapshot-id']).toBe(12n);
  expect(branchHead(metadata, 'other')).toBeUndefined();
  expect(() => currentSchema({ ...metadata, 'current-schema-id': 9 })).toThrow(
    'its current schema 9 is missing',
  );
  expect(() => defaultSpec({ ...metadata, 'default-spec-id': 9 })).toThrow('its default spec 9 is missing');
});

/** The text with some members given other JSON, or (undefined) taken away. */
function changed(members: Record<string, string | undefined>): string {
  const raw = parseJson(text) as Record<string, unknown>;
  for (const [name, json] of Object.entries(members)) {
    if (json === undefined) delete raw[name];
    else raw[name] = parseJson(json);
  }
  return writeMetadata({ 'current-snapshot-id': null, ...raw } as never);
}

test.each(['-1', 'null', undefined])('a table without a snapshot says so with %s', (current) => {
  const metadata = parseMetadata(
    changed({
      'current-snapshot-id': current,
      refs: undefined,
      snapshots: undefined,
      'snapshot-log': undefined,
    }),
    'v1.json',
  );
  expect(metadata['current-snapshot-id']).toBeNull();
  expect(metadata.refs).toEqual({});
  expect(branchHead(metadata, 'main')).toBeUndefined();
  expect(written(metadata)['current-snapshot-id']).toBe(-1);
});

test('a writer that knows no refs means main', () => {
  const metadata = parseMetadata(changed({ refs: undefined, 'current-snapshot-id': '12' }), 'v1.json');
  expect(metadata.refs).toEqual({ main: { 'snapshot-id': 12n, type: 'branch' } });
  expect(branchHead(metadata, 'main')!['snapshot-id']).toBe(12n);
});

test('nulls that Java does not read are not written, whoever wrote them before', () => {
  const nulls = {
    refs: 'null',
    statistics: 'null',
    'partition-statistics': 'null',
    properties: 'null',
    'snapshot-log': 'null',
    'metadata-log': 'null',
    'current-snapshot-id': '12',
    snapshots:
      '[{"snapshot-id": 12, "parent-snapshot-id": null, "timestamp-ms": 1, "sequence-number": 1, "manifest-list": "s3://a", "summary": null}]',
  };
  // By hand: writeMetadata itself would leave them out.
  const given = JSON.stringify({
    ...(JSON.parse(text) as object),
    ...Object.fromEntries(Object.entries(nulls).map(([name, json]) => [name, JSON.parse(json)])),
  });
  expect(given).toContain('"parent-snapshot-id":null');
  const json = writeMetadata(parseMetadata(given, 'v1.json'));
  const [snapshot] = (JSON.parse(json) as { snapshots: object[] }).snapshots;
  expect(Object.keys(snapshot!)).not.toContain('parent-snapshot-id');
  expect(snapshot).toMatchObject({ summary: {} });
  const members = JSON.parse(json) as Record<string, unknown>;
  for (const name of ['refs', 'statistics', 'partition-statistics', 'properties', 'snapshots'])
    expect(members[name], name).not.toBeNull();
  expect(members['snapshot-log']).toEqual([]);
  expect(members['metadata-log']).toEqual([]);
  expect(members['refs']).toEqual({ main: { 'snapshot-id': 12, type: 'branch' } });
});

test('metadata of format version 1 is read', () => {
  const metadata = parseMetadata(
    `{"format-version": 1, "table-uuid": "d20125c8", "location": "s3://b/t", "last-updated-ms": 5, "last-column-id": 3,
      "schema": {"type": "struct", "fields": [{"id": 1, "name": "x", "required": true, "type": "long"}]},
      "partition-spec": [{"name": "x", "transform": "identity", "source-id": 1}],
      "properties": {}, "current-snapshot-id": -1, "snapshots": []}`,
    'v1.json',
  );
  expect(metadata['last-sequence-number']).toBe(0);
  expect(currentSchema(metadata)).toEqual({
    schemaId: 0,
    fields: [{ id: 1, name: 'x', required: true, type: { kind: 'long' } }],
  });
  expect(defaultSpec(metadata)).toEqual({
    specId: 0,
    fields: [{ sourceId: 1, fieldId: 1000, name: 'x', transform: 'identity' }],
  });
  expect(metadata.refs).toEqual({});
});

test.each([
  ['{', 'reading v1.json: not JSON'],
  ['{}', 'reading v1.json: format-version undefined is not known'],
  ['{"format-version": 4}', 'reading v1.json: format-version 4 is not known'],
  ['{"format-version": "2"}', 'reading v1.json: format-version 2 is not known'],
])('%s is no table metadata', (json, message) => {
  expect(() => parseMetadata(json, 'v1.json')).toThrow(FatalError);
  expect(() => parseMetadata(json, 'v1.json')).toThrow(message);
});

test('a new table has all that format version 2 requires', () => {
  expect(written(newTable({ owner: 'me' }))).toEqual({
    'format-version': 2,
    'table-uuid': '9c12d441-03fe-4693-9a96-a0705ddf69c1',
    location: 'file:///warehouse/shop/orders',
    'last-sequence-number': 0,
    'last-updated-ms': createdAtMs,
    'last-column-id': 2,
    schemas: [
      {
        type: 'struct',
        'schema-id': 0,
        fields: [
          { id: 1, name: 'id', required: true, type: 'long' },
          { id: 2, name: 'region', required: false, type: 'string' },
        ],
      },
    ],
    'current-schema-id': 0,
    'partition-specs': [
      { 'spec-id': 0, fields: [{ 'source-id': 2, 'field-id': 1000, name: 'region', transform: 'identity' }] },
    ],
    'default-spec-id': 0,
    'last-partition-id': 1000,
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    'default-sort-order-id': 0,
    properties: { 'write.parquet.compression-codec': 'zstd', owner: 'me' },
    'current-snapshot-id': -1,
    refs: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    statistics: [],
    'partition-statistics': [],
  });
});

test('a new unpartitioned table starts partition ids at 1000, and its own properties win', () => {
  const metadata = newTableMetadata({
    uuid: 'u',
    location: 'file:///w/t//',
    fields: [{ id: 77, name: 'a', required: false, type: { kind: 'int' } }],
    spec: () => unpartitioned,
    properties: { 'write.parquet.compression-codec': 'snappy' },
    nowMs: 1,
  });
  expect(metadata['last-partition-id']).toBe(999);
  expect(metadata.location).toBe('file:///w/t');
  expect(metadata.properties).toEqual({ 'write.parquet.compression-codec': 'snappy' });
  expect(metadata['last-column-id']).toBe(1);
});

test('a new table comes back as it was', () => {
  const metadata = newTable();
  expect(parseMetadata(writeMetadata(metadata), 'v0.json')).toEqual(metadata);
});

/** A table with snapshots 1 to `count`, each the parent of the next. */
function aged(count: number, change: (snapshot: Snapshot) => Snapshot = (each) => each): TableMetadata {
  const snapshots = Array.from({ length: count }, (_, i) => {
    const parent = i === 0 ? undefined : BigInt(i);
    return change(snapshot(BigInt(i + 1), i + 1, createdAtMs + i, parent));
  });
  return { ...newTable(), snapshots };
}

test('snapshots that are known are taken as they are, whatever was added behind and has expired before', () => {
  const known = aged(5);
  writeMetadata(known);
  const others = aged(8).snapshots.slice(5);
  for (const snapshots of [
    known.snapshots,
    [...known.snapshots, ...others],
    [...known.snapshots.slice(2), ...others],
    [...known.snapshots.slice(0, 2), ...others],
    known.snapshots.slice(4),
  ]) {
    const now = { ...known, 'last-updated-ms': createdAtMs + 7, snapshots };
    const text = writeMetadata(now);
    const read = parseMetadata(text, 'it', known);
    expect(read).toEqual(parseMetadata(text, 'it'));
    expect(read.snapshots.filter((each) => known.snapshots.includes(each))).toHaveLength(
      snapshots.length - (snapshots.includes(others[0]!) ? 3 : 0),
    );
  }
});

test('a list of snapshots is not looked for in texts, nor in what only has its name', () => {
  const known = aged(2);
  const text = writeMetadata(known);
  const { snapshots, ...rest } = JSON.parse(text) as { [key: string]: unknown };
  const elsewhere = JSON.stringify({ ...rest, snapshots: [], later: { snapshots } });
  expect(parseMetadata(elsewhere, 'it', known).snapshots).toEqual([]);
  expect(parseMetadata(elsewhere, 'it', known)).toEqual(parseMetadata(elsewhere, 'it'));
  const quoted = JSON.stringify({ ...rest, snapshots: [], properties: { copy: text } });
  expect(parseMetadata(quoted, 'it', known)).toEqual(parseMetadata(quoted, 'it'));
});

test('other snapshots than those that are known are read, also where nothing else is new', () => {
  const known = aged(3);
  writeMetadata(known);
  const text = writeMetadata(aged(3, (each) => ({ ...each, summary: { operation: 'replace' } })));
  expect(parseMetadata(text, 'it', known).snapshots.map(({ summary }) => summary['operation'])).toEqual([
    'replace',
    'replace',
    'replace',
  ]);
});

test('what is cut off behind known snapshots is no metadata', () => {
  const known = aged(3);
  const text = writeMetadata(known);
  expect(() => parseMetadata(text.slice(0, -2), 'it', known)).toThrow(FatalError);
});

test('a lineage goes from parent to parent as far as they are listed, in whatever order', () => {
  const { snapshots } = aged(5);
  const ids = (listed: readonly Snapshot[], head = snapshots[4]): bigint[] =>
    [...lineageOf({ ...newTable(), snapshots: listed }, head)].map((each) => each['snapshot-id']);
  expect(ids(snapshots)).toEqual([5n, 4n, 3n, 2n, 1n]);
  expect(ids(snapshots.toReversed())).toEqual([5n, 4n, 3n, 2n, 1n]);
  expect(ids(snapshots.toSpliced(2, 1))).toEqual([5n, 4n]);
  const [a, b, c, d, e] = snapshots as [Snapshot, Snapshot, Snapshot, Snapshot, Snapshot];
  expect(ids([a, d, b, e, c])).toEqual([5n, 4n, 3n, 2n, 1n]);
  expect(ids([a, b, { ...c, 'parent-snapshot-id': 5n }, d, e])).toHaveLength(6);
  expect([...lineageOf(newTable(), undefined)]).toEqual([]);
});
