import { expect, test } from 'vitest';
import { systemClock, withDeadline } from '../../../src/base/clock.ts';
import { DeadlineError, isRetryable } from '../../../src/base/errors.ts';
import { Mailbox } from '../../../src/base/mailbox.ts';
import { ManualClock } from './clock.ts';

const never = (): Promise<never> => new Promise(() => {});

test('an answer in time is handed on, and nothing goes on sleeping', async () => {
  const clock = new ManualClock();
  expect(await withDeadline(clock, 1_000, 'asking', async () => 42)).toBe(42);
  expect(clock.sleeping).toBe(0);
});

test('an error in time is handed on, and nothing goes on sleeping', async () => {
  const clock = new ManualClock();
  const asked = withDeadline(clock, 1_000, 'asking', async () => {
    throw new Error('refused');
  });
  await expect(asked).rejects.toThrow('refused');
  expect(clock.sleeping).toBe(0);
});

test('an operation that throws before it promises is an error like any other', async () => {
  const clock = new ManualClock();
  const asked = withDeadline(clock, 1_000, 'asking', () => {
    throw new Error('at once');
  });
  await expect(asked).rejects.toThrow('at once');
  expect(clock.sleeping).toBe(0);
});

test('without an answer the operation is told to stop and the caller hears what was being done', async () => {
  const clock = new ManualClock();
  let told: AbortSignal | undefined;
  const asked = withDeadline(clock, 1_000, 'loading table shop.orders', (signal) => {
    told = signal;
    return never();
  });
  const outcome = asked.catch((error: unknown) => error);
  await clock.pass(999);
  expect(told!.aborted).toBe(false);
  await clock.pass(1);
  const error = await outcome;
  expect(error).toBeInstanceOf(DeadlineError);
  expect((error as Error).message).toBe('loading table shop.orders: no answer within 1000 ms');
  expect(isRetryable(error)).toBe(true);
  expect(told!.aborted).toBe(true);
});

test('what the operation does after the deadline disturbs nobody', async () => {
  const clock = new ManualClock();
  const operation = Promise.withResolvers<number>();
  const outcome = withDeadline(clock, 10, 'asking', () => operation.promise).catch((error: unknown) => error);
  await clock.pass(10);
  expect(await outcome).toBeInstanceOf(DeadlineError);
  operation.reject(new Error('much too late')); // an unhandled rejection would fail the test run
  await clock.pass(10);
});

test('the system clock sleeps, and wakes at once when it is told to', async () => {
  const begin = performance.now();
  await systemClock.sleep(15);
  expect(performance.now() - begin).toBeGreaterThanOrEqual(14);
  const stop = new AbortController();
  const asleep = systemClock.sleep(60_000, stop.signal);
  stop.abort();
  await asleep;
  await systemClock.sleep(60_000, stop.signal);
  expect(performance.now() - begin).toBeLessThan(10_000);
});

test('a mailbox gives what is there at once, in the order of arrival', async () => {
  const clock = new ManualClock();
  const box = new Mailbox<number>();
  box.put(1);
  box.put(2);
  expect(box.size).toBe(2);
  expect(await box.take(clock, 1_000)).toEqual([1, 2]);
  expect(box.size).toBe(0);
  expect(clock.sleeping).toBe(0);
});

test('an empty mailbox waits for the first arrival', async () => {
  const clock = new ManualClock();
  const box = new Mailbox<string>();
  const taken = box.take(clock, 1_000);
  expect(clock.sleeping).toBe(1);
  box.put('a');
  box.put('b');
  expect(await taken).toEqual(['a', 'b']);
  expect(clock.sleeping).toBe(0);
});

test('an empty mailbox stops waiting when the time is up, and does not wait at all without time', async () => {
  const clock = new ManualClock();
  const box = new Mailbox<string>();
  const taken = box.take(clock, 1_000);
  await clock.pass(1_000);
  expect(await taken).toEqual([]);
  expect(await box.take(clock, 0)).toEqual([]);
  box.put('later');
  expect(await box.take(clock, 0)).toEqual(['later']);
});
