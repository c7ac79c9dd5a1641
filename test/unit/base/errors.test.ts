import { expect, test } from 'vitest';
import { AssertionError, assert, unreachable } from '../../../src/base/assert.ts';
import {
  AlreadyExistsError,
  ConfigError,
  DeadlineError,
  FatalError,
  FrazilError,
  formatProblem,
  isRetryable,
  messageOf,
  NotFoundError,
  RecordError,
  TransientError,
} from '../../../src/base/errors.ts';

test.each([
  [RecordError, 'RECORD_UNDECODABLE', false],
  [TransientError, 'TRANSIENT', true],
  [DeadlineError, 'DEADLINE', true],
  [FatalError, 'FATAL', false],
  [AlreadyExistsError, 'ALREADY_EXISTS', false],
  [NotFoundError, 'NOT_FOUND', false],
])('%o has a code and says whether trying again can help', (type, code, retryable) => {
  const cause = new Error('why');
  const error = new type('doing it: failed', { cause, context: { topic: 'orders' } });
  expect(error).toBeInstanceOf(FrazilError);
  expect(error).toBeInstanceOf(Error);
  expect(error.name).toBe(type.name);
  expect(error.code).toBe(code);
  expect(isRetryable(error)).toBe(retryable);
  expect(error.cause).toBe(cause);
  expect(error.context).toEqual({ topic: 'orders' });
});

test('an error without a cause or a context has none', () => {
  const error = new FatalError('no');
  expect('cause' in error).toBe(false);
  expect(error.context).toEqual({});
});

test('nothing unknown is retried', () => {
  for (const thrown of [
    new Error('x'),
    new AssertionError('x'),
    { retryable: true },
    'text',
    undefined,
    null,
  ])
    expect(isRetryable(thrown)).toBe(false);
});

test('a problem of the configuration tells place, setting, what is wrong and what to write instead', () => {
  const problem = {
    path: 'commit.interval',
    line: 12,
    column: 5,
    message: 'expected a duration',
    fix: 'write 60s',
  };
  expect(formatProblem(problem)).toBe('12:5 commit.interval: expected a duration (fix: write 60s)');
  expect(formatProblem({ path: '', message: 'not YAML' })).toBe('not YAML');
  expect(formatProblem({ path: 'lanes', line: 3, message: 'wrong' })).toBe('3:1 lanes: wrong');
  const error = new ConfigError([problem, { path: '', message: 'not YAML' }], 'frazil.yaml');
  expect(error.code).toBe('CONFIG');
  expect(error.problems).toHaveLength(2);
  expect(error.message).toBe(
    'reading configuration frazil.yaml: 2 problems\n' +
      '  12:5 commit.interval: expected a duration (fix: write 60s)\n' +
      '  not YAML',
  );
  expect(new ConfigError([problem]).message).toMatch(/^reading configuration: 1 problem\n/);
});

test('a message tells its causes, each once', () => {
  const inner = new Error('connection refused');
  const middle = new Error('asking the broker', { cause: inner });
  expect(messageOf(new TransientError('loading table a.b', { cause: middle }))).toBe(
    'loading table a.b: asking the broker: connection refused',
  );
  expect(messageOf(new Error('same', { cause: new Error('same') }))).toBe('same');
  const told = new Error('writing a: disk is full', { cause: new Error('disk is full') });
  expect(messageOf(new TransientError('committing', { cause: told }))).toBe(
    'committing: writing a: disk is full',
  );
  expect(messageOf(new AggregateError([new Error('first'), new Error('second')], 'all failed'))).toBe(
    'all failed: first',
  );
  expect(messageOf(new AggregateError([]))).toBe('');
  expect(messageOf(new Error('', { cause: 'text' }))).toBe('text');
  expect(messageOf('text')).toBe('text');
  expect(messageOf(undefined)).toBe('undefined');
  expect(messageOf(null)).toBe('null');
});

test('assertions name what did not hold', () => {
  expect(() => assert(true, 'I1')).not.toThrow();
  expect(() => assert(0, 'I1 the claim starts at the ledger')).toThrow(
    new AssertionError('assertion failed: I1 the claim starts at the ledger'),
  );
  expect(() => unreachable('blue' as never, 'colour')).toThrow('assertion failed: unexpected colour: "blue"');
});
