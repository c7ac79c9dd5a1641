import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import type { RestCatalog } from '../../../src/catalog/rest.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { json, problem, RestDouble, uri } from './rest-double.ts';

let server: RestDouble;
let catalog: RestCatalog;
beforeEach(() => {
  server = new RestDouble();
  catalog = server.client();
});
// Whatever a test is about, what was asked and what the double answered must be as specified.
let offSpec: RegExp | undefined;
afterEach(() => {
  expect(server.checked.violations.filter((each) => !offSpec?.test(each))).toEqual([]);
  offSpec = undefined;
});

const orders = { namespace: ['shop', 'eu'], name: 'orders' };
const creation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' } }],
  spec: () => unpartitioned,
  properties: { owner: 'me' },
} as const;
const hugeId = 2n ** 63n - 25n;
const path = '/v1/lake/namespaces/shop%1Feu/tables';

describe('opening', () => {
  test('asks for the configuration once, with the warehouse', async () => {
    catalog = server.client({ warehouse: 's3://lake/x y' });
    await Promise.all([catalog.load(orders), catalog.load(orders)]);
    await catalog.load(orders);
    expect(server.log.filter((line) => line.includes('/config'))).toEqual([
      'GET /v1/config?warehouse=s3%3A%2F%2Flake%2Fx%20y',
    ]);
  });

  test('takes prefix, separator and address from the server, as they are encoded', async () => {
    server.config = {
      defaults: { prefix: 'ignored' },
      overrides: { prefix: 'main%7Clake', 'namespace-separator': '%2E', uri: `${uri}/moved/` },
    };
    server.on(/tables\/orders/, () => problem(404, 'NoSuchTableException', 'none'));
    await catalog.load(orders);
    expect(server.sent.at(-1)!.url).toBe(
      `${uri}/moved/v1/main%7Clake/namespaces/shop%2Eeu/tables/orders?snapshots=all`,
    );
  });

  test('does without a prefix, and takes names of any letters', async () => {
    server.config = { defaults: {}, overrides: {} };
    server.on(/tables/, () => problem(404, 'NoSuchTableException', 'none'));
    await catalog.load({ namespace: ['größe'], name: 'a b/c' });
    expect(server.log.at(-1)).toBe('GET /v1/namespaces/gr%C3%B6%C3%9Fe/tables/a%20b%2Fc?snapshots=all');
  });

  test.each([
    [404, 'NoSuchWarehouseException', 'catalog.uri and catalog.warehouse'],
    [400, 'BadRequestException', 'catalog.uri and catalog.warehouse'],
    [401, 'NotAuthorizedException', 'catalog.auth'],
    [403, 'ForbiddenException', 'catalog.auth'],
  ])('says what to change after %d', async (status, type, setting) => {
    server.on(/config/, () => problem(status, type, 'not today'));
    const failure = await catalog.load(orders).catch((error) => error);
    expect(failure).toBeInstanceOf(FatalError);
    expect(failure.message).toContain(
      `opening the catalog at ${uri}: HTTP ${status} ${type} not today: check`,
    );
    expect(failure.message).toContain(setting);
  });

  test('tells that something else answers', async () => {
    offSpec = /config/;
    server.on(/config/, () => new Response('<html>Welcome</html>'));
    await expect(catalog.load(orders)).rejects.toThrow(
      /not that of an Iceberg REST catalog: check catalog.uri/,
    );
  });

  test('follows no redirect: a POST would lose its body', async () => {
    offSpec = /config/;
    server.on(/config/, () => new Response('', { status: 301, headers: { location: 'https://new.test/' } }));
    await expect(catalog.load(orders)).rejects.toThrow(
      'HTTP 301 to https://new.test/: set catalog.uri to where it leads',
    );
  });

  test('a server that is away is asked again by the next call', async () => {
    server.on(/config/, () => Promise.reject(new TypeError('fetch failed')));
    await expect(catalog.load(orders)).rejects.toThrow(TransientError);
    expect(await catalog.load(orders)).toBeUndefined();
  });
});

describe('loading', () => {
  test('keeps ids of 63 bits', async () => {
    const table = await catalog.create(orders, creation);
    await commitSnapshot(catalog, table, hugeId);
    expect((await catalog.load(orders))!.metadata['current-snapshot-id']).toBe(hugeId);
  });

  test('a 404 that is not the catalog’s own is no missing table', async () => {
    offSpec = /404/;
    server.on(/orders/, () => new Response('<html>no such page</html>', { status: 404 }));
    await expect(catalog.load(orders)).rejects.toThrow(/loading table shop.eu.orders: HTTP 404 <html>/);
    server.on(/orders/, () => problem(404, 'NoSuchWarehouseException', 'gone'));
    await expect(catalog.load(orders)).rejects.toThrow(FatalError);
  });

  test('an answer that is no table is not taken for one', async () => {
    offSpec = /200/;
    server.on(/orders/, () => json(200, { metadata: {} }));
    await expect(catalog.load(orders)).rejects.toThrow('the answer is not a table');
  });

  test.each([429, 500, 502, 503, 504])('%d may pass', async (status) => {
    offSpec = /429/;
    server.on(/orders/, () => problem(status, 'SlowDown', 'busy'));
    await expect(catalog.load(orders)).rejects.toThrow(TransientError);
  });

  test('no answer within the deadline may pass', async () => {
    await catalog.load(orders);
    server.on(/orders/, () => new Promise(() => {}));
    const loading = catalog.load(orders);
    loading.catch(() => {});
    await until(() => server.clock.sleeping > 0 && server.sent.length === 3);
    await server.clock.pass(45_000);
    await expect(loading).rejects.toThrow('loading table shop.eu.orders: no answer within 45000 ms');
  });

  test('a busy server is left alone for as long as it asks', async () => {
    await catalog.load(orders);
    server.on(/orders/, () => problem(503, 'ServiceUnavailable', 'busy', { 'retry-after': '7' }));
    await catalog.load(orders).catch(() => {});
    const before = server.sent.length;
    const loading = catalog.load(orders);
    await until(() => server.clock.sleeping > 0);
    await server.clock.pass(6_999);
    expect(server.sent).toHaveLength(before);
    await server.clock.pass(1);
    await loading;
    expect(server.sent).toHaveLength(before + 1);
  });
});

describe('creating', () => {
  test('makes the namespace with those above it, and takes what the server made', async () => {
    const table = await catalog.create(orders, creation);
    expect(server.log.slice(1)).toEqual([
      `POST ${path}`,
      'POST /v1/lake/namespaces',
      'POST /v1/lake/namespaces',
      `POST ${path}`,
      `GET ${path}/orders?snapshots=all`,
    ]);
    expect(JSON.parse(server.sent[2]!.body)).toEqual({ namespace: ['shop'], properties: {} });
    expect(JSON.parse(server.sent.at(-2)!.body)).toMatchObject({
      name: 'orders',
      schema: { type: 'struct', fields: [{ id: 1, name: 'id', required: true, type: 'long' }] },
      'stage-create': false,
      properties: { owner: 'me', 'format-version': '2' },
    });
    expect(table.metadata.location).toBe('s3://lake/shop%1Feu/orders');
  });

  test.each([
    ['409', () => problem(409, 'AlreadyExistsException', 'Table already exists')],
    ['a lost answer', () => Promise.reject(new TypeError('fetch failed'))],
    ['500', () => problem(500, 'InternalServerError', 'oops')],
  ])('takes the table that is there after %s', async (_what, reply) => {
    const first = await catalog.create(orders, creation);
    server.on(/POST .*tables$/, reply);
    expect(await server.client().create(orders, creation)).toEqual(first);
  });

  test('may pass when no answer came and there is no table', async () => {
    server.on(/POST .*tables$/, () => problem(504, 'Timeout', 'late'));
    await expect(catalog.create(orders, creation)).rejects.toThrow(TransientError);
  });

  test('a name that is taken but shows no table is a view’s', async () => {
    server.on(/POST .*tables$/, () => problem(409, 'AlreadyExistsException', 'View already exists'));
    await expect(catalog.create(orders, creation)).rejects.toThrow(/if there is a view of this name/);
  });

  test.each([400, 403])('ends with the server’s words after %d', async (status) => {
    server.on(/POST .*tables$/, () => problem(status, 'Refused', 'not you'));
    const failure = await catalog.create(orders, creation).catch((error) => error);
    expect(failure).toBeInstanceOf(FatalError);
    expect(failure.message).toContain(`creating table shop.eu.orders: HTTP ${status} Refused not you`);
  });

  test('a namespace that is just being made by another worker delays only', async () => {
    server.on(/POST .*namespaces$/, () => problem(500, 'InternalServerError', 'raced'), 2);
    await expect(catalog.create(orders, creation)).rejects.toThrow(TransientError);
    await catalog.create(orders, creation);
  });

  test('a namespace that must not be made ends it', async () => {
    server.on(/POST .*namespaces$/, () => problem(403, 'ForbiddenException', 'no'), 2);
    await expect(catalog.create(orders, creation)).rejects.toThrow(
      /creating namespace shop.eu: HTTP 403 ForbiddenException no: check catalog.auth/,
    );
  });
});

describe('committing', () => {
  let base: Table;
  beforeEach(async () => {
    base = await catalog.create(orders, creation);
  });
  const posts = (): number => server.log.filter((line) => line === `POST ${path}/orders`).length;

  test('sends requirements and updates as they are, and takes the answer as the table', async () => {
    const outcome = await commitSnapshot(catalog, base, hugeId);
    expect(outcome).toMatchObject({ type: 'applied' });
    expect(outcome.type === 'applied' && outcome.table).toEqual(await catalog.load(orders));
    const { body } = server.sent.findLast(({ method }) => method === 'POST')!;
    expect(body).toContain(`"snapshot-id":${hugeId}`);
    expect(body).toContain('{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":null}');
  });

  test.each([
    ['409', () => problem(409, 'CommitFailedException', 'main has moved'), 'main has moved'],
    ['429', () => problem(429, 'TooManyRequests', 'slow down'), 'slow down'],
    [
      '400 that names the sequence number',
      () =>
        problem(
          400,
          'ValidationException',
          'Cannot add snapshot with sequence number 1 older than last sequence number 4',
        ),
      'sequence number',
    ],
    [
      '400 that names the first row id',
      () => problem(400, 'ValidationException', 'first-row-id is behind table next-row-id'),
      'first-row-id',
    ],
    [
      '400 of a throttling AWS',
      () => json(400, { __type: 'ThrottlingException', message: 'Rate exceeded' }),
      'Rate',
    ],
    ['404: the table is gone', () => problem(404, 'NoSuchTableException', 'gone'), 'gone'],
  ])('is rejected after %s', async (_what, reply, words) => {
    offSpec = /429|answer 400/;
    server.on(/POST .*orders/, reply);
    expect(await commitSnapshot(catalog, base, 1n)).toEqual({
      type: 'rejected',
      reason: expect.stringContaining(words),
    });
    expect(posts()).toBe(1);
  });

  test.each([
    ['500', () => problem(500, 'CommitStateUnknownException', '?')],
    ['502', () => problem(502, 'BadGateway', '?')],
    ['503', () => problem(503, 'ServiceUnavailable', '?', { 'retry-after': '1' })],
    ['504', () => problem(504, 'GatewayTimeout', '?')],
    ['a reset', () => Promise.reject(new TypeError('fetch failed', { cause: new Error('read ECONNRESET') }))],
    ['200 without a table', () => new Response('')],
    ['200 with half an answer', () => new Response('{"metadata-location":"s3://x","metada')],
    ['200 with the table before', () => json(200, { 'metadata-location': 'x', metadata: base.metadata })],
    ['204', () => new Response(null, { status: 204 })],
  ])('is unknown after %s, and is never repeated', async (_what, reply) => {
    offSpec = /answer 20[04]/;
    server.on(/POST .*orders/, reply);
    expect(await commitSnapshot(catalog, base, 1n)).toEqual({
      type: 'unknown',
      reason: expect.stringMatching(/./),
    });
    expect(posts()).toBe(1);
  });

  test('is unknown when it was applied and the answer was lost', async () => {
    server.on(/POST .*orders/, (sent) => {
      server.commit('shop%1Feu/orders', sent.body);
      throw new TypeError('terminated');
    });
    expect((await commitSnapshot(catalog, base, 5n)).type).toBe('unknown');
    expect((await catalog.load(orders))!.metadata['current-snapshot-id']).toBe(5n);
  });

  test('is unknown when no answer comes within the deadline', async () => {
    server.on(/POST .*orders/, () => new Promise(() => {}));
    const before = server.sent.length;
    const committing = commitSnapshot(catalog, base, 1n);
    await until(() => server.clock.sleeping > 0 && server.sent.length > before);
    await server.clock.pass(45_000);
    expect(await committing).toEqual({ type: 'unknown', reason: 'no answer within 45000 ms' });
  });

  test.each([
    [400, 'BadRequestException', 'Unknown requirement'],
    [403, 'ForbiddenException', 'read only'],
    [401, 'NotAuthorizedException', 'who are you'],
    [419, 'AuthenticationTimeoutException', 'too old'],
  ])('ends with the server’s words after %d, when trying again cannot help', async (status, type, words) => {
    server.on(/POST .*orders/, () => problem(status, type, words));
    const failure = await commitSnapshot(catalog, base, 1n).catch((error) => error);
    expect(failure).toBeInstanceOf(FatalError);
    expect(failure.message).toContain(`committing table shop.eu.orders: HTTP ${status} ${type} ${words}`);
  });

  test('a second one from the same base is rejected by the requirement', async () => {
    await commitSnapshot(catalog, base, 1n);
    expect((await commitSnapshot(catalog, base, 2n)).type).toBe('rejected');
  });

  test('has an idempotency key of its own where the server takes them', async () => {
    await commitSnapshot(catalog, base, 1n);
    const key = (): string | null => server.sent.at(-1)!.headers.get('idempotency-key');
    expect(key()).toBeNull();
    server.config = { ...server.config, 'idempotency-key-lifetime': 'PT30M' };
    catalog = server.client();
    const keys = [];
    for (const id of [2n, 3n]) {
      await commitSnapshot(catalog, base, id);
      keys.push(key());
    }
    // The rest of its form is checked with the specification.
    expect(new Set(keys)).toHaveProperty('size', 2);
    expect(keys[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });

  test('is tied to what it is based on where Nessie would let a stale first one pass', async () => {
    server.config = {
      defaults: { prefix: 'main%7Clake' },
      overrides: { 'nessie.is-nessie-catalog': 'true' },
    };
    const nessie = server.client();
    const { metadata } = base;
    const shown = { ...base, metadata: { ...metadata, properties: { 'nessie.commit.id': 'c0ffee' } } };
    const outcome = await commitSnapshot(nessie, shown, 1n);
    expect(server.log.at(-1)).toBe('POST /v1/main%40c0ffee%7Clake/namespaces/shop%1Feu/tables/orders');
    if (outcome.type !== 'applied') throw new Error(outcome.reason);
    await commitSnapshot(nessie, outcome.table, 2n);
    expect(server.log.at(-1)).toBe('POST /v1/main%7Clake/namespaces/shop%1Feu/tables/orders');
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !condition(); i++) await new Promise((resolve) => setImmediate(resolve));
  expect(condition()).toBe(true);
}
