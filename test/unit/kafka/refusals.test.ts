import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../src/kafka/access.ts';
import { type AskedFor, Grace, hintOn, refusalIn } from '../../../src/kafka/refusals.ts';
import { ManualClock } from '../base/clock.ts';

describe('the grace of a refusal', () => {
  test('is over when it has gone on for so long', async () => {
    const clock = new ManualClock();
    const grace = new Grace(clock, 15_000);
    for (let ms = 0; ms < 15_000; ms += 500) {
      expect(grace.lasts('a')).toBe(true);
      await clock.pass(500);
    }
    expect(grace.lasts('a')).toBe(false);
    expect(grace.lasts('b')).toBe(true);
  });

  test('begins anew after a pause, and when what was refused was done', async () => {
    const clock = new ManualClock();
    const grace = new Grace(clock, 1_000);
    expect(grace.lasts('a')).toBe(true);
    await clock.pass(2_000);
    expect(grace.lasts('a')).toBe(false);
    await clock.pass(20_000);
    expect(grace.lasts('a')).toBe(true);
    await clock.pass(2_000);
    grace.end('a');
    expect(grace.lasts('a')).toBe(true);
  });

  test('may be none', () => {
    expect(new Grace(new ManualClock(), 0).lasts('a')).toBe(false);
  });
});

const asked: AskedFor = { tls: true, mechanism: 'PLAIN', principal: 'User:a', advice: () => 'check it' };
const failure = (code: string, message = '', more: object = {}): Error =>
  Object.assign(new Error(message), { code }, more);
const wrapped = (cause: Error): Error =>
  Object.assign(new Error('Connection to a:1 failed.', { cause }), { code: 'PLT_KFK_NETWORK' });

test.each<[Error, string]>([
  [failure('CERT_HAS_EXPIRED'), 'has expired'],
  [failure('SELF_SIGNED_CERT_IN_CHAIN'), 'source.tls.ca'],
  [
    failure('ERR_TLS_CERT_ALTNAME_INVALID', '', { reason: 'Host: a. is not in b.' }),
    'Host: a. is not in b: name',
  ],
  [failure('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'wants a certificate: set'],
  [failure('ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE'), 'wants a certificate, or another'],
  [failure('ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'), 'our certificate has expired'],
  [failure('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), 'the authority of our certificate'],
  [failure('ERR_SSL_WRONG_VERSION_NUMBER'), 'does not speak TLS'],
  [failure('PLT_KFK_USER', 'Broker requires TLS.'), 'its listener speaks TLS'],
  [failure('x', '', { apiId: 'ILLEGAL_SASL_STATE' }), 'takes no logins'],
  [failure('x', '', { apiId: 'UNSUPPORTED_SASL_MECHANISM' }), 'does not take PLAIN: correct'],
  [
    failure('x', '', { apiId: 'SASL_AUTHENTICATION_FAILED' }),
    'the broker refuses User:a with PLAIN: check it',
  ],
  [new Refusal('source.tls.ca: no'), 'source.tls.ca: no'],
])('%s is a refusal, however deep', (error, text) => {
  const deep = failure('PLT_KFK_MULTIPLE', '', { errors: [new Error('other'), wrapped(error)] });
  for (const each of [error, wrapped(error), deep]) expect(refusalIn(each, asked)?.message).toContain(text);
});

test('a connection that just ends is one when its token is of the past', () => {
  const ended = failure('PLT_KFK_NETWORK', 'Connection closed');
  const expired = 'the token expired: renew it';
  expect(refusalIn(ended, { ...asked, expired })?.message).toBe(expired);
  expect(refusalIn(wrapped(failure('ECONNREFUSED')), { ...asked, expired })).toBeUndefined();
  expect(refusalIn(ended, asked)).toBeUndefined();
});

test('what may pass is none', () => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ERR_SSL_SSL/TLS_ALERT_CLOSE_NOTIFY'])
    expect(refusalIn(wrapped(failure(code)), asked)).toBeUndefined();
});

test.each<[boolean, string | undefined, boolean, string | undefined]>([
  [false, undefined, true, 'wants a login'],
  [true, undefined, true, 'wants a login'],
  [false, undefined, false, 'with TLS'],
  [false, 'PLAIN', false, 'with TLS'],
  [true, 'PLAIN', false, undefined],
  [false, 'PLAIN', true, undefined],
])('a connection that just ends (TLS %s, login %s, answered %s)', (tls, mechanism, isAnswered, hint) => {
  const told = hintOn(failure('PLT_KFK_NETWORK', 'Connection closed'), { tls, mechanism }, isAnswered);
  if (hint === undefined) expect(told).toBeUndefined();
  else expect(told).toContain(hint);
});
