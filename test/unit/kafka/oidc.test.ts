import { expect, test } from 'vitest';
import { isRetryable } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { describeToken, OidcTokens } from '../../../src/kafka/oidc.ts';
import { ManualClock, SkippingClock } from '../base/clock.ts';

const settings = {
  tokenUrl: 'https://idp.acme.com/token',
  clientId: 'frazil',
  clientSecret: 's3cret',
  clientAuth: 'basic',
} as const;

/** Waits between tries are skipped, time-outs are not. */
const skipping = (): SkippingClock => new SkippingClock(1_000_000, 5_000);

type Reply = () => Response | Promise<Response>;
const token = (value: string, more: object = { expires_in: 100 }): Reply => {
  return () => Response.json({ access_token: value, ...more });
};

/** A provider that gives these replies, the last one again and again. */
function tokens(
  clock: ManualClock | SkippingClock,
  ...replies: Reply[]
): { asked: RequestInit[]; of: OidcTokens } {
  const asked: RequestInit[] = [];
  const answer = async (_url: unknown, init: RequestInit): Promise<Response> => {
    asked.push(init);
    return (replies.length > 1 ? replies.shift()! : replies[0]!)();
  };
  const ports = { clock, random: seededRandom(1), fetch: answer as unknown as typeof fetch };
  return { asked, of: new OidcTokens(settings, ports) };
}

test('a token is kept for most of its life, and then another is got', async () => {
  const clock = new ManualClock();
  const { asked, of } = tokens(clock, token('one'), token('two'));
  expect(await Promise.all([of.get(), of.get()])).toEqual(['one', 'one']);
  await clock.pass(69_000);
  expect(await of.get()).toBe('one');
  await clock.pass(2_000);
  expect(await of.get()).toBe('two');
  expect(asked.length).toBe(2);
});

test('one without an end is kept until it is refused', async () => {
  const clock = new ManualClock();
  const { of } = tokens(clock, token('one', {}), token('two', {}));
  await of.get();
  await clock.pass(1e9);
  expect(await of.get()).toBe('one');
  of.drop('another');
  expect(await of.get()).toBe('one');
  of.drop('one');
  expect(await of.get()).toBe('two');
});

test('a provider that is away or busy is asked three times, and again by the next who wants a token', async () => {
  const clock = skipping();
  const away = (): never => {
    throw new TypeError('fetch failed');
  };
  const busy = (): Response => new Response('busy', { status: 503 });
  const { asked, of } = tokens(clock, away, busy, busy, token('one'));
  const error: unknown = await of.get().catch((reason: unknown) => reason);
  expect(String(error)).toContain(
    'getting a token from https://idp.acme.com/token for client frazil: HTTP 503 busy',
  );
  expect([asked.length, isRetryable(error)]).toEqual([3, true]);
  expect(await of.get()).toBe('one');
});

test('a provider that does not answer is waited for as long as ten seconds', async () => {
  const clock = new ManualClock();
  const { asked, of } = tokens(clock, () => new Promise<Response>(() => {}), token('one'));
  const got = of.get();
  await clock.pass(9_999);
  expect(asked.length).toBe(1);
  await clock.pass(3_000);
  expect(await got).toBe('one');
});

test.each<[string, Reply, string]>([
  [
    'refuses the client',
    () => Response.json({ error: 'invalid_client', error_description: 'no' }, { status: 401 }),
    'HTTP 401 invalid_client no: check source.sasl.oidc and what the provider grants',
  ],
  [
    'leads elsewhere',
    () => new Response(null, { status: 302, headers: { location: 'https://b/' } }),
    'HTTP 302 to https://b/',
  ],
  [
    'has no token',
    () => Response.json({}),
    'the answer has no access_token: check source.sasl.oidc.tokenUrl',
  ],
  ['does not speak JSON', () => new Response('<html>'), 'the answer has no access_token'],
])('one that %s is for a person, and asked once', async (_, reply, message) => {
  const { asked, of } = tokens(skipping(), reply);
  const error: unknown = await of.get().catch((reason: unknown) => reason);
  expect(String(error)).toContain(message);
  expect(String(error)).not.toContain('s3cret');
  expect([asked.length, isRetryable(error)]).toEqual([1, false]);
});

test('what a token says of itself, if it is a JWT', () => {
  const jwt = (claims: object): string =>
    `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
  expect(describeToken(jwt({ sub: 'a', exp: 5 }))).toEqual({ principal: 'User:a', expiresAtMs: 5_000 });
  for (const other of ['', 'opaque', 'a.b.c', jwt([]), jwt({ sub: 1, exp: 'x' })])
    expect(describeToken(other)).toEqual({});
});
