import { expect, test } from 'vitest';
import { Totals } from '../../../src/sink/totals.ts';
import { imaginaryFile } from '../../contract/appends.ts';

test('totals tell what was read, what landed, what was left out and how long it took', () => {
  const totals = new Totals(10_000);
  totals.read({ next: 9, records: 6, rows: 3, tombstones: 2, undecodable: 1, bytes: 30, timestampMaxMs: 0 });
  totals.read({ next: 12, records: 3, rows: 3, tombstones: 0, undecodable: 0, bytes: 12, timestampMaxMs: 0 });
  const flush = {
    id: 'a',
    table: undefined as never,
    files: [imaginaryFile('a', 4), imaginaryFile('b', 2)],
    claims: [],
    lost: [],
    leftOut: [],
    truncated: [],
    watermarkMs: undefined,
    createdAtMs: 0,
  };
  expect(totals.landedAtMs).toBeUndefined();
  totals.landed(flush, 12_000);
  totals.landed({ ...flush, files: [] }, 12_500);
  totals.refused({ type: 'fenced', keys: ['orders-0'], attempts: 1 });
  totals.refused({ type: 'expired', attempts: 1 });
  expect(totals.landedAtMs).toBe(12_500);
  expect(totals.summary(12_345.6)).toEqual({
    records: 9,
    rows: 6,
    tombstones: 2,
    undecodable: 1,
    bytes: 42,
    files: 2,
    fileBytes: 2_000,
    snapshots: 2,
    fenced: 1,
    seconds: 2.346,
  });
});

test('rows count when they have landed, not when they were read', () => {
  const totals = new Totals(0);
  totals.read({ next: 9, records: 3, rows: 3, tombstones: 0, undecodable: 0, bytes: 30, timestampMaxMs: 0 });
  expect(totals.summary(0)).toMatchObject({ records: 3, rows: 0 });
});
