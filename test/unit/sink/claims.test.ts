import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../src/base/assert.ts';
import { type Claim, checkClaims, type Origin, topicIdentity } from '../../../src/sink/claims.ts';
import type { Ledger } from '../../../src/sink/ledger.ts';
import { ledger } from './history.ts';

const origin: Origin = { clusterId: 'cluster', topicIds: new Map([['orders', 'topic-id']]) };

function claim(partition: number, start: number, next: number, initial = false): Claim {
  return { key: `orders-${partition}`, start, next, initial };
}

test('claims that start where the ledger ends move it to where they end, and nothing else', () => {
  expect(checkClaims(ledger([5, 7, 9]), [claim(0, 5, 8), claim(2, 9, 10)], origin)).toEqual({
    type: 'accepted',
    ledger: ledger([8, 7, 10]),
  });
});

test('the ledger that was asked is left as it was', () => {
  const asked = ledger([5]);
  checkClaims(asked, [claim(0, 5, 8), claim(1, 3, 4, true)], origin);
  expect(asked).toEqual(ledger([5]));
});

test('no claims at all change nothing', () => {
  expect(checkClaims(ledger([5]), [], origin)).toEqual({ type: 'accepted', ledger: ledger([5]) });
});

test('an empty claim moves nothing, and one that goes back is a bug of the program', () => {
  expect(checkClaims(ledger([5]), [claim(0, 5, 5)], origin)).toEqual({
    type: 'accepted',
    ledger: ledger([5]),
  });
  expect(() => checkClaims(ledger([5]), [claim(0, 5, 4)], origin)).toThrow(
    new AssertionError('assertion failed: I2: a claim never goes back (orders-0 5 to 4)'),
  );
});

test('the first claim of a table makes its ledger, and remembers where it began', () => {
  expect(checkClaims(undefined, [claim(0, 0, 4, true), claim(1, 100, 120, true)], origin)).toEqual({
    type: 'accepted',
    ledger: ledger([4, 120], [0, 100]),
  });
});

test('the first claim of a partition that grew later joins those of the others', () => {
  expect(checkClaims(ledger([5], [2]), [claim(0, 5, 6), claim(1, 10, 12, true)], origin)).toEqual({
    type: 'accepted',
    ledger: ledger([6, 12], [2, 10]),
  });
});

test('where a partition began is never overwritten', () => {
  const verdict = checkClaims(ledger([5], [2]), [claim(0, 5, 6, true)], origin);
  expect(verdict).toEqual({ type: 'accepted', ledger: ledger([6], [2]) });
});

test.each([
  ['somebody has landed more than the claim starts with', claim(0, 4, 9), ['orders-0']],
  ['somebody has landed just what the claim holds', claim(0, 3, 5), ['orders-0']],
  ['somebody was first where the claim thought to be', claim(0, 0, 3, true), ['orders-0']],
  ['a first claim is past what somebody has landed first', claim(0, 6, 9, true), ['orders-0']],
])('a claim is fenced when %s', (_why, made, keys) => {
  expect(checkClaims(ledger([5]), [made], origin)).toEqual({ type: 'fenced', keys });
});

test.each([
  ['ends before the claim starts', ledger([5]), claim(0, 6, 9)],
  ['does not know a partition that it has known', ledger([5]), claim(1, 6, 9)],
  ['is gone', undefined, claim(0, 6, 9)],
  ['is gone and the claim starts at 0', undefined, claim(0, 0, 9)],
])('a claim is ahead of a table whose ledger %s', (_what, known: Ledger | undefined, made) => {
  expect(checkClaims(known, [made], origin)).toEqual({ type: 'behind', keys: [made.key] });
});

test('one fenced claim fences all: a snapshot lands whole or not at all', () => {
  const claims = [claim(0, 5, 6), claim(1, 6, 8), claim(2, 1, 2)];
  expect(checkClaims(ledger([5, 7, 9]), claims, origin)).toEqual({
    type: 'fenced',
    keys: ['orders-1', 'orders-2'],
  });
});

test('what the table has lost is said before what others have landed', () => {
  const claims = [claim(0, 4, 6), claim(1, 8, 9)];
  expect(checkClaims(ledger([5, 7]), claims, origin)).toEqual({ type: 'behind', keys: ['orders-1'] });
});

const other = (change: Partial<Ledger>): Ledger => ({ ...ledger([900, 800], [1, 2]), ...change });
const recreated: [string, Ledger][] = [
  ['was made anew', other({ topicIds: new Map([['orders', 'topic-id of the old one']]) })],
  ['is of another cluster', other({ clusterId: 'another cluster' })],
];

test.each(recreated)('offsets of a topic that %s are forgotten, starts too', (_what, known) => {
  const replaces = topicIdentity(known, 'orders');
  expect(checkClaims(known, [{ ...claim(0, 0, 4, true), replaces }], origin)).toEqual({
    type: 'accepted',
    ledger: ledger([4], [0]),
  });
  // Also where one happens to join: it is an offset of something else.
  expect(checkClaims(known, [claim(0, 900, 904)], origin)).toEqual({ type: 'fenced', keys: ['orders-0'] });
});

test('a late claim of a topic that is gone does not take the ledger back to it', () => {
  const late: Origin = { clusterId: 'cluster', topicIds: new Map([['orders', 'topic-id of the old one']]) };
  const fenced = { type: 'fenced', keys: ['orders-0'] };
  expect(checkClaims(ledger([3]), [claim(0, 0, 18, true)], late)).toEqual(fenced);
  expect(checkClaims(ledger([3]), [claim(0, 18, 20)], late)).toEqual(fenced);
  const replaces = 'cluster/the one before that';
  expect(checkClaims(ledger([3]), [{ ...claim(0, 0, 18, true), replaces }], late)).toEqual(fenced);
});

test('a topic that was made anew does not make others forget', () => {
  const known = other({ topicIds: new Map([['orders', 'old']]) });
  const both: Ledger = {
    ...known,
    topicIds: new Map([...known.topicIds, ['returns', 'id']]),
    next: new Map([...known.next, ['returns-0', 7]]),
    starts: new Map([...known.starts, ['returns-0', 1]]),
  };
  const topicIds = new Map([...origin.topicIds, ['returns', 'id']]);
  const replaces = topicIdentity(known, 'orders');
  const verdict = checkClaims(both, [{ ...claim(0, 0, 4, true), replaces }], { ...origin, topicIds });
  expect(verdict).toEqual({
    type: 'accepted',
    ledger: {
      clusterId: 'cluster',
      topicIds: new Map([
        ['orders', 'topic-id'],
        ['returns', 'id'],
      ]),
      next: new Map([
        ['returns-0', 7],
        ['orders-0', 4],
      ]),
      epochs: new Map(),
      starts: new Map([
        ['returns-0', 1],
        ['orders-0', 0],
      ]),
    },
  });
});

test('two tables in one: topics whose names begin alike are kept apart', () => {
  const known: Ledger = {
    ...ledger([]),
    topicIds: new Map([['orders-1', 'id of orders-1']]),
    next: new Map([['orders-1-0', 50]]),
  };
  const topicIds = new Map([...origin.topicIds, ['orders-1', 'id of orders-1']]);
  const verdict = checkClaims(known, [claim(1, 3, 4, true)], { ...origin, topicIds });
  expect(verdict).toMatchObject({
    type: 'accepted',
    ledger: {
      next: new Map([
        ['orders-1-0', 50],
        ['orders-1', 4],
      ]),
    },
  });
});

describe('leader epochs', () => {
  const of = (epochs: readonly (number | undefined)[]): Map<string, number> =>
    new Map(epochs.flatMap((epoch, i) => (epoch === undefined ? [] : [[`orders-${i}`, epoch] as const])));
  const at = (next: number[], ...epochs: (number | undefined)[]): Ledger => ({
    ...ledger(next),
    epochs: of(epochs),
  });

  test('move with the offsets, and one that is not known any more is forgotten', () => {
    const claims = [{ ...claim(0, 5, 8), epoch: 4 }, claim(1, 7, 9)];
    expect(checkClaims(at([5, 7, 9], 3, 3, 2), claims, origin)).toEqual({
      type: 'accepted',
      ledger: at([8, 9, 9], 4, undefined, 2),
    });
  });

  test('fence a claim that goes on from another record of the same offset', () => {
    const going = (startEpoch?: number): Claim => ({ ...claim(0, 5, 8), startEpoch, epoch: 6 });
    expect(checkClaims(at([5], 4), [going(3)], origin)).toEqual({ type: 'fenced', keys: ['orders-0'] });
    for (const accepted of [going(4), going()])
      expect(checkClaims(at([5], 4), [accepted], origin)).toMatchObject({ type: 'accepted' });
    // A table of before leader epochs were kept.
    expect(checkClaims(ledger([5]), [going(3)], origin)).toMatchObject({ type: 'accepted' });
  });
});
