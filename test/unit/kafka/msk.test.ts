import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isRetryable } from '../../../src/base/errors.ts';
import { defaultSigner } from '../../../src/catalog/rest-sigv4.ts';
import { type AwsSigner, MskTokens } from '../../../src/kafka/msk.ts';
import { SkippingClock } from '../base/clock.ts';

/**
 * There is no MSK here. What stands in for it checks a token as AWS documents the check: it makes the signature once
 * more (Signature Version 4 with query parameters), by code that has nothing in common with the signer, and which is
 * itself checked against AWS's published examples.
 */
function signatureOf(url: URL, secret: string, payloadHash: string): string {
  const { searchParams, host, pathname } = url;
  const [, date = '', region = '', service = ''] = searchParams.get('X-Amz-Credential')!.split('/');
  const query = [...searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map((pair) => pair.map(escaped).join('='))
    .sort()
    .join('&');
  const request = ['GET', pathname, query, `host:${host}`, '', 'host', payloadHash].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', searchParams.get('X-Amz-Date'), scope, hash(request)].join('\n');
  return hmac(signingKey(secret, date, region, service), text).toString('hex');
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const signingKey = (secret: string, ...parts: string[]): Buffer =>
  [...parts, 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`));
const escaped = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

describe('what checks the signature', () => {
  test("makes AWS's published signing key", () => {
    const key = signingKey('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', '20150830', 'us-east-1', 'iam');
    expect(key.toString('hex')).toBe('c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9');
  });

  test("makes AWS's published signature of a presigned URL", () => {
    const url = new URL(
      'https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host',
    );
    const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
    expect(signatureOf(url, secret, 'UNSIGNED-PAYLOAD')).toBe(
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });
});

const clock = new SkippingClock(Date.parse('2026-11-23T12:00:00Z'));
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

function signer(more: Partial<AwsSigner> = {}): AwsSigner {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey };
  return { ...defaultSigner('eu-west-1'), credentials, ...more };
}

async function signed(from: AwsSigner): Promise<URL> {
  const token = await new MskTokens(from, clock).get();
  expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
  return new URL(Buffer.from(token, 'base64url').toString());
}

describe('a token for MSK', () => {
  test.each([
    ['keys of a user', undefined],
    ['keys of a role', 'session+token/with=signs'],
  ])('is a presigned URL with %s', async (_, sessionToken) => {
    const credentials = {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey,
      ...(sessionToken ? { sessionToken } : {}),
    };
    const url = await signed(signer({ credentials }));
    const { searchParams } = url;
    expect(url.origin + url.pathname).toBe('https://kafka.eu-west-1.amazonaws.com/');
    expect(Object.fromEntries(searchParams)).toEqual({
      Action: 'kafka-cluster:Connect',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIDEXAMPLE/20261123/eu-west-1/kafka-cluster/aws4_request',
      'X-Amz-Date': '20261123T120000Z',
      'X-Amz-Expires': '900',
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
      'User-Agent': 'frazil',
      ...(sessionToken ? { 'X-Amz-Security-Token': sessionToken } : {}),
    });
    // Who made it is added when it is signed already.
    searchParams.delete('User-Agent');
    expect(signatureOf(url, secretAccessKey, hash(''))).toBe(searchParams.get('X-Amz-Signature'));
    expect(signatureOf(url, `${secretAccessKey}x`, hash(''))).not.toBe(searchParams.get('X-Amz-Signature'));
  });

  test('is for the region of the environment if no other is named', async () => {
    expect((await signed(signer({ region: async () => 'ap-south-1' }))).host).toBe(
      'kafka.ap-south-1.amazonaws.com',
    );
  });

  test('cannot be had without credentials; when there were some, they will come back', async () => {
    const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey };
    const found = [keys, undefined];
    const credentials = async (): Promise<typeof keys> => {
      const next = found.shift();
      if (next) return next;
      throw new Error('Could not load credentials');
    };
    const tokens = new MskTokens(signer({ credentials }), clock);
    await tokens.get();
    await expect(tokens.get()).rejects.toThrow('signing for MSK: Could not load credentials');
    await expect(tokens.get().catch(isRetryable)).resolves.toBe(true);
    const none = new MskTokens(signer({ credentials }), clock).get();
    await expect(none).rejects.toThrow(
      'signing for MSK: Could not load credentials: check source.sasl.region, and the credentials of the AWS profile or the environment',
    );
    await expect(none.catch(isRetryable)).resolves.toBe(false);
  });
});
