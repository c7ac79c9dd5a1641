import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { Table, TableCreation } from '../../../src/catalog/catalog.ts';
import { memoryPointers } from '../../../src/catalog/memory.ts';
import { MetastoreCatalog, type Pointers } from '../../../src/catalog/metastore.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { SkippingClock } from '../base/clock.ts';

const orders = { namespace: ['shop'], name: 'orders' };
const creation = (properties: Record<string, string> = {}): TableCreation => ({
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' } }],
  spec: () => unpartitioned,
  properties,
});

function catalogOver(pointers: Pointers, store = new MemoryStore()): MetastoreCatalog {
  return new MetastoreCatalog(pointers, 'memory://wh', {
    store,
    clock: new SkippingClock(),
    random: systemRandom,
  });
}

const metadataFiles = (store: MemoryStore): string[] =>
  [...store.objects.keys()].filter((location) => location.includes('.metadata.json'));

test('a table is made below the warehouse, its metadata in a file of version 0', async () => {
  const store = new MemoryStore();
  const name = { namespace: ['shop', 'eu'], name: 'orders' };
  const made = await catalogOver(memoryPointers(), store).create(name, creation({ owner: 'me' }));
  expect(made.metadata.location).toBe('memory://wh/shop/eu/orders');
  expect(made.metadataLocation).toMatch(
    /^memory:\/\/wh\/shop\/eu\/orders\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/,
  );
  expect(made.metadata.properties).toEqual({ 'write.parquet.compression-codec': 'zstd', owner: 'me' });
  expect(metadataFiles(store)).toEqual([made.metadataLocation]);
});

test('a commit whose requirement its own base does not meet is rejected before anything is written', async () => {
  const store = new MemoryStore();
  const catalog = catalogOver(memoryPointers(), store);
  const base = await catalog.create(orders, creation());
  const before = [...store.objects.keys()];
  const updates = [{ action: 'set-properties', updates: { a: '1' } }] as const;
  expect(
    await catalog.commit(base, [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 5n }], updates),
  ).toEqual({ type: 'rejected', reason: 'branch main is at snapshot null, expected 5' });
  expect(await catalog.commit(base, [{ type: 'assert-table-uuid', uuid: 'other' }], updates)).toMatchObject({
    type: 'rejected',
    reason: expect.stringContaining('expected other'),
  });
  expect([...store.objects.keys()]).toEqual(before);
});

test('a commit of which nobody knows whether it was applied keeps its metadata: it may still be pointed at', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const base = await catalogOver(pointers, store).create(orders, creation());
  const lost: Pointers = { ...pointers, swap: async () => ({ type: 'unknown', reason: 'no answer' }) };
  expect(await commitSnapshot(catalogOver(lost, store), base, 1n)).toEqual({
    type: 'unknown',
    reason: 'no answer',
  });
  expect(metadataFiles(store)).toHaveLength(2);

  // It was applied after all: the next reader finds a sound table.
  const late: Pointers = {
    ...pointers,
    swap: async (...args) => {
      await pointers.swap(...args);
      return { type: 'unknown', reason: 'the answer was lost' };
    },
  };
  expect((await commitSnapshot(catalogOver(late, store), base, 2n)).type).toBe('unknown');
  const table = (await catalogOver(pointers, store).load(orders))!;
  expect(table.metadata['current-snapshot-id']).toBe(2n);
});

test('a commit whose metastore fails without an outcome keeps its metadata', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const base = await catalogOver(pointers, store).create(orders, creation());
  const failing: Pointers = {
    ...pointers,
    swap: async () => {
      throw new TransientError('the connection broke');
    },
  };
  await expect(commitSnapshot(catalogOver(failing, store), base, 1n)).rejects.toThrow('the connection broke');
  expect(metadataFiles(store)).toHaveLength(2);
});

test('a commit that was certainly rejected leaves no metadata, even where deleting fails', async () => {
  class Undeletable extends MemoryStore {
    deletes = 0;
    override async delete(): Promise<void> {
      this.deletes++;
      throw new TransientError('no');
    }
  }
  const store = new Undeletable();
  const pointers = memoryPointers();
  const base = await catalogOver(pointers, store).create(orders, creation());
  const moved: Pointers = { ...pointers, swap: async () => ({ type: 'rejected', reason: 'moved' }) };
  expect(await commitSnapshot(catalogOver(moved, store), base, 1n)).toEqual({
    type: 'rejected',
    reason: 'moved',
  });
  expect(store.deletes).toBe(1);
});

const doubtful = { type: 'rejected', reason: 'moved', doubtful: true } as const;

test('metadata of a doubtful refusal is deleted once another commit has come in its place', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const base = await catalogOver(pointers, store).create(orders, creation());
  const catalog = catalogOver({ ...pointers, swap: async () => doubtful }, store);
  expect(await commitSnapshot(catalog, base, 1n)).toEqual({ type: 'rejected', reason: 'moved' });
  expect(await catalog.load(orders)).toEqual(base);
  expect(metadataFiles(store), 'nothing has come in its place yet').toHaveLength(2);
  const { table } = (await commitSnapshot(catalogOver(pointers, store), base, 2n)) as { table: Table };
  await catalog.load(orders);
  expect(metadataFiles(store)).toEqual([base.metadataLocation, table.metadataLocation]);
});

test('metadata of a doubtful refusal stays when the table has it, now or in its log', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const lying: Pointers = {
    ...pointers,
    swap: async (...args) => {
      await pointers.swap(...args);
      return doubtful;
    },
  };
  await catalogOver(pointers, store).create(orders, creation());
  for (const isCurrent of [true, false]) {
    const catalog = catalogOver(lying, store);
    const before = (await catalog.load(orders))!;
    expect((await commitSnapshot(catalog, before, isCurrent ? 1n : 2n)).type).toBe('rejected');
    const { metadataLocation } = (await catalogOver(pointers, store).load(orders))!;
    expect(metadataLocation).not.toBe(before.metadataLocation);
    if (!isCurrent) {
      const others = catalogOver(pointers, store);
      expect((await commitSnapshot(others, (await others.load(orders))!, 3n)).type).toBe('applied');
    }
    await catalog.load(orders);
    expect(metadataFiles(store)).toContain(metadataLocation);
  }
  expect(metadataFiles(store)).toHaveLength(4);
});

test('metadata of a doubtful refusal stays when the log of the table does not go back that far', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const others = catalogOver(pointers, store);
  const base = await others.create(orders, creation({ 'write.metadata.previous-versions-max': '1' }));
  const catalog = catalogOver({ ...pointers, swap: async () => doubtful }, store);
  await commitSnapshot(catalog, base, 1n);
  for (const id of [2n, 3n]) await commitSnapshot(others, (await others.load(orders))!, id);
  await catalog.load(orders);
  expect(metadataFiles(store)).toHaveLength(4);
});

test.each([
  [new TransientError('the disk is full'), { type: 'rejected', reason: 'the disk is full' }],
  [new FatalError('no right to write'), undefined],
])('metadata that cannot be written (%s) leaves the pointer where it is', async (error, outcome) => {
  class Failing extends MemoryStore {
    failing = false;
    override async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
      if (this.failing) throw error;
      return super.put(location, parts);
    }
  }
  const store = new Failing();
  const pointers = memoryPointers();
  let swaps = 0;
  const counted: Pointers = {
    ...pointers,
    swap: (...args) => {
      swaps++;
      return pointers.swap(...args);
    },
  };
  const catalog = catalogOver(counted, store);
  const base = await catalog.create(orders, creation());
  store.failing = true;
  const committing = commitSnapshot(catalog, base, 1n);
  if (outcome) expect(await committing).toEqual(outcome);
  else await expect(committing).rejects.toBe(error);
  store.failing = false;
  expect(swaps).toBe(0);
  expect(await catalog.load(orders)).toEqual(base);
});

test('a metastore may say where a new table goes, and is given its metadata', async () => {
  const pointers = memoryPointers();
  const inserted: string[] = [];
  const catalog = catalogOver({
    ...pointers,
    place: async ({ name }, warehouse) => `${warehouse}/elsewhere/${name}`,
    insert: (id, location, metadata) => {
      inserted.push(metadata['table-uuid']);
      return pointers.insert(id, location, metadata);
    },
  });
  const { metadata, metadataLocation } = await catalog.create(orders, creation());
  expect(metadata.location).toBe('memory://wh/elsewhere/orders');
  expect(metadataLocation).toMatch(/^memory:\/\/wh\/elsewhere\/orders\/metadata\/00000-/);
  expect(inserted).toEqual([metadata['table-uuid']]);
});

test('a table of which nobody knows whether it was made keeps its metadata, and the next try finds it', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const late: Pointers = {
    ...pointers,
    insert: async (...args) => {
      await pointers.insert(...args);
      throw new TransientError('the answer was lost');
    },
  };
  await expect(catalogOver(late, store).create(orders, creation())).rejects.toThrow('the answer was lost');
  const [kept] = metadataFiles(store);
  expect((await catalogOver(pointers, store).create(orders, creation())).metadataLocation).toBe(kept);
  expect(metadataFiles(store)).toEqual([kept]);
});

test('metadata is compressed where the table asks for it, and read either way', async () => {
  const store = new MemoryStore();
  const catalog = catalogOver(memoryPointers(), store);
  const base = await catalog.create(orders, creation({ 'write.metadata.compression-codec': 'gzip' }));
  expect(base.metadataLocation).toMatch(/\/metadata\/00000-[0-9a-f-]{36}\.gz\.metadata\.json$/);
  const text = gunzipSync(await store.get(base.metadataLocation)).toString();
  expect(JSON.parse(text)).toMatchObject({ 'table-uuid': base.metadata['table-uuid'] });
  const { table } = (await commitSnapshot(catalog, base, 1n)) as { table: Table };
  expect(table.metadataLocation).toMatch(/\/metadata\/00001-[0-9a-f-]{36}\.gz\.metadata\.json$/);
  expect(await catalog.load(orders)).toEqual(table);
});

test('metadata goes into the folder that the table asks for', async () => {
  const catalog = catalogOver(memoryPointers());
  const base = await catalog.create(orders, creation({ 'write.metadata.path': 'memory://elsewhere/m/' }));
  expect(base.metadataLocation).toMatch(/^memory:\/\/elsewhere\/m\/00000-[0-9a-f-]{36}\.metadata\.json$/);
  const { table } = (await commitSnapshot(catalog, base, 1n)) as { table: Table };
  expect(table.metadataLocation).toMatch(/^memory:\/\/elsewhere\/m\/00001-/);
});

test.each([
  ['memory://wh/t/metadata/00041-abc.metadata.json', '00042-'],
  ['memory://wh/t/metadata/99999-abc.gz.metadata.json', '100000-'],
  ['memory://wh/t/metadata/v7.metadata.json', '00001-'],
  ['memory://wh/t/metadata/whatever.json', '00001-'],
])('the metadata after %s is named %s…', async (location, prefix) => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const catalog = catalogOver(pointers, store);
  const made = await catalog.create(orders, creation());
  pointers.tables.set('shop.orders', location);
  const outcome = await commitSnapshot(catalog, { ...made, metadataLocation: location }, 1n);
  const { metadataLocation } = (outcome as { table: Table }).table;
  expect(metadataLocation.slice('memory://wh/shop/orders/metadata/'.length)).toMatch(
    new RegExp(`^${prefix}`),
  );
});

test('a catalog that points at what is not there, or is no metadata, is beyond trying again', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const catalog = catalogOver(pointers, store);
  await pointers.tables.set('shop.orders', 'memory://gone.metadata.json');
  await expect(catalog.load(orders)).rejects.toThrow(FatalError);
  await expect(catalog.load(orders)).rejects.toThrow(
    'loading table shop.orders: the catalog points at memory://gone.metadata.json, which is missing',
  );
  await store.put('memory://gone.metadata.json', [Buffer.from('{"format-version":9}')]);
  await expect(catalog.load(orders)).rejects.toThrow('format-version 9 is not known');
});

test('a table that is dropped while it is made may be made again', async () => {
  const pointers = memoryPointers();
  const catalog = catalogOver({ ...pointers, insert: async () => false });
  await expect(catalog.create(orders, creation())).rejects.toThrow(TransientError);
});

test('metadata is read once: not again while the table stays where it is, nor after a commit of ours', async () => {
  const store = new MemoryStore();
  const pointers = memoryPointers();
  const [catalog, others] = [catalogOver(pointers, store), catalogOver(pointers, store)];
  await catalog.create(orders, creation());
  const reads: string[] = [];
  const get = store.get.bind(store);
  store.get = (location) => {
    reads.push(location);
    return get(location);
  };
  const load = async (): Promise<Table> => (await catalog.load(orders))!;
  expect((await commitSnapshot(catalog, await load(), 1n)).type).toBe('applied');
  expect(await load()).toEqual(await others.load(orders));
  expect(reads.splice(0)).toHaveLength(1);
  expect((await commitSnapshot(others, await load(), 2n)).type).toBe('applied');
  expect((await load()).metadata.snapshots).toHaveLength(2);
  expect(await load()).toEqual(await others.load(orders));
  expect(reads).toHaveLength(1);
});

test('metadata versions that fall out of the log are deleted where the table asks for it, and only when the commit is applied', async () => {
  const properties = {
    'write.metadata.previous-versions-max': '2',
    'write.metadata.delete-after-commit.enabled': 'true',
  };
  const store = new MemoryStore();
  const pointers = memoryPointers();
  let fate: 'applied' | 'unknown' | 'rejected' = 'applied';
  const catalog = catalogOver(
    {
      ...pointers,
      swap: (...swap) =>
        fate === 'applied' ? pointers.swap(...swap) : Promise.resolve({ type: fate, reason: '' }),
    },
    store,
  );
  let table = await catalog.create(orders, creation(properties));
  const locations = [table.metadataLocation];
  for (let id = 1n; id <= 4n; id++) {
    const outcome = await commitSnapshot(catalog, table, id);
    if (outcome.type === 'applied') table = outcome.table;
    locations.push(table.metadataLocation);
  }
  expect(metadataFiles(store)).toEqual(locations.slice(2));
  fate = 'rejected';
  await commitSnapshot(catalog, table, 5n);
  expect(metadataFiles(store)).toEqual(locations.slice(2));
  fate = 'unknown';
  await commitSnapshot(catalog, table, 6n);
  expect(metadataFiles(store).slice(0, 3)).toEqual(locations.slice(2));
  expect(metadataFiles(store)).toHaveLength(4);
});

test('metadata versions stay where the table does not ask for anything else', async () => {
  const store = new MemoryStore();
  const catalog = catalogOver(memoryPointers(), store);
  let table = await catalog.create(orders, creation({ 'write.metadata.previous-versions-max': '1' }));
  for (let id = 1n; id <= 3n; id++) {
    const outcome = await commitSnapshot(catalog, table, id);
    if (outcome.type === 'applied') table = outcome.table;
  }
  expect(table.metadata['metadata-log']).toHaveLength(1);
  expect(metadataFiles(store)).toHaveLength(4);
});
