import { describe, expect, test } from 'vitest';
import { fetchBytesMin } from '../../../src/kafka/source.ts';
import { TopicPattern } from '../../../src/kafka/topic-pattern.ts';
import { Bench, rowsOf } from './bench.ts';
import { ledger } from './history.ts';
import { tableOptions } from './options.ts';

const commitNow = { intervalMs: 1_000, bytes: 1e9, rows: 1e9 };
const known = (next: number[], starts?: number[]) => ({
  type: 'known',
  ledger: { ...ledger(next, starts), topicIds: new Map([['orders', 'id']]) },
});

describe('a worker', () => {
  test('lands what comes, and moves the group’s offset only then (I3)', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    await bench.start(0);
    expect(bench.source.calls).toEqual([
      'commit orders-0 0 (frazil start)',
      'seek orders-0 0',
      'commit orders-0 0 (frazil)',
    ]);
    bench.source.bringSome(0, 3);
    await bench.pass(500);
    expect(await bench.rows()).toBe('');
    expect(bench.source.group.get('orders-0')?.offset).toBe(0);
    await bench.pass(600);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    await bench.pass(1_000);
    expect(bench.source.group.get('orders-0')).toEqual({ offset: 3, metadata: 'frazil' });
    expect(await bench.lake.resolve()).toEqual(known([3]));
  });

  test.each([
    ['rows', { intervalMs: 1e9, bytes: 1e9, rows: 3 }],
    ['bytes', { intervalMs: 1e9, bytes: 21, rows: 1e9 }],
  ])('commits as soon as there are enough %s', async (_what, commit) => {
    const bench = new Bench({ options: { commit } });
    await bench.start(0);
    bench.source.bringSome(0, 2);
    await bench.pass(5_000);
    expect(await bench.rows()).toBe('');
    bench.source.bringSome(0, 1);
    await bench.pass();
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
  });

  test('goes on reading while a commit is under way, and lands what came in the next', async () => {
    const bench = new Bench({ options: { commit: { ...commitNow, rows: 2 } } });
    await bench.start(0);
    const gate = Promise.withResolvers<void>();
    bench.lake.beforeSwap = () => gate.promise;
    bench.source.bringSome(0, 2);
    await bench.pass();
    bench.source.bringSome(0, 5);
    await bench.pass(2_000);
    expect(bench.lake.swaps).toBe(1); // I5
    gate.resolve();
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 7));
    expect(bench.lake.swaps).toBe(2);
  });

  test('takes up where the table’s ledger ends, whatever the group says', async () => {
    const first = new Bench({ options: { commit: commitNow } });
    await first.start(0);
    first.source.bringSome(0, 3);
    await first.pass(1_100);
    const second = new Bench({ lake: first.lake });
    second.source.group.set('orders-0', { offset: 99, metadata: '' });
    await second.start(0);
    expect(second.source.position()).toBe(3);
  });

  test('that is fenced starts over from the ledger: nothing is lost or doubled', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    const rival = new Bench({ lake: bench.lake, options: { commit: commitNow, worker: 'w2' } });
    await bench.start(0);
    await rival.start(0);
    rival.source.bringSome(0, 3);
    bench.source.bringSome(0, 5);
    await bench.pass();
    await rival.pass(1_100);
    await bench.pass(1_100);
    const rows = await bench.rows();
    expect([rowsOf(0, 0, 3), rowsOf(0, 0, 5)]).toContain(rows);
    const [loser, next] = rows === rowsOf(0, 0, 3) ? [bench, 3] : [rival, 5];
    expect(loser.source.position()).toBe(next);
    expect(loser.sink.status().fenced).toBe(1);
    loser.source.bringSome(0, 4);
    await loser.pass(1_100);
    expect(await bench.rows()).toBe(rowsOf(0, 0, next + 4));
  });

  test('notices on a quiet topic, within minutes, that the table was rolled back', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(2_000);
    await bench.lake.change((metadata) => ({ ...metadata, 'current-snapshot-id': null, refs: {} }));
    await bench.pass(6 * 60_000);
    expect(bench.ended).toMatch(/^table shop\.orders has gone back behind what pipeline shop has landed/);
  });

  test('lands again, with replay, what a rollback took away', async () => {
    const tables = [tableOptions({ onRollback: 'replay' })];
    const bench = new Bench({ options: { commit: commitNow, tables } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(2_000);
    await bench.lake.change((metadata) => ({ ...metadata, 'current-snapshot-id': null, refs: {} }));
    await bench.pass(6 * 60_000);
    expect(bench.source.position()).toBe(0);
    bench.source.bringSome(0, 4);
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 4));
  });

  test('ends with the error of what broke, and closes everything', async () => {
    const bench = new Bench();
    await bench.start(0);
    bench.source.bringSome(0, 3);
    bench.source.fail(new Error('the cluster refuses us'));
    await bench.pass(2_000);
    expect(bench.ended).toBe('the cluster refuses us');
    expect(bench.source.calls.at(-1)).toBe('close');
  });
});

describe('a graceful stop', () => {
  test('reads no more, lands what was read, tells the group and leaves', async () => {
    const bench = new Bench({ partitions: 2, lanes: 2 });
    await bench.start(0, 1);
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 2);
    bench.sink.stop('SIGTERM');
    await bench.pass();
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(1, 0, 2)}`);
    expect(bench.ended).toMatchObject({ rows: 5, records: 5, snapshots: 1, fenced: 0 });
    expect(bench.source.group.get('orders-0')?.offset).toBe(3);
    expect(bench.source.group.get('orders-1')?.offset).toBe(2);
    expect(bench.source.calls.at(-1)).toBe('close');
    expect(bench.source.allowedBytes).toBe(0);
  });

  test('takes no longer than the grace period; what has not landed stays in Kafka', async () => {
    const bench = new Bench({ options: { graceMs: 5_000 } });
    await bench.start(0);
    bench.lake.beforeSwap = () => new Promise(() => {});
    bench.source.bringSome(0, 3);
    bench.sink.stop('SIGTERM');
    await bench.pass(4_900);
    expect(bench.ended).toBeUndefined();
    await bench.pass(200);
    expect(bench.ended).toMatchObject({ rows: 0, records: 3 });
    expect(bench.source.group.get('orders-0')?.offset).toBe(0);
    expect(bench.lake.log.lines).toContain(
      'warn the grace period is over: what has not landed is left for the next run',
    );
  });

  test('takes nothing that is assigned meanwhile', async () => {
    const bench = new Bench({ partitions: 2 });
    await bench.start(0);
    bench.lanes[0]!.hold();
    bench.source.bringSome(0, 3);
    bench.sink.stop('SIGTERM');
    await bench.pass();
    bench.source.assign(1);
    await bench.pass();
    expect(bench.source.calls.filter((call) => call.startsWith('seek orders-1'))).toEqual([]);
    bench.lanes[0]!.letGo();
    await bench.pass();
    expect(bench.ended).toMatchObject({ rows: 3 });
  });
});

describe('a bounded run', () => {
  test('ends when everything up to the ends of the logs has landed, markers and tombstones too', async () => {
    const bench = new Bench({
      options: { untilCaughtUp: true, tables: [tableOptions({ onTombstone: 'skip' })] },
    });
    bench.source.logs.set('orders-0', { start: 0, end: 4 });
    await bench.start(0);
    bench.source.bring(0, 1, 2, 3);
    await bench.pass(30_000);
    expect(bench.ended).toBeUndefined();
    bench.source.bring(0, null);
    await bench.pass();
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    expect(await bench.lake.resolve()).toEqual(known([4]));
    expect(bench.ended).toMatchObject({ records: 4, rows: 3, tombstones: 1 });
  });

  test('without a single record ends at once and says that it did nothing', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true } });
    await bench.start(0);
    await bench.pass(2_000);
    expect(bench.ended).toMatchObject({ records: 0, rows: 0, snapshots: 0 });
  });

  test('of a member that was given nothing ends when the tables say that the others are done', async () => {
    const worker = new Bench({ options: { commit: commitNow } });
    const idle = new Bench({ lake: worker.lake, options: { untilCaughtUp: true } });
    idle.source.logs.set('orders-0', { start: 0, end: 3 });
    await worker.start(0);
    await idle.start();
    await idle.pass(10_000);
    expect(idle.ended).toBeUndefined();
    worker.source.bringSome(0, 3);
    await worker.pass(4_000);
    expect(idle.ended).toMatchObject({ rows: 0 });
  });

  test('whose last commit is fenced reads again what has not landed, and only then is done', async () => {
    const bench = new Bench({ partitions: 2, options: { untilCaughtUp: true } });
    const rival = new Bench({
      partitions: 2,
      lake: bench.lake,
      options: { commit: commitNow, worker: 'w2' },
    });
    for (const key of ['orders-0', 'orders-1']) bench.source.logs.set(key, { start: 0, end: 3 });
    await rival.start(0);
    await bench.start(0, 1);
    rival.source.bringSome(0, 3);
    await rival.pass();
    bench.lanes[0]!.hold();
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 3);
    await rival.pass(1_100);
    bench.lanes[0]!.letGo();
    await bench.pass(10_000);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    expect(bench.ended).toBeUndefined();
    bench.source.bringSome(1, 3);
    await bench.pass(10_000);
    expect(await bench.rows()).toBe([rowsOf(0, 0, 3), rowsOf(1, 0, 3)].join(' '));
    expect(bench.ended).toMatchObject({ rows: 3, fenced: 1, caughtUp: true });
  });

  test('is done when its last commit is, however long that takes', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true } });
    bench.source.logs.set('orders-0', { start: 0, end: 3 });
    await bench.start(0);
    const gate = Promise.withResolvers<void>();
    bench.lake.beforeSwap = () => gate.promise;
    bench.source.bringSome(0, 3);
    await bench.pass(40_000);
    expect(bench.ended).toBeUndefined();
    gate.resolve();
    await bench.pass(2_000);
    expect(bench.ended).toMatchObject({ rows: 3, caughtUp: true });
  });

  test('waits for what others were given, and reads it when it comes to us after all', async () => {
    const commit = { ...commitNow, intervalMs: 1e9 };
    const bench = new Bench({ partitions: 2, options: { untilCaughtUp: true, commit } });
    for (const key of ['orders-0', 'orders-1']) bench.source.logs.set(key, { start: 0, end: 3 });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(10_000);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3)); // landed at once, whatever the triggers say
    expect(bench.ended).toBeUndefined();
    expect(bench.source.allowedBytes, 'what comes behind the end is not read').toBe(0);
    bench.source.assign(1);
    await bench.pass();
    expect(bench.source.allowedBytes).toBeGreaterThan(0);
    bench.source.bringSome(1, 3);
    await bench.pass(10_000);
    expect(bench.ended).toMatchObject({ rows: 6, caughtUp: true });
  });

  test('under which a topic is made anew fails: where it was to end was said of another one', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true, onTopicRecreated: 'restart' } });
    bench.source.logs.set('orders-0', { start: 0, end: 9 });
    await bench.start(0);
    bench.source.lose(0);
    bench.source.partitions[0] = { topic: 'orders', partition: 0, topicId: 'made anew' };
    bench.source.assign(0);
    await bench.pass();
    expect(bench.ended).toMatch(
      /^reading topic orders up to its end: it was deleted and made anew meanwhile/,
    );
  });

  test('whose log is cut before that end does not wait for ever', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true } });
    bench.source.logs.set('orders-0', { start: 0, end: 9 });
    await bench.start(0);
    await bench.pass(29_000);
    bench.source.bringSome(0, 3);
    await bench.pass(65_000);
    expect(bench.ended, 'others may still be writing').toBeUndefined();
    bench.source.logs.set('orders-0', { start: 0, end: 3 });
    await bench.pass(31_000);
    expect(bench.ended).toMatch(/^reading orders-0 up to its end: its log was cut meanwhile/);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
  });

  test('is not kept by a topic that was found by a pattern and is gone', async () => {
    const tables = [tableOptions({ topicsPattern: new TopicPattern('gone|new') })];
    const bench = new Bench({ partitions: 2, options: { untilCaughtUp: true, tables } });
    bench.source.partitions[1] = { topic: 'gone', partition: 0, topicId: 'g' };
    bench.source.logs.set('orders-0', { start: 0, end: 3 });
    bench.source.logs.set('gone-0', { start: 0, end: 3 });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(10_000);
    expect(bench.ended).toBeUndefined();
    expect(bench.sink.status().topics).toEqual(['gone', 'orders']);
    bench.source.topics(['new'], ['gone']);
    await bench.pass(10_000);
    expect(bench.ended).toMatchObject({ rows: 3, caughtUp: true });
    expect(bench.sink.status().topics).toEqual(['new', 'orders']);
  });

  test('that is told to stop early ends as any other', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true } });
    bench.source.logs.set('orders-0', { start: 0, end: 9 });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    bench.sink.stop('SIGTERM');
    await bench.pass();
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    expect(bench.ended).toMatchObject({ rows: 3, caughtUp: false });
  });
});

test('the status tells what a worker holds, has landed and is behind', async () => {
  const bench = new Bench({ options: { commit: { ...commitNow, rows: 3 } } });
  await bench.start(0);
  const log = {
    start: 0,
    end: 10,
    highWatermark: 12,
    position: 5,
    readTimestampMs: bench.clock.nowMs() - 4_500,
  };
  bench.source.logs.set('orders-0', log);
  bench.source.bringSome(0, 3);
  await bench.pass();
  bench.source.bringSome(0, 2);
  await bench.pass(500);
  expect(bench.sink.status()).toMatchObject({
    state: 'running',
    partitions: 1,
    records: 5,
    rows: 3,
    bytes: 35,
    snapshots: 1,
    lagRecords: 7,
    unreadAgeMs: 5_000,
    lags: [
      {
        topic: 'orders',
        partition: 0,
        logStart: 0,
        lastStableOffset: 10,
        highWatermark: 12,
        position: 5,
        landed: 3,
        lagRecords: 7,
        unreadAgeMs: 5_000,
      },
    ],
    rebalances: 1,
    rebalanceHistory: [{ type: 'assigned', count: 1, partitions: ['orders-0'] }],
    heldBytesMax: 64 * 1024 * 1024,
    paused: false,
    lastCommitAgeMs: 500,
    undecodable: 0,
    tombstones: 0,
    fenced: 0,
  });
  const { heldBytes, heldBytesPeak } = bench.sink.status();
  expect(heldBytes).toBeGreaterThan(0);
  expect(heldBytesPeak).toBeGreaterThanOrEqual(heldBytes);
});

test('the history of rebalances has their causes', async () => {
  const bench = new Bench({ partitions: 2 });
  await bench.start();
  bench.source.because('joined', 'assigned', 0, 1);
  await bench.pass();
  bench.source.because('the topic is gone', 'revoked', 0);
  await bench.pass();
  bench.source.because('UNKNOWN_MEMBER_ID', 'lost', 1);
  await bench.pass();
  expect(bench.sink.status().rebalanceHistory).toMatchObject([
    { type: 'assigned', count: 2, cause: 'joined' },
    { type: 'revoked', partitions: ['orders-0'], cause: 'the topic is gone' },
    { type: 'lost', partitions: ['orders-1'], cause: 'UNKNOWN_MEMBER_ID' },
  ]);
});

test('over its memory bound a worker stops reading and lands, then reads on (I6)', async () => {
  const heldBytesMax = 4 * 1024 * 1024;
  const bench = new Bench({ options: { heldBytesMax, commit: { ...commitNow, intervalMs: 1e9 } } });
  await bench.start(0);
  const gate = Promise.withResolvers<void>();
  bench.lake.beforeSwap = () => gate.promise;
  const text = `{"n":1,"unknown":"${'x'.repeat(300_000)}"}`;
  bench.lanes[0]!.hold();
  bench.source.bring(0, text, text, text);
  await bench.pass();
  expect(bench.source.allowedBytes).toBe(0);
  expect(bench.sink.status().paused).toBe(true);
  bench.lanes[0]!.letGo();
  gate.resolve();
  await bench.pass(1_000);
  expect(bench.sink.status().paused).toBe(false);
  expect(bench.source.allowedBytes).toBeGreaterThan(256 * 1024);
});

test('what a drop has freed is read again: the budget hears of it though no record comes', async () => {
  const heldBytesMax = 4 * 1024 * 1024;
  const bench = new Bench({ options: { heldBytesMax, commit: { ...commitNow, intervalMs: 1e9 } } });
  await bench.start(0);
  const { lane } = bench.lanes[0]!;
  const append = lane.append.bind(lane);
  lane.append = async (set) => ({ ...(await append(set)), heldBytes: heldBytesMax });
  bench.lake.beforeSwap = () => new Promise(() => {});
  bench.source.bringSome(0, 3);
  await bench.pass();
  bench.source.bringSome(0, 3);
  await bench.pass();
  expect(bench.sink.status().paused).toBe(true);
  bench.source.lose(0);
  await bench.pass(2_000);
  expect(bench.sink.status()).toMatchObject({ paused: false, partitions: 0 });
  expect(bench.source.allowedBytes).toBeGreaterThan(fetchBytesMin);
});

test('a stop does not wait for a lane that waits for something else', async () => {
  const bench = new Bench();
  await bench.start(0);
  bench.lanes[0]!.lane.close = () => new Promise(() => {});
  bench.sink.stop('SIGTERM');
  await bench.pass(3_000);
  expect(bench.ended).toMatchObject({ rows: 0 });
});

test('a stop is heard while Kafka does not answer', async () => {
  const bench = new Bench();
  bench.source.start = () => new Promise(() => {});
  await bench.start();
  bench.sink.stop('SIGTERM');
  await bench.pass();
  expect(bench.ended).toMatchObject({ rows: 0 });
});
