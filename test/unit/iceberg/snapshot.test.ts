import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { DataFile } from '../../../src/iceberg/data-file.ts';
import { appendSummary, newSnapshotId } from '../../../src/iceberg/snapshot.ts';
import type { PartitionValue } from '../../../src/iceberg/transforms.ts';
import { imaginaryFile } from '../../contract/appends.ts';
import { newTable, snapshot } from './tables.ts';

const file = (recordCount: number, fileSizeBytes: number, partition: PartitionValue[] = []): DataFile => ({
  ...imaginaryFile('f', recordCount),
  fileSizeBytes,
  partition,
});
const manifests = { created: 1, kept: 4 };
const withSummary = (summary: Record<string, string>) => ({ ...snapshot(1n, 1, 0), summary });

const none = {
  'total-data-files': '0',
  'total-records': '0',
  'total-files-size': '0',
  'total-delete-files': '0',
  'total-position-deletes': '0',
  'total-equality-deletes': '0',
};

test('the first append has all six totals, and all values are texts', () => {
  expect(
    appendSummary(undefined, [file(10, 100), file(5, 50)], { created: 1, kept: 0 }, { mine: 'x' }),
  ).toEqual({
    operation: 'append',
    mine: 'x',
    'added-data-files': '2',
    'added-records': '15',
    'added-files-size': '150',
    'changed-partition-count': '1',
    'manifests-created': '1',
    'manifests-kept': '0',
    'manifests-replaced': '0',
    ...none,
    'total-data-files': '2',
    'total-records': '15',
    'total-files-size': '150',
  });
});

test('totals carry on from the head, whatever their size', () => {
  const head = withSummary({
    operation: 'overwrite',
    ...none,
    'total-data-files': '7',
    'total-records': '9007199254740993',
    'total-files-size': '123456789012345678',
    'total-delete-files': '3',
    'total-position-deletes': '4',
    'total-equality-deletes': '5',
  });
  expect(appendSummary(head, [file(10, 100)], manifests, {})).toMatchObject({
    'total-data-files': '8',
    'total-records': '9007199254741003',
    'total-files-size': '123456789012345778',
    'total-delete-files': '3',
    'total-position-deletes': '4',
    'total-equality-deletes': '5',
    'manifests-created': '1',
    'manifests-kept': '4',
  });
});

test('a total that the head has not stays away: nobody knows what it would be', () => {
  const summary = appendSummary(
    withSummary({ operation: 'append', 'total-records': '5' }),
    [file(1, 1)],
    manifests,
    {},
  );
  expect(Object.keys(summary).filter((key) => key.startsWith('total-'))).toEqual(['total-records']);
  expect(summary['total-records']).toBe('6');
});

test('an append of nothing adds nothing and keeps the totals', () => {
  const summary = appendSummary(
    withSummary({ ...none, 'total-records': '5' }),
    [],
    { created: 0, kept: 2 },
    {},
  );
  expect(summary).toEqual({
    operation: 'append',
    'changed-partition-count': '0',
    'manifests-created': '0',
    'manifests-kept': '2',
    'manifests-replaced': '0',
    ...none,
    'total-records': '5',
  });
});

test('what is ours cannot displace what the specification asks for', () => {
  const summary = appendSummary(undefined, [file(3, 1)], manifests, {
    'added-records': '99',
    'total-records': '99',
  });
  expect(summary['added-records']).toBe('3');
  expect(summary['total-records']).toBe('3');
});

test.each([
  [[['eu'], ['us'], ['eu']], 2],
  [[[null], ['null']], 2],
  [
    [
      ['a', 1n],
      ['a', 2n],
      ['b', 1n],
    ],
    3,
  ],
  [[[Uint8Array.of(1)], [Uint8Array.of(1)], [Uint8Array.of(1, 0)]], 2],
  [
    [[0], [-0], [Number.NaN], [Number.NaN], [Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY], [null]],
    6,
  ],
  [[[], []], 1],
] as [PartitionValue[][], number][])(
  'files of the partitions %o change %d partitions',
  (partitions, count) => {
    const files = partitions.map((partition) => file(1, 1, partition));
    expect(appendSummary(undefined, files, manifests, {})['changed-partition-count']).toBe(String(count));
  },
);

test('snapshot ids are positive and of 63 bits', () => {
  const random = seededRandom(8);
  const ids = Array.from({ length: 300 }, () => newSnapshotId(random, newTable()));
  for (const id of ids) expect(id > 0n && id < 2n ** 63n).toBe(true);
  expect(new Set(ids).size).toBe(300);
  expect(ids.some((id) => id > 2n ** 62n)).toBe(true);
});

test('an id that the table knows, or none at all, is not taken', () => {
  const id = (high: number, low: number): Uint8Array => {
    // The bits that make a UUID a version 4 one, on both halves alike, fall out of the exclusive or.
    const bytes = new Uint8Array(16);
    bytes[0] = high;
    bytes[15] = low;
    return bytes;
  };
  const stream = [id(0, 1), id(0, 1), id(0, 2)];
  const random: Random = { bytes: () => stream.shift()! };
  const first = newSnapshotId(random, newTable());
  const taken = { ...newTable(), snapshots: [snapshot(first, 1, 0)] };
  const second = newSnapshotId(random, taken);
  expect(second).not.toBe(first);
  expect(stream).toEqual([]);
});
