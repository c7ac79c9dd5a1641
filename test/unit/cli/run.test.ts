import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import type { Log } from '../../../src/base/log.ts';
import type { SinkStatus } from '../../../src/sink/status.ts';

/** A worker that does what a test says. */
const makeWorker = () => ({
  status: vi.fn<() => SinkStatus>(),
  stop: vi.fn<(reason: string) => void>(),
  run: vi.fn<() => Promise<unknown>>(),
});
let worker: ReturnType<typeof makeWorker>;
let log: Log;
let options: { untilCaughtUp: boolean } | undefined;

vi.mock('../../../src/config/config.ts', () => ({
  loadConfig: () => ({ pipeline: 'shop', log: { level: 'info', statusInterval: 60_000 } }),
}));
vi.mock('../../../src/worker/worker.ts', () => ({
  createWorker: (_config: unknown, given: typeof options, itsLog: Log) => {
    options = given;
    log = itsLog;
    return worker;
  },
}));
const { runCommand } = await import('../../../src/cli/run.ts');

const status: SinkStatus = {
  state: 'running',
  topics: ['orders'],
  partitions: 1,
  records: 0,
  rows: 0,
  bytes: 0,
  snapshots: 0,
  lagRecords: 0,
  unreadAgeMs: undefined,
  fetchedBytes: 0,
  lags: [],
  rebalances: 0,
  rebalanceHistory: [],
  heldBytes: 0,
  heldBytesMax: 1,
  heldBytesPeak: 0,
  paused: false,
  lastCommitAgeMs: undefined,
  undecodable: 0,
  tombstones: 0,
  fenced: 0,
};

let written: string;
let printed: string[];
let ended: { resolve: (summary: unknown) => void; reject: (error: Error) => void };
const handlers = ['SIGTERM', 'SIGINT'] as const;
const isTTY = process.stderr.isTTY;

beforeEach(() => {
  written = '';
  printed = [];
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  ended = { resolve, reject };
  worker = makeWorker();
  worker.run.mockReturnValue(promise);
  worker.status.mockReturnValue(status);
  vi.useFakeTimers();
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    written += String(chunk);
    return true;
  });
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
  process.stderr.isTTY = true;
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const signal of handlers) process.removeAllListeners(signal);
  process.stderr.isTTY = isTTY;
});

const start = (...args: string[]) => runCommand().parseAsync(['node', 'frazil', '-c', 'x.yaml', ...args]);

/** What a terminal shows at its bottom now. */
const lastLine = (): string => written.slice(written.lastIndexOf('\x1b[2K') + 4);

describe('on a terminal', () => {
  beforeEach(() => {
    process.stderr.columns = 200;
  });

  test('one live line tells rates, what landed, the lag and what is held', async () => {
    const running = start();
    await vi.advanceTimersByTimeAsync(500);
    expect(lastLine()).toBe('shop  0 records/s  0 B/s  0 rows landed  lag 0  no commit yet  held 0 B');
    worker.status.mockReturnValue({
      ...status,
      records: 6_170,
      bytes: 2_149_581,
      rows: 1_204_331,
      lagRecords: 12_034,
      lastCommitAgeMs: 3_200,
      heldBytes: 45 * 1024 * 1024,
    });
    await vi.advanceTimersByTimeAsync(500);
    expect(lastLine()).toBe(
      'shop  12.3k records/s  4.10 MiB/s  1,204,331 rows landed  lag 12,034  last commit 3.2 s ago  held 45.0 MiB',
    );
    ended.resolve({});
    await running;
    expect(written.endsWith('held 45.0 MiB\n'), 'the line is ended').toBe(true);
  });

  test('the live line says that it stops, and that memory is full', async () => {
    worker.status.mockReturnValue({ ...status, state: 'draining', paused: true });
    const running = start();
    await vi.advanceTimersByTimeAsync(500);
    expect(lastLine()).toMatch(/^shop {2}\(draining\) {2}\(paused: memory\.held reached\) {2}0 records\/s/);
    ended.resolve({});
    await running;
  });

  test('the live line is never longer than the terminal', async () => {
    process.stderr.columns = 30;
    const running = start();
    await vi.advanceTimersByTimeAsync(500);
    expect(lastLine()).toHaveLength(29);
    ended.resolve({});
    await running;
  });

  test('log lines scroll above the live line', async () => {
    const running = start();
    await vi.advanceTimersByTimeAsync(500);
    written = '';
    log.info('committed', { table: 'shop.orders', rows: 7, snapshot: 1n });
    expect(written).toMatch(
      /^\r\x1b\[2K\d\d:\d\d:\d\d info {2}committed table=shop\.orders rows=7 snapshot=1\nshop {2}/,
    );
    log.debug('not told at this level');
    expect(written).not.toContain('not told');
    ended.resolve({});
    await running;
  });
});

describe('a run', () => {
  test('until caught up prints one JSON summary on standard output', async () => {
    const running = start('--until-caught-up');
    expect(options).toEqual({ untilCaughtUp: true });
    ended.resolve({ rows: 7 });
    await running;
    expect(printed).toHaveLength(1);
    expect(JSON.parse(printed[0]!)).toMatchObject({ rows: 7 });
  });

  test('without a bound prints nothing there', async () => {
    const running = start();
    expect(options).toEqual({ untilCaughtUp: false });
    ended.resolve({ rows: 7 });
    await running;
    expect(printed).toEqual([]);
  });

  test('that fails throws what failed, and prints no summary', async () => {
    const running = start('--until-caught-up');
    await vi.advanceTimersByTimeAsync(0);
    ended.reject(new TransientError('gave up'));
    await expect(running).rejects.toThrow('gave up');
    expect(printed).toEqual([]);
  });
});

describe('a signal', () => {
  test.each(handlers)('%s asks for a graceful stop; the same one told twice is one', async (signal) => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const running = start();
    await vi.advanceTimersByTimeAsync(0);
    process.emit(signal, signal);
    process.emit(signal, signal);
    expect(worker.stop).toHaveBeenCalledWith(signal);
    expect(exit).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(400);
    process.emit(signal, signal);
    expect(exit).toHaveBeenCalledWith(1);
    ended.resolve({});
    await running;
  });
});
