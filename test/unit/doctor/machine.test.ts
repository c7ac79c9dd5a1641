import { expect, test } from 'vitest';
import { clockCheck, memoryCheck } from '../../../src/doctor/machine.ts';
import { ManualClock } from '../base/clock.ts';

const MiB = 1024 * 1024;

test.each([
  ['a container with room', 128, 1024, 'ok', 'the container has 1024 MiB'],
  ['a container in which it will be ended once it is busy', 512, 768, 'warning', 'the container has 768 MiB'],
  ['a container that is smaller than what may be held', 512, 256, 'failed', 'the container has 256 MiB'],
  ['no container', 512, undefined, 'ok', 'the machine has 4096 MiB'],
  ['no limit, told as a very large one', 512, 2 ** 53, 'ok', 'the machine has 4096 MiB'],
] as const)('memory of %s', async (_what, held, limit, status, found) => {
  const bytes = limit === undefined ? undefined : limit * MiB;
  const outcome = await memoryCheck(held * MiB, bytes, 4096 * MiB).run();
  expect(outcome.status).toBe(status);
  expect(outcome.found).toContain(found);
  expect(outcome.fix).toBe(status === 'ok' ? undefined : 'give it 1024 MiB, or lower memory.held');
});

/** Servers by URL, each of them so many seconds ahead of us; undefined: it does not tell. */
function servers(aheadSeconds: Record<string, number | undefined>): {
  clock: ManualClock;
  fetch: typeof fetch;
} {
  const clock = new ManualClock();
  return {
    clock,
    fetch: async (url) => {
      const ahead = aheadSeconds[String(url)];
      if (ahead === undefined) throw new Error('unreachable');
      const date = new Date(clock.nowMs() + ahead * 1000).toUTCString();
      // A refusal has a date too.
      return new Response(null, { status: 403, headers: { date } });
    },
  };
}

test('a clock as the servers have it', async () => {
  const outcome = await clockCheck(['a', 'b', 'c'], servers({ a: 1, b: -30 })).run();
  expect(outcome.status).toBe('ok');
  expect(outcome.found).toMatch(/^ours is (29|30)\.\d s ahead, as 2 of the servers tell$/);
});

test.each([
  [90, /^ours is (89|90|91)\.\d s behind$/],
  [-90, /^ours is (89|90|91)\.\d s ahead$/],
])('a clock that is off by more than a minute (%i s)', async (seconds, found) => {
  const outcome = await clockCheck(['a', 'b'], servers({ a: 0, b: seconds })).run();
  expect(outcome.status).toBe('warning');
  expect(outcome.found).toMatch(found);
});

test('no server that tells its time', async () => {
  expect((await clockCheck([], servers({})).run()).status).toBe('skipped');
  expect((await clockCheck(['a'], servers({})).run()).status).toBe('skipped');
});
