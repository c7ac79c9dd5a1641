import { beforeEach, describe, expect, test } from 'vitest';
import { CaughtUp } from '../../../src/sink/caught-up.ts';
import { commitFlush } from '../../../src/sink/table-commit.ts';
import { TableWriter } from '../../../src/sink/table-writer.ts';
import { ScriptedSource } from './bench.ts';
import { Lake, LakeClock } from './lake.ts';
import { tableOptions } from './options.ts';

const p0 = { topic: 'orders', partition: 0, topicId: 'id' };
const targets = new Map([
  ['orders-0', 10],
  ['orders-1', 20],
  ['returns-0', 5],
]);

let writer: TableWriter;
beforeEach(() => {
  writer = new TableWriter(tableOptions());
  writer.phase = 'ready';
});

function read(to: TableWriter, next: number): void {
  const rows = next > 4 ? 1 : 0;
  const answer = { next, records: rows, rows, tombstones: 0, undecodable: 0, bytes: 1, timestampMaxMs: -1 };
  to.appended('orders-0', answer, 0);
}

describe('a bounded run is at its end', () => {
  test('when every partition of ours was read up to where its log ended', () => {
    const caughtUp = new CaughtUp(targets, [writer]);
    expect(caughtUp.isReached(['orders-0'])).toBe(false); // not even opened
    writer.place(p0, 0, { offset: 4, initial: true });
    read(writer, 9);
    expect(caughtUp.isReached(['orders-0'])).toBe(false);
    read(writer, 10);
    expect(caughtUp.isReached(['orders-0'])).toBe(true);
    expect(caughtUp.isReached(['orders-0', 'orders-1'])).toBe(false);
  });

  test('without what was found by a pattern and is gone: nobody gets there', () => {
    const caughtUp = new CaughtUp(targets, [writer]);
    writer.place(p0, 0, { offset: 4, initial: true });
    expect(caughtUp.isReached(['orders-0'])).toBe(false);
    caughtUp.forget(['orders']);
    expect(caughtUp.isReached(['orders-0'])).toBe(true);
    expect([...targets.keys()]).toContain('orders-0');
  });

  test('only when lanes have answered: handed over is not read', () => {
    const caughtUp = new CaughtUp(targets, [writer]);
    writer.place(p0, 0, { offset: 4, initial: true });
    writer.handed('orders-0', 10);
    expect(caughtUp.isReached(['orders-0'])).toBe(false);
  });

  test('for every table that takes the topic, and without those that do not', () => {
    const slow = new TableWriter(tableOptions({ table: 'shop.slow' }));
    slow.phase = 'ready';
    const stranger = new TableWriter(tableOptions({ table: 'shop.returns', topics: ['returns'] }));
    const caughtUp = new CaughtUp(targets, [writer, slow, stranger]);
    for (const each of [writer, slow]) each.place(p0, 0, { offset: 4, initial: true });
    read(writer, 10);
    expect(caughtUp.isReached(['orders-0'])).toBe(false);
    read(slow, 10);
    expect(caughtUp.isReached(['orders-0'])).toBe(true);
  });

  test('when a table that was never made was asked for its columns by every record there is', () => {
    writer.phase = 'absent';
    writer.place(p0, 0, { offset: 4, initial: true });
    const caughtUp = new CaughtUp(targets, [writer]);
    expect(caughtUp.isReached(['orders-0'])).toBe(false);
    writer.entries.get('orders-0')!.seen = 10;
    expect(caughtUp.isReached(['orders-0'])).toBe(true);
  });

  test('at once on an empty log, and on one that was not there at the start', () => {
    const caughtUp = new CaughtUp(new Map([['orders-0', 0]]), [writer]);
    writer.place(p0, 0, { offset: 0, initial: true });
    expect(caughtUp.isReached(['orders-0'])).toBe(true);
    writer.place({ ...p0, partition: 7 }, 0, { offset: 0, initial: true });
    expect(caughtUp.isReached(['orders-7'])).toBe(true);
  });
});

test('a member that is done asks after the others every other second', () => {
  const caughtUp = new CaughtUp(targets, [writer]);
  expect([0, 1_999, 2_000, 2_001, 4_000].map((nowMs) => caughtUp.isDue(nowMs))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
});

describe('the others are done', () => {
  const lake = new Lake(new LakeClock());

  async function land(start: number, next: number): Promise<void> {
    const claims = [{ key: 'orders-0', start, next, initial: start === 0 }];
    const table = await lake.load();
    const flush = {
      id: `${next}`,
      table,
      files: [],
      claims,
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: undefined,
      createdAtMs: 1e15,
    };
    const topicIds = new Map([['orders', 'id']]);
    await commitFlush(
      flush,
      {
        pipeline: 'shop',
        worker: 'w1',
        branch: 'main',
        origin: { clusterId: 'c', topicIds },
        onRollback: 'halt',
        engineVersion: '',
        policy: { attemptsMax: 1, totalMs: 1, waitMinMs: 0, waitMaxMs: 0 },
      },
      lake,
    );
  }

  const source = new ScriptedSource(2);
  let origin = { clusterId: 'c', topicIds: new Map([['orders', 'id']]) };
  const othersLanded = (caughtUp: CaughtUp, pipeline = 'shop', ours: string[] = []): Promise<boolean> =>
    caughtUp.haveOthersLanded(new Set(ours), pipeline, origin, {
      catalog: lake.catalog,
      clock: lake.clock,
      source,
    });

  test('when the tables’ ledgers have reached the ends of the logs, and not before', async () => {
    const caughtUp = new CaughtUp(new Map([['orders-0', 10]]), [writer]);
    expect(await othersLanded(caughtUp)).toBe(false); // no table yet
    expect(await othersLanded(caughtUp, 'shop', ['orders-0'])).toBe(true); // there are no others
    await lake.create();
    expect(await othersLanded(caughtUp)).toBe(false); // it knows nothing of us
    await land(0, 9);
    expect(await othersLanded(caughtUp)).toBe(false);
    await land(9, 10);
    expect(await othersLanded(caughtUp)).toBe(true);
    expect(await othersLanded(caughtUp, 'another')).toBe(false);
  });

  test('where a table has never heard of a partition, when the group’s offset is at its end', async () => {
    const ends = new Map([
      ['orders-0', 10],
      ['orders-1', 7],
    ]);
    const caughtUp = new CaughtUp(ends, [writer]);
    expect(await othersLanded(caughtUp)).toBe(false);
    source.group.set('orders-1', { offset: 6, metadata: 'frazil' });
    expect(await othersLanded(caughtUp)).toBe(false);
    source.group.set('orders-1', { offset: 7, metadata: 'frazil' });
    expect(await othersLanded(caughtUp)).toBe(true);
    // Where the table has heard of it, the group has no say.
    source.group.set('orders-0', { offset: 99, metadata: 'frazil' });
    expect(await othersLanded(new CaughtUp(new Map([['orders-0', 50]]), [writer]))).toBe(false);
  });

  test('not by the offsets of a topic that is gone', async () => {
    const caughtUp = new CaughtUp(new Map([['orders-0', 3]]), [writer]);
    expect(await othersLanded(caughtUp)).toBe(true);
    const before = origin;
    origin = { ...origin, topicIds: new Map([['orders', 'made anew']]) };
    expect(await othersLanded(caughtUp)).toBe(false);
    origin = before;
  });

  test('of a table that was rolled back as its policy says', async () => {
    await lake.change((metadata) => ({ ...metadata, 'current-snapshot-id': null, refs: {} }));
    const landed = (onRollback: 'halt' | 'replay' | 'skip'): Promise<boolean> => {
      const rolledBack = new TableWriter(tableOptions({ onRollback }));
      return othersLanded(new CaughtUp(new Map([['orders-0', 10]]), [rolledBack]));
    };
    expect(await landed('replay')).toBe(false); // what its ledger says is not what is in it
    expect(await landed('skip')).toBe(true); // nobody will land it again, and nobody need commit
    await expect(landed('halt')).rejects.toThrow('has gone back behind what pipeline shop has landed');
  });

  test('without a table where the logs are empty or of topics that go elsewhere', async () => {
    const nowhere = new TableWriter(tableOptions({ table: 'shop.nowhere' }));
    const ends = new Map([
      ['orders-0', 0],
      ['returns-0', 5],
    ]);
    expect(await othersLanded(new CaughtUp(ends, [nowhere]))).toBe(true);
  });
});
