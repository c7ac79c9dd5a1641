import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError, formatProblem } from '../../../src/base/errors.ts';
import { type Config, parseConfig } from '../../../src/config/config.ts';
import { certificate, encrypted } from '../../tools/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'frazil-access-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const authority = certificate({ name: 'authority' });
const { cert, key } = certificate({ name: 'frazil', issuer: authority });
for (const [name, text] of Object.entries({
  'ca.pem': authority.cert,
  'client.pem': cert,
  'client.key': key,
  'closed.key': encrypted(key, 'op3n'),
  'other.key': certificate({ name: 'other' }).key,
  password: 's3cret\n',
  empty: '\n',
}))
  writeFileSync(join(folder, name), text);

function config(...access: string[]): string {
  return [
    'pipeline: orders',
    'source:',
    "  brokers: 'kafka:9092'",
    '  topics: [orders]',
    ...access.map((line) => `  ${line}`),
    'decode: { value: { format: json } }',
    'catalog: { type: sqlite, path: ./c.db, warehouse: ./wh }',
    'tables: [{ table: shop.orders, topics: [orders] }]',
  ].join('\n');
}

const sourceOf = (...access: string[]): Config['source'] =>
  parseConfig(config(...access), { PASSWORD: 's3cret', KEY: key }, folder).source;

function problems(...access: string[]): string[] {
  try {
    sourceOf(...access);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

test('TLS is true, or what is trusted and shown', () => {
  expect(sourceOf().tls).toBeUndefined();
  expect(sourceOf('tls: false').tls).toBe(false);
  expect(sourceOf('tls: true').tls).toEqual({ verifyHostname: true });
  expect(sourceOf('tls: { verifyHostname: false }').tls).toEqual({ verifyHostname: false });
  expect(problems('tls: yes please')).toEqual(['5:8 source.tls: expected true, or a mapping']);
});

test('files are found from anywhere, and read when they are needed: only that they can be is checked', () => {
  const { tls, sasl } = sourceOf(
    `tls: { ca: { file: ca.pem }, cert: { file: ./client.pem }, key: "\${KEY}" }`,
    'sasl: { mechanism: SCRAM-SHA-512, username: frazil, password: { file: password } }',
  );
  expect(tls).toMatchObject({
    ca: { path: join(folder, 'ca.pem') },
    cert: { path: join(folder, 'client.pem') },
    key,
  });
  expect(sasl).toMatchObject({ username: 'frazil', password: { path: join(folder, 'password') } });
});

test('each login', () => {
  expect(sourceOf(`sasl: { mechanism: PLAIN, username: a, password: "\${PASSWORD}" }`).sasl).toEqual({
    mechanism: 'PLAIN',
    username: 'a',
    password: 's3cret',
  });
  expect(sourceOf(`sasl: { mechanism: OAUTHBEARER, token: "\${PASSWORD}" }`).sasl).toEqual({
    mechanism: 'OAUTHBEARER',
    token: 's3cret',
    extensions: {},
  });
  expect(
    sourceOf(
      'sasl:',
      '  mechanism: OAUTHBEARER',
      `  oidc: { tokenUrl: "https://idp.acme.com/token", clientId: a, clientSecret: "\${PASSWORD}", scope: kafka }`,
      '  extensions: { logicalCluster: lkc-1 }',
    ).sasl,
  ).toEqual({
    mechanism: 'OAUTHBEARER',
    oidc: {
      tokenUrl: 'https://idp.acme.com/token',
      clientId: 'a',
      clientSecret: 's3cret',
      scope: 'kafka',
      clientAuth: 'basic',
    },
    extensions: { logicalCluster: 'lkc-1' },
  });
  expect(sourceOf('tls: true', 'sasl: { mechanism: AWS_MSK_IAM }').sasl).toEqual({
    mechanism: 'AWS_MSK_IAM',
  });
});

test('all problems are told at once, with their places', () => {
  expect(
    problems(
      'tls: { ca: { file: missing.pem }, cert: /etc/client.pem, verifyHostnames: false }',
      'sasl: { mechanism: SCRAM-SHA-384, username: a }',
      'accessGrace: soon',
    ),
  ).toEqual([
    expect.stringMatching(/^5:43 source\.tls\.cert: expected PEM \(fix: write \{ file: path \}, or the text/),
    '5:60 source.tls.verifyHostnames: no such setting (fix: did you mean verifyHostname?)',
    expect.stringMatching(
      /^6:22 source\.sasl\.mechanism: expected PLAIN, .* \(fix: did you mean SCRAM-SHA-\d+\?\)$/,
    ),
    expect.stringMatching(/^7:16 source\.accessGrace: expected a duration/),
  ]);
  expect(
    problems(
      'tls: { ca: { file: missing.pem } }',
      'sasl: { mechanism: PLAIN, username: a, password: { file: empty } }',
    ),
  ).toEqual([
    expect.stringMatching(/^5:22 source\.tls\.ca\.file: the secret cannot be read: ENOENT/),
    '6:60 source.sasl.password.file: the file of the secret is empty',
  ]);
});

test.each<[string, string[], RegExp[]]>([
  [
    'a key without its password',
    ['cert: { file: client.pem }', 'key: { file: closed.key }'],
    [/source\.tls\.key: it is encrypted/],
  ],
  [
    'a wrong password',
    ['cert: { file: client.pem }', 'key: { file: closed.key }', 'keyPassword: s3cret'],
    [/source\.tls\.keyPassword: it does not open the key$/],
  ],
  [
    'the key of another',
    ['cert: { file: client.pem }', 'key: { file: other.key }'],
    [/source\.tls\.key: it is not the key of the certificate$/],
  ],
  [
    'a key for a certificate',
    ['ca: { file: client.key }', 'cert: { file: client.pem }'],
    [/source\.tls\.ca: it holds no certificates/, /source\.tls\.cert: .* without its key$/],
  ],
])('what no connection could be made with is told before: %s', (_, lines, messages) => {
  const found = problems('tls:', ...lines.map((line) => `  ${line}`));
  expect(found.length).toBe(messages.length);
  for (const [i, message] of messages.entries()) expect(found[i]).toMatch(message);
});

test('tokens must come from one place, and MSK wants TLS', () => {
  expect(problems('sasl: { mechanism: OAUTHBEARER }')).toEqual([
    '5:9 source.sasl: OAUTHBEARER needs a token (fix: give token or oidc)',
  ]);
  const oidc = '{ tokenUrl: "https://a.b/t", clientId: a, clientSecret: b }';
  expect(problems(`sasl: { mechanism: OAUTHBEARER, token: a, oidc: ${oidc} }`)).toEqual([
    expect.stringMatching(
      /source\.sasl\.oidc: there is a token already \(fix: give one of token and oidc\)$/,
    ),
  ]);
  expect(problems('sasl: { mechanism: AWS_MSK_IAM }')).toEqual([
    '5:22 source.sasl.mechanism: MSK takes AWS_MSK_IAM over TLS only (fix: set source.tls: true)',
  ]);
});

test('secrets are not told, wherever they stand', () => {
  const wrong = [
    ...problems('sasl: s3cret'),
    ...problems('sasl: [s3cret]'),
    ...problems('sasl: { mechanism: PLAIN, username: a, password: [s3cret] }'),
    ...problems('tls: { key: s3cret, keyPassword: { s3cret: 1 } }'),
    ...problems('tls: s3cret'),
    ...problems('sasl: { mechanism: OAUTHBEARER, oidc: { clientSecret: [s3cret] } }'),
  ];
  expect(wrong.length).toBeGreaterThan(6);
  expect(wrong.join('\n')).not.toContain('s3cret');
});
