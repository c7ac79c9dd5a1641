import { expect, test } from 'vitest';
import type { LogPort, Record as LogRecord, LogView } from '../../../src/verify/log.ts';
import { Landed, range } from './landed.ts';

/** The ledger against the log, and what the log says of offsets without a row. */

const k0 = 'orders-0';

interface FakeLog {
  start?: number;
  end: number;
  topicId?: string;
  clusterId?: string;
  partitions?: number;
  /** Where the records of the ledger's epoch end. */
  epochEnd?: number;
  /** What is at an offset, if not a record; `gone`: compacted away. */
  at?: Record<number, LogRecord | 'gone'>;
}

function logOf({
  start = 0,
  end,
  topicId = 'topic-id',
  clusterId = 'cluster',
  partitions = 1,
  at = {},
  epochEnd,
}: FakeLog): LogPort {
  const keys = Array.from({ length: partitions }, (_, i) => `orders-${i}`);
  return {
    view: async (topics): Promise<LogView> => ({
      clusterId,
      topics: new Map(topics.includes('orders') ? [['orders', { topicId, partitions }]] : []),
      ranges: new Map(keys.map((key) => [key, { start, end }])),
      epochEnds: new Map(epochEnd === undefined ? [] : [['orders-0', epochEnd]]),
    }),
    look: async (_topicPartition, ranges) => {
      const offsets = ranges.flatMap(({ from, next }) => range(from, next));
      for (const offset of offsets) expect(offset >= start && offset < end).toBe(true);
      return new Map(
        offsets.flatMap((offset) => {
          const kind = at[offset] ?? 'record';
          return kind === 'gone' ? [] : [[offset, kind]];
        }),
      );
    },
  };
}

async function ten(): Promise<Landed> {
  const landed = await new Landed().create();
  await landed.land({ [k0]: range(0, 10) });
  return landed;
}

test('what is retained, what has landed and what is to come', async () => {
  const report = await (await ten()).verify({ log: logOf({ start: 4, end: 15, partitions: 2 }) });
  expect(report).toMatchObject({ verdict: 'sound', problems: [] });
  expect(report.partitions).toMatchObject([
    { partition: 0, from: 0, next: 10, logStart: 4, logEnd: 15, retained: 11, toCome: 5 },
    { partition: 1, from: null, next: 0, logStart: 4, logEnd: 15, retained: 11, toCome: 11 },
  ]);
});

test.each([
  [
    'retention has taken what has not landed',
    { start: 12, end: 15 },
    'not-retained: orders-0: offsets [10, 12) have not landed, and retention has taken them',
  ],
  [
    'the log ends before the ledger',
    { end: 7 },
    'ledger-ahead: orders-0 has landed up to 10, the log ends at 7: it was cut, or it is another log',
  ],
  [
    'the log was cut and has grown again',
    { end: 15, epochEnd: 7 },
    'ledger-ahead: orders-0 has landed up to 10, the log has other records from 7 on: it was cut there, and has grown again',
  ],
  [
    'the topic is another one',
    { end: 15, topicId: 'other' },
    'topic-made-anew: topic orders was deleted and made anew since (its id is other now): the ledger of pipeline shop is about other records',
  ],
  [
    'the cluster is another one',
    { end: 15, clusterId: 'elsewhere' },
    'topic-made-anew: topic orders is read from cluster elsewhere, the ledger is of cluster: the ledger of pipeline shop is about other records',
  ],
])('%s', async (_what, log, expected) => {
  const report = await (await ten()).verify({ log: logOf(log) });
  expect(report.problems.map(({ kind, message }) => `${kind}: ${message}`)).toEqual([expected]);
  expect(report.columnsReadBecause).toBeUndefined();
});

test('rows that were kept when the log was cut', async () => {
  const landed = await ten();
  await landed.land({ [k0]: range(10, 12) }, { truncated: [[k0, 7, 10]] });
  const report = await landed.verify({ log: logOf({ end: 20, epochEnd: 20 }) });
  expect(report).toMatchObject({
    verdict: 'sound',
    exceptions: [{ kind: 'truncated', topic: 'orders', partition: 0, from: 7, next: 10, count: 3 }],
  });
});

test('a cluster that does not answer is no fault of the table', async () => {
  const log: LogPort = {
    view: () => Promise.reject(new Error('no answer')),
    look: () => Promise.reject(new Error()),
  };
  expect(await (await ten()).verify({ log })).toMatchObject({ verdict: 'sound', kafka: 'no answer' });
});

test('the log explains each offset without a row, as far as it is retained', async () => {
  const landed = await new Landed().create();
  await landed.land({ [k0]: [0, 2, 8, 9] }, { leftOut: [[k0, 1, 1]] });
  const at = { 3: 'aborted', 4: 'control', 5: 'gone', 6: 'tombstone' } as const;
  const report = await landed.verify({ log: logOf({ start: 2, end: 10, at }) });
  expect(report.columnsReadBecause).toBe('6 offsets have no row, and the log may tell why');
  expect(report.verdict).toBe('sound');
  expect(report.exceptions.map(({ kind, from, next }) => [kind, from, next])).toEqual([
    ['aborted', 3, 4],
    ['control', 4, 5],
    ['compacted-away', 5, 6],
    ['tombstone', 6, 7],
    ['left-out', 7, 8],
    ['no-row', 1, 2],
  ]);
});

test('a record that the log still has and the table has not is a gap, whatever the counts say', async () => {
  const landed = await new Landed().create();
  await landed.land({ [k0]: [0, 1, 3] });
  const report = await landed.verify({ log: logOf({ end: 4 }) });
  expect(report.problems.map(({ message }) => message)).toEqual([
    'orders-0 offset 2: no row; the log has a record there',
  ]);
});

test('the log explains also what history has forgotten', async () => {
  const landed = await new Landed().create();
  await landed.land({ [k0]: [0, 1, 3] });
  await landed.land({ [k0]: [4, 6] });
  await landed.expire();
  const explained = await landed.verify({
    log: logOf({ end: 7, at: { 2: 'control', 5: 'control' } }),
    strict: true,
  });
  expect(explained.verdict).toBe('sound');
  const gap = await landed.verify({ log: logOf({ end: 7, at: { 2: 'control' } }) });
  expect(gap.problems).toMatchObject([{ kind: 'gap', from: 5, next: 6 }]);
  const skipped = await landed.verify({
    log: logOf({ end: 7, at: { 2: 'control' } }),
    skipsUndecodable: true,
  });
  expect(skipped.verdict).toBe('sound');
});

test("a gap in another tool's table is explained by the log", async () => {
  const landed = await new Landed().create();
  await landed.append([await landed.file({ [k0]: [0, 1, 4] })]);
  const report = await landed.verify({ log: logOf({ end: 5, at: { 2: 'aborted', 3: 'record' } }) });
  expect(report.problems).toMatchObject([{ kind: 'gap', from: 3, next: 4 }]);
  expect(report.exceptions).toContainEqual(expect.objectContaining({ kind: 'aborted', from: 2, next: 3 }));
});
