import { expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { backoffMs, type RetryPolicy, retry } from '../../../src/base/retry.ts';
import { SkippingClock } from './clock.ts';

const policy: RetryPolicy = { attemptsMax: 5, totalMs: 60_000, waitMinMs: 100, waitMaxMs: 1_000 };

/** Randomness that always gives the same fraction of [0, 1). */
function constantRandom(fraction: number): Random {
  return {
    bytes: (length) => {
      const out = Buffer.alloc(Math.max(4, length));
      out.writeUInt32LE(Math.min(0xffffffff, Math.floor(fraction * 2 ** 32)));
      return out;
    },
  };
}

/** An operation that fails with these errors, one after the other, and then succeeds. */
function failing(errors: readonly Error[]): {
  run: (attempt: number) => Promise<string>;
  attempts: number[];
} {
  const attempts: number[] = [];
  const run = async (attempt: number): Promise<string> => {
    attempts.push(attempt);
    const error = errors[attempts.length - 1];
    if (error) throw error;
    return 'done';
  };
  return { run, attempts };
}

const transient = (n: number): Error[] =>
  Array.from({ length: n }, (_, i) => new TransientError(`failure ${i + 1}`));

test('it tries until it succeeds, and tells of every failure but the last', async () => {
  const clock = new SkippingClock();
  const { run, attempts } = failing(transient(3));
  const told: [string, number, number][] = [];
  const result = await retry({ clock, random: constantRandom(1) }, policy, run, {
    onRetry: (error, attempt, waitMs) => told.push([(error as Error).message, attempt, waitMs]),
  });
  expect(result).toBe('done');
  expect(attempts).toEqual([1, 2, 3, 4]);
  expect(told).toEqual([
    ['failure 1', 1, 100],
    ['failure 2', 2, 200],
    ['failure 3', 3, 400],
  ]);
  expect(clock.slept).toEqual([100, 200, 400]);
});

test('the number of attempts is bounded, and the last error is thrown', async () => {
  const clock = new SkippingClock();
  const { run, attempts } = failing(transient(9));
  await expect(retry({ clock, random: constantRandom(0) }, policy, run)).rejects.toThrow('failure 5');
  expect(attempts).toHaveLength(5);
});

test('no attempt starts after the total time', async () => {
  const clock = new SkippingClock();
  const startedAtMs: number[] = [];
  const begin = clock.nowMs();
  const bounded = { ...policy, attemptsMax: 1000, totalMs: 2_500 };
  const run = async (): Promise<never> => {
    startedAtMs.push(clock.nowMs() - begin);
    clock.skip(10);
    throw new TransientError('away');
  };
  await expect(retry({ clock, random: constantRandom(1) }, bounded, run)).rejects.toThrow('away');
  expect(Math.max(...startedAtMs)).toBeLessThanOrEqual(2_500);
  expect(startedAtMs.length).toBeGreaterThan(3);
});

test('a time of day that is set on ends nothing: the total time is how long it took', async () => {
  const clock = new SkippingClock();
  const { run, attempts } = failing(transient(3));
  let hours = 0;
  const jumping = {
    nowMs: () => clock.nowMs() + ++hours * 3_600_000,
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
  };
  expect(await retry({ clock: jumping, random: seededRandom(1) }, policy, run)).toBe('done');
  expect(attempts).toEqual([1, 2, 3, 4]);
});

test('what does not call itself retryable is thrown at once', async () => {
  for (const error of [new FatalError('no'), new Error('who knows'), new TypeError('a bug')]) {
    const { run, attempts } = failing([error]);
    await expect(retry({ clock: new SkippingClock(), random: constantRandom(0) }, policy, run)).rejects.toBe(
      error,
    );
    expect(attempts).toEqual([1]);
  }
});

test('after an abort no attempt starts', async () => {
  const clock = new SkippingClock();
  const stop = new AbortController();
  const { run, attempts } = failing(transient(9));
  const waiting = retry({ clock, random: constantRandom(1) }, policy, run, {
    signal: stop.signal,
    onRetry: (_error, attempt) => {
      if (attempt === 2) stop.abort();
    },
  });
  await expect(waiting).rejects.toThrow('failure 2');
  expect(attempts).toEqual([1, 2]);
});

test('waits are drawn from all of [0, ceiling], and the ceiling doubles up to its bound', () => {
  const random = seededRandom(7);
  for (const [attempt, ceiling] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
    [5, 1_000],
    [40, 1_000],
    [5_000, 1_000],
  ] as const) {
    const waits = Array.from({ length: 400 }, () => backoffMs(policy, attempt, random));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...waits)).toBeLessThanOrEqual(ceiling);
    // Full jitter: 400 draws reach into both the lowest and the highest tenth.
    expect(Math.min(...waits)).toBeLessThan(ceiling / 10);
    expect(Math.max(...waits)).toBeGreaterThan(ceiling * 0.9);
  }
  expect(backoffMs(policy, 3, constantRandom(1))).toBe(400);
  expect(backoffMs(policy, 3, constantRandom(0))).toBe(0);
});
