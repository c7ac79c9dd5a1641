import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { Table, TableCreation } from '../../../src/catalog/catalog.ts';
import { type GlueSettings, gluePointers } from '../../../src/catalog/glue.ts';
import { MetastoreCatalog } from '../../../src/catalog/metastore.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { SkippingClock } from '../base/clock.ts';
import { type Fault, GlueDouble } from './glue-double.ts';

const region = 'us-east-1';
const orders = { namespace: ['shop'], name: 'orders' };
const creation: TableCreation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' }, doc: 'the order' }],
  spec: () => unpartitioned,
  properties: { comment: 'what was ordered' },
};

let glue: GlueDouble;
let store: MemoryStore;
const opened: MetastoreCatalog[] = [];

beforeEach(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  glue = await GlueDouble.start();
  store = new MemoryStore();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const catalog of opened.splice(0)) await catalog.close();
  await glue[Symbol.asyncDispose]();
});

function open(settings: Partial<GlueSettings> = {}): MetastoreCatalog {
  const all = {
    createDatabase: true,
    skipNameValidation: false,
    endpoint: glue.endpoint,
    region,
    ...settings,
  };
  const pointers = gluePointers(all, { connectMs: 1_000, requestMs: 300 });
  const ports = { store, clock: new SkippingClock(), random: systemRandom };
  const catalog = new MetastoreCatalog(pointers, 's3://lake/wh/', ports);
  opened.push(catalog);
  return catalog;
}

const metadataFiles = (): string[] => [...store.objects.keys()].filter((path) => path.endsWith('.json'));
const inGlue = (): Record<string, string> => glue.table('shop', 'orders').table.Parameters!;

describe('a table that is made', () => {
  test('is in Glue as Java writes it, below the warehouse as Java has it', async () => {
    const made = await open().create(orders, creation);
    expect(made.metadata.location).toBe('s3://lake/wh/shop.db/orders');
    expect(glue.requests.at(-2)).toEqual({
      action: 'CreateTable',
      body: {
        DatabaseName: 'shop',
        TableInput: {
          Name: 'orders',
          TableType: 'EXTERNAL_TABLE',
          Description: 'what was ordered',
          Parameters: { table_type: 'ICEBERG', metadata_location: made.metadataLocation },
          StorageDescriptor: {
            Location: 's3://lake/wh/shop.db/orders',
            Columns: [
              {
                Name: 'id',
                Type: 'bigint',
                Comment: 'the order',
                Parameters: {
                  'iceberg.field.id': '1',
                  'iceberg.field.optional': 'false',
                  'iceberg.field.current': 'true',
                },
              },
            ],
          },
        },
      },
    });
  });

  test('goes where its database is', async () => {
    glue.databases.set('111122223333/shop', { Name: 'shop', LocationUri: 's3://other/shop/' });
    const { metadata } = await open({ createDatabase: false }).create(orders, creation);
    expect(metadata.location).toBe('s3://other/shop/orders');
    expect(glue.count('CreateDatabase')).toBe(0);
  });

  test('needs a database, which is made only if that is wanted', async () => {
    const making = open({ createDatabase: false }).create(orders, creation);
    await expect(making).rejects.toThrow(FatalError);
    await expect(making).rejects.toThrow(
      'creating table shop.orders: Glue has no database shop: create it, or set catalog.createDatabase: true',
    );
    expect(metadataFiles()).toEqual([]);
    await open().create(orders, creation);
    expect([...glue.databases.keys()]).toEqual(['111122223333/shop']);
  });

  test('has a database that another worker has made meanwhile', async () => {
    const by = (): void => void glue.databases.set('111122223333/shop', { Name: 'shop' });
    glue.next('CreateDatabase', { type: 'preceded', by });
    await open().create(orders, creation);
    expect(glue.count('CreateDatabase')).toBe(1);
  });

  test.each<[string, Fault]>([
    ['no answer', { type: 'silence', applied: true }],
    [
      'a failure inside Glue',
      { type: 'answer', applied: true, status: 500, code: 'InternalServiceException' },
    ],
    ['a time-out of Glue', { type: 'answer', applied: true, status: 400, code: 'OperationTimeoutException' }],
  ])('may be there after %s: its metadata is kept, and the next try finds it', async (_what, fault) => {
    glue.next('CreateTable', fault);
    const making = open().create(orders, creation);
    await expect(making).rejects.toThrow(TransientError);
    await expect(making).rejects.toThrow('creating table shop.orders: whether it was created is unknown');
    const [kept] = metadataFiles();
    expect((await open().create(orders, creation)).metadataLocation).toBe(kept);
    expect(metadataFiles()).toEqual([kept]);
  });

  test.each([
    ['ThrottlingException', 400, TransientError],
    ['ConcurrentModificationException', 400, TransientError],
    ['ResourceNumberLimitExceededException', 400, FatalError],
    ['AccessDeniedException', 400, FatalError],
  ])('is not there after %s', async (code, status, kind) => {
    glue.next('CreateTable', { type: 'answer', applied: false, status, code });
    await expect(open().create(orders, creation)).rejects.toThrow(kind);
    expect(glue.count('CreateTable')).toBe(1);
    expect(await open().load(orders)).toBeUndefined();
  });
});

describe('a commit', () => {
  test('replaces the version it was made from, and has nothing archived', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    const { table } = (await commitSnapshot(catalog, base, 1n)) as { table: Table };
    expect((await commitSnapshot(catalog, table, 2n)).type).toBe('applied');
    const sent = glue.requests.filter(({ action }) => action === 'UpdateTable').map(({ body }) => body);
    expect(sent.map(({ VersionId, SkipArchive }) => [VersionId, SkipArchive])).toEqual([
      ['0', true],
      ['1', true],
    ]);
    expect(glue.table('shop', 'orders')).toMatchObject({ version: 2, archives: 0 });
    expect(inGlue()['previous_metadata_location']).toBe(table.metadataLocation);
    expect(inGlue()['metadata_location']).toBe((await catalog.load(orders))!.metadataLocation);
  });

  test('is rejected when the table was changed since it was looked at, whatever was changed', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    glue.next('UpdateTable', {
      type: 'preceded',
      by: () => glue.change('shop', 'orders', { Description: 'edited' }),
    });
    expect(await commitSnapshot(catalog, base, 1n)).toEqual({
      type: 'rejected',
      reason:
        'committing table shop.orders: ConcurrentModificationException: Update table failed due to concurrent modifications, status 400',
    });
    expect(glue.table('shop', 'orders').table.Description).toBe('edited');
  });

  test('is rejected, and not sent, when the table is at other metadata', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    await commitSnapshot(catalog, base, 1n);
    const { metadataLocation } = (await catalog.load(orders))!;
    expect(await commitSnapshot(catalog, base, 2n)).toEqual({
      type: 'rejected',
      reason: `the table is at ${metadataLocation} now`,
    });
    expect(glue.count('UpdateTable')).toBe(1);
  });

  test('of two at once one is applied', async () => {
    const base = await open().create(orders, creation);
    const outcomes = await Promise.all([1n, 2n].map((id) => commitSnapshot(open(), base, id)));
    expect(outcomes.map(({ type }) => type).sort()).toEqual(['applied', 'rejected']);
  });

  test.each([
    [400, 'ConcurrentModificationException', 'rejected'],
    [400, 'EntityNotFoundException', 'rejected'],
    [400, 'ResourceNotReadyException', 'rejected'],
    [400, 'ThrottlingException', 'rejected'],
    [429, 'ThrottlingException', 'rejected'],
    [503, 'ThrottlingException', 'rejected'],
    [400, 'Throttling', 'rejected'],
    [429, 'TooManyRequestsException', 'rejected'],
    [400, 'OperationTimeoutException', 'unknown'],
    [400, 'FederationSourceException', 'unknown'],
    [400, 'SomethingNewException', 'unknown'],
    [500, 'InternalServiceException', 'unknown'],
    [503, 'ServiceUnavailable', 'unknown'],
    [504, 'GatewayTimeout', 'unknown'],
  ])('that is answered with %i %s is %s', async (status, code, type) => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    glue.next('UpdateTable', { type: 'answer', applied: false, status, code });
    expect(await commitSnapshot(catalog, base, 1n)).toMatchObject({
      type,
      reason: expect.stringMatching(`^committing table shop.orders: ${code}: .*status ${status}$`),
    });
    expect(glue.count('UpdateTable')).toBe(1);
    // Only when another commit has come in its place it is certain that nobody will ever point at its metadata.
    expect(metadataFiles()).toHaveLength(2);
    expect((await commitSnapshot(catalog, base, 2n)).type).toBe('applied');
    await catalog.load(orders);
    expect(metadataFiles()).toHaveLength(type === 'unknown' ? 3 : 2);
  });

  test('that was applied, and whose request came twice, is rejected, and keeps its metadata', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    const code = 'ConcurrentModificationException';
    glue.next('UpdateTable', { type: 'answer', applied: true, status: 400, code });
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('rejected');
    const table = (await catalog.load(orders))!;
    expect(table.metadata['current-snapshot-id']).toBe(1n);
    expect((await commitSnapshot(catalog, table, 2n)).type).toBe('applied');
    await catalog.load(orders);
    expect(metadataFiles()).toContain(table.metadataLocation);
  });

  test.each([
    [400, 'AccessDeniedException', 'grant glue:UpdateTable on the catalog, database shop and its tables'],
    [403, 'Whatever', 'grant glue:UpdateTable'],
    [400, 'ValidationException', 'ValidationException'],
    [400, 'InvalidInputException', 'InvalidInputException'],
    [400, 'GlueEncryptionException', 'GlueEncryptionException'],
    [400, 'ExpiredTokenException', 'the credentials are expired: renew them'],
  ])('that is answered with %i %s is for a person: %s', async (status, code, text) => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    glue.next('UpdateTable', { type: 'answer', applied: false, status, code });
    const committing = commitSnapshot(catalog, base, 1n);
    await expect(committing).rejects.toThrow(FatalError);
    await expect(committing).rejects.toThrow(text);
    await expect(committing).rejects.toThrow(/^committing table shop\.orders: /);
  });

  test.each<[string, Fault]>([
    ['has no answer', { type: 'silence', applied: true }],
    ['loses its answer', { type: 'cut', applied: true }],
    ['fails inside Glue', { type: 'answer', applied: true, status: 500, code: 'InternalServiceException' }],
  ])('that was applied and %s is unknown, and never sent again by the SDK', async (_what, fault) => {
    // apache/iceberg#7151: another try of the SDK is told that somebody has changed the table, which was the first one.
    vi.stubEnv('AWS_MAX_ATTEMPTS', '5');
    const catalog = open();
    const base = await catalog.create(orders, creation);
    glue.next('UpdateTable', fault);
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('unknown');
    expect(glue.count('UpdateTable')).toBe(1);
    const table = (await catalog.load(orders))!;
    expect(table.metadata['current-snapshot-id']).toBe(1n);
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('rejected');
    expect((await commitSnapshot(catalog, table, 2n)).type).toBe('applied');
  });

  test('is rejected while the table cannot be looked at: nothing was sent', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    for (let i = 0; i < 3; i++) glue.next('GetTable', { type: 'cut', applied: false });
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('rejected');
    expect(glue.count('UpdateTable')).toBe(0);
    expect(metadataFiles()).toEqual([base.metadataLocation]);
  });

  test('is not made where there is no VersionId to make it by', async () => {
    const catalog = open();
    const base = await catalog.create(orders, creation);
    glue.next('GetTable', {
      type: 'answer',
      applied: false,
      status: 200,
      body: { Table: glue.table('shop', 'orders').table },
    });
    await expect(commitSnapshot(catalog, base, 1n)).rejects.toThrow('the catalog gave no VersionId');
    expect(glue.count('UpdateTable')).toBe(0);
  });

  test('leaves what others have put into the table in Glue', async () => {
    const catalog = open();
    const base = await catalog.create(orders, { ...creation, properties: {} });
    const { StorageDescriptor: storage } = glue.table('shop', 'orders').table;
    const theirs = { classification: 'iceberg', optimizer: 'on', long: 'x'.repeat(512_000) };
    glue.change('shop', 'orders', {
      Owner: 'etl',
      Retention: 7,
      Description: 'by hand',
      PartitionKeys: [],
      Parameters: { ...inGlue(), ...theirs, table_type: 'iceberg' },
      StorageDescriptor: {
        ...storage,
        Compressed: false,
        NumberOfBuckets: 0,
        Columns: storage!.Columns!.map((column) => ({ ...column, Comment: 'by hand' })),
      },
    });
    const before = structuredClone(glue.table('shop', 'orders').table);
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('applied');
    const { Columns: columns, ...rest } = before.StorageDescriptor!;
    expect(glue.table('shop', 'orders').table).toEqual({
      ...before,
      TableType: 'EXTERNAL_TABLE',
      Parameters: {
        ...before.Parameters,
        table_type: 'ICEBERG',
        metadata_location: (await catalog.load(orders))!.metadataLocation,
        previous_metadata_location: base.metadataLocation,
      },
      // The schema has a word on this column, and the schema counts.
      StorageDescriptor: {
        ...rest,
        Columns: columns!.map((column) => ({ ...column, Comment: 'the order' })),
      },
    });
  });
});

describe('loading', () => {
  test('passes over what Glue may get over', async () => {
    const made = await open().create(orders, creation);
    glue.next(
      'GetTable',
      { type: 'answer', applied: false, status: 400, code: 'ThrottlingException' },
      { type: 'answer', applied: false, status: 500, code: 'InternalServiceException' },
    );
    expect(await open().load(orders)).toEqual(made);
  });

  test.each([
    [{ type: 'answer', applied: false, status: 400, code: 'OperationTimeoutException' }, TransientError],
    [{ type: 'silence', applied: false }, TransientError],
    [{ type: 'answer', applied: false, status: 400, code: 'AccessDeniedException' }, FatalError],
  ] as [Fault, typeof FatalError][])('tells what may pass from what will not: %j', async (fault, kind) => {
    for (let i = 0; i < 3; i++) glue.next('GetTable', fault);
    const loading = open().load(orders);
    await expect(loading).rejects.toThrow(kind);
    await expect(loading).rejects.toThrow(/^loading table shop\.orders: /);
  });

  test.each([
    [{ TableType: 'VIRTUAL_VIEW' }, FatalError, 'no Iceberg table (VIRTUAL_VIEW without table_type)'],
    [
      { Parameters: { classification: 'parquet' } },
      FatalError,
      'no Iceberg table (a table without table_type)',
    ],
    [{ Parameters: { table_type: 'HUDI' } }, FatalError, 'no Iceberg table (table_type HUDI)'],
    [
      { TargetTable: { CatalogId: '9', DatabaseName: 'd', Name: 't' } },
      FatalError,
      'a link to d.t of catalog 9: name that table, and its catalog in catalog.catalogId',
    ],
    [{ Parameters: { table_type: 'ICEBERG' } }, TransientError, 'no metadata_location yet'],
  ])('refuses %j', async (table, kind, text) => {
    const whole = { Name: 'orders', ...table };
    glue.tables.set('111122223333/shop/orders', { table: whole, version: 0, archives: 0 });
    glue.databases.set('111122223333/shop', { Name: 'shop' });
    await expect(open().load(orders)).rejects.toThrow(kind);
    await expect(open().load(orders)).rejects.toThrow(text);
    await expect(open().create(orders, creation)).rejects.toThrow(text);
    expect(glue.count('UpdateTable')).toBe(0);
  });

  test.each([
    [['Shop'], 'orders', '"Shop" as the name of a database is not for Athena'],
    [['shop'], 'Orders-1', '"Orders-1" as the name of a table is not for Athena'],
    [['d'.repeat(253)], 'orders', 'at most 252 characters'],
    [['shop'], 't'.repeat(256), 'at most 255 characters'],
  ])('asks nobody for %j.%s', async (namespace, name, text) => {
    const loading = open().load({ namespace, name });
    await expect(loading).rejects.toThrow(FatalError);
    await expect(loading).rejects.toThrow(text);
    expect(glue.requests).toEqual([]);
    expect(await open({ skipNameValidation: true }).load({ namespace, name })).toBeUndefined();
  });

  test('has no namespace below a database', async () => {
    const loading = open({ skipNameValidation: true }).load({ namespace: ['shop', 'eu'], name: 'orders' });
    await expect(loading).rejects.toThrow(
      'loading table shop.eu.orders: Glue has no namespaces below a database',
    );
    expect(glue.requests).toEqual([]);
  });

  test('asks for no region of what stands in for AWS', async () => {
    expect(await open({ region: undefined }).load(orders)).toBeUndefined();
  });

  test('finds the tables of its catalog only', async () => {
    const [own, other] = [open(), open({ catalogId: '444455556666' })];
    const made = await own.create(orders, creation);
    expect(await other.load(orders)).toBeUndefined();
    const theirs = await other.create(orders, creation);
    expect((await commitSnapshot(other, theirs, 1n)).type).toBe('applied');
    expect(await own.load(orders)).toEqual(made);
    expect(new Set(glue.requests.map(({ body }) => body.CatalogId))).toEqual(
      new Set([undefined, '444455556666']),
    );
    expect(glue.table('shop', 'orders', '444455556666').version).toBe(1);
  });
});
