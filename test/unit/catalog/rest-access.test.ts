import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import type { RestCatalog } from '../../../src/catalog/rest.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { json, problem, RestDouble } from './rest-double.ts';

let server: RestDouble;
let catalog: RestCatalog;
beforeEach(async () => {
  server = new RestDouble();
  server.namespaces.add('shop');
  await server.client().create(orders, creation);
  server.sent.length = 0;
  catalog = server.client({ vendedCredentials: true });
});
afterEach(() => {
  expect(server.checked.violations).toEqual([]);
});

const orders = { namespace: ['shop'], name: 'orders' };
const creation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' } }],
  spec: () => unpartitioned,
  properties: { 'write.data.path': 's3://elsewhere/data' },
} as const;
const location = 's3://lake/shop/orders/data/x.parquet';
const credentialsEndpoint = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials';

const keys = (name: string, expiresAtMs?: number): Record<string, string> => ({
  's3.access-key-id': name,
  's3.secret-access-key': `${name}-secret`,
  's3.session-token': `${name}-token`,
  ...(expiresAtMs === undefined ? {} : { 's3.session-token-expires-at-ms': String(expiresAtMs) }),
});
const found = async (at = location): Promise<string | undefined> => (await catalog.access!(at))?.accessKeyId;

test('credentials are asked for where they are wanted, and nowhere else', async () => {
  await catalog.load(orders);
  expect(server.sent.at(-1)!.headers.get('x-iceberg-access-delegation')).toBe('vended-credentials');
  expect(await catalog.access!(location)).toBeUndefined();
  const plain = server.client();
  await plain.load(orders);
  expect(server.sent.at(-1)!.headers.get('x-iceberg-access-delegation')).toBeNull();
  expect(plain.access).toBeUndefined();
});

describe('what comes with a table', () => {
  test('in its config opens its folders, with what the catalog says of the store', async () => {
    server.config = {
      defaults: { 'client.region': 'eu-1' },
      overrides: { 's3.endpoint': 'https://s3.test' },
    };
    server.extra = {
      config: { ...keys('config', 5_000_000), 'client.region': 'eu-2', 's3.path-style-access': 'true' },
    };
    await catalog.load(orders);
    expect(await catalog.access!(location)).toEqual({
      prefix: 's3://lake/shop/orders/',
      accessKeyId: 'config',
      secretAccessKey: 'config-secret',
      sessionToken: 'config-token',
      expiresAtMs: 5_000_000,
      region: 'eu-2',
      endpoint: 'https://s3.test',
      pathStyle: true,
    });
    expect(await found('s3://elsewhere/data/y.parquet')).toBe('config');
    expect(await found('s3://lake/shop/orders2/data/y.parquet')).toBeUndefined();
    expect(await found('file:///lake/shop/orders/data/y.parquet')).toBeUndefined();
  });

  test('as storage credentials goes before config, the longest prefix first', async () => {
    server.extra = {
      config: { ...keys('config'), 's3.endpoint': 'https://s3.test' },
      'storage-credentials': [
        { prefix: 's3://lake/', config: keys('bucket') },
        { prefix: 's3://lake/shop/orders/data/', config: keys('data') },
        { prefix: 'gs://lake/', config: { 'gcs.oauth2.token': 'x' } },
      ],
    };
    await catalog.load(orders);
    expect(await found()).toBe('data');
    expect(await found('s3://lake/shop/orders/metadata/m.avro')).toBe('bucket');
    expect(await found('s3://elsewhere/data/y.parquet')).toBe('config');
    expect(await catalog.access!(location)).toMatchObject({ endpoint: 'https://s3.test' });
  });

  test('is for that table only, where two share a prefix', async () => {
    const refunds = { ...orders, name: 'refunds' };
    await catalog.create(refunds, { ...creation, properties: {} });
    for (const table of [orders, refunds]) {
      server.extra = { 'storage-credentials': [{ prefix: 's3://lake/', config: keys(table.name) }] };
      await catalog.load(table);
    }
    expect(await found()).toBe('orders');
    expect(await found('s3://lake/shop/refunds/data/x.parquet')).toBe('refunds');
  });

  test('is replaced by what comes with it later', async () => {
    for (const name of ['first', 'second']) {
      server.extra = { config: keys(name) };
      await catalog.load(orders);
      expect(await found()).toBe(name);
    }
  });
});

describe('before they expire', () => {
  const startMs = 1_000_000;
  const load = async (lifeMs: number): Promise<void> => {
    server.extra = { config: keys('first', startMs + lifeMs) };
    await catalog.load(orders);
    server.sent.length = 0;
    server.extra = { config: keys('second', startMs + 10 * lifeMs) };
  };

  test('credentials are renewed once for all who need them, with the table', async () => {
    await load(3_600_000);
    await server.clock.pass(3_299_999);
    expect(await found()).toBe('first');
    expect(server.log).toEqual([]);
    await server.clock.pass(1);
    expect(await Promise.all([found(), found(), found()])).toEqual(['second', 'second', 'second']);
    expect(server.log).toEqual(['GET /v1/lake/namespaces/shop/tables/orders?snapshots=all']);
  });

  test('or alone, where the catalog offers that', async () => {
    server.config = { ...server.config, endpoints: [credentialsEndpoint] };
    await load(60_000);
    server.on(/credentials$/, () =>
      json(200, { 'storage-credentials': [{ prefix: 's3://lake/', config: keys('third', 9_000_000) }] }),
    );
    await server.clock.pass(48_000);
    expect(await found()).toBe('third');
    expect(server.log).toEqual(['GET /v1/lake/namespaces/shop/tables/orders/credentials']);
  });

  test('those without a time are renewed in time for the shortest there is', async () => {
    server.extra = { config: keys('first') };
    await catalog.load(orders);
    server.extra = { config: keys('second') };
    await server.clock.pass(599_999);
    expect(await found()).toBe('first');
    await server.clock.pass(1);
    expect(await found()).toBe('second');
  });

  test('those that last for ever are kept', async () => {
    const { 's3.session-token': _, ...forever } = keys('first');
    server.extra = { config: forever };
    await catalog.load(orders);
    server.sent.length = 0;
    await server.clock.pass(10 * 86_400_000);
    expect(await found()).toBe('first');
    expect(server.log).toEqual([]);
  });

  test('a catalog that is away does no harm while the old ones last', async () => {
    await load(60_000);
    server.on(/GET .*orders/, () => problem(503, 'ServiceUnavailable', 'away'), 2);
    await server.clock.pass(50_000);
    expect(await found()).toBe('first');
    await server.clock.pass(10_000);
    await expect(found()).rejects.toThrow(TransientError);
    expect(await found()).toBe('second');
  });
});
