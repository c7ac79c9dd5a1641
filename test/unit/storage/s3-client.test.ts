import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import type { StorageAccess } from '../../../src/storage/access.ts';
import { S3Store, s3Limits } from '../../../src/storage/s3.ts';
import { S3Clients, s3Timeouts } from '../../../src/storage/s3-client.ts';
import type { S3Settings } from '../../../src/storage/settings.ts';
import { refusal, S3Server } from './s3-server.ts';

const server = await S3Server.start();
const home = mkdtempSync(join(tmpdir(), 'frazil-home-'));
afterAll(async () => {
  rmSync(home, { recursive: true });
  await server[Symbol.asyncDispose]();
});

/** A machine that knows nothing of AWS. */
beforeEach(() => {
  for (const name of Object.keys(process.env).filter((name) => name.startsWith('AWS_')))
    vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', home);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  server.objects.clear();
  server.requests.length = 0;
});
afterEach(() => vi.unstubAllEnvs());

const { endpoint } = server;
const vended = (key: string, more: Partial<StorageAccess> = {}): StorageAccess => ({
  prefix: 's3://lake/a/',
  accessKeyId: key,
  secretAccessKey: `secret of ${key}`,
  ...more,
});

/** Who has signed the last request, for which region, with which token. */
function signer(): unknown[] {
  const { headers } = server.requests.at(-1)!;
  const [, key, region] = /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers['authorization']!)!;
  return [key, region, headers['x-amz-security-token']];
}

/** How a location would be reached: `region@host`, and what is not usual. */
async function routeOf(settings: S3Settings, access?: StorageAccess): Promise<string> {
  const { client } = await new S3Clients(settings, async () => access, s3Timeouts).of('s3://lake/a/1');
  const { config } = client;
  const host = config.endpoint ? (await config.endpoint()).hostname : 'aws';
  const checksums = [await config.requestChecksumCalculation(), await config.responseChecksumValidation()];
  const words = [`${await config.region()}@${host}`];
  words.push(config.forcePathStyle ? 'paths' : 'hosts', ...new Set(checksums));
  return words.join(' ');
}

test('AWS is reached by host names and with checksums, what stands in for it by paths and without', async () => {
  const set = { region: 'a', endpoint: 'http://store.test' };
  expect(await routeOf({ region: 'a' })).toBe('a@aws hosts WHEN_SUPPORTED');
  expect(await routeOf({ region: 'a', pathStyle: true })).toBe('a@aws paths WHEN_SUPPORTED');
  expect(await routeOf(set)).toBe('a@store.test paths WHEN_REQUIRED');
  expect(await routeOf({ ...set, pathStyle: false })).toBe('a@store.test hosts WHEN_REQUIRED');
});

test('what a catalog vends with the credentials wins over the settings', async () => {
  const set = { region: 'a', endpoint: 'http://set.test', pathStyle: true };
  const others = { region: 'b', endpoint: 'http://vended.test', pathStyle: false };
  expect(await routeOf(set, vended('key'))).toBe('a@set.test paths WHEN_REQUIRED');
  expect(await routeOf(set, vended('key', others))).toBe('b@vended.test hosts WHEN_REQUIRED');
  expect(await routeOf({}, vended('key', others))).toBe('b@vended.test hosts WHEN_REQUIRED');
});

test('a store that stands in for AWS needs no region, but takes that of the environment', async () => {
  const set = { endpoint: 'http://store.test' };
  expect(await routeOf(set)).toBe('us-east-1@store.test paths WHEN_REQUIRED');
  vi.stubEnv('AWS_REGION', 'eu-north-1');
  expect(await routeOf(set)).toBe('eu-north-1@store.test paths WHEN_REQUIRED');
});

test('each location is opened by what is vended for it, each time anew, over connections that are kept', async () => {
  const keys = ['key-1', 'key-1', 'key-2', 'key-2'];
  const asked: string[] = [];
  const store = new S3Store({ endpoint, region: 'eu-west-1' }, async (location) => {
    asked.push(location);
    if (!location.startsWith('s3://lake/a/')) return undefined;
    const key = keys.shift()!;
    return vended(key, { sessionToken: `token of ${key}` });
  });
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'own-key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'own-secret');
  const before = server.sockets;
  const signers: unknown[] = [];
  for (const name of ['a/1', 'a/2', 'b/1', 'a/3', 'a/4', 'b/2']) {
    await store.put(`s3://lake/${name}`, [Buffer.from(name)]);
    signers.push(signer());
  }
  const [first, second] = ['key-1', 'key-2'].map((key) => [key, 'eu-west-1', `token of ${key}`]);
  const own = ['own-key', 'eu-west-1', undefined];
  expect(signers).toEqual([first, first, own, second, second, own]);
  expect(asked).toHaveLength(6);
  expect(server.sockets - before).toBe(1);
});

test('a client lasts as long as its credentials', async () => {
  let access = vended('key');
  const clients = new S3Clients({ endpoint }, async () => access, s3Timeouts);
  const open = async (): Promise<unknown> => (await clients.of('s3://lake/a/1')).client;
  const first = await open();
  access = vended('key', { expiresAtMs: 1 });
  expect(await open()).toBe(first);
  for (const change of [
    { accessKeyId: '2' },
    { secretAccessKey: '2' },
    { sessionToken: '2' },
    { region: '2' },
  ]) {
    const before = await open();
    access = { ...access, ...change };
    expect(await open()).not.toBe(before);
  }
});

test('vended credentials that have expired are asked for again; own ones are for a person', async () => {
  const expired = refusal(400, 'ExpiredToken', 'The provided token has expired');
  server.fail('get', expired);
  const vending = new S3Store({ endpoint }, async () => vended('key'));
  await expect(vending.get('s3://lake/a/1')).rejects.toThrow(TransientError);
  server.fail('get', expired);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'own-key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'own-secret');
  const error = await new S3Store({ endpoint }).get('s3://lake/a/1').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FatalError);
  expect((error as Error).message).toBe(
    'reading s3://lake/a/1: the credentials are expired: renew them (ExpiredToken: The provided token has expired, status 400)',
  );
});

test('without credentials or a region the message tells where they come from', async () => {
  const failure = (settings: S3Settings): Promise<unknown> =>
    new S3Store(settings).get('s3://lake/a/1').catch((thrown: unknown) => thrown);
  const error = await failure({ endpoint });
  expect(error).toBeInstanceOf(FatalError);
  expect((error as Error).message).toMatch(
    /^reading s3:\/\/lake\/a\/1: no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE,/,
  );
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'own-key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'own-secret');
  expect(((await failure({})) as Error).message).toMatch(
    /^reading s3:\/\/lake\/a\/1: no region found: set store.region or AWS_REGION/,
  );
});

test('parts have checksums where the store takes them', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', endpoint);
  const limits = { ...s3Limits, wholeBytesMax: 100, sliceBytes: 100 };
  const store = new S3Store({ region: 'eu-west-1' }, async () => vended('key'), limits);
  await store.put('s3://lake/a/1', [new Uint8Array(150)]);
  expect(await store.get('s3://lake/a/1')).toHaveLength(150);
  const [create, one, two, complete] = server.requests;
  expect(create!.headers['x-amz-checksum-algorithm']).toBe('CRC32');
  for (const part of [one!, two!])
    expect(complete!.body.toString()).toContain(part.headers['x-amz-checksum-crc32']);
});
