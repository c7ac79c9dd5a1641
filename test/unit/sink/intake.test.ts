import { describe, expect, test } from 'vitest';
import type { Ledger } from '../../../src/sink/ledger.ts';
import { Bench, rowsOf } from './bench.ts';
import { ledger, names } from './history.ts';
import { tableOptions } from './options.ts';

const commitNow = { intervalMs: 1_000, bytes: 1e9, rows: 1e9 };
const known = (next: number[]) => ({
  type: 'known',
  ledger: { ...ledger(next), topicIds: new Map([['orders', 'id']]) },
});

describe('a record that cannot be decoded', () => {
  test('halts with all that is needed to find it; what came before lands, its offset does not move', async () => {
    const bench = new Bench();
    await bench.start(0);
    bench.source.bring(0, 1, 2, '{"n":"x"}', 4);
    bench.source.bring(0, 5);
    await bench.pass();
    expect(bench.ended).toBe(
      'landing orders-0 in table shop.orders: the record at offset 2 cannot be landed: field n: expected a long, ' +
        'found "x": not a plain integer; its offset has not moved (decode.onError: skip leaves such records out, decode.onTombstone: skip ' +
        'those without a value)',
    );
    expect(await bench.rows()).toBe(rowsOf(0, 0, 2));
    expect(await bench.lake.resolve()).toEqual(known([2]));
    expect(bench.source.group.get('orders-0')?.offset).toBe(2);
  });

  test('is left out with onError: skip, counted, and the ledger goes on behind it', async () => {
    const tables = [tableOptions({ onError: 'skip' })];
    const bench = new Bench({ options: { tables, commit: commitNow } });
    await bench.start(0);
    bench.source.bring(0, 1, 'no JSON', 3, '{"n":"x"}');
    await bench.pass(1_100);
    expect(await bench.rows()).toBe('0:0 0:2');
    expect(await bench.lake.resolve()).toEqual(known([4]));
    expect(bench.sink.status()).toMatchObject({ records: 4, rows: 2, undecodable: 2 });
  });

  test('halts one table of two: the other lands what it can decode', async () => {
    const strict = tableOptions({ table: 'shop.a' });
    const lax = tableOptions({ table: 'shop.b', onError: 'skip' });
    const bench = new Bench({ options: { tables: [strict, lax] } });
    await bench.start(0);
    bench.source.bring(0, 1, 'no JSON', 3);
    await bench.pass();
    expect(bench.ended).toMatch(
      /^landing orders-0 in table shop\.a: the record at offset 1 cannot be landed: /,
    );
    expect(await bench.rows('shop.a')).toBe('0:0');
    expect(await bench.rows('shop.b')).toBe('0:0 0:2');
    expect(bench.source.group.get('orders-0')?.offset, 'the group stays at the slower').toBe(1);
  });
});

test('a tombstone halts, or is left out with onTombstone: skip', async () => {
  const bench = new Bench();
  await bench.start(0);
  bench.source.bring(0, 1, null);
  await bench.pass();
  expect(bench.ended).toMatch(
    /the record at offset 1 cannot be landed: the record has no value \(a tombstone\); its offset has not moved/,
  );
  const lax = new Bench({ options: { tables: [tableOptions({ onTombstone: 'skip' })], commit: commitNow } });
  await lax.start(0);
  lax.source.bring(0, 1, null, 3);
  await lax.pass(1_100);
  expect(await lax.rows()).toBe('0:0 0:2');
  expect(lax.sink.status()).toMatchObject({ rows: 2, tombstones: 1, undecodable: 0 });
});

describe('records that retention took before they could be read', () => {
  test('halt, with how many they are and what to do', async () => {
    const bench = new Bench();
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass();
    bench.source.outOfRange(0, { start: 10, end: 20 });
    await bench.pass();
    expect(bench.ended).toBe(
      'fetching orders-0: offsets 3 to 9 (7 offsets) are no longer retained and have not been landed; source.onGap: skip ' +
        'goes on from offset 10 and records in the table what was lost',
    );
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
    expect(await bench.lake.resolve()).toEqual(known([3]));
  });

  test('are skipped where that is wanted, and the table says which they were', async () => {
    const bench = new Bench({ options: { onGap: 'skip', commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass();
    bench.source.outOfRange(0, { start: 10, end: 20 });
    await bench.pass();
    expect(bench.source.position()).toBe(10);
    bench.source.bringSome(0, 2);
    await bench.pass(1_100);
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(0, 10, 12)}`);
    expect(await bench.lake.resolve()).toEqual(known([12]));
    const { metadata } = await bench.lake.load();
    expect(metadata.snapshots.at(-1)!.summary[names.lost]).toBe('[["orders-0",3,10]]');
    expect(bench.lake.log.lines).toContain('error records are lost to retention');
  });

  test('are skipped only behind what lanes are still at work on: that is not lost', async () => {
    const bench = new Bench({ options: { onGap: 'skip', commit: commitNow } });
    await bench.start(0);
    bench.lanes[0]!.hold();
    bench.source.bringSome(0, 3);
    await bench.pass();
    bench.source.outOfRange(0, { start: 10, end: 20 });
    await bench.pass();
    bench.lanes[0]!.letGo();
    await bench.pass();
    expect(bench.source.position()).toBe(10);
    bench.source.bringSome(0, 2);
    await bench.pass(1_100);
    expect(bench.ended).toBeUndefined();
    expect(await bench.rows()).toBe(`${rowsOf(0, 0, 3)} ${rowsOf(0, 10, 12)}`);
    const { metadata } = await bench.lake.load();
    expect(metadata.snapshots.at(-1)!.summary[names.lost]).toBe('[["orders-0",3,10]]');
  });

  test('never let a commit claim what is still in a lane', async () => {
    const bench = new Bench({ options: { onGap: 'skip', commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 2);
    await bench.pass();
    bench.lanes[0]!.hold();
    await bench.pass(1_100); // a flush waits in the lane
    bench.source.bringSome(0, 3); // and these behind it
    await bench.pass();
    bench.source.outOfRange(0, { start: 10, end: 20 });
    await bench.pass();
    bench.lanes[0]!.letGo();
    await bench.pass(5_000);
    expect(bench.ended).toBeUndefined();
    expect(await bench.rows()).toBe(rowsOf(0, 0, 5));
    const { snapshots } = (await bench.lake.load()).metadata;
    const claimed = snapshots.map(({ summary }) => [
      summary['added-records'],
      JSON.parse(summary[names.offsets]!).t.orders.e[0],
    ]);
    expect(claimed[0], 'the first commit has two rows and ends behind them').toEqual(['2', 2]);
  });

  test('do not concern a table that is further on', async () => {
    const tables = [tableOptions({ table: 'shop.a' }), tableOptions({ table: 'shop.b' })];
    const first = new Bench({ options: { tables: [tables[0]!], commit: commitNow } });
    await first.start(0);
    first.source.bringSome(0, 12);
    await first.pass(1_100);
    const bench = new Bench({ lake: first.lake, options: { tables, onGap: 'skip', commit: commitNow } });
    await bench.start(0);
    bench.source.outOfRange(0, { start: 10, end: 20 });
    await bench.pass();
    expect(bench.source.position()).toBe(10);
    bench.source.bringSome(0, 4);
    await bench.pass(1_100);
    expect(await bench.rows('shop.a')).toBe(rowsOf(0, 0, 14));
    expect(await bench.rows('shop.b')).toBe(rowsOf(0, 10, 14));
    const { metadata } = await bench.lake.load('shop.a');
    expect(metadata.snapshots.at(-1)!.summary).not.toHaveProperty([names.lost]);
  });
});

test('a position past the end of the log halts, whatever onGap says: this is not the topic it was', async () => {
  const bench = new Bench({ options: { onGap: 'skip' } });
  await bench.start(0);
  bench.source.bringSome(0, 3);
  await bench.pass();
  bench.source.outOfRange(0, { start: 0, end: 2 });
  await bench.pass();
  expect(bench.ended).toBe(
    'fetching orders-0: position 3 is past the end of the log (2): the topic was truncated or made anew, or this is another ' +
      'cluster; compare the ledger (frazil inspect) with the topic',
  );
});

describe('a position that is refused and is in range when asked', () => {
  test('is fetched again: an old leader may have answered', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass();
    bench.source.outOfRange(0, { start: 0, end: 20 });
    await bench.pass();
    expect(bench.source.position()).toBe(3);
    bench.source.bringSome(0, 2);
    await bench.pass(1_100);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 5));
  });

  test('halts when it goes on: the log was cut and has grown again', async () => {
    const bench = new Bench({ options: { onGap: 'skip' } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass();
    for (let i = 0; i <= 10; i++) {
      expect(bench.ended).toBeUndefined();
      bench.source.outOfRange(0, { start: 0, end: 20 });
      await bench.pass();
    }
    expect(bench.ended).toMatch(
      /^fetching orders-0: position 3 is refused as out of range.*it was cut below/,
    );
  });
});

test('a range that is lost is in the table at once, also on a topic where nothing else comes', async () => {
  const bench = new Bench({ options: { onGap: 'skip', commit: commitNow } });
  await bench.start(0);
  bench.source.bringSome(0, 3);
  await bench.pass(1_100);
  bench.source.outOfRange(0, { start: 10, end: 20 });
  await bench.pass(1_100);
  const { metadata } = await bench.lake.load();
  expect(metadata.snapshots.at(-1)!.summary[names.lost]).toBe('[["orders-0",3,10]]');
  expect(await bench.lake.resolve()).toEqual(known([10]));
});

const value = { format: 'avro', registry: { url: 'http://registry' } } as const;

describe('a table that the first record makes', () => {
  test('is not made by records without a value: the group’s offset goes on behind them', async () => {
    const options = {
      untilCaughtUp: true,
      tables: [tableOptions({ fields: [], value, onTombstone: 'skip' })],
    } as const;
    const bench = new Bench({ options });
    bench.source.logs.set('orders-0', { start: 0, end: 2 });
    await bench.start(0);
    bench.source.bring(0, null, null);
    await bench.pass(2_000);
    expect(bench.source.calls).toContain('commit orders-0 2 (frazil)');
    expect(bench.ended).toMatchObject({ rows: 0, caughtUp: true });
    expect(bench.lake.pointers.tables.size).toBe(0);
  });

  test('is not made by what cannot be decoded: that halts, or is told and left out', async () => {
    const tables = (onError: 'halt' | 'skip') => [tableOptions({ fields: [], value, onError })];
    const halting = new Bench({ options: { tables: tables('halt') } });
    await halting.start(0);
    halting.source.bring(0, 1);
    await halting.pass();
    expect(halting.ended).toMatch(
      /the record at offset 0 cannot be landed: not in the Confluent wire format/,
    );
    const skipping = new Bench({ options: { tables: tables('skip') } });
    await skipping.start(0);
    skipping.source.bring(0, 1, 2);
    await skipping.pass();
    expect(skipping.ended).toBeUndefined();
    expect(skipping.lake.log.fields).toContainEqual(
      expect.objectContaining({ table: 'shop.orders', count: 2, topic: 'orders', partition: 0, offset: 0 }),
    );
  });

  test('does not hold up the tables that are there', async () => {
    const tables = [
      tableOptions({ table: 'shop.there' }),
      tableOptions({ table: 'shop.absent', fields: [], value, onError: 'skip' }),
    ];
    const bench = new Bench({ options: { tables, commit: commitNow } });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    await bench.pass(1_100);
    expect(await bench.rows('shop.there')).toBe(rowsOf(0, 0, 3));
  });

  const registry = {
    '/schemas/ids/7': {
      schema:
        '{"type":"record","name":"Order","fields":[{"name":"n","type":"long"},{"name":"note","type":["null","string"]}]}',
    },
  };
  const tables = [tableOptions({ fields: [], value, onTombstone: 'skip' })];
  const avro = (n: number): Buffer => Buffer.from([0, 0, 0, 0, 7, n * 2, 0]);

  test('has its columns and takes that record too, once', async () => {
    const bench = new Bench({ registry, options: { tables, commit: commitNow } });
    await bench.start(0);
    bench.source.bring(0, avro(1), avro(2));
    await bench.pass();
    expect(bench.source.position()).toBe(0);
    const { metadata } = await bench.lake.load();
    const [schema] = metadata.schemas as { fields: { name: string }[] }[];
    const columns = schema!.fields.map((field) => field.name);
    expect(columns).toEqual([
      'n',
      'note',
      '_kafka_topic',
      '_kafka_partition',
      '_kafka_offset',
      '_kafka_timestamp',
    ]);
    bench.source.bring(0, avro(1), avro(2), avro(3));
    await bench.pass(1_100);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 3));
  });

  test('is not made by tombstones: they are read again when a record has told', async () => {
    const bench = new Bench({ registry, options: { tables, commit: commitNow } });
    await bench.start(0);
    bench.source.bring(0, null, null);
    await bench.pass();
    expect(bench.lake.pointers.tables.size).toBe(0);
    bench.source.bring(0, avro(1));
    await bench.pass();
    expect(bench.source.position()).toBe(0);
    bench.source.bring(0, null, null, avro(1));
    await bench.pass(1_100);
    expect(await bench.rows()).toBe('0:2');
    expect(bench.sink.status()).toMatchObject({ tombstones: 2, rows: 1 });
  });

  test('by two workers at once is made once, and both land in it', async () => {
    const a = new Bench({ registry, partitions: 2, options: { tables, commit: commitNow } });
    const b = new Bench({ registry, partitions: 2, lake: a.lake, options: { tables, commit: commitNow } });
    await a.start(0);
    await b.start(1);
    a.source.bring(0, avro(1));
    b.source.bring(1, avro(2));
    await a.pass();
    a.source.bring(0, avro(1));
    b.source.bring(1, avro(2));
    await a.pass(1_100);
    await a.pass(1_100);
    expect(await a.rows()).toBe('0:0 1:0');
  });
});

describe('a log that was cut below what was read', () => {
  test('before that has landed is read again: the table never sees it', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    const { source } = bench;
    source.leaderEpoch = 4;
    await bench.start(0);
    source.bringSome(0, 3);
    await bench.pass(1_100);
    expect(source.group.get('orders-0')).toMatchObject({ offset: 3, epoch: 4 });
    source.bringSome(0, 5);
    source.truncated(0, 5);
    source.epochEndsOf.set('orders-0', () => 5);
    await bench.pass();
    expect(source.calls.slice(-2)).toEqual(['epoch 4 of orders-0', 'seek orders-0 3@4']);
    source.leaderEpoch = 6;
    source.bringSome(0, 4);
    await bench.pass(1_100);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 7));
    const { ledger: now } = (await bench.lake.resolve()) as { ledger: Ledger };
    expect([now.next.get('orders-0'), now.epochs.get('orders-0')]).toEqual([7, 6]);
  });

  test('after that has landed halts', async () => {
    const bench = new Bench({ options: { commit: commitNow } });
    bench.source.leaderEpoch = 4;
    await bench.start(0);
    bench.source.bringSome(0, 8);
    await bench.pass(1_100);
    bench.source.epochEndsOf.set('orders-0', () => 5);
    bench.source.truncated(0, 5);
    await bench.pass();
    expect(bench.ended).toMatch(/^opening table shop.orders: orders-0 offsets 5 to 7 have landed and are in/);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 8));
  });

  test('after that has landed is gone on with where that is wanted, and the table says what it holds', async () => {
    const bench = new Bench({ options: { onTruncation: 'skip', commit: commitNow } });
    const { source } = bench;
    source.leaderEpoch = 4;
    await bench.start(0);
    source.bringSome(0, 8);
    await bench.pass(1_100);
    source.epochEndsOf.set('orders-0', (epoch) => (epoch < 6 ? 5 : 99));
    source.truncated(0, 5);
    await bench.pass();
    expect(source.calls.at(-1)).toBe('seek orders-0 8');
    // It has to grow to there first.
    source.outOfRange(0, { start: 0, end: 6 });
    await bench.pass();
    expect(bench.ended).toBeUndefined();
    source.leaderEpoch = 6;
    source.bringSome(0, 2);
    await bench.pass(1_100);
    expect(await bench.rows()).toBe(rowsOf(0, 0, 10));
    const { metadata } = await bench.lake.load();
    expect(metadata.snapshots.at(-1)!.summary[names.truncated]).toBe('[["orders-0",5,8]]');
  });

  test('ends a bounded run: where it was to end is not known', async () => {
    const bench = new Bench({ options: { untilCaughtUp: true } });
    bench.source.logs.set('orders-0', { start: 0, end: 10 });
    await bench.start(0);
    bench.source.bringSome(0, 3);
    bench.source.truncated(0, 1);
    await bench.pass();
    expect(bench.ended).toMatch(/^reading orders-0 up to its end: its log was cut meanwhile/);
  });

  test('while another table, which is behind, reads it again is noticed when that comes to where this one is', async () => {
    const tables = [tableOptions({ table: 'shop.a' }), tableOptions({ table: 'shop.b' })];
    const first = new Bench({ options: { tables: [tables[0]!], commit: commitNow } });
    first.source.leaderEpoch = 4;
    await first.start(0);
    first.source.bringSome(0, 6);
    await first.pass(1_100);
    const bench = new Bench({ lake: first.lake, options: { tables, commit: commitNow } });
    const { source } = bench;
    source.leaderEpoch = 4;
    await bench.start(0);
    source.bringSome(0, 4); // for b alone; then the log is cut at 4, before anybody asks for what lies behind
    source.epochEndsOf.set('orders-0', (epoch) => (epoch < 5 ? 4 : 99));
    source.leaderEpoch = 5;
    source.bringSome(0, 5);
    await bench.pass();
    expect(bench.ended).toMatch(
      /^opening table shop.a: orders-0 offsets 4 to 5 have landed and are in Kafka no/,
    );
    expect(await bench.rows('shop.a')).toBe(rowsOf(0, 0, 6));
    expect(await bench.rows('shop.b')).toBe(rowsOf(0, 0, 9));
  });
});
