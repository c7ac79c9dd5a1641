import { beforeEach, expect, test } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import { readManifest } from '../../../src/iceberg/manifest.ts';
import { type ManifestFile, readManifestList } from '../../../src/iceberg/manifest-list.ts';
import { branchHead, type Snapshot } from '../../../src/iceberg/metadata.ts';
import { type CommitOptions, commitFlush, type Flush, type Landing } from '../../../src/sink/table-commit.ts';
import { append, imaginaryFile } from '../../contract/appends.ts';
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
let offset: number;
beforeEach(async () => {
  lake = new Lake(new LakeClock());
  table = await lake.create('shop.orders', { 'commit.manifest.min-count-to-merge': '4' });
  offset = 0;
});

/** The next flush, of three rows in one file. */
async function nextFlush(id: string): Promise<Flush> {
  const claim = { key: 'orders-0', start: offset, next: offset + 3, initial: offset === 0 } as const;
  offset += 3;
  const file = imaginaryFile(id, 3);
  await lake.store.put(file.path, [Buffer.from(id)]);
  const flush = { id, table, files: [file], claims: [claim], createdAtMs: lake.clock.nowMs() };
  return { ...flush, lost: [], leftOut: [], truncated: [], watermarkMs: undefined };
}

const commit = async (id: string, change: Partial<CommitOptions> = {}): Promise<Landing> =>
  commitFlush(await nextFlush(id), { ...options, ...change }, lake);

async function head(): Promise<Snapshot> {
  return branchHead((await lake.load()).metadata, 'main')!;
}

async function manifests(): Promise<ManifestFile[]> {
  const list = (await head())['manifest-list'];
  return readManifestList(await lake.store.get(list), list);
}

const short = ({ path }: { path: string }): string => path.slice(path.lastIndexOf('/') + 1);

/** What is read of manifests from now on. */
function watchReads(): string[] {
  const reads: string[] = [];
  const get = lake.store.get.bind(lake.store);
  lake.store.get = (location) => {
    if (/-m\d\.avro$/.test(location)) reads.push(short({ path: location }));
    return get(location);
  };
  return reads;
}

test('manifests of before become one when there are enough; the new one stays by itself (I7)', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  expect((await manifests()).map(short)).toEqual(['c-m0.avro', 'b-m0.avro', 'a-m0.avro']);
  const landing = await commit('d');
  const snapshotId = landing.type === 'landed' ? landing.snapshotId : undefined;
  const [added, merged, ...others] = await manifests();
  expect(others).toEqual([]);
  expect(short(added!)).toBe('d-m0.avro');
  expect(merged).toMatchObject({
    path: expect.stringMatching(/\/d-m1\.avro$/),
    length: (await lake.store.get(merged!.path)).length,
    specId: 0,
    addedSnapshotId: snapshotId,
    sequenceNumber: 4,
    minSequenceNumber: 1,
    addedFiles: 0,
    existingFiles: 3,
    existingRows: 9,
    partitions: [],
  });
  const files = readManifest(await lake.store.get(merged!.path), 'merged');
  expect(files.map(({ status, sequenceNumber }) => [status, sequenceNumber])).toEqual([
    ['existing', 3],
    ['existing', 2],
    ['existing', 1],
  ]);
  expect(await lake.files()).toEqual(['a', 'b', 'c', 'd'].map((id) => `memory://data/${id}.parquet`));
  expect((await head()).summary).toMatchObject({
    'manifests-created': '2',
    'manifests-kept': '0',
    'manifests-replaced': '3',
    'total-data-files': '4',
  });
});

test('a merge is made once for all attempts that can use it', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  const reads = watchReads();
  lake.beforeSwap = async (swap) => {
    if (swap === 4) await append(lake.others, table, [imaginaryFile('f')], lake);
  };
  lake.fates.push('rejected', 'unknown, not applied');
  expect(await commit('d')).toMatchObject({ type: 'landed', attempts: 3 });
  expect(reads).toEqual(['c-m0.avro', 'b-m0.avro', 'a-m0.avro']);
  expect((await manifests()).map(short)).toEqual([
    'd-m0.avro',
    expect.not.stringContaining('d-'),
    'd-m1.avro',
  ]);
  expect(await lake.files()).toHaveLength(5);
});

/** Others take all manifests of the table and put one in their place. */
async function rewriteByOthers(): Promise<void> {
  const settings = { 'commit.manifest.min-count-to-merge': '2' };
  await lake.change((metadata) => ({ ...metadata, properties: { ...metadata.properties, ...settings } }));
  const flush = { ...(await nextFlush('theirs')), table: await lake.load() };
  offset -= 3;
  const claims = [{ key: 'others-0', start: 0, next: 3, initial: true }] as const;
  const by = { ...options, pipeline: 'theirs' };
  await commitFlush({ ...flush, claims }, by, { ...lake, catalog: lake.others });
}

test('a merge of what others have rewritten meanwhile is given up, and nobody names it any more', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  lake.beforeSwap = async (swap) => {
    if (swap === 4) await rewriteByOthers();
  };
  expect(await commit('d')).toMatchObject({ type: 'landed', attempts: 2 });
  expect((await manifests()).map(short)).toEqual(['d-m0.avro', 'theirs-m0.avro', 'theirs-m1.avro']);
  expect(lake.objects('d-m1.avro')).toEqual([]);
  expect(await lake.files()).toHaveLength(5);
});

test('a merge that is given up stays while an attempt that named it may still be applied (I4)', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  lake.fates.push('unknown, not applied');
  lake.clock.meanwhile = rewriteByOthers;
  expect(await commit('d')).toMatchObject({ type: 'landed', attempts: 2 });
  expect((await manifests()).map(short)).toEqual(['d-m0.avro', 'theirs-m0.avro', 'theirs-m1.avro']);
  expect(lake.objects('d-m1.avro')).toHaveLength(1);
});

test('a flush that was never tried leaves no merge behind', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  const flush = await nextFlush('d');
  const old = { ...flush, createdAtMs: lake.clock.nowMs() - 13 * 3_600_000 };
  expect(await commitFlush(old, options, lake)).toMatchObject({ type: 'expired' });
  expect(lake.objects('/d-')).toEqual([]);
});

test('a commit goes on without a merge that fails; the next one makes it', async () => {
  for (const id of ['a', 'b', 'c']) await commit(id);
  const { get } = lake.store;
  lake.store.get = (location) =>
    location.endsWith('b-m0.avro')
      ? Promise.reject(new TransientError('away'))
      : get.call(lake.store, location);
  expect(await commit('d')).toMatchObject({ type: 'landed', attempts: 1 });
  expect(lake.log.lines).toEqual(['warn manifests were not merged; the commit goes on without']);
  expect(await manifests()).toHaveLength(4);
  lake.store.get = get;
  await commit('e');
  expect((await manifests()).map(short)).toEqual(['e-m0.avro', 'e-m1.avro']);
});

test('a manifest that cannot be taken over is left where it is, and is not tried again', async () => {
  const leftAlone = new Set<string>();
  for (const id of ['a', 'b', 'c']) await commit(id, { leftAlone });
  const damaged = (await manifests())[1]!.path;
  const bytes = lake.store.objects.get(damaged)!;
  lake.store.objects.set(damaged, Buffer.from('damaged'));
  const reads = watchReads();
  for (const id of ['d', 'e', 'f', 'g']) await commit(id, { leftAlone });
  expect((await manifests()).map(short)).toEqual(['g-m0.avro', 'f-m0.avro', 'f-m1.avro', 'b-m0.avro']);
  expect(reads.filter((read) => read === 'b-m0.avro')).toHaveLength(1);
  lake.store.objects.set(damaged, bytes);
  expect(await lake.files()).toHaveLength(7);
});
