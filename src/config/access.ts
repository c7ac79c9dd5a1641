import { httpUrl, type SecretFile, secret, secretFileIn, secretive } from './secrets.ts';
import {
  dictionary,
  flag,
  invalid,
  isMapping,
  mapping,
  oneOf,
  optional,
  type Path,
  type Report,
  required,
  type Setting,
  text,
  type ValueOf,
  variants,
  withDefault,
} from './setting.ts';

/** How brokers are reached: `source.tls` and `source.sasl`. */

/** Certificates or a key: PEM, or the file that holds it. A path that stands alone is told from PEM, but never shown. */
const pem: Setting<string | SecretFile> = {
  expected: '{ file: path } of a PEM file, or its text',
  read(value, path, report) {
    const file = secretFileIn(value);
    if (file) return file;
    if (typeof value === 'string' && value.includes('-----BEGIN ')) return value;
    report(path, 'expected PEM', 'write { file: path }, or the text that begins with -----BEGIN');
    return invalid;
  },
};

const tlsMembers = mapping({
  ca: optional(pem, 'Authorities whose certificates brokers may have, instead of those that Node knows.'),
  cert: optional(pem, 'Our certificate, where brokers want one, with those between it and its authority.'),
  key: optional(pem, 'Key of `cert`.'),
  keyPassword: optional(secret, 'Password of `key`, if it is encrypted.'),
  verifyHostname: withDefault(
    flag(),
    true,
    'Take certificates only for the host that is connected to. Without it anybody with a certificate of the authority can be the broker.',
  ),
});

/** `true` is TLS with the defaults. */
export const tls: Setting<ValueOf<typeof tlsMembers> | false> = {
  ...tlsMembers,
  expected: 'true, or a mapping',
  read(value, path, report) {
    if (value === true || value === 'true') return tlsMembers.read({}, path, report);
    if (value === false || value === 'false') return false;
    if (isMapping(value)) return tlsMembers.read(value, path, report);
    report(path, 'expected true, or a mapping');
    return invalid;
  },
};

const login = mapping({
  username: required(text('a name', /^[^\0]+$/), 'User.'),
  password: required(secret, 'Password.'),
});

const oidc = mapping({
  tokenUrl: required(httpUrl, 'Token endpoint.'),
  clientId: required(text('a client id', /\S/), 'Client id.'),
  clientSecret: required(secret, 'Client secret.'),
  scope: optional(text('a scope', /\S/), 'Scope that is asked for.'),
  clientAuth: withDefault(
    oneOf('basic', 'post'),
    'basic',
    'Where id and secret are put: the Authorization header, or the form.',
  ),
});

const bearer = mapping(
  {
    token: optional(secret, 'A token. From a file it is read anew for each connection.'),
    oidc: optional(oidc, 'Where tokens are got with client credentials, each before the last one is over.'),
    extensions: withDefault(
      dictionary(text('a text', /^[\x20-\x7e]*$/)),
      {},
      'SASL extensions, such as `{ logicalCluster: lkc-1, identityPoolId: pool-1 }`.',
    ),
  },
  checkBearer,
);

/** Those that are wrong in themselves are absent too: only what is there twice, or not at all, is told. */
function checkBearer(
  { token, oidc: provider }: { token?: unknown; oidc?: unknown },
  path: Path,
  report: Report,
): void {
  if (token !== undefined && provider !== undefined)
    report([...path, 'oidc'], 'there is a token already', 'give one of token and oidc');
}

export const sasl = secretive(
  variants('mechanism', {
    PLAIN: login,
    'SCRAM-SHA-256': login,
    'SCRAM-SHA-512': login,
    OAUTHBEARER: bearer,
    AWS_MSK_IAM: mapping({
      region: optional(
        text('a region, such as us-east-1', /^[a-z0-9-]+$/),
        'Region of the cluster. Without it the environment or the AWS profile tells.',
      ),
    }),
  }),
);
