import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { TransientError } from '../../../src/base/errors.ts';
import { render, summary } from '../../../src/cli/doctor.ts';
import { type Finding, failed, ok, once, runChecks, warning } from '../../../src/doctor/check.ts';
import { ManualClock } from '../base/clock.ts';

test('checks run side by side, and are told of in their order as soon as those before them are done', async () => {
  const first = Promise.withResolvers<void>();
  const told: string[] = [];
  const done = runChecks(
    [
      { what: 'first', run: () => first.promise.then(() => ok('')) },
      {
        what: 'second',
        run: () => {
          // The first waits for the second: they run at the same time.
          first.resolve();
          return ok('');
        },
      },
      { what: 'third', run: () => warning('slow', 'wait') },
    ],
    systemClock,
    ({ what }) => told.push(what),
  );
  expect((await done).map(({ what, status }) => [what, status])).toEqual([
    ['first', 'ok'],
    ['second', 'ok'],
    ['third', 'warning'],
  ]);
  expect(told).toEqual(['first', 'second', 'third']);
});

test('a check that throws has failed, and says it in our words only', async () => {
  const findings = await runChecks(
    [
      {
        what: 'ours',
        run: () => Promise.reject(new TransientError('doing: this', { cause: new Error('library') })),
      },
      {
        what: 'theirs',
        run: () => {
          throw new Error('theirs');
        },
      },
    ],
    systemClock,
    () => {},
  );
  expect(findings).toEqual([
    { what: 'ours', status: 'failed', found: 'doing: this' },
    { what: 'theirs', status: 'failed', found: 'theirs' },
  ]);
});

test('a check that never ends has failed when its time is up, and holds nobody up for longer', async () => {
  const clock = new ManualClock();
  const never = (): Promise<never> => new Promise(() => {});
  const done = runChecks(
    [
      { what: 'usual', run: never },
      { what: 'long', timeoutMs: 60_000, run: never },
      { what: 'after', run: () => ok('') },
    ],
    clock,
    () => {},
  );
  await clock.pass(60_000);
  expect((await done).map(({ found }) => found)).toEqual([
    'checking usual: no answer within 20000 ms',
    'checking long: no answer within 60000 ms',
    '',
  ]);
});

test('what several checks need is made once', async () => {
  let made = 0;
  const get = once(async () => ++made);
  expect(await Promise.all([get(), get()])).toEqual([1, 1]);
});

test('a finding is one line, however long its text', () => {
  const finding: Finding = { what: 'store', ...failed('one\n  two', 'do this') };
  expect(render(finding, 8)).toBe('failed   store     one; two (fix: do this)');
  expect(render({ what: 'clock', ...ok('fine') }, 5)).toBe('ok       clock  fine');
});

test('the summary counts what there is', () => {
  const findings = [ok(''), ok(''), warning('', ''), failed('', '')].map((each) => ({ what: '', ...each }));
  expect(summary(findings)).toBe('1 failed, 1 warning, 2 ok');
  expect(summary(findings.slice(0, 2))).toBe('2 ok');
});
