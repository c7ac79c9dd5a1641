import { expect, test } from 'vitest';
import { AlreadyExistsError, FatalError, TransientError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { RetryPolicy } from '../../../src/base/retry.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { putNew } from '../../../src/storage/put.ts';
import { ManualClock, SkippingClock } from '../base/clock.ts';

const policy: RetryPolicy = { attemptsMax: 4, totalMs: 3_600_000, waitMinMs: 100, waitMaxMs: 1_000 };

/** A store whose puts first do what a script says, and then work. */
class ScriptedStore extends MemoryStore {
  readonly script: ((location: string, parts: readonly Uint8Array[]) => Promise<void>)[] = [];
  puts = 0;

  override async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    const step = this.script[this.puts++];
    if (step) return step(location, parts);
    return super.put(location, parts);
  }
}

const fails =
  (error: Error): (() => Promise<void>) =>
  async () => {
    throw error;
  };

function put(store: ScriptedStore, told: unknown[] = [], clock = new SkippingClock()): Promise<void> {
  const ports = { clock, random: seededRandom(1) };
  return putNew(store, 'memory://a', [Buffer.from('x')], ports, policy, (error, attempt) =>
    told.push([(error as Error).message, attempt]),
  );
}

test('an upload that fails is tried again, and each failure is told', async () => {
  const store = new ScriptedStore();
  store.script.push(fails(new TransientError('away')), fails(new TransientError('still away')));
  const told: unknown[] = [];
  await put(store, told);
  expect(Buffer.from(await store.get('memory://a')).toString()).toBe('x');
  expect(told).toEqual([
    ['away', 1],
    ['still away', 2],
  ]);
});

test('an object that is there after a failed attempt is that attempt’s', async () => {
  const store = new ScriptedStore();
  store.script.push(async (location, parts) => {
    await MemoryStore.prototype.put.call(store, location, parts);
    throw new TransientError('the answer was lost');
  });
  await put(store);
  expect(store.puts).toBe(2);
});

test('an object that is there before the first attempt is somebody else’s', async () => {
  const store = new ScriptedStore();
  store.objects.set('memory://a', Buffer.from('theirs'));
  await expect(put(store)).rejects.toThrow(AlreadyExistsError);
  expect(store.puts).toBe(1);
});

test('what trying again cannot mend ends it at once', async () => {
  const store = new ScriptedStore();
  store.script.push(fails(new FatalError('no right to write')));
  await expect(put(store)).rejects.toThrow('no right to write');
  expect(store.puts).toBe(1);
});

test('the attempts are bounded', async () => {
  const store = new ScriptedStore();
  for (let i = 1; i <= 9; i++) store.script.push(fails(new TransientError(`failure ${i}`)));
  await expect(put(store)).rejects.toThrow('failure 4');
});

test('an attempt without an answer is given up after five minutes', async () => {
  const store = new ScriptedStore();
  store.script.push(() => new Promise(() => {}));
  const clock = new ManualClock();
  const told: unknown[] = [];
  const putting = putNew(store, 'memory://a', [], { clock, random: seededRandom(1) }, policy, (error) =>
    told.push((error as Error).message),
  );
  await clock.pass(299_999);
  expect(told).toEqual([]);
  await clock.pass(1);
  expect(told).toEqual(['writing memory://a: no answer within 300000 ms']);
  await clock.pass(1_000);
  await putting;
  expect(store.puts).toBe(2);
});
