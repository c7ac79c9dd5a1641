import { expect, test } from 'vitest';
import { Bench, rowsOf } from './bench.ts';
import { tableOptions } from './options.ts';

const commitNow = { intervalMs: 1_000, bytes: 1e9, rows: 1e9 };

test('a lane that dies costs what it held: that is read again, and what had landed stays', async () => {
  const bench = new Bench({ options: { commit: { ...commitNow, rows: 3 } } });
  await bench.start(0);
  bench.source.bringSome(0, 3);
  await bench.pass(2_000);
  expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
  bench.source.bringSome(0, 2);
  bench.lanes[0]!.hold();
  bench.source.bringSome(0, 2);
  await bench.pass();
  bench.lanes[0]!.die();
  await bench.pass();
  expect(bench.ended).toBeUndefined();
  expect(bench.source.calls.filter((call) => call.startsWith('seek')).at(-1)).toMatch(/ 3$/);
  expect(bench.sink.status().heldBytes).toBe(0);
  bench.source.bringSome(0, 6);
  await bench.pass(2_000);
  expect(await bench.rows()).toBe(rowsOf(0, 0, 9));
});

test('also when it is closing files, of which other lanes have closed theirs: they are given up together', async () => {
  const bench = new Bench({ partitions: 2, lanes: 2, options: { commit: commitNow } });
  await bench.start(0, 1);
  bench.source.bringSome(0, 3);
  bench.source.bringSome(1, 3);
  await bench.pass();
  bench.lanes[1]!.hold();
  await bench.pass(1_100);
  bench.lanes[1]!.die();
  await bench.pass();
  bench.source.bringSome(0, 4);
  bench.source.bringSome(1, 4);
  await bench.pass(2_000);
  expect(await bench.rows()).toBe([rowsOf(0, 0, 4), rowsOf(1, 0, 4)].join(' '));
});

test('and when nothing of it is under way: who asks it next is told', async () => {
  const tables = [tableOptions({ table: 'shop.a' }), tableOptions({ table: 'shop.b' })];
  const bench = new Bench({ options: { tables, commit: commitNow } });
  await bench.start(0);
  bench.lanes[0]!.die();
  bench.source.bringSome(0, 3);
  await bench.pass();
  bench.source.bringSome(0, 3);
  await bench.pass(2_000);
  for (const table of ['shop.a', 'shop.b']) expect(await bench.rows(table)).toBe(rowsOf(0, 0, 3));
});

test('lanes that go on dying end the worker, with what to do about it', async () => {
  const bench = new Bench({ options: { commit: commitNow } });
  await bench.start(0);
  for (let deaths = 0; deaths < 4; deaths++) {
    expect(bench.ended).toBeUndefined();
    bench.lanes[0]!.die();
    bench.source.bringSome(0, 1);
    await bench.pass(1_000);
  }
  expect(bench.ended).toMatch(
    /^decoding and encoding: lanes died 4 times within ten minutes, the last time: lane-1 died: out of memory: give the process more memory/,
  );
});
