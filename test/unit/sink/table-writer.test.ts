import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/base/assert.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { AppendedTable } from '../../../src/lane/lane.ts';
import type { Flush } from '../../../src/sink/table-commit.ts';
import { TableWriter } from '../../../src/sink/table-writer.ts';
import { imaginaryFile } from '../../contract/appends.ts';
import { tableOptions } from './options.ts';

const random = seededRandom(1);
const p0 = { topic: 'orders', partition: 0, topicId: 'id' };
const p1 = { topic: 'orders', partition: 1, topicId: 'id' };
const [k0, k1] = ['orders-0', 'orders-1'];
const triggers = { intervalMs: 1_000, bytes: 100, rows: 10 };

/** A writer that is ready, with partition 0 at offset 10 in lane 0 and partition 1 at offset 20 in lane `lane1`. */
function writer(lane1 = 0): TableWriter {
  const made = new TableWriter(tableOptions());
  made.phase = 'ready';
  made.place(p0, 0, { offset: 10, initial: false });
  made.place(p1, lane1, { offset: 20, initial: true });
  return made;
}

/** What a lane says of a record set up to `next`: by default all its records became rows of a byte each. */
function result(next: number, rows: number, change: Partial<AppendedTable> = {}): AppendedTable {
  const { tombstones = 0, undecodable = 0 } = change;
  const records = rows + tombstones + undecodable;
  return { next, records, rows, tombstones: 0, undecodable: 0, bytes: rows, timestampMaxMs: -1, ...change };
}

function append(to: TableWriter, key: string, answer: AppendedTable, receivedAtMs = 5_000): void {
  to.handed(key, answer.next);
  to.appended(key, answer, receivedAtMs);
}

const file = (rows: number, name = 'a') => imaginaryFile(name, rows);

describe('a flush', () => {
  test('claims what was appended, from where the last claim ended, and nothing that came later', () => {
    const w = writer();
    append(w, k0, result(13, 3, { timestampMaxMs: 77 }));
    append(w, k0, result(15, 2, { timestampMaxMs: 70 }));
    append(w, k1, result(24, 1, { timestampMaxMs: 50 }));
    expect(w.beginFlush(random, 9_000)).toEqual([0]);
    w.handed(k0, 18); // in the lane behind the flush
    const flush = w.laneFlushed(0, [file(4), file(2, 'b')])!;
    expect(flush).toMatchObject({
      claims: [
        { key: k0, start: 10, next: 15, initial: false },
        { key: k1, start: 20, next: 24, initial: true },
      ],
      files: [{ recordCount: 4 }, { recordCount: 2 }],
      lost: [],
      leftOut: [],
      watermarkMs: 50,
      createdAtMs: 5_000,
    });
    expect(flush.id).toMatch(/^[0-9a-f-]{36}$/);
    w.appended(k0, result(18, 3), 6_000);
    w.landed(flush);
    append(w, k1, result(25, 1));
    w.beginFlush(random, 9_000);
    expect(w.laneFlushed(0, [file(4)])!.claims).toEqual([
      { key: k0, start: 15, next: 18, initial: false },
      { key: k1, start: 24, next: 25, initial: false },
    ]);
  });

  test('tells what policy left out, of its own claims only', () => {
    const w = writer();
    append(w, k0, result(14, 1, { tombstones: 2, undecodable: 1 }));
    append(w, k1, result(21, 1));
    append(w, k0, result(15, 0, { tombstones: 1 }));
    w.beginFlush(random, 9_000);
    const flush = w.laneFlushed(0, [file(2)])!;
    expect(flush.leftOut).toEqual([[k0, 3, 1]]);
    w.landed(flush);
    append(w, k0, result(17, 1, { undecodable: 1 }));
    w.beginFlush(random, 9_000);
    expect(w.laneFlushed(0, [file(1)])!.leftOut).toEqual([[k0, 0, 1]]);
  });

  test('claims what a lane appended while the flush waited in its queue: those rows are in its files', () => {
    const w = writer();
    append(w, k0, result(13, 3));
    w.handed(k0, 16);
    w.beginFlush(random, 9_000);
    w.appended(k0, result(16, 3), 6_000); // handed over before the flush, answered after it began
    expect(w.laneFlushed(0, [file(6)])!.claims).toEqual([{ key: k0, start: 10, next: 16, initial: false }]);
  });

  test('waits for every lane, and takes each lane’s claims when that lane has closed its files', () => {
    const w = writer(1);
    append(w, k0, result(13, 3));
    append(w, k1, result(24, 4));
    expect(w.beginFlush(random, 9_000)).toEqual([0, 1]);
    expect(w.laneFlushed(0, [file(3)])).toBeUndefined();
    append(w, k0, result(14, 1)); // behind the flush
    append(w, k1, result(26, 2)); // before the flush
    expect(w.laneFlushed(1, [file(6)])).toMatchObject({
      claims: [
        { key: k0, start: 10, next: 13 },
        { key: k1, start: 20, next: 26 },
      ],
      files: [{ recordCount: 3 }, { recordCount: 6 }],
    });
    expect(w.rows).toBe(1);
  });

  test('has claims without rows for what made none: the ledger moves over tombstones and markers', () => {
    const w = writer();
    append(w, k0, result(13, 0, { tombstones: 2 }));
    w.beginFlush(random, 9_000);
    expect(w.laneFlushed(0, [])).toMatchObject({
      claims: [{ key: k0, start: 10, next: 13 }],
      files: [],
      watermarkMs: undefined,
      createdAtMs: 9_000,
    });
  });

  test('is one at a time (I5), of a table that is ready', () => {
    const w = writer();
    w.beginFlush(random, 9_000);
    expect(() => w.beginFlush(random, 9_000)).toThrow(AssertionError);
    const absent = writer();
    absent.phase = 'absent';
    expect(() => absent.beginFlush(random, 9_000)).toThrow('I5: at most one commit in flight per table');
  });

  test('whose files have more or fewer rows than the lane was given is a bug, and ends the program (I10)', () => {
    for (const rows of [2, 4]) {
      const w = writer();
      append(w, k0, result(13, 3));
      w.beginFlush(random, 9_000);
      expect(() => w.laneFlushed(0, [file(rows)])).toThrow(
        `assertion failed: I10: lane 0 was given 3 rows, its files have ${rows}`,
      );
    }
  });

  test('records ranges that retention took, once', () => {
    const w = writer();
    append(w, k0, result(13, 3));
    w.skipLost(k0, 13, 40);
    w.beginFlush(random, 9_000);
    const flush = w.laneFlushed(0, [file(3)])!;
    expect(flush.lost).toEqual([[k0, 13, 40]]);
    expect(flush.claims).toEqual([{ key: k0, start: 10, next: 40, initial: false }]);
    w.landed(flush);
    append(w, k0, result(41, 1));
    w.beginFlush(random, 9_000);
    expect(w.laneFlushed(0, [file(1)])!.lost).toEqual([]);
  });
});

describe('an answer of a lane', () => {
  test('that does not account for every record is a bug (I10)', () => {
    const w = writer();
    expect(() => w.appended(k0, { ...result(13, 3), records: 4 }, 0)).toThrow(
      'assertion failed: I10: records of orders-0 are all accounted for',
    );
  });

  test('that goes back is a bug (I2)', () => {
    const w = writer();
    expect(() => w.appended(k0, result(9, 0), 0)).toThrow(
      'assertion failed: I2: orders-0 moves forward only',
    );
  });

  test('about a partition that is no longer ours is for nobody', () => {
    const w = writer();
    w.forget(k0);
    w.handed(k0, 13);
    w.appended(k0, result(13, 3), 0);
    expect([w.rows, w.bytes, w.isQuiet]).toEqual([0, 0, true]);
  });

  test('that stopped at a record leaves the rest as not handed over', () => {
    const w = writer();
    w.handed(k0, 20);
    const failure = { ...p0, offset: 12, field: 'n', reason: 'no' };
    w.appended(k0, result(12, 2, { failure }), 0);
    expect(w.isQuiet).toBe(true);
    expect(w.mirrorOffset(k0)).toBe(10);
  });

  test('before the last one leaves the table with something to wait for', () => {
    const w = writer();
    w.handed(k0, 12);
    w.handed(k0, 14);
    w.appended(k0, result(12, 2), 0);
    expect([w.isQuiet, w.isForgettable(k0), w.isForgettable(k1)]).toEqual([false, false, true]);
  });
});

describe('a flush is due', () => {
  test('at once when there are enough rows or bytes', () => {
    const rows = writer();
    append(rows, k0, result(20, 9));
    expect(rows.dueAtMs(triggers)).not.toBe(0);
    append(rows, k1, result(21, 1));
    expect(rows.dueAtMs(triggers)).toBe(0);
    const bytes = writer();
    append(bytes, k0, result(11, 1, { bytes: 99 }));
    expect(bytes.dueAtMs(triggers)).not.toBe(0);
    append(bytes, k1, result(21, 1, { bytes: 1 }));
    expect(bytes.dueAtMs(triggers)).toBe(0);
  });

  test('when the oldest row has the age of the interval', () => {
    const w = writer(1);
    expect(w.dueAtMs(triggers)).toBeUndefined();
    append(w, k0, result(11, 1), 6_000);
    append(w, k1, result(21, 1), 7_000);
    append(w, k1, result(22, 1), 9_000);
    expect(w.dueAtMs(triggers)).toBe(7_000);
    w.beginFlush(random, 9_000);
    w.laneFlushed(0, [file(1)]);
    expect(w.dueAtMs(triggers)).toBe(8_000);
  });

  test('long after progress that made no rows: a snapshot for nothing but offsets is dear', () => {
    const w = writer();
    append(w, k0, result(11, 0, { tombstones: 1 }), 5_000);
    append(w, k0, result(12, 0, { tombstones: 1 }), 6_000);
    expect(w.dueAtMs(triggers)).toBe(5_000 + 10 * 60_000);
    append(w, k0, result(13, 1), 7_000);
    expect(w.dueAtMs(triggers)).toBe(8_000);
  });

  test('never for an answer that moved nothing', () => {
    const w = writer();
    append(w, k0, result(10, 0));
    expect([w.dueAtMs(triggers), w.hasProgress]).toEqual([undefined, false]);
  });
});

describe('the group’s offset may follow (I3)', () => {
  test('only what has landed, as long as rows wait', () => {
    const w = writer();
    append(w, k0, result(13, 3));
    expect(w.mirrorOffset(k0)).toBe(10);
    w.beginFlush(random, 9_000);
    const flush = w.laneFlushed(0, [file(3)])!;
    expect(w.mirrorOffset(k0)).toBe(10);
    append(w, k0, result(15, 0, { tombstones: 2 }));
    expect(w.mirrorOffset(k0)).toBe(10);
    w.landed(flush);
    expect(w.mirrorOffset(k0)).toBe(15);
    append(w, k0, result(16, 1));
    expect(w.mirrorOffset(k0)).toBe(13);
  });

  test('what made no rows at once', () => {
    const w = writer();
    append(w, k0, result(13, 0, { undecodable: 3 }));
    expect([w.mirrorOffset(k0), w.mirrorOffset('orders-9')]).toEqual([13, undefined]);
  });
});

describe('dropping a table', () => {
  function dropped(pending: boolean): { w: TableWriter; flush: Flush | undefined } {
    const w = writer(1);
    append(w, k0, result(13, 3));
    w.skipLost(k1, 20, 30);
    w.beginFlush(random, 9_000);
    w.laneFlushed(0, [file(3)]);
    const flush = pending ? undefined : w.laneFlushed(1, []);
    append(w, k1, result(31, 1));
    w.drop();
    return { w, flush };
  }

  test('forgets all that has not landed, and asks for every partition anew', () => {
    const { w } = dropped(true);
    expect([w.rows, w.bytes, w.entries.size, w.hasProgress, w.isQuiet]).toEqual([0, 0, 0, false, true]);
    expect([w.phase, w.reopen, w.generation]).toEqual(['opening', true, 1]);
    expect([...w.opening.values()]).toEqual([p0, p1]);
    expect(w.dueAtMs(triggers)).toBeUndefined();
    expect([w.isSettled(k0), w.mirrorOffset(k0)]).toEqual([true, undefined]);
  });

  test('abandons a flush whose lanes are still closing files', () => {
    const { w } = dropped(true);
    expect(w.flush?.abandoned).toBe(true);
    expect(w.laneAbandoned(1)).toBe(true);
    expect(w.flush).toBeUndefined();
  });

  test('lets a commit that is under way end: it may land', () => {
    const { w, flush } = dropped(false);
    expect(w.flush?.abandoned).toBe(false);
    w.place(p0, 0, { offset: 10, initial: false });
    w.landed(flush!);
    expect(w.flush).toBeUndefined();
    expect(w.entries.get(k0)?.landed).toBe(13);
  });
});

test('a partition is settled when neither the filling files nor the flush hold rows of it', () => {
  const w = writer();
  append(w, k0, result(13, 3));
  append(w, k1, result(21, 0, { tombstones: 1 }));
  expect([w.isSettled(k0), w.isSettled(k1)]).toEqual([false, true]);
  w.beginFlush(random, 9_000);
  const flush = w.laneFlushed(0, [file(3)])!;
  expect([w.isForgettable(k0), w.isSettled(k0)]).toEqual([true, false]);
  w.landed(flush);
  expect(w.isSettled(k0)).toBe(true);
});

test('a table agrees with its ledger when every partition is where its claim takes up', () => {
  const ledger = (next: [string, number][]) => ({
    clusterId: '',
    topicIds: new Map(),
    next: new Map(next),
    epochs: new Map(),
    starts: new Map(),
  });
  const w = writer();
  expect(w.agreesWith(ledger([[k0, 10]]))).toBe(true);
  expect(w.agreesWith(ledger([[k0, 9]]))).toBe(false);
  expect(w.agreesWith(ledger([[k0, 11]]))).toBe(false);
  const both = ledger([
    [k0, 10],
    [k1, 20],
  ]);
  expect(w.agreesWith(both)).toBe(false); // somebody has landed the first offsets of partition 1
  expect(w.agreesWith(undefined)).toBe(false);
});

test('a table agrees with the ledger of the topic that its partition takes the place of', () => {
  const of = (topicId: string, next: number) => ({
    clusterId: 'c',
    topicIds: new Map([[p0.topic, topicId]]),
    next: new Map([[k0, next]]),
    epochs: new Map(),
    starts: new Map(),
  });
  const w = new TableWriter(tableOptions());
  w.place(p0, 0, { offset: 0, initial: true, replaces: 'c/gone' });
  expect(w.agreesWith(of('gone', 7))).toBe(true);
  expect(w.agreesWith(of('another', 7))).toBe(false); // somebody has landed its first offsets
});

test('bytes that wait for their commit are those of the flush’s files', () => {
  const w = writer();
  expect(w.stagedBytes).toBe(0);
  append(w, k0, result(13, 3));
  w.beginFlush(random, 9_000);
  const flush = w.laneFlushed(0, [file(1), file(2, 'b')])!;
  expect(w.stagedBytes).toBe(2_000);
  w.landed(flush);
  expect(w.stagedBytes).toBe(0);
});
