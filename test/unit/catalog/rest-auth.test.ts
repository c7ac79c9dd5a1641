import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { json, problem, RestDouble, type Sent } from './rest-double.ts';

let server: RestDouble;
beforeEach(() => {
  server = new RestDouble();
  server.namespaces.add('shop');
});
afterEach(() => {
  expect(server.checked.violations).toEqual([]);
});

const orders = { namespace: ['shop'], name: 'orders' };
const creation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' } }],
  spec: () => unpartitioned,
  properties: {},
} as const;
const oauth2 = { type: 'oauth2', credential: 'me:s3cret:x', scope: 'catalog' } as const;
const authorizations = (): (string | null)[] =>
  server.sent
    .filter(({ path }) => !path.includes('oauth'))
    .map(({ headers }) => headers.get('authorization'));
const asked = (): Sent[] => server.sent.filter(({ path }) => path.includes('oauth'));

/** Answers requests for tokens with token-1, token-2, ... */
function giveTokens(expiresIn?: number): void {
  let count = 0;
  server.on(
    /POST .*oauth/,
    () =>
      json(200, {
        access_token: `token-${++count}`,
        token_type: 'bearer',
        ...(expiresIn ? { expires_in: expiresIn } : {}),
      }),
    100,
  );
}

test('without authorisation nothing is said', async () => {
  await server.client().load(orders);
  expect(authorizations()).toEqual([null, null]);
});

test('a bearer token and further headers go with each request', async () => {
  const auth = { type: 'bearer', token: 'abc.def' } as const;
  await server.client({ auth, headers: { 'user-agent': 'frazil' } }).load(orders);
  expect(authorizations()).toEqual(['Bearer abc.def', 'Bearer abc.def']);
  expect(server.sent[1]!.headers.get('user-agent')).toBe('frazil');
});

test('a token that no header takes is refused without being shown', async () => {
  const failure = await server
    .client({ auth: { type: 'bearer', token: 'abc\ndef' } })
    .load(orders)
    .catch((error) => error);
  expect(failure).toBeInstanceOf(FatalError);
  expect(failure.message).toContain('catalog.auth.token');
  expect(failure.message).not.toContain('def');
});

describe('OAuth2 client credentials', () => {
  test('are exchanged once for a token, at the catalog', async () => {
    giveTokens();
    const catalog = server.client({ auth: oauth2 });
    await Promise.all([catalog.load(orders), catalog.load(orders)]);
    expect(asked()).toHaveLength(1);
    expect(asked()[0]!.path).toBe('/v1/oauth/tokens');
    expect(Object.fromEntries(new URLSearchParams(asked()[0]!.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'me',
      client_secret: 's3cret:x',
      scope: 'catalog',
    });
    expect(new Set(authorizations())).toEqual(new Set(['Bearer token-1']));
  });

  test('go to the server that is configured', async () => {
    giveTokens();
    await server.client({ auth: { ...oauth2, serverUri: 'https://idp.test/v1/oauth/tokens' } }).load(orders);
    expect(asked().map(({ url }) => url)).toEqual(['https://idp.test/v1/oauth/tokens']);
  });

  test('go to the server that the catalog names, once it has', async () => {
    giveTokens(100);
    server.config = { defaults: {}, overrides: { 'oauth2-server-uri': 'https://idp.test/v1/oauth/tokens' } };
    const catalog = server.client({ auth: oauth2 });
    await catalog.load(orders);
    await server.clock.pass(100_000);
    await catalog.load(orders);
    expect(asked().map(({ url }) => url)).toEqual([
      'https://catalog.test/api/v1/oauth/tokens',
      'https://idp.test/v1/oauth/tokens',
    ]);
  });

  test('are exchanged again before the token expires, once for all requests', async () => {
    giveTokens(100);
    const catalog = server.client({ auth: oauth2 });
    await catalog.load(orders);
    await server.clock.pass(79_999);
    await catalog.load(orders);
    expect(asked()).toHaveLength(1);
    await server.clock.pass(1);
    await Promise.all([catalog.load(orders), catalog.load(orders), catalog.load(orders)]);
    expect(asked()).toHaveLength(2);
    expect(authorizations().slice(-3)).toEqual(Array(3).fill('Bearer token-2'));
  });

  test.each([401, 419])(
    'are exchanged again when a load is refused with %d, which is repeated',
    async (status) => {
      giveTokens();
      const catalog = server.client({ auth: oauth2 });
      await catalog.load(orders);
      server.on(/GET .*orders/, () => problem(status, 'NotAuthorizedException', 'expired'));
      expect(await catalog.load(orders)).toBeUndefined();
      expect(authorizations().slice(-2)).toEqual(['Bearer token-1', 'Bearer token-2']);
    },
  );

  test('end in words when a new token is refused too', async () => {
    giveTokens();
    server.on(/GET .*orders/, () => problem(401, 'NotAuthorizedException', 'no'), 2);
    const failure = await server
      .client({ auth: oauth2 })
      .load(orders)
      .catch((error) => error);
    expect(failure).toBeInstanceOf(FatalError);
    expect(failure.message).toContain('check catalog.auth');
  });

  test('a commit that is refused with 401 is rejected, not repeated; the next has a new token', async () => {
    giveTokens();
    const catalog = server.client({ auth: oauth2 });
    const base = await catalog.create(orders, creation);
    server.on(/POST .*orders/, () => problem(401, 'NotAuthorizedException', 'expired'));
    expect(await commitSnapshot(catalog, base, 1n)).toMatchObject({ type: 'rejected' });
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('applied');
    expect(authorizations().slice(-2)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  test('a commit for which no token can be had was certainly not sent', async () => {
    giveTokens();
    const base = await server.client({ auth: oauth2 }).create(orders, creation);
    const lost = new RestDouble();
    lost.on(/oauth/, () => Promise.reject(new TypeError('fetch failed')));
    expect(await commitSnapshot(lost.client({ auth: oauth2 }), base, 1n)).toMatchObject({
      type: 'rejected',
      reason: expect.stringContaining('getting a token from'),
    });
  });

  test.each([
    [400, FatalError],
    [401, FatalError],
    [503, TransientError],
  ] as const)('name the setting, never the secret, when the server refuses with %d', async (status, kind) => {
    server.on(/oauth/, () => json(status, { error: 'invalid_client', error_description: 'unknown' }));
    const failure = await server
      .client({ auth: oauth2 })
      .load(orders)
      .catch((error) => error);
    expect(failure).toBeInstanceOf(kind);
    expect(failure.message).toContain(`HTTP ${status} invalid_client unknown`);
    expect(failure.message).not.toContain('s3cret');
    if (kind === FatalError) expect(failure.message).toContain('catalog.auth.credential');
  });
});

describe('a token that comes with a table', () => {
  test('authorises its commits; loads stay the catalog’s', async () => {
    giveTokens();
    server.extra = { config: { token: 'of-the-table' } };
    const catalog = server.client({ auth: oauth2 });
    const base = await catalog.create(orders, creation);
    await commitSnapshot(catalog, base, 1n);
    await catalog.load(orders);
    expect(authorizations().slice(-2)).toEqual(['Bearer of-the-table', 'Bearer token-1']);
  });

  test('that is refused rejects the commit, and the catalog’s own is kept', async () => {
    giveTokens();
    server.extra = { config: { token: 'of-the-table' } };
    const catalog = server.client({ auth: oauth2 });
    const base = await catalog.create(orders, creation);
    server.on(/POST .*orders/, () => problem(401, 'NotAuthorizedException', 'expired'));
    expect((await commitSnapshot(catalog, base, 1n)).type).toBe('rejected');
    await catalog.load(orders);
    expect(asked()).toHaveLength(1);
  });

  test('is not taken by who says nothing of himself', async () => {
    server.extra = { config: { token: 'of-the-table' } };
    const catalog = server.client();
    await commitSnapshot(catalog, await catalog.create(orders, creation), 1n);
    expect(authorizations().at(-1)).toBeNull();
  });
});
