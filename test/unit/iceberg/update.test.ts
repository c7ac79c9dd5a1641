import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TableMetadata } from '../../../src/iceberg/metadata.ts';
import {
  appendRequirements,
  applyUpdates,
  nextTimestampMs,
  type Update,
  unmetRequirement,
} from '../../../src/iceberg/update.ts';
import { createdAtMs, newTable, snapshot } from './tables.ts';

const uuid = newTable()['table-uuid'];
const at = 'file:///warehouse/shop/orders/metadata/v.json';
const [a, b] = [2n ** 62n + 1n, 2n ** 62n + 3n];

function append(base: TableMetadata, id: bigint, nowMs: number, branch = 'main'): TableMetadata {
  const parent = base.refs[branch]?.['snapshot-id'];
  const added = snapshot(id, base['last-sequence-number'] + 1, nextTimestampMs(base, nowMs), parent);
  return applyUpdates(
    base,
    at,
    [
      { action: 'add-snapshot', snapshot: added },
      { action: 'set-snapshot-ref', 'ref-name': branch, type: 'branch', 'snapshot-id': id },
    ],
    nowMs,
  );
}

test('an append moves the branch, the log, the sequence number and the time', () => {
  const base = newTable();
  const once = append(base, a, createdAtMs + 500);
  expect(once['last-sequence-number']).toBe(1);
  expect(once['last-updated-ms']).toBe(createdAtMs + 500);
  expect(once['current-snapshot-id']).toBe(a);
  expect(once.refs).toEqual({ main: { 'snapshot-id': a, type: 'branch' } });
  expect(once['snapshot-log']).toEqual([{ 'timestamp-ms': createdAtMs + 500, 'snapshot-id': a }]);
  expect(once['metadata-log']).toEqual([{ 'timestamp-ms': createdAtMs, 'metadata-file': at }]);
  expect(once.snapshots.map((each) => each['snapshot-id'])).toEqual([a]);

  const twice = append(once, b, createdAtMs + 900);
  expect(twice.snapshots[1]!['parent-snapshot-id']).toBe(a);
  expect(twice['snapshot-log'].map((entry) => entry['snapshot-id'])).toEqual([a, b]);
  expect(twice['metadata-log'].at(-1)).toEqual({ 'timestamp-ms': createdAtMs + 500, 'metadata-file': at });
});

test('what is changed is a copy', () => {
  const base = append(newTable({ owner: 'me' }), a, createdAtMs + 1);
  const before = structuredClone(base);
  append(base, b, createdAtMs + 2);
  applyUpdates(base, at, [{ action: 'set-properties', updates: { owner: 'you' } }], createdAtMs + 3);
  expect(base).toEqual(before);
});

test('another branch leaves main where it is', () => {
  const base = append(newTable(), a, createdAtMs + 1);
  const next = append(base, b, createdAtMs + 2, 'audit');
  expect(next.refs['main']!['snapshot-id']).toBe(a);
  expect(next.refs['audit']!['snapshot-id']).toBe(b);
  expect(next['current-snapshot-id']).toBe(a);
  expect(next['snapshot-log']).toEqual(base['snapshot-log']);
  expect(next['last-sequence-number']).toBe(2);
});

test('a branch keeps how long its snapshots live', () => {
  const base = append(newTable(), a, createdAtMs + 1);
  const kept = {
    'snapshot-id': a,
    type: 'branch' as const,
    'min-snapshots-to-keep': 7,
    'max-snapshot-age-ms': 5,
  };
  const next = append({ ...base, refs: { ...base.refs, main: kept } }, b, createdAtMs + 2);
  expect(next.refs['main']).toEqual({ ...kept, 'snapshot-id': b });
});

test('properties are set and removed, others stay', () => {
  const updates: Update[] = [
    { action: 'set-properties', updates: { a: '1', b: '2' } },
    { action: 'remove-properties', removals: ['owner', 'never there'] },
  ];
  const next = applyUpdates(newTable({ owner: 'me', kept: 'yes', a: '0' }), at, updates, createdAtMs + 1);
  expect(next.properties).toEqual({ 'write.parquet.compression-codec': 'zstd', kept: 'yes', a: '1', b: '2' });
});

test.each([
  [undefined, 100],
  ['3', 3],
  ['1', 1],
  ['0', 100],
  ['-5', 100],
  ['many', 100],
])('with write.metadata.previous-versions-max %s the metadata log keeps %d entries', (setting, count) => {
  let table = newTable(setting === undefined ? {} : { 'write.metadata.previous-versions-max': setting });
  for (let i = 0; i < 110; i++)
    table = applyUpdates(table, `file:///metadata/${i}.json`, [], createdAtMs + 10 * (i + 1));
  expect(table['metadata-log']).toHaveLength(count);
  expect(table['metadata-log'].at(-1)).toEqual({
    'timestamp-ms': createdAtMs + 10 * 109,
    'metadata-file': 'file:///metadata/109.json',
  });
});

test('a clock that is behind does not turn time back, nor lets it stand', () => {
  const base = append(newTable(), a, createdAtMs + 600_000);
  expect(nextTimestampMs(base, createdAtMs)).toBe(createdAtMs + 600_001);
  const next = append(base, b, createdAtMs - 600_000);
  expect(next['last-updated-ms']).toBe(createdAtMs + 600_001);
  expect(next.snapshots[1]!['timestamp-ms']).toBe(createdAtMs + 600_001);
});

test('a clock that is set back between staging and committing leaves no snapshot in the future of its table', () => {
  const base = newTable();
  const staged = snapshot(a, 1, nextTimestampMs(base, createdAtMs + 600_000));
  const next = applyUpdates(
    base,
    at,
    [
      { action: 'add-snapshot', snapshot: staged },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': a },
    ],
    createdAtMs + 1_000,
  );
  expect(next['last-updated-ms']).toBe(createdAtMs + 600_000);
  expect(next['snapshot-log']).toEqual([{ 'timestamp-ms': createdAtMs + 600_000, 'snapshot-id': a }]);
  expect(append(next, b, createdAtMs + 2_000).snapshots[1]!['timestamp-ms']).toBeGreaterThan(
    createdAtMs + 600_000,
  );
});

/** What Java's TableMetadata refuses on reading. */
function checkJavaReads(metadata: TableMetadata): void {
  const minute = 60_000;
  for (const log of [metadata['snapshot-log'], metadata['metadata-log']]) {
    for (const [i, entry] of log.entries())
      if (i > 0) expect(entry['timestamp-ms'] - log[i - 1]!['timestamp-ms']).toBeGreaterThanOrEqual(-minute);
    if (log.length > 0)
      expect(metadata['last-updated-ms'] - log.at(-1)!['timestamp-ms']).toBeGreaterThanOrEqual(-minute);
  }
  for (const each of metadata.snapshots)
    expect(each['sequence-number']).toBeLessThanOrEqual(metadata['last-sequence-number']);
  const ids = metadata.snapshots.map((each) => each['snapshot-id']);
  for (const ref of Object.values(metadata.refs)) expect(ids).toContain(ref['snapshot-id']);
  expect(metadata.refs['main']?.['snapshot-id'] ?? null).toBe(metadata['current-snapshot-id']);
}

test('however the clocks of its writers differ, Java reads the table and time only goes forward', () => {
  const skews = fc.array(fc.integer({ min: -600_000, max: 600_000 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(skews, (steps) => {
      let table = newTable();
      for (const [i, skew] of steps.entries()) {
        const next = append(table, BigInt(i + 1), createdAtMs + i * 1_000 + skew);
        expect(next['last-updated-ms']).toBeGreaterThan(table['last-updated-ms']);
        table = next;
        checkJavaReads(table);
      }
      const times = table.snapshots.map((each) => each['timestamp-ms']);
      expect(times.toSorted((x, y) => x - y)).toEqual(times);
      expect(new Set(times).size).toBe(times.length);
    }),
  );
});

test('requirements are met by the table they were made for', () => {
  const empty = newTable();
  const once = append(empty, a, createdAtMs + 1);
  expect(appendRequirements(empty, 'main')).toEqual([
    { type: 'assert-table-uuid', uuid },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null },
  ]);
  expect(appendRequirements(once, 'main')[1]).toEqual({
    type: 'assert-ref-snapshot-id',
    ref: 'main',
    'snapshot-id': a,
  });
  for (const table of [empty, once]) {
    expect(unmetRequirement(table, appendRequirements(table, 'main'))).toBeUndefined();
    expect(unmetRequirement(table, appendRequirements(table, 'audit'))).toBeUndefined();
  }
  expect(unmetRequirement(once, [])).toBeUndefined();
});

test('requirements are not met once the branch has moved, or by another table of the same name', () => {
  const empty = newTable();
  const once = append(empty, a, createdAtMs + 1);
  const twice = append(once, b, createdAtMs + 2);
  expect(unmetRequirement(once, appendRequirements(empty, 'main'))).toBe(
    `branch main is at snapshot ${a}, expected null`,
  );
  expect(unmetRequirement(twice, appendRequirements(once, 'main'))).toBe(
    `branch main is at snapshot ${b}, expected ${a}`,
  );
  expect(unmetRequirement(empty, appendRequirements(once, 'main'))).toBe(
    `branch main is at snapshot null, expected ${a}`,
  );
  const other = { ...once, 'table-uuid': '00000000-0000-4000-8000-000000000000' };
  expect(unmetRequirement(other, appendRequirements(once, 'main'))).toBe(
    `table uuid is 00000000-0000-4000-8000-000000000000, expected ${uuid}`,
  );
});

test('a branch whose snapshot is missing from the table is no empty branch', () => {
  const broken = { ...append(newTable(), a, createdAtMs + 1), snapshots: [] };
  expect(unmetRequirement(broken, appendRequirements(broken, 'main'))).toBe(
    `branch main is at snapshot ${a}, expected null`,
  );
});
