import { beforeEach, describe, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import type { AssignedPartition } from '../../../src/kafka/source.ts';
import { TopicPattern } from '../../../src/kafka/topic-pattern.ts';
import type { Origin } from '../../../src/sink/claims.ts';
import type { TableOptions } from '../../../src/sink/options.ts';
import { type OpenedTable, openTable, readLedger } from '../../../src/sink/positions.ts';
import { ScriptedSource } from './bench.ts';
import { History, ledger, names } from './history.ts';
import { Lake, LakeClock } from './lake.ts';
import { sinkOptions, tableOptions } from './options.ts';

const origin: Origin = { clusterId: 'cluster', topicIds: new Map([['orders', 'topic-id']]) };

let lake: Lake;
let source: ScriptedSource;
beforeEach(() => {
  lake = new Lake(new LakeClock());
  source = new ScriptedSource(2);
});

const partitions = (): AssignedPartition[] =>
  source.partitions.map((each) => ({ ...each, topicId: 'topic-id' }));

function open(
  table: Partial<TableOptions> = {},
  sink: Partial<ReturnType<typeof sinkOptions>> = {},
  from = origin,
  siblings: readonly AssignedPartition[] = [],
): Promise<OpenedTable> {
  const asked = { topicPartitions: partitions(), siblings };
  return openTable(tableOptions(table), sinkOptions(sink), 'main', from, asked, {
    ...ports(),
    source,
  });
}

const ports = () => ({
  catalog: lake.catalog,
  clock: lake.clock,
  random: lake.random,
  log: lake.log,
  source,
});

/** The table as it is after a history. */
async function tableAfter(history: History): Promise<void> {
  await lake.create();
  await lake.change(({ 'table-uuid': uuid }) => ({ ...history.metadata, 'table-uuid': uuid }));
}

const at = (offset: number, initial: boolean) => ({ offset, initial });

describe('a topic-partition is taken up', () => {
  test('where the table’s ledger ends, whatever the group says', async () => {
    await tableAfter(new History().own(ledger([7, 9])));
    source.group.set('orders-0', { offset: 99, metadata: '' });
    const { positions, table } = await open();
    expect(Object.fromEntries(positions)).toEqual({ 'orders-0': at(7, false), 'orders-1': at(9, false) });
    expect(table?.metadata.location).toBe('file:///warehouse/shop/orders');
    expect(source.calls).toEqual([]);
  });

  test('at the group’s offset, where the table has never heard of it', async () => {
    await tableAfter(new History().own(ledger([7])));
    source.group.set('orders-1', { offset: 42, metadata: 'frazil' });
    const { positions } = await open();
    expect(Object.fromEntries(positions)).toEqual({ 'orders-0': at(7, false), 'orders-1': at(42, true) });
    expect(lake.log.fields).toContainEqual({ table: 'shop.orders', offsets: { 'orders-1': 42 } });
  });

  test.each([
    ['earliest', 3],
    ['latest', 50],
    [1_234, 1_234],
  ] as const)(
    'at startAt (%s), where nobody knows it, and pins that in the group at once',
    async (startAt, offset) => {
      source.logs.set('orders-0', { start: 3, end: 50 });
      source.group.set('orders-1', { offset: 5, metadata: '' });
      const { positions } = await open({}, { startAt });
      expect(Object.fromEntries(positions)).toEqual({
        'orders-0': at(offset, true),
        'orders-1': at(5, true),
      });
      expect(source.calls).toEqual([`commit orders-0 ${offset} (frazil start)`]);
      // After a crash `latest` would be elsewhere by now: the pin holds.
      source.logs.set('orders-0', { start: 3, end: 80 });
      expect((await open({}, { startAt })).positions.get('orders-0')).toEqual(at(offset, true));
    },
  );

  const member = (partition: number): AssignedPartition => ({
    topic: 'orders',
    partition,
    topicId: 'topic-id',
  });

  test('at startAt, pinned for all partitions of the topic at once: others were there from the beginning too', async () => {
    source.logs.set('orders-7', { start: 0, end: 70 });
    const { positions } = await open({}, { startAt: 'latest' }, origin, [...partitions(), member(7)]);
    expect([...positions.keys()]).toEqual(['orders-0', 'orders-1']);
    expect(source.group.get('orders-7')).toEqual({ offset: 70, metadata: 'frazil start' });
  });

  test('but never over the pin of another worker that began with it meanwhile', async () => {
    source.logs.set('orders-7', { start: 0, end: 70 });
    const listOffsets = source.listOffsets.bind(source);
    source.listOffsets = async (topicPartitions, where) => {
      const found = await listOffsets(topicPartitions, where);
      source.group.set('orders-7', { offset: 60, metadata: 'frazil start' });
      return found;
    };
    await open({}, { startAt: 'latest' }, origin, [...partitions(), member(7)]);
    expect(source.group.get('orders-7')).toEqual({ offset: 60, metadata: 'frazil start' });
  });

  test.each([
    ['the ledger', () => tableAfter(new History().own(ledger([7])))],
    ['the group', async () => void source.group.set('orders-0', { offset: 7, metadata: '' })],
  ])('at its start, never at latest, where %s knows the topic: it was added since', async (_who, begin) => {
    await begin();
    source.logs.set('orders-1', { start: 2, end: 40 });
    const { positions } = await open({}, { startAt: 'latest' }, origin, partitions());
    expect(positions.get('orders-1')).toEqual(at(2, true));
    expect(source.group.get('orders-1')).toEqual({ offset: 2, metadata: 'frazil start' });
  });

  describe('of a topic that a pattern has found', () => {
    const found = (startAt: 'latest' | 'earliest' = 'latest') => ({ topics: [], startAt });
    const other: AssignedPartition = { topic: 'other', partition: 0, topicId: 'id of other' };
    const all = () => [...partitions(), other];
    const any = { topics: [], topicsPattern: new TopicPattern('.*') };
    beforeEach(() => {
      for (const key of ['orders-0', 'orders-1', 'other-0']) source.logs.set(key, { start: 2, end: 40 });
    });

    test('at startAt when the pipeline begins, pinned for all that were found at once', async () => {
      const { positions } = await open(any, found(), origin, all());
      expect([...positions.values()]).toEqual([at(40, true), at(40, true)]);
      expect(source.group.get('other-0')).toEqual({ offset: 40, metadata: 'frazil start' });
    });

    test('at its start, never at latest, when the pipeline has begun with another one', async () => {
      source.group.set('other-0', { offset: 40, metadata: 'frazil start' });
      const { positions } = await open(any, found(), origin, all());
      expect([...positions.values()]).toEqual([at(2, true), at(2, true)]);
    });

    test('at its start, never at latest, when the table knows another one', async () => {
      await tableAfter(new History().own(ledger([7])));
      const asked = { topicPartitions: [other], siblings: all() };
      const { positions } = await openTable(tableOptions(any), sinkOptions(found()), 'main', origin, asked, {
        ...ports(),
        source,
      });
      expect([...positions]).toEqual([['other-0', at(2, true)]]);
    });

    test('at its start when it has come since the worker was started, with nothing or with others', async () => {
      for (const siblings of [[], [other]]) {
        source.group.clear();
        const { positions } = await open(any, found(), origin, siblings);
        expect([...positions.values()]).toEqual([at(2, true), at(2, true)]);
      }
    });

    test('nowhere when it is gone meanwhile', async () => {
      source.listOffsets = async () => new Map();
      expect([...(await open(any, found(), origin, all())).positions]).toEqual([]);
    });
  });

  test('of a topic that is named and was made anew before anything landed at its start', async () => {
    source.logs.set('orders-0', { start: 0, end: 40 });
    const before = partitions().map((each) => ({ ...each, topicId: 'of the old one' }));
    const { positions } = await open({}, { startAt: 'latest' }, origin, before);
    expect(positions.get('orders-0')).toEqual(at(0, true));
  });

  test('with a fixed assignment at startAt, whatever other jobs have landed of the topic', async () => {
    await tableAfter(new History().own(ledger([7])));
    source.logs.set('orders-1', { start: 2, end: 40 });
    expect((await open({}, { startAt: 'latest' })).positions.get('orders-1')).toEqual(at(40, true));
  });

  test('all the same when the group cannot be told', async () => {
    source.commitOffsets = async () => {
      throw new TransientError('the group is rebalancing');
    };
    expect((await open()).positions.size).toBe(2);
    expect(lake.log.lines).toContain('warn the start position could not be kept in the group');
  });
});

describe('a topic that was made anew', () => {
  const old = { ...ledger([900, 800]), topicIds: new Map([['orders', 'id of the old one']]) };

  test('halts, and says what changed', async () => {
    await tableAfter(new History().own(old));
    await expect(open()).rejects.toThrow(
      new FatalError(
        'opening table shop.orders: its ledger is about other records: topic orders was deleted and made anew since (its ' +
          'id is topic-id now); set source.onTopicRecreated: restart to land the new topic from its start',
      ),
    );
    await expect(open({}, {}, { ...origin, clusterId: 'other' })).rejects.toThrow(
      'topic orders is read from another cluster now (other, before cluster)',
    );
  });

  test('is landed from its start where that is wanted, whatever startAt and the group say', async () => {
    await tableAfter(new History().own(old));
    source.logs.set('orders-0', { start: 2, end: 30 });
    source.group.set('orders-1', { offset: 700, metadata: '' });
    const { positions } = await open({}, { onTopicRecreated: 'restart', startAt: 'latest' });
    const replaces = 'cluster/id of the old one';
    expect(Object.fromEntries(positions)).toEqual({
      'orders-0': { ...at(2, true), replaces },
      'orders-1': { ...at(0, true), replaces },
    });
  });

  test('is landed from its start also after a crash before the first commit, when others have committed', async () => {
    await tableAfter(new History().own(old));
    source.logs.set('orders-1', { start: 0, end: 30 });
    source.group.set('orders-1', { offset: 700, metadata: 'frazil' });
    const sink = { onTopicRecreated: 'restart', startAt: 'latest' } as const;
    await open({}, sink);
    // Another worker has landed partition 0 of the new topic: the ledger does not know partition 1 any more.
    await changeTo(new History().own(old).own(ledger([4])));
    expect((await open({}, sink)).positions.get('orders-1')).toEqual(at(0, true));
  });

  const changeTo = (history: History): Promise<void> =>
    lake.change(({ 'table-uuid': uuid }) => ({ ...history.metadata, 'table-uuid': uuid }));
});

describe('a table', () => {
  test('is made where it is not there and its columns are given', async () => {
    const { table } = await open();
    expect(lake.pointers.tables.size).toBe(1);
    expect(table?.metadata['current-snapshot-id']).toBeNull();
  });

  test('is left to the first record where its columns are not given', async () => {
    const { table, positions } = await open({ fields: [] });
    expect([table, lake.pointers.tables.size, positions.size]).toEqual([undefined, 0, 2]);
  });

  test('that is not there and is not to be made stops the pipeline', async () => {
    await expect(open({ create: false })).rejects.toThrow(
      new FatalError('opening table shop.orders: it does not exist; create it or set create: true'),
    );
  });

  test('that was rolled back stops the pipeline, or is taken up as the policy says', async () => {
    await tableAfter(
      new History()
        .own(ledger([5, 5]))
        .own(ledger([7, 9]))
        .rollBackTo(1n),
    );
    await expect(open()).rejects.toThrow(/^table shop\.orders has gone back behind/);
    const offsets = async (table: Partial<TableOptions>): Promise<number[]> =>
      [...(await open(table)).positions.values()].map(({ offset }) => offset);
    expect(await offsets({ onRollback: 'replay' })).toEqual([5, 5]);
    expect(await offsets({ onRollback: 'skip' })).toEqual([7, 9]);
    await lake.change((metadata) => ({
      ...metadata,
      properties: { ...metadata.properties, [names.resolution]: '2 replay' },
    }));
    expect(await offsets({})).toEqual([5, 5]);
  });

  test('is asked for again while the catalog is away', async () => {
    await tableAfter(new History().own(ledger([7, 9])));
    let outages = 3;
    const load = lake.catalog.load.bind(lake.catalog);
    lake.catalog.load = async (identifier) => {
      if (outages-- > 0) throw new TransientError('no route to the catalog');
      return load(identifier);
    };
    expect((await open()).positions.get('orders-0')).toEqual(at(7, false));
    expect(lake.log.lines).toEqual(new Array(3).fill('warn loading table shop.orders failed; trying again'));
  });
});

describe('looking at a table that is being written', () => {
  test('tells its ledger', async () => {
    await tableAfter(new History().own(ledger([7, 9])));
    expect(await readLedger(await lake.load(), tableOptions(), sinkOptions(), ports())).toEqual(
      ledger([7, 9]),
    );
  });

  test.each([
    [
      'is gone',
      () => lake.pointers.tables.clear(),
      /^looking at table shop\.orders: it was dropped; what has not/,
    ],
    [
      'is another one',
      () => lake.change((metadata) => ({ ...metadata, 'table-uuid': 'other' })),
      /^looking at table shop\.orders: it was dropped and made anew/,
    ],
  ])('stops the pipeline when it %s', async (_what, happens, message) => {
    await tableAfter(new History());
    const known = await lake.load();
    await happens();
    await expect(readLedger(known, tableOptions(), sinkOptions(), ports())).rejects.toThrow(message);
  });
});

describe('a log that was cut', () => {
  const landed = { ...ledger([70, 9]), epochs: new Map([['orders-0', 5]]) };

  test('below what has landed halts, with what is in the table and in Kafka no more', async () => {
    await tableAfter(new History().own(landed));
    source.epochEndsOf.set('orders-0', (epoch) => (epoch === 5 ? 60 : 0));
    await expect(open()).rejects.toThrow(
      new FatalError(
        'opening table shop.orders: orders-0 offsets 60 to 69 have landed and are in Kafka no more: its log was cut at 60, ' +
          'at the latest, by an unclean leader election (the last record landed was of leader epoch 5), and other records ' +
          "may have these offsets now. The rows are those with _kafka_topic = 'orders', _kafka_partition = 0 and " +
          '_kafka_offset >= 60. To land what Kafka has now, roll the table back to a snapshot before them (frazil inspect ' +
          'shows the offsets of each) and set onRollback: replay; to keep these rows and leave out what has their offsets ' +
          'now, set source.onTruncation: skip',
        { context: { topic: 'orders', partition: 0, from: 60, to: 70, table: 'shop.orders' } },
      ),
    );
  });

  test('is gone on with behind what has landed where that is wanted', async () => {
    await tableAfter(new History().own(landed));
    source.epochEndsOf.set('orders-0', () => 60);
    const { positions } = await open({}, { onTruncation: 'skip' });
    expect(positions.get('orders-0')).toEqual({ ...at(70, false), truncatedAt: 60 });
    expect(lake.log.fields).toContainEqual({ table: 'shop.orders', partition: 'orders-0', from: 60, to: 70 });
  });

  test.each([
    ['ends where the table does', 70],
    ['goes on', 90],
    ['cannot tell', undefined],
  ])('is none where the leader epoch %s: it is fetched with that epoch', async (_what, end) => {
    await tableAfter(new History().own(landed));
    if (end !== undefined) source.epochEndsOf.set('orders-0', () => end);
    const { positions } = await open();
    expect(positions.get('orders-0')).toEqual({ ...at(70, false), epoch: 5 });
    expect(positions.get('orders-1')).toEqual(at(9, false));
    expect(source.calls).toEqual(['epoch 5 of orders-0']);
  });

  test('below the group’s offset is read from there, for a table that holds nothing of it', async () => {
    await tableAfter(new History().own(ledger([7])));
    source.group.set('orders-1', { offset: 42, epoch: 3, metadata: 'frazil' });
    expect((await open()).positions.get('orders-1')).toEqual({ ...at(42, true), epoch: 3 });
    source.epochEndsOf.set('orders-1', () => 40);
    expect((await open()).positions.get('orders-1')).toEqual(at(40, true));
  });
});
