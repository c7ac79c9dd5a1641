import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { memoryPointers } from '../../../src/catalog/memory.ts';
import { MetastoreCatalog } from '../../../src/catalog/metastore.ts';
import type { Config } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { swapCheck, Tables } from '../../../src/doctor/catalog.ts';
import type { Outcome } from '../../../src/doctor/check.ts';
import { placesOf, serversOf } from '../../../src/doctor/places.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { emptyLedger, ledgerNames, writeLedgerProperty } from '../../../src/sink/ledger.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { SkippingClock } from '../base/clock.ts';

const ports = { clock: new SkippingClock(), random: seededRandom(1) };

function lake(): { catalog: MetastoreCatalog; store: MemoryStore } {
  const store = new MemoryStore();
  return { catalog: new MetastoreCatalog(memoryPointers(), 'memory://wh', { ...ports, store }), store };
}

function configOf(tables: object[], more: object = {}): Config {
  const config = {
    pipeline: 'shop',
    source: { brokers: ['a:1'], topics: ['orders'] },
    decode: { value: { format: 'json' } },
    catalog: { type: 'sqlite', path: '/lake/catalog.db', warehouse: '/lake' },
    tables: tables.map((table) => ({ topics: ['orders'], ...table })),
    ...more,
  };
  return parseConfig(JSON.stringify(config), {}, '/etc/frazil');
}

const columns = { create: true, schema: [{ name: 'n', type: 'long' }] };
const creation = {
  fields: [{ id: 0, name: 'n', required: false, type: { kind: 'long' as const } }],
  spec: () => unpartitioned,
  properties: {},
};

async function check(config: Config, catalog: Catalog, store = new MemoryStore()): Promise<Outcome[]> {
  const tables = new Tables(config, async () => ({ catalog, store }));
  return Promise.all(tables.checks().map(async (each) => each.run()));
}

describe('a table', () => {
  test('that is not there is made by a worker where it may, else it has failed', async () => {
    const { catalog } = lake();
    expect(
      await check(configOf([{ table: 'shop.orders', ...columns }, { table: 'shop.fixed' }]), catalog),
    ).toEqual([
      { status: 'ok', found: 'it does not exist; a worker will make it (whether it may: --scratch-table)' },
      { status: 'failed', found: 'it does not exist', fix: 'make it, or write create: true' },
    ]);
  });

  test('that is there', async () => {
    const { catalog } = lake();
    await catalog.create({ namespace: ['shop'], name: 'orders' }, creation);
    expect(await check(configOf([{ table: 'shop.orders' }]), catalog)).toEqual([
      {
        status: 'ok',
        found: 'at memory://wh/shop/orders, 0 snapshots; pipeline shop has not landed in it yet',
      },
    ]);
  });

  test('that was rolled back would stop a worker, unless it is told what to do then', async () => {
    const { catalog } = lake();
    const property = writeLedgerProperty({
      snapshotId: 1n,
      sequenceNumber: 1,
      branch: 'main',
      ledger: emptyLedger,
    });
    await catalog.create(
      { namespace: ['shop'], name: 'orders' },
      { ...creation, properties: { [ledgerNames('shop').property]: property } },
    );
    const outcomes = await Promise.all(
      ['halt', 'replay'].map((onRollback) =>
        check(configOf([{ table: 'shop.orders', onRollback }]), catalog).catch((error: Error) => error),
      ),
    );
    expect(outcomes).toMatchObject([[{ status: 'failed' }], [{ status: 'warning' }]]);
  });

  test('that cannot be written into has failed before a worker tries', async () => {
    const { catalog } = lake();
    await catalog.create({ namespace: ['shop'], name: 'orders' }, creation);
    await expect(
      check(configOf([{ table: 'shop.orders', keyColumn: 'id', ...columns }]), catalog),
    ).rejects.toThrow('opening table shop.orders: it has no column id for the key (keyColumn)');
  });

  test('behind a catalog that does not answer has failed once, not once for each', async () => {
    const { catalog } = lake();
    catalog.load = () => Promise.reject(new FatalError('the catalog is down'));
    const tables = new Tables(configOf([{ table: 'a.b' }, { table: 'a.c' }]), async () => ({
      catalog,
      store: new MemoryStore(),
    }));
    const [first, second] = tables.checks();
    await expect(first!.run()).rejects.toThrow('the catalog is down');
    expect(await second!.run()).toEqual({ status: 'skipped', found: 'the catalog did not give a.b either' });
  });
});

describe('commits', () => {
  const config = configOf([{ table: 'shop.orders', ...columns }]);
  const run = async (catalog: Catalog, store: MemoryStore, wanted = true): Promise<Outcome> =>
    swapCheck(wanted, config, async () => ({ catalog, store }), ports).run();

  test('are tried only when that is asked for', async () => {
    const { catalog, store } = lake();
    expect((await run(catalog, store, false)).status).toBe('skipped');
    expect(store.objects.size).toBe(0);
  });

  test('onto a state that has passed are refused; the table and its files are gone afterwards', async () => {
    const { catalog, store } = lake();
    expect(await run(catalog, store)).toMatchObject({
      status: 'ok',
      found: expect.stringMatching(
        /^made shop\.frazil_doctor_[0-9a-f]{32}; of two commits onto the same state of it one was refused$/,
      ),
    });
    expect([...store.objects.keys()]).toEqual([]);
  });

  test('that a catalog swaps without comparing are found out', async () => {
    const { store } = lake();
    const pointers = memoryPointers();
    const careless = new MetastoreCatalog(
      {
        ...pointers,
        swap: async (identifier, _from, to) => {
          pointers.tables.set([...identifier.namespace, identifier.name].join('.'), to);
          return { type: 'applied' };
        },
      },
      'memory://wh',
      { ...ports, store },
    );
    expect(await run(careless, store)).toMatchObject({
      status: 'failed',
      found: expect.stringMatching(/^of two commits onto the same state of \S+ the second is applied$/),
    });
  });

  test('in a catalog that cannot drop: it says what is left', async () => {
    const { catalog, store } = lake();
    catalog.drop = async () => false;
    const outcome = await run(catalog, store);
    expect(outcome.status).toBe('warning');
    expect(outcome.fix).toMatch(/^drop table shop\.frazil_doctor_/);
    expect(store.objects.size).toBeGreaterThan(0);
  });

  test('where no table may be made', async () => {
    const { catalog, store } = lake();
    catalog.create = () => Promise.reject(new FatalError('creating table: permission denied'));
    await expect(run(catalog, store)).rejects.toThrow('permission denied');
  });
});

test('objects are tried below the warehouse, and once for each bucket that tables are in', async () => {
  const tableAt = (location: string, properties = {}): never =>
    ({ metadata: { location, properties } }) as never;
  const loaded = async (): Promise<never[]> => [
    tableAt('file:///lake/shop/orders'),
    tableAt('s3://one/a'),
    tableAt('s3://one/b'),
    tableAt('s3://one/c', { 'write.data.path': 's3://two/c/' }),
  ];
  const tables = [{ table: 'shop.orders', ...columns }];
  expect(await placesOf(configOf(tables), { loaded })).toEqual([
    'file:///lake',
    's3://one/a/data',
    's3://two/c',
  ]);
  const rest = configOf(tables, { catalog: { type: 'rest', uri: 'http://c', warehouse: 'name' } });
  expect(await placesOf(rest, { loaded: async () => [] })).toEqual([]);
});

test('the servers whose clocks are asked', () => {
  const tables = [{ table: 'shop.orders', ...columns }];
  expect(serversOf(configOf(tables))).toEqual([]);
  const all = configOf([{ table: 'shop.orders', create: true }], {
    decode: { value: { format: 'avro', registry: { url: 'http://registry' } } },
    catalog: { type: 'rest', uri: 'http://catalog' },
    store: { type: 's3', endpoint: 'http://s3' },
  });
  expect(serversOf(all)).toEqual(['http://registry', 'http://s3', 'http://catalog']);
  const glue = configOf(tables, {
    catalog: { type: 'glue', region: 'eu-west-1', warehouse: 's3://lake/wh' },
  });
  expect(serversOf(glue)).toEqual(['https://s3.eu-west-1.amazonaws.com/']);
});
