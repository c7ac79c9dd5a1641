import { expect, test } from 'vitest';
import { type TlsTexts, tlsProblems } from '../../../src/kafka/tls.ts';
import { certificate, encrypted } from '../../tools/certificates.ts';

const authority = certificate({ name: 'authority' });
const { cert, key } = certificate({ name: 'frazil', issuer: authority });
const other = certificate({ name: 'other', issuer: authority });
const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';

test('what belongs together has no problems', () => {
  const ca = `a comment\n${authority.cert}${other.cert}`;
  expect(tlsProblems({})).toEqual([]);
  expect(tlsProblems({ ca, cert: cert + authority.cert, key })).toEqual([]);
  expect(tlsProblems({ cert, key: encrypted(key, 'secret'), keyPassword: 'secret' })).toEqual([]);
});

test.each<[string, TlsTexts, [string, RegExp][]]>([
  ['no certificate', { ca: key }, [['ca', /^it holds no certificates in PEM: no BEGIN CERTIFICATE$/]]],
  ['a damaged one', { ca: garbage }, [['ca', /^it holds no certificates in PEM/]]],
  [
    'several things',
    { ca: garbage, cert: key, key: cert },
    [
      ['ca', /no cert/],
      ['cert', /no cert/],
      ['key', /^it holds no private key/],
    ],
  ],
  ['no key', { cert }, [['cert', /of no use without its key$/]]],
  ['no certificate for a key', { key }, [['key', /of no use without its certificate$/]]],
  ['the key of another', { cert, key: other.key }, [['key', /^it is not the key of the certificate$/]]],
  [
    'no password',
    { cert, key: encrypted(key, 's') },
    [['key', /^it is encrypted: give its password as keyPassword$/]],
  ],
  [
    'a wrong password',
    { cert, key: encrypted(key, 's'), keyPassword: 'x' },
    [['keyPassword', /^it does not open the key$/]],
  ],
])('%s', (_, texts, problems) => {
  const found = tlsProblems(texts);
  expect(found.map(({ setting }) => setting)).toEqual(problems.map(([setting]) => setting));
  for (const [i, [, message]] of problems.entries()) expect(found[i]!.message).toMatch(message);
  expect(JSON.stringify(found)).not.toContain(key.split('\n')[1]);
});
