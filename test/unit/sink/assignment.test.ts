import { describe, expect, test } from 'vitest';
import { Bench, rowsOf } from './bench.ts';
import { tableOptions } from './options.ts';

const commitNow = { intervalMs: 1_000, bytes: 1e9, rows: 1e9 };
const toBeMade = tableOptions({ fields: [] }); // its columns are known when a record tells them, or when it is there

describe('partitions that are revoked', () => {
  test('are given back when their rows have landed and the group has been told, not before', async () => {
    const bench = new Bench({ partitions: 2, lanes: 2 });
    await bench.start(0, 1);
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 2);
    await bench.pass();
    const gate = Promise.withResolvers<void>();
    bench.lake.beforeSwap = () => gate.promise;
    bench.source.revoke(30_000, 0);
    await bench.pass(5_000);
    expect(bench.source.calls).not.toContain('released orders-0');
    gate.resolve();
    await bench.pass();
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(1, 0, 2)}`);
    const told = bench.source.calls.indexOf('commit orders-0 3 (frazil)');
    expect(told).toBeGreaterThan(-1);
    expect(bench.source.calls.indexOf('released orders-0')).toBeGreaterThan(told);
    expect(bench.sink.status().partitions).toBe(1);
  });

  test('are given back at once when nothing of them waits', async () => {
    const bench = new Bench({ partitions: 2 });
    await bench.start(0, 1);
    bench.source.bringSome(1, 3);
    await bench.pass();
    bench.source.revoke(30_000, 0);
    await bench.pass();
    expect(bench.source.calls.at(-1)).toBe('released orders-0');
    expect(bench.lake.swaps).toBe(0); // nothing of partition 1 had to land for that
  });

  test('are given up when time is over, and what had not landed is read again by who has them then', async () => {
    const bench = new Bench({ partitions: 2, options: { commit: commitNow } });
    await bench.start(0, 1);
    bench.lake.beforeSwap = () => new Promise(() => {});
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 2);
    await bench.pass(1_100);
    bench.source.revoke(8_000, 0);
    await bench.pass(7_900);
    expect(bench.source.calls).not.toContain('released orders-0');
    await bench.pass(200);
    expect(bench.source.calls.at(-1)).toBe('released orders-0');
    expect(bench.source.group.get('orders-0')?.offset).toBe(0);
    expect(bench.lake.log.lines).toContain('warn partitions are given up before their rows have landed');
  });

  test('take nothing more: record sets that were on their way are for nobody', async () => {
    const bench = new Bench({ partitions: 2, options: { commit: commitNow } });
    await bench.start(0, 1);
    bench.source.bringSome(0, 3);
    bench.source.revoke(30_000, 0);
    await bench.pass(2_000);
    // Both events were handled in one turn: the set came first and is landed before the partition is released.
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    expect(bench.source.calls).toContain('released orders-0');
  });
});

describe('partitions that are lost', () => {
  test('take with them what had not landed; the table’s other rows are read again and land once', async () => {
    const bench = new Bench({ partitions: 2, options: { commit: commitNow } });
    await bench.start(0, 1);
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 2);
    await bench.pass();
    bench.source.lose(0);
    await bench.pass();
    expect(bench.source.position(1)).toBe(0);
    bench.source.bringSome(1, 2);
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(rowsOf(1, 0, 2));
    expect(bench.source.calls).not.toContain('released orders-0');
  });

  test('while their commit is under way may land all the same: it was theirs when it began', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    await bench.start(0);
    const gate = Promise.withResolvers<void>();
    bench.lake.beforeSwap = () => gate.promise;
    bench.source.bringSome(0, 3);
    await bench.pass(1_100);
    bench.source.lose(0);
    await bench.pass();
    bench.source.assign(0);
    await bench.pass();
    gate.resolve();
    await bench.pass();
    // Assigned again it is taken up behind that commit.
    expect(bench.source.position()).toBe(3);
    bench.source.bringSome(0, 2);
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 5));
  });
});

test('a partition that is assigned again without having been taken away starts over from the ledger', async () => {
  const bench = new Bench({ options: { commit: commitNow } });
  await bench.start(0);
  bench.source.bringSome(0, 3);
  await bench.pass();
  bench.source.assign(0);
  await bench.pass();
  expect(bench.source.position()).toBe(0);
  bench.source.bringSome(0, 4);
  await bench.pass(2_000);
  expect(await bench.rows()).toBe(rowsOf(0, 0, 4));
});

test('partitions are spread over lanes evenly', async () => {
  const bench = new Bench({ partitions: 5, lanes: 2, options: { commit: commitNow } });
  await bench.start(0, 1, 2);
  bench.lanes[0]!.hold();
  bench.source.assign(3, 4);
  await bench.pass();
  for (const partition of [0, 1, 2, 3, 4]) bench.source.bringSome(partition, 1);
  await bench.pass();
  expect(bench.sink.status().records, 'records that lane 2 has taken').toBe(2);
});

describe('a table that does not exist yet', () => {
  const options = { commit: commitNow, tables: [toBeMade] };

  test('and is made by another worker takes also the partitions that were waiting for it', async () => {
    const bench = new Bench({ partitions: 2, options });
    await bench.start(0);
    expect(bench.source.position(0)).toBe(0);
    await makeTable(bench);
    bench.source.assign(1);
    await bench.pass();
    bench.source.bringSome(0, 3);
    bench.source.bringSome(1, 2);
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(1, 0, 2)}`);
  });

  test('and is made by another worker meanwhile is not forgotten for a late answer that it was not there', async () => {
    const bench = new Bench({ partitions: 2, options });
    const gate = Promise.withResolvers<void>();
    bench.source.offsetsGate = gate.promise;
    await bench.start(0);
    await makeTable(bench);
    bench.source.offsetsGate = undefined;
    bench.source.assign(1);
    await bench.pass();
    bench.source.bringSome(1, 2);
    await bench.pass();
    gate.resolve();
    await bench.pass();
    bench.source.bringSome(0, 3);
    if (bench.source.position(1) === 0) bench.source.bringSome(1, 2);
    await bench.pass(2_000);
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(1, 0, 2)}`);
  });

  async function makeTable(bench: Bench): Promise<void> {
    const { metadataFields } = await import('../../../src/lane/metadata-columns.ts');
    const n = { id: 0, name: 'n', required: true, type: { kind: 'long' } } as const;
    await bench.lake.others.create(
      { namespace: ['shop'], name: 'orders' },
      { fields: [n, ...metadataFields], spec: () => ({ specId: 0, fields: [] }), properties: {} },
    );
  }
});

describe('one topic in two tables', () => {
  const tables = [tableOptions({ table: 'shop.a' }), tableOptions({ table: 'shop.b' })];

  test('lands every record once in each, and the group follows the slower (I3)', async () => {
    const bench = new Bench({ options: { tables, commit: { ...commitNow, rows: 3 } } });
    await bench.start(0);
    const gate = Promise.withResolvers<void>();
    bench.lake.beforeSwap = (swap) => (swap === 2 ? gate.promise : Promise.resolve());
    bench.source.bringSome(0, 3);
    await bench.pass(2_000);
    const landed = [await bench.rows('shop.a'), await bench.rows('shop.b')];
    expect(landed.sort()).toEqual(['', rowsOf(0, 0, 3)]);
    expect(bench.source.group.get('orders-0')?.offset).toBe(0);
    gate.resolve();
    await bench.pass(2_000);
    expect(await bench.rows('shop.a')).toBe(rowsOf(0, 0, 3));
    expect(await bench.rows('shop.b')).toBe(rowsOf(0, 0, 3));
    expect(bench.source.group.get('orders-0')?.offset).toBe(3);
  });

  test('of which one starts over doubles nothing in the other', async () => {
    const bench = new Bench({
      options: { tables: tables.map((t) => ({ ...t, onRollback: 'replay' })), commit: commitNow },
    });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(2_000);
    await bench.lake.change((metadata) => ({ ...metadata, 'current-snapshot-id': null, refs: {} }), 'shop.b');
    bench.source.bringSome(0, 2);
    await bench.pass(2_000);
    expect(bench.source.position()).toBe(0);
    bench.source.bringSome(0, 4);
    bench.source.bringSome(0, 4);
    await bench.pass(2_000);
    expect(await bench.rows('shop.a')).toBe(rowsOf(0, 0, 8));
    expect(await bench.rows('shop.b')).toBe(rowsOf(0, 0, 8));
  });
});

test('files of a flush that is dropped while lanes still close theirs are deleted: all of them', async () => {
  const bench = new Bench({ partitions: 2, lanes: 2, options: { commit: commitNow } });
  await bench.start(0, 1);
  bench.source.bringSome(0, 3);
  bench.source.bringSome(1, 3);
  await bench.pass();
  bench.lanes[1]!.hold();
  await bench.pass(1_100);
  expect(bench.lake.objects('.parquet')).toHaveLength(1); // lane 1 has closed its file, lane 2 has not
  bench.source.lose(1);
  await bench.pass();
  bench.lanes[1]!.letGo();
  await bench.pass();
  expect(bench.lake.objects('.parquet')).toEqual([]);
});

describe('two tables of one topic that start over together', () => {
  test('the first to be there is handed nothing from the stream of before', async () => {
    const tables = [tableOptions({ table: 'shop.a' }), tableOptions({ table: 'shop.b' })];
    const bench = new Bench({ options: { tables, commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 5);
    await bench.pass(1_100);
    // Both ledgers have moved behind the worker's back: both commits are fenced, and b is loaded late.
    const rival = new Bench({ lake: bench.lake, options: { tables, commit: commitNow, worker: 'w2' } });
    await rival.start(0);
    rival.source.bringSome(0, 4);
    await rival.pass(1_100);
    bench.source.bringSome(0, 6); // the stream is past the ledger now
    await bench.pass(900);
    // Each commit loads its table once and is fenced; to be opened again each waits at its gate.
    const load = bench.lake.catalog.load.bind(bench.lake.catalog);
    const gates = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() };
    const loads = { a: 0, b: 0 };
    bench.lake.catalog.load = async (identifier) => {
      const name = identifier.name as 'a' | 'b';
      if (++loads[name] > 1) await gates[name].promise;
      return load(identifier);
    };
    await bench.pass(300);
    expect(loads).toEqual({ a: 2, b: 2 });
    gates.a.resolve();
    await bench.pass();
    bench.source.bringSome(0, 3);
    await bench.pass();
    expect(bench.ended).toBeUndefined();
    gates.b.resolve();
    await bench.pass();
    expect(bench.source.position()).toBe(9);
    bench.source.bringSome(0, 1);
    await bench.pass(1_100);
    for (const { table } of tables) expect(await bench.rows(table)).toBe(rowsOf(0, 0, 10));
  });
});

test('what is being given away is not fetched again, whatever table was opened late', async () => {
  const bench = new Bench({ partitions: 2, options: { commit: { ...commitNow, intervalMs: 60_000 } } });
  await bench.start(0);
  bench.source.bringSome(0, 2);
  const load = bench.lake.catalog.load.bind(bench.lake.catalog);
  const gate = Promise.withResolvers<void>();
  bench.lake.catalog.load = async (identifier) => {
    await gate.promise;
    return load(identifier);
  };
  bench.source.assign(1);
  await bench.pass();
  bench.source.revoke(30_000, 0, 1);
  await bench.pass();
  gate.resolve();
  await bench.pass(2_000);
  const { calls } = bench.source;
  expect(calls.filter((call) => call.startsWith('seek orders-1'))).toEqual([]);
  expect(calls).toContain('released orders-0,orders-1');
});

test('what comes back while our own commit of it is under way is taken up behind that commit', async () => {
  const bench = new Bench({ options: { commit: commitNow } });
  await bench.start(0);
  const gate = Promise.withResolvers<void>();
  bench.lake.beforeSwap = () => gate.promise;
  bench.source.bringSome(0, 3);
  await bench.pass(1_100);
  bench.source.revoke(2_000, 0);
  await bench.pass(3_000);
  bench.source.assign(0);
  await bench.pass();
  gate.resolve();
  await bench.pass(1_000);
  expect(bench.source.position()).toBe(3);
  bench.source.bringSome(0, 2);
  await bench.pass(1_100);
  expect(await bench.rows()).toBe(rowsOf(0, 0, 5));
  expect(bench.sink.status().fenced).toBe(0);
});

test('an answer for a partition that has come back meanwhile, of a topic made anew, is not taken', async () => {
  const bench = new Bench({ options: { commit: commitNow, onTopicRecreated: 'restart' } });
  bench.source.group.set('orders-0', { offset: 3, metadata: 'frazil' });
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  bench.source.offsetsGate = first.promise;
  await bench.start(0);
  bench.source.lose(0);
  bench.source.partitions[0] = { topic: 'orders', partition: 0, topicId: 'made anew' };
  bench.source.group.set('orders-0', { offset: 0, metadata: '' });
  bench.source.offsetsGate = second.promise;
  bench.source.assign(0);
  await bench.pass();
  first.resolve(); // with the position of a topic that is gone
  await bench.pass();
  expect(bench.source.position()).toBeUndefined();
  second.resolve();
  await bench.pass();
  expect(bench.source.position()).toBe(0);
  bench.source.bringSome(0, 2);
  await bench.pass(1_100);
  expect(await bench.rows()).toBe(rowsOf(0, 0, 2));
  const resolution = await bench.lake.resolve();
  expect(resolution.type === 'known' && resolution.ledger.topicIds.get('orders')).toBe('made anew');
});

test('what a table asks of its writers and is not heeded is said when it is opened, and hinders nothing', async () => {
  const bench = new Bench();
  await bench.lake.create('shop.orders', { 'write.format.default': 'avro' });
  await bench.start(0);
  expect(bench.lake.log.lines.slice(-2)).toEqual([
    'warn write.format.default is avro: files are written as Parquet',
    'info table opened',
  ]);
  expect(bench.source.position()).toBe(0);
});
