import { describe, expect, test } from 'vitest';
import { oldestUnreadAgeMs, partitionLags, RebalanceHistory } from '../../../src/sink/lag.ts';

describe('lags', () => {
  const log = { start: 0, end: 100, highWatermark: 110 };

  test('are those of all partitions whose logs are known, the furthest behind first', () => {
    const logs = new Map([
      ['a-0', { ...log, position: 100, readTimestampMs: 1_000 }],
      ['a-1', { ...log, position: 60, readTimestampMs: 2_000 }],
      ['b-0', { ...log }],
    ]);
    const landed = new Map([
      ['a-0', 95],
      ['a-1', 20],
    ]);
    const lags = partitionLags(logs, (key) => landed.get(key), 10_000);
    expect(lags.map((each) => [each.topic, each.partition, each.lagRecords, each.unreadAgeMs])).toEqual([
      ['a', 1, 80, 8_000],
      ['a', 0, 5, undefined],
      ['b', 0, 0, undefined],
    ]);
    expect(oldestUnreadAgeMs(lags)).toBe(8_000);
    expect(oldestUnreadAgeMs(lags.slice(1))).toBeUndefined();
  });

  test('have no age below nothing, whatever the clocks of producers say', () => {
    const logs = new Map([['a-0', { ...log, position: 60, readTimestampMs: 99_000 }]]);
    expect(partitionLags(logs, () => 60, 10_000)[0]!.unreadAgeMs).toBe(0);
  });
});

test('the history of rebalances has the last ones, with causes, and counts all', () => {
  const history = new RebalanceHistory();
  for (let i = 0; i < 30; i++) history.add('assigned', [`a-${i}`], i);
  history.add(
    'lost',
    Array.from({ length: 50 }, (_, i) => `a-${i}`),
    1_000,
    'UNKNOWN_MEMBER_ID',
  );
  expect(history.count).toBe(31);
  expect(history.events.length).toBe(20);
  expect(history.events[0]).toMatchObject({ type: 'assigned', partitions: ['a-11'] });
  const { partitions, ...last } = history.events.at(-1)!;
  expect(last).toEqual({
    at: '1970-01-01T00:00:01.000Z',
    type: 'lost',
    count: 50,
    cause: 'UNKNOWN_MEMBER_ID',
  });
  expect(partitions.length).toBe(20);
});
