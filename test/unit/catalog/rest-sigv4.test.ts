import { createHash, createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import type { HttpRequest } from '../../../src/base/http.ts';
import { defaultSigner, sigv4Authorizer } from '../../../src/catalog/rest-sigv4.ts';

// Those of AWS's test suite for Signature Version 4.
const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const now = new Date('2015-08-30T12:36:00Z');
const region = 'us-east-1';
const { sha256 } = defaultSigner(region);

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The signature as AWS describes it, written anew ("Create a signed AWS API request"). */
function signatureOf(service: string, request: string): string {
  const date = '20150830';
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${date}T123600Z\n${scope}\n${hash(request)}`;
  const key = [region, service, 'aws4_request'].reduce<Buffer>(
    hmac,
    hmac(`AWS4${credentials.secretAccessKey}`, date),
  );
  return hmac(key, text).toString('hex');
}

test('the reference here agrees with AWS’s first vector (get-vanilla)', () => {
  const request = `GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n${hash('')}`;
  expect(signatureOf('service', request)).toBe(
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  );
});

const bucket = 'arn%3Aaws%3As3tables%3Aus-east-1%3A111122223333%3Abucket%2Flake';
test.each<[string, string, HttpRequest, string, string]>([
  [
    'a load at Glue, the namespace’s separator encoded twice',
    'glue',
    {
      method: 'GET',
      url: 'https://glue.us-east-1.amazonaws.com/iceberg/v1/catalogs/111122223333/namespaces/a%1Fb/tables/orders?snapshots=all',
      headers: { accept: 'application/json' },
    },
    '/iceberg/v1/catalogs/111122223333/namespaces/a%251Fb/tables/orders',
    'snapshots=all',
  ],
  [
    'the configuration of a table bucket, its ARN in the query',
    's3tables',
    {
      method: 'GET',
      url: `https://s3tables.us-east-1.amazonaws.com/iceberg/v1/config?warehouse=${bucket}`,
      headers: { accept: 'application/json' },
    },
    '/iceberg/v1/config',
    `warehouse=${bucket}`,
  ],
  [
    'a commit at S3 Tables, the prefix an encoded ARN',
    's3tables',
    {
      method: 'POST',
      url: `https://s3tables.us-east-1.amazonaws.com/iceberg/v1/${bucket}/namespaces/shop/tables/orders`,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: '{"requirements":[],"updates":[]}',
    },
    `/iceberg/v1/${bucket.replaceAll('%', '%25')}/namespaces/shop/tables/orders`,
    '',
  ],
])('signs %s', async (_what, service, request, path, query) => {
  const headers = await sigv4Authorizer(service, { credentials, region, sha256 }, () => now).headersFor(
    request,
  );
  const bodyHash = hash(request.body ?? '');
  expect(headers['x-amz-content-sha256']).toBe(bodyHash);
  expect(headers['x-amz-date']).toBe('20150830T123600Z');
  const { authorization, ...sent } = headers;
  const signed = Object.entries({ ...sent, host: new URL(request.url).host }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    request.method,
    path,
    query,
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    bodyHash,
  ].join('\n');
  expect(authorization).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/${service}/aws4_request, ` +
      `SignedHeaders=${names}, Signature=${signatureOf(service, canonical)}`,
  );
});

test('the token of a session is signed and sent', async () => {
  const session = { ...credentials, sessionToken: 'of-the-session' };
  const headers = await sigv4Authorizer('glue', { credentials: session, region, sha256 }).headersFor({
    method: 'GET',
    url: 'https://glue.us-east-1.amazonaws.com/iceberg/v1/config',
    headers: {},
  });
  expect(headers['x-amz-security-token']).toBe('of-the-session');
  expect(headers['authorization']).toContain('x-amz-security-token');
});

test('credentials that were never found end it, those that were and are away may come back', async () => {
  let away = true;
  const find = async (): Promise<typeof credentials> => {
    if (away) throw new Error('Could not load credentials from any providers');
    return credentials;
  };
  const request: HttpRequest = { method: 'GET', url: 'https://glue.test/v1/config', headers: {} };
  const signer = sigv4Authorizer('glue', { credentials: find, region, sha256 });
  const failure = await signer.headersFor(request).catch((error) => error);
  expect(failure).toBeInstanceOf(FatalError);
  expect(failure.message).toContain(
    'Could not load credentials from any providers: check catalog.auth.region',
  );
  away = false;
  await signer.headersFor(request);
  away = true;
  await expect(signer.headersFor(request)).rejects.toThrow(TransientError);
});
