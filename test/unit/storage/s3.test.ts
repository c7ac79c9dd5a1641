import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AlreadyExistsError,
  FatalError,
  messageOf,
  NotFoundError,
  TransientError,
} from '../../../src/base/errors.ts';
import type { StorageAccess } from '../../../src/storage/access.ts';
import { S3Store, s3Limits } from '../../../src/storage/s3.ts';
import { storeSuite } from '../../contract/store-suite.ts';
import { type Fault, refusal, S3Server } from './s3-server.ts';

const server = await S3Server.start();
afterAll(() => server[Symbol.asyncDispose]());

const secret = 'the-secret-of-these-tests';
const opens: StorageAccess = {
  prefix: 's3://lake/',
  accessKeyId: 'key-id',
  secretAccessKey: secret,
  sessionToken: 'the-token-of-these-tests',
};
const settings = { endpoint: server.endpoint, region: 'eu-central-1' };
const limits = { ...s3Limits, wholeBytesMax: 1_000, sliceBytes: 300 };
const store = new S3Store(settings, async () => opens, limits);

const location = 's3://lake/orders/a.parquet';
const path = 'lake/orders/a.parquet';
const bytes = (text: string): Uint8Array => Buffer.from(text);
const large = Array.from({ length: 5 }, (_, i) => new Uint8Array(250).fill(i));
const small = [bytes('one'), bytes('two')];

beforeEach(() => {
  server.objects.clear();
  server.uploads.clear();
  server.requests.length = 0;
});

const held = (): string | undefined => server.objects.get(path)?.body.toString();
const failing = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'it succeeded',
    (error: unknown) => error,
  );

describe('the store of S3', () => {
  const mebibyte = 1024 * 1024;
  const store = new S3Store(settings, async () => opens, {
    ...s3Limits,
    wholeBytesMax: mebibyte,
    sliceBytes: mebibyte,
  });
  storeSuite(store, 's3://lake/suite', { rounds: 2, writers: 24 });
});

describe('a write', () => {
  const lost: [string, Fault][] = [
    ['the connection is cut before it is done', 'cut'],
    ['the connection is cut after it is done', { applied: 'cut' }],
    ['the server is too busy', refusal(503, 'SlowDown')],
    ['the server fails', refusal(500, 'InternalError')],
    [
      'a proxy fails',
      { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>Bad gateway<br>' },
    ],
  ];
  test.each(lost)('succeeds although %s', async (_what, fault) => {
    server.fail('put', fault);
    await store.put(location, small);
    expect(held()).toBe('onetwo');
  });

  test.each(lost)('in parts succeeds although %s', async (_what, fault) => {
    for (const action of ['create', 'part', 'complete']) {
      server.objects.clear();
      server.fail(action, fault);
      await store.put(location, large);
      expect(server.objects.get(path)?.body).toEqual(Buffer.concat(large));
    }
  });

  test('that was carried out in an earlier attempt succeeds, for the same bytes are there', async () => {
    await store.put(location, small);
    await store.put(location, [bytes('onetwo')]);
    await store.put(`${location}-large`, large);
    await store.put(`${location}-large`, [Buffer.concat(large)]);
    expect(server.actions).toEqual([
      ...['put', 'put', 'head'],
      ...['create', 'part', 'part', 'part', 'part', 'part', 'complete'],
      ...['create', 'part', 'part', 'part', 'part', 'part', 'complete', 'abort', 'head'],
    ]);
    expect(server.uploads.size).toBe(0);
  });

  test('is refused when the earlier attempt came after somebody else’s', async () => {
    await store.put(location, [bytes('theirs')]);
    server.fail('put', { applied: 'cut' });
    expect(await failing(store.put(location, small))).toBeInstanceOf(AlreadyExistsError);
    expect(held()).toBe('theirs');
  });

  test('is refused by an object that is not from here, whatever is in it', async () => {
    server.objects.set(path, { body: Buffer.from('onetwo'), metadata: {} });
    expect(await failing(store.put(location, small))).toBeInstanceOf(AlreadyExistsError);
  });

  test('may be tried again when what refused it is gone', async () => {
    server.fail('put', refusal(412, 'PreconditionFailed'));
    expect(await failing(store.put(location, small))).toBeInstanceOf(TransientError);
  });

  test.each(['put', 'complete'])('that meets another one may be tried again (%s)', async (action) => {
    const parts = action === 'put' ? small : large;
    server.fail(action, refusal(409, 'ConditionalRequestConflict'));
    const error = await failing(store.put(location, parts));
    expect(error).toBeInstanceOf(TransientError);
    expect((error as Error).message).toBe(`writing ${location}: ConditionalRequestConflict, status 409`);
    expect(server.uploads.size).toBe(0);
    await store.put(location, parts);
  });

  test('is tried a few times, not for ever', async () => {
    server.fail('put', ...new Array<Fault>(3).fill('cut'));
    expect(await failing(store.put(location, small))).toBeInstanceOf(TransientError);
    expect(server.actions).toEqual(['put', 'put', 'put']);
    expect(held()).toBeUndefined();
  });

  test('is encrypted as it is configured', async () => {
    const asked = async (
      encryption: ConstructorParameters<typeof S3Store>[0]['encryption'],
    ): Promise<unknown[]> => {
      server.requests.length = 0;
      const store = new S3Store({ ...settings, encryption }, async () => opens, limits);
      await store.put(`${location}-${encryption?.type}`, small);
      await store.put(`${location}-${encryption?.type}-large`, large);
      return server.requests
        .filter(({ action }) => action === 'put' || action === 'create')
        .map(({ headers }) => [
          headers['x-amz-server-side-encryption'],
          headers['x-amz-server-side-encryption-aws-kms-key-id'],
        ]);
    };
    const key = 'arn:aws:kms:eu-central-1:1:key/2';
    expect(await asked(undefined)).toEqual([0, 1].map(() => [undefined, undefined]));
    expect(await asked({ type: 's3' })).toEqual([0, 1].map(() => ['AES256', undefined]));
    expect(await asked({ type: 'kms', keyId: key })).toEqual([0, 1].map(() => ['aws:kms', key]));
  });
});

describe('a write in parts', () => {
  test('cuts the body into slices, and never writes over an object', async () => {
    await store.put(location, large);
    const sizes = server.requests.filter(({ action }) => action === 'part').map(({ body }) => body.length);
    expect(sizes.sort((a, b) => b - a)).toEqual([300, 300, 300, 300, 50]);
    expect(server.requests.at(-1)!.headers['if-none-match']).toBe('*');
    expect(server.requests.at(-1)!.action).toBe('complete');
  });

  test('that fails stops at once, leaves no parts, and says why it failed', async () => {
    const many = Array.from({ length: 60 }, () => new Uint8Array(300));
    server.fail('part', refusal(403, 'AccessDenied'));
    server.fail('abort', refusal(403, 'AccessDenied', 'not this either'));
    const error = await failing(store.put(location, many));
    expect(error).toBeInstanceOf(FatalError);
    expect(messageOf(error)).not.toContain('not this either');
    expect(server.actions.filter((action) => action === 'part').length).toBeLessThan(12);
    expect(server.actions.at(-1)).toBe('abort');
    server.uploads.clear();

    server.fail('part', refusal(403, 'AccessDenied'));
    await failing(store.put(location, many));
    expect(server.uploads.size).toBe(0);
    expect(server.objects.size).toBe(0);
  });

  test('begins anew when the upload is known no more', async () => {
    server.fail('complete', refusal(404, 'NoSuchUpload'));
    expect(await failing(store.put(location, large))).toBeInstanceOf(TransientError);
    await store.put(location, large);
  });

  test('fails when a success turns out to be none', async () => {
    const late = { ...refusal(500, 'InternalError'), status: 200 };
    server.fail('complete', late, late, late);
    expect(await failing(store.put(location, large))).toBeInstanceOf(TransientError);
    expect(server.uploads.size).toBe(0);
  });
});

describe('a read', () => {
  test('that breaks off in the middle may be tried again, and is never taken for the object', async () => {
    await store.put(location, [new Uint8Array(900)]);
    const listening = new S3Store(settings, async () => opens, { ...limits, silenceMs: 150 });
    for (const end of ['cut', 'silent'] as const) {
      server.fail('get', { begun: 500, end });
      expect(await failing(listening.get(location))).toBeInstanceOf(TransientError);
    }
    expect(await store.get(location)).toHaveLength(900);
  });

  test('knows a missing object from a missing bucket', async () => {
    expect(await failing(store.get(location))).toBeInstanceOf(NotFoundError);
    server.fail('get', refusal(404, 'NoSuchBucket'));
    const error = await failing(store.get(location));
    expect(error).toBeInstanceOf(FatalError);
    expect((error as Error).message).toBe(`reading ${location}: there is no bucket lake: create it`);
  });
});

test('a server that does not answer is not waited for', async () => {
  const hasty = new S3Store(settings, async () => opens, { ...limits, answerMs: 150, silenceMs: 60_000 });
  const listening = new S3Store(settings, async () => opens, { ...limits, answerMs: 60_000, silenceMs: 150 });
  for (const impatient of [hasty, listening]) {
    server.objects.clear();
    server.fail('get', 'silent', 'silent', 'silent');
    expect(await failing(impatient.get(location))).toBeInstanceOf(TransientError);
    server.fail('put', 'silent');
    await impatient.put(location, small);
    expect(held()).toBe('onetwo');
    server.objects.clear();
    server.fail('put', { applied: 'silent' });
    await impatient.put(location, small);
  }
});

test.each<[Fault, string]>([
  [
    refusal(403, 'AccessDenied', 'Access Denied'),
    'access denied: grant s3:PutObject on arn:aws:s3:::lake/orders/a.parquet (AccessDenied: Access Denied, status 403)',
  ],
  [refusal(404, 'NoSuchBucket'), 'there is no bucket lake: create it'],
  [
    refusal(301, 'PermanentRedirect', 'elsewhere', '<Endpoint>s3.amazonaws.com</Endpoint>'),
    'bucket lake is in another region: set store.region to that of the bucket (elsewhere)',
  ],
  [
    { ...refusal(301, 'PermanentRedirect'), headers: { 'x-amz-bucket-region': 'eu-west-3' } },
    'bucket lake is in region eu-west-3: set store.region to that',
  ],
  [
    refusal(400, 'AuthorizationHeaderMalformed', 'wrong', '<Region>us-west-2</Region>'),
    'bucket lake is in region us-west-2: set store.region to that',
  ],
  [
    refusal(403, 'InvalidAccessKeyId', 'not in our records', '<AWSAccessKeyId>key-id</AWSAccessKeyId>'),
    'the credentials are not accepted: check access key, secret and session token (InvalidAccessKeyId: not in our records, status 403)',
  ],
  [
    refusal(400, 'KMS.DisabledException', 'the key is disabled'),
    'the key of store.encryption cannot be used (KMS.DisabledException: the key is disabled)',
  ],
  [
    refusal(501, 'NotImplemented', 'a header is not implemented'),
    'this store does not know If-None-Match: use one that does (a header is not implemented)',
  ],
  [refusal(400, 'EntityTooLarge', 'too large'), 'EntityTooLarge: too large, status 400'],
])('a refusal that is for a person is fatal and names what to change: %j', async (fault, message) => {
  server.fail('put', fault);
  const error = await failing(store.put(location, small));
  expect(error).toBeInstanceOf(FatalError);
  expect((error as Error).message).toBe(`writing ${location}: ${message}`);
  expect(messageOf(error)).not.toMatch(/the-(secret|token)/);
});

test('a clock that is off is named, if the SDK cannot make up for it', async () => {
  server.fail('put', ...new Array<Fault>(3).fill(refusal(403, 'RequestTimeTooSkewed')));
  const error = await failing(store.put(location, small));
  expect(error).toBeInstanceOf(FatalError);
  expect((error as Error).message).toContain(`writing ${location}: this machine's clock is off: set it`);
});

test('a denied read tells of the grant without which missing objects are denied', async () => {
  server.fail('get', refusal(403, 'AccessDenied'));
  expect(((await failing(store.get(location))) as Error).message).toContain(
    'grant s3:GetObject on arn:aws:s3:::lake/orders/a.parquet, and s3:ListBucket on arn:aws:s3:::lake,',
  );
});

test('no server is no reason to stop', async () => {
  const nobody = await S3Server.start();
  const { endpoint } = nobody;
  await nobody[Symbol.asyncDispose]();
  const store = new S3Store({ endpoint }, async () => opens);
  const error = await failing(store.get(location));
  expect(error).toBeInstanceOf(TransientError);
  expect((error as Error).message).toMatch(/^reading s3:\/\/lake\/orders\/a\.parquet: .*ECONNREFUSED/);
});

test.each(['s3://lake', 's3://lake/', 's3:///a', 's3:a'])('%s is no object', async (location) => {
  await expect(store.get(location)).rejects.toThrow(`opening ${location}: expected s3://bucket/key`);
});
