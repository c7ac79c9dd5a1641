import { beforeEach, describe, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import { branchHead, type Snapshot, type TableMetadata } from '../../../src/iceberg/metadata.ts';
import type { Claim } from '../../../src/sink/claims.ts';
import { type CommitOptions, commitFlush, type Flush, type Landing } from '../../../src/sink/table-commit.ts';
import { imaginaryFile } from '../../contract/appends.ts';
import { ledger, names } from './history.ts';
import { Lake, LakeClock } from './lake.ts';

const options: CommitOptions = {
  pipeline: 'shop',
  worker: 'w1',
  branch: 'main',
  origin: { clusterId: 'cluster', topicIds: new Map([['orders', 'topic-id']]) },
  onRollback: 'halt',
  engineVersion: '1.2.3',
  policy: { attemptsMax: 5, totalMs: 60_000, waitMinMs: 100, waitMaxMs: 1_000 },
};

let lake: Lake;
let table: Table;
beforeEach(async () => {
  lake = new Lake(new LakeClock());
  table = await lake.create();
});

const [a, b] = ['memory://data/a.parquet', 'memory://data/b.parquet'];

function claim(start: number, next: number, initial = start === 0, partition = 0): Claim {
  return { key: `orders-${partition}`, start, next, initial };
}

/** A flush whose files are in the store. */
async function flushOf(id: string, claims: Claim[], change: Partial<Flush> = {}): Promise<Flush> {
  const files = change.files ?? [imaginaryFile(id, claims[0]!.next - claims[0]!.start)];
  for (const { path } of files) await lake.store.put(path, [Buffer.from(id)]);
  return {
    id,
    table,
    files,
    claims,
    lost: [],
    leftOut: [],
    truncated: [],
    watermarkMs: undefined,
    createdAtMs: lake.clock.nowMs(),
    ...change,
  };
}

const commit = (flush: Flush, change: Partial<CommitOptions> = {}): Promise<Landing> =>
  commitFlush(flush, { ...options, ...change }, lake);

async function head(): Promise<Snapshot> {
  return branchHead((await lake.load()).metadata, 'main')!;
}

describe('a flush that lands', () => {
  test('has its files, its ledger and the copy of the ledger in one commit (I2)', async () => {
    const landing = await commit(await flushOf('a', [claim(0, 3)]));
    expect(landing).toMatchObject({ type: 'landed', attempts: 1, ledger: ledger([3]) });
    expect(lake.swaps).toBe(1);
    expect(await lake.files()).toEqual([a]);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([3]) });
    const { metadata } = await lake.load();
    expect(JSON.parse(metadata.properties[names.property]!)).toEqual({
      'snapshot-id': String((await head())['snapshot-id']),
      'sequence-number': 1,
      branch: 'main',
      offsets: { v: 1, c: 'cluster', t: { orders: { i: 'topic-id', e: [3], s: [0] } } },
    });
  });

  test('says in its snapshot what landed, by whom, what was lost and what was left out', async () => {
    const lost = [['orders-0', 1, 2]] as const;
    const leftOut = [['orders-0', 4, 5]] as const;
    await commit(await flushOf('a', [claim(0, 3)], { watermarkMs: 42, lost, leftOut }));
    const snapshot = await head();
    expect(snapshot).not.toHaveProperty('parent-snapshot-id');
    expect(snapshot.summary).toMatchObject({
      operation: 'append',
      'added-records': '3',
      'total-data-files': '1',
      'engine-name': 'frazil',
      'engine-version': '1.2.3',
      [names.offsets]: '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[3]}}}',
      [names.flush]: 'a',
      [names.worker]: 'w1',
      [names.watermark]: '42',
      [names.lost]: '[["orders-0",1,2]]',
      [names.leftOut]: '[["orders-0",4,5]]',
    });
  });

  test('joins the one before: its files are kept, its snapshot is the parent', async () => {
    const first = await commit(await flushOf('a', [claim(0, 3)]));
    await commit(await flushOf('b', [claim(3, 5)]));
    expect(await lake.files()).toEqual([a, b]);
    expect(await head()).toMatchObject({
      'parent-snapshot-id': first.type === 'landed' ? first.snapshotId : undefined,
      'sequence-number': 2,
      summary: { 'total-records': '5', 'total-data-files': '2' },
    });
    expect((await head()).summary).not.toHaveProperty(names.watermark);
    expect((await head()).summary).not.toHaveProperty(names.lost);
    expect((await head()).summary).not.toHaveProperty(names.leftOut);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([5]) });
  });

  test('without files moves the ledger alone and writes no manifest', async () => {
    await commit(await flushOf('a', [claim(0, 3)]));
    await commit(await flushOf('none', [claim(3, 9)], { files: [] }));
    expect(await lake.files()).toEqual([a]);
    expect(lake.objects('none-m0')).toEqual([]);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('writes the property anew where somebody has removed it', async () => {
    await commit(await flushOf('a', [claim(0, 3)]));
    await lake.change((metadata) => ({ ...metadata, properties: {} }));
    await commit(await flushOf('b', [claim(3, 5)]));
    expect((await lake.load()).metadata.properties).toHaveProperty([names.property]);
  });

  test('puts its metadata where the table wants it', async () => {
    await lake.change((metadata) => ({
      ...metadata,
      properties: { 'write.metadata.path': 'memory://meta/' },
    }));
    table = await lake.load();
    await commit(await flushOf('a', [claim(0, 3)]));
    expect(lake.objects('memory://meta/a-m0.avro')).toHaveLength(1);
    expect((await head())['manifest-list']).toMatch(/^memory:\/\/meta\/snap-\d+-1-[0-9a-f-]{36}\.avro$/);
  });
});

describe('an attempt that was rejected', () => {
  test('is made again with the same files, manifest and snapshot id (I7), and leaves no manifest list', async () => {
    lake.fates.push('rejected', 'rejected');
    const landing = await commit(await flushOf('a', [claim(0, 3)]));
    expect(landing).toMatchObject({ type: 'landed', attempts: 3 });
    expect(await lake.files()).toEqual([a]);
    expect(lake.objects('-m0.avro')).toHaveLength(1);
    expect(lake.objects('/snap-')).toEqual([(await head())['manifest-list']]);
    expect(lake.log.lines).toEqual([
      'warn a commit did not succeed; trying again',
      'warn a commit did not succeed; trying again',
    ]);
    expect(lake.log.fields[0]).toMatchObject({
      table: 'shop.orders',
      reason: 'rejected: the table has moved',
    });
  });

  test('is made again on what others have committed meanwhile, whose files stay', async () => {
    lake.beforeSwap = async (swap) => {
      if (swap === 1) await foreignAppend('f');
    };
    const landing = await commit(await flushOf('a', [claim(0, 3)]));
    expect(landing).toMatchObject({ type: 'landed', attempts: 2 });
    expect(await lake.files()).toEqual([a, 'memory://data/f.parquet']);
    expect(await head()).toMatchObject({ 'sequence-number': 2, summary: { 'total-data-files': '2' } });
  });

  test('is not made again when others have landed its offsets: its files are left to the cleaner of orphans', async () => {
    const mine = await flushOf('a', [claim(0, 3)]);
    const theirs = await flushOf('b', [claim(0, 4)]);
    lake.beforeSwap = async (swap) => {
      if (swap === 1)
        await commitFlush(theirs, { ...options, worker: 'w2' }, { ...lake, catalog: lake.others });
    };
    expect(await commit(mine)).toEqual({ type: 'fenced', keys: ['orders-0'], attempts: 2 });
    expect(await lake.files()).toEqual([b]);
    expect(lake.objects(a)).toEqual([a]);
    expect(lake.objects('/snap-')).toEqual([(await head())['manifest-list']]);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([4]) });
  });
});

test('a flush whose offsets others have landed before it was ever tried leaves no files', async () => {
  const mine = await flushOf('a', [claim(0, 3)]);
  await commit(await flushOf('b', [claim(0, 4)]));
  expect(await commit(mine)).toEqual({ type: 'fenced', keys: ['orders-0'], attempts: 1 });
  expect(await lake.files()).toEqual([b]);
  expect(lake.objects(a)).toEqual([]);
  expect(lake.objects('a-m0.avro')).toEqual([]);
});

describe.each(['unknown, applied', 'no answer, applied', 'rejected, applied'] as const)(
  'an attempt that was %s',
  (fate) => {
    test('is found in the table: it landed once, and nothing is deleted (I4)', async () => {
      lake.fates.push(fate);
      const landing = await commit(await flushOf('a', [claim(0, 3)]));
      expect(landing).toMatchObject({
        type: 'landed',
        attempts: 2,
        ledger: ledger([3]),
        snapshotId: (await head())['snapshot-id'],
      });
      expect(lake.swaps).toBe(1);
      expect(await lake.files()).toEqual([a]);
    });

    test('is found also under commits that others have put on top of it', async () => {
      lake.fates.push(fate);
      const mine = await flushOf('a', [claim(0, 3)]);
      const theirs = await flushOf('b', [claim(3, 5)]);
      lake.clock.meanwhile = async () => {
        await commitFlush(theirs, options, { ...lake, catalog: lake.others });
        await foreignAppend('f');
      };
      expect(await commit(mine)).toMatchObject({ type: 'landed', attempts: 2, ledger: ledger([5]) });
      expect(await lake.files()).toEqual([a, b, 'memory://data/f.parquet']);
    });

    test('whose snapshot has expired is taken for fenced, and its files, which are in the table, are kept', async () => {
      lake.fates.push(fate);
      const mine = await flushOf('a', [claim(0, 3)]);
      lake.clock.meanwhile = async () => {
        await foreignAppend('f');
        await lake.change((metadata) => ({ ...metadata, snapshots: metadata.snapshots.slice(-1) }));
      };
      expect(await commit(mine)).toEqual({ type: 'fenced', keys: ['orders-0'], attempts: 2 });
      for (const path of await lake.files()) expect(lake.objects(path), path).toHaveLength(1);
      expect(await lake.files()).toContain(a);
    });
  },
);

describe('an attempt of which nobody knows whether it was applied', () => {
  test('and that was not, is made again, and its manifest list is kept: it may still appear', async () => {
    lake.fates.push('unknown, not applied');
    expect(await commit(await flushOf('a', [claim(0, 3)]))).toMatchObject({ type: 'landed', attempts: 2 });
    expect(lake.objects('/snap-')).toHaveLength(2);
    expect(await lake.files()).toEqual([a]);
  });

  test('keeps its files when others have landed its offsets: the late attempt would name them', async () => {
    lake.fates.push('unknown, not applied');
    const mine = await flushOf('a', [claim(0, 3)]);
    const theirs = await flushOf('b', [claim(0, 4)]);
    lake.clock.meanwhile = async () => {
      await commitFlush(theirs, options, { ...lake, catalog: lake.others });
    };
    expect(await commit(mine)).toMatchObject({ type: 'fenced', attempts: 2 });
    expect(lake.objects(a)).toEqual([a]);
    expect(lake.objects('a-m0.avro')).toHaveLength(1);
    expect(lake.objects('/snap-').length).toBe(2);
  });

  test('is asked for no longer than the deadline of a call', async () => {
    lake.clock.deadlinesPass = true;
    lake.beforeSwap = (swap) => (swap === 1 ? new Promise(() => {}) : Promise.resolve());
    expect(
      await commit(await flushOf('a', [claim(0, 3)]), { policy: { ...options.policy, totalMs: 1e9 } }),
    ).toMatchObject({
      type: 'landed',
    });
    expect(lake.log.fields[0]).toMatchObject({
      reason: 'unknown: committing table shop.orders: no answer within 60000 ms',
    });
    expect(await lake.files()).toEqual([a]);
  });
});

describe('a commit gives up', () => {
  test('after its last attempt, and says what the last one said', async () => {
    lake.fates.push('rejected', 'rejected', 'rejected', 'rejected', 'unknown, not applied');
    const failed = commit(await flushOf('a', [claim(0, 3)]));
    await expect(failed).rejects.toThrow(TransientError);
    await expect(failed).rejects.toThrow(
      /^committing table shop\.orders: gave up after 5 attempts in \d+ ms: unknown: the connection broke$/,
    );
    expect(lake.objects(a)).toEqual([a]);
  });

  test('when its time is over', async () => {
    lake.beforeSwap = async () => lake.clock.skip(40_000);
    lake.fates.push('rejected', 'rejected', 'rejected');
    await expect(commit(await flushOf('a', [claim(0, 3)]))).rejects.toThrow(
      /gave up after 2 attempts in 80\d{3} ms/,
    );
  });

  test.each([
    ['is gone', () => lake.pointers.tables.clear(), 'it was dropped; what has not landed is still in Kafka'],
    [
      'is another one of its name',
      () => lake.change((metadata) => ({ ...metadata, 'table-uuid': 'other' })),
      /^committing table shop\.orders: it was dropped and made anew \(uuid .* is now other\)$/,
    ],
  ])('at once when the table %s, and deletes nothing', async (_what, happens, message) => {
    const flush = await flushOf('a', [claim(0, 3)]);
    await happens();
    const failed = commit(flush);
    await expect(failed).rejects.toThrow(FatalError);
    await expect(failed).rejects.toThrow(message);
    expect(lake.objects(a)).toEqual([a]);
  });

  test('at once when the catalog says that trying again cannot help', async () => {
    lake.beforeSwap = async () => {
      throw new FatalError('no right to write');
    };
    await expect(commit(await flushOf('a', [claim(0, 3)]))).rejects.toThrow('no right to write');
    expect(lake.swaps).toBe(1);
  });
});

test('an outage of the catalog is waited for', async () => {
  let outages = 2;
  const catalog = Object.create(lake.catalog, {
    load: {
      value: async (identifier: Table['identifier']) => {
        if (outages-- > 0) throw new TransientError('the catalog is away');
        return lake.catalog.load(identifier);
      },
    },
    commit: { value: lake.catalog.commit.bind(lake.catalog) },
  });
  const flush = await flushOf('a', [claim(0, 3)]);
  expect(await commitFlush(flush, options, { ...lake, catalog })).toMatchObject({
    type: 'landed',
    attempts: 3,
  });
});

test('files that are too old for their own good are not committed, unless they have landed already', async () => {
  const old = { createdAtMs: lake.clock.nowMs() - 12 * 3_600_000 };
  expect(await commit(await flushOf('a', [claim(0, 3)], old))).toMatchObject({ type: 'landed' });
  lake.clock.skip(1);
  expect(await commit(await flushOf('b', [claim(3, 5)], old))).toEqual({ type: 'expired', attempts: 1 });
  expect(await lake.files()).toEqual([a]);
  expect(lake.objects(b)).toEqual([]);
  lake.fates.push('unknown, applied');
  lake.clock.meanwhile = async () => lake.clock.skip(13 * 3_600_000);
  const late = await commit(await flushOf('c', [claim(3, 5)]), {
    policy: { ...options.policy, totalMs: 1e9 },
  });
  expect(late).toMatchObject({ type: 'landed', attempts: 2 });
});

describe('a table that was rolled back', () => {
  /** Two flushes have landed, up to 3 and 5; then the table goes back to the first. */
  async function rolledBack(): Promise<bigint> {
    const first = await commit(await flushOf('a', [claim(0, 3)]));
    const second = await commit(await flushOf('b', [claim(3, 5)]));
    const [back, landed] = [first, second].map((landing) =>
      landing.type === 'landed' ? landing.snapshotId : 0n,
    );
    await lake.change((metadata) => rollBackTo(metadata, back!));
    return landed!;
  }

  test('halts the commit by default, and nothing is deleted', async () => {
    await rolledBack();
    await expect(commit(await flushOf('c', [claim(5, 9)]))).rejects.toThrow(
      /^table shop\.orders has gone back behind what pipeline shop has landed in snapshot \d+: landed .*"e":\[5\].*now says .*"e":\[3\]/,
    );
    expect(lake.objects('://data/c')).toHaveLength(1);
  });

  test('fences the claims of what was read on, with replay: they go back to where the table is', async () => {
    await rolledBack();
    const landing = await commit(await flushOf('c', [claim(5, 9)]), { onRollback: 'replay' });
    expect(landing).toEqual({ type: 'fenced', keys: ['orders-0'], attempts: 1 });
    expect(await commit(await flushOf('d', [claim(3, 9)]), { onRollback: 'replay' })).toMatchObject({
      type: 'landed',
    });
    expect(await lake.files()).toEqual([a, 'memory://data/d.parquet']);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('goes on with skip from what had landed', async () => {
    await rolledBack();
    expect(await commit(await flushOf('c', [claim(5, 9)]), { onRollback: 'skip' })).toMatchObject({
      type: 'landed',
    });
    expect(await lake.files()).toEqual([a, 'memory://data/c.parquet']);
    expect(await lake.resolve()).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('takes the operator’s word once', async () => {
    const word = `${await rolledBack()} skip`;
    const write = (metadata: TableMetadata): TableMetadata => ({
      ...metadata,
      properties: { ...metadata.properties, [names.resolution]: word },
    });
    await lake.change(write);
    expect(await commit(await flushOf('c', [claim(5, 9)]))).toMatchObject({ type: 'landed' });
    expect((await lake.load()).metadata.properties).not.toHaveProperty([names.resolution]);
    // A later rollback is another question.
    const { metadata } = await lake.load();
    await lake.change((now) => rollBackTo(now, metadata.snapshots[0]!['snapshot-id']));
    await expect(commit(await flushOf('d', [claim(9, 10)]))).rejects.toThrow(/has gone back behind/);
  });

  test('and then written by a pipeline that knows nothing of it, says so before anything is doubled', async () => {
    // The ledger is overwritten with an older one: no rollback by the book, but the claims are ahead of it.
    await commit(await flushOf('a', [claim(0, 3)]));
    await expect(commit(await flushOf('c', [claim(5, 9, false)]))).rejects.toThrow(
      new FatalError(
        'committing table shop.orders: its ledger is behind what has been landed for orders-0: somebody rolled the table ' +
          'back or overwrote commits; set onRollback: replay to land the missing offsets again',
      ),
    );
    expect(await commit(await flushOf('d', [claim(5, 9, false)]), { onRollback: 'replay' })).toMatchObject({
      type: 'fenced',
    });
  });

  test('behind an attempt that had landed is not taken for landed', async () => {
    // The answer is lost; then the table goes back to before it.
    await commit(await flushOf('a', [claim(0, 3)]));
    const before = (await head())['snapshot-id'];
    lake.fates.push('unknown, applied');
    const flush = await flushOf('b', [claim(3, 5)]);
    lake.clock.meanwhile = async () => {
      await lake.change((metadata) => rollBackTo(metadata, before));
    };
    await expect(commit(flush)).rejects.toThrow(/has gone back behind/);
    expect(lake.objects(b)).toEqual([b]);
  });

  test('behind an attempt that had landed is replayed by a snapshot of its own: no two have one id', async () => {
    await commit(await flushOf('a', [claim(0, 3)]));
    const before = (await head())['snapshot-id'];
    lake.fates.push('unknown, applied');
    const flush = await flushOf('b', [claim(3, 5)]);
    lake.clock.meanwhile = async () => {
      await lake.change((metadata) => rollBackTo(metadata, before));
    };
    expect(await commit(flush, { onRollback: 'replay' })).toMatchObject({ type: 'landed', attempts: 2 });
    expect(await lake.files()).toEqual([a, b]);
    const ids = (await lake.load()).metadata.snapshots.map((snapshot) => snapshot['snapshot-id']);
    expect(new Set(ids).size, `snapshot ids ${ids.join(', ')}`).toBe(3);
  });
});

function rollBackTo(metadata: TableMetadata, id: bigint): TableMetadata {
  return { ...metadata, 'current-snapshot-id': id, refs: { main: { 'snapshot-id': id, type: 'branch' } } };
}

/** Another program appends a file. */
async function foreignAppend(name: string): Promise<void> {
  const theirs = await flushOf(name, [{ key: 'other-0', start: 0, next: 1, initial: true }], {
    files: [imaginaryFile(name)],
  });
  await commitFlush(theirs, { ...options, pipeline: 'other' }, { ...lake, catalog: lake.others });
}
