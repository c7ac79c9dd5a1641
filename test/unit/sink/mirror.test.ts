import { beforeEach, expect, test } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import type { Source } from '../../../src/kafka/source.ts';
import { Mirror } from '../../../src/sink/mirror.ts';
import { settle } from '../base/clock.ts';
import { LogBook } from './lake.ts';

/** Commits of group offsets that wait to be answered. */
class Commits {
  readonly made: { offsets: Record<string, number>; metadata: string }[] = [];
  readonly #answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly source = {
    commitOffsets: (offsets: ReadonlyMap<string, number>, metadata: string): Promise<void> => {
      this.made.push({ offsets: Object.fromEntries(offsets), metadata });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#answers.push({ resolve, reject });
      return promise;
    },
  } as unknown as Source;

  async answer(error?: Error): Promise<void> {
    const { resolve, reject } = this.#answers.shift()!;
    if (error) reject(error);
    else resolve();
    await settle();
  }
}

let commits: Commits;
let log: LogBook;
let done: number;
let mirror: Mirror;
beforeEach(() => {
  commits = new Commits();
  log = new LogBook();
  done = 0;
  mirror = new Mirror(commits.source, log, () => done++);
});

const offsets = (...next: number[]): Map<string, number> =>
  new Map(next.map((offset, partition) => [`orders-${partition}`, offset]));

test('group offsets follow the tables, marked as a mirror', async () => {
  mirror.follow(offsets(5, 7), 1_000);
  expect(commits.made).toEqual([{ offsets: { 'orders-0': 5, 'orders-1': 7 }, metadata: 'frazil' }]);
  await commits.answer();
  expect(done).toBe(1);
  mirror.follow(offsets(6, 7), 2_000);
  expect(commits.made[1]).toEqual({ offsets: { 'orders-0': 6 }, metadata: 'frazil' });
});

test('what has not moved forward is not told again, and never what went back', async () => {
  mirror.follow(offsets(5, 7), 1_000);
  await commits.answer();
  mirror.follow(offsets(5, 7), 9_000);
  mirror.follow(offsets(4, 6), 19_000);
  expect(commits.made).toHaveLength(1);
  expect([mirror.isBehind(offsets(5, 7)), mirror.isBehind(offsets(5, 8))]).toEqual([false, true]);
});

test('at most one commit a second is made, and one at a time', async () => {
  mirror.follow(offsets(5), 1_000);
  mirror.follow(offsets(6), 5_000);
  expect(commits.made).toHaveLength(1);
  await commits.answer();
  mirror.follow(offsets(6), 1_999);
  expect(commits.made).toHaveLength(1);
  mirror.follow(offsets(6), 2_000);
  expect(commits.made).toHaveLength(2);
});

test('before partitions are given away what has landed is told at once', () => {
  mirror.follow(offsets(5), 1_000);
  mirror.push(offsets(6));
  expect(commits.made.map((made) => made.offsets)).toEqual([{ 'orders-0': 5 }, { 'orders-0': 6 }]);
});

test('a commit that fails is told, and made good by the next', async () => {
  mirror.follow(offsets(5), 1_000);
  await commits.answer(new TransientError('the group is rebalancing'));
  expect(log.lines).toEqual(['warn the group offsets could not follow the tables; trying again']);
  expect(log.fields).toEqual([{ error: 'the group is rebalancing' }]);
  expect(done).toBe(1);
  mirror.follow(offsets(5), 2_000);
  expect(commits.made[1]!.offsets).toEqual({ 'orders-0': 5 });
});

test('a partition that was given away and came back is told anew', async () => {
  mirror.follow(offsets(5), 1_000);
  await commits.answer();
  mirror.forget('orders-0');
  mirror.follow(offsets(3), 2_000);
  expect(commits.made[1]!.offsets).toEqual({ 'orders-0': 3 });
});

test('a stop waits until the group has been told all that landed', async () => {
  expect(mirror.finish(offsets())).toBe(true);
  expect(mirror.finish(offsets(5))).toBe(false);
  expect(mirror.finish(offsets(5))).toBe(false);
  expect(commits.made).toHaveLength(1);
  await commits.answer();
  expect(mirror.finish(offsets(5))).toBe(true);
});

test('a stop does not wait for ever: the tables are the ledger', async () => {
  for (let attempt = 1; attempt <= 3; attempt++) {
    expect(mirror.finish(offsets(5))).toBe(false);
    await commits.answer(new TransientError('the broker is away'));
  }
  expect(mirror.finish(offsets(5))).toBe(true);
  expect(commits.made).toHaveLength(3);
});

test('failures that were made good do not count against a later stop', async () => {
  for (const error of [new TransientError('a'), new TransientError('b'), undefined]) {
    mirror.push(offsets(5));
    await commits.answer(error);
  }
  expect(mirror.finish(offsets(6))).toBe(false);
  await commits.answer(new TransientError('c'));
  expect(mirror.finish(offsets(6))).toBe(false);
  expect(commits.made).toHaveLength(5);
});

test('what was forgotten while its commit was under way is mirrored anew: it may be another topic’s', async () => {
  mirror.follow(offsets(50), 1_000);
  mirror.forget('orders-0');
  await commits.answer();
  expect(mirror.isBehind(offsets(3))).toBe(true);
  mirror.follow(offsets(3), 9_000);
  expect(commits.made[1]!.offsets).toEqual({ 'orders-0': 3 });
});
