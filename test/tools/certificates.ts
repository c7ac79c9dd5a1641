import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** X.509 certificates as tests need them (RFC 5280), made by Node alone: elliptic curves, P-256. */

export interface Identity {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Common name of the subject. */
  readonly name: string;
  /** Host names and IPv4 addresses. */
  readonly hosts?: readonly string[];
  /** Who signs; without it the certificate signs itself and is an authority. */
  readonly issuer?: Authority;
  /** Validity, as seconds from now. */
  readonly fromSeconds?: number;
  readonly untilSeconds?: number;
}

export interface Authority extends Identity {
  readonly name: string;
}

const oids = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
};

/** An authority, or with `issuer` what it signs. */
export function certificate(options: CertificateOptions): Authority {
  const { name, hosts = [], issuer, fromSeconds = -3600, untilSeconds = 86_400 } = options;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const extensions = [
    sequence(
      oid(oids.basicConstraints),
      der(0x01, Buffer.of(0xff)),
      der(0x04, issuer ? sequence() : sequence(der(0x01, Buffer.of(0xff)))),
    ),
    ...(hosts.length > 0
      ? [sequence(oid(oids.subjectAltName), der(0x04, sequence(...hosts.map(host))))]
      : []),
  ];
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    distinguished(issuer?.name ?? name),
    sequence(time(fromSeconds), time(untilSeconds)),
    distinguished(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signer: KeyObject = issuer ? createPrivateKey(issuer.key) : privateKey;
  const whole = sequence(
    signed,
    algorithm,
    der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', signed, signer)])),
  );
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replaceAll(/.{64}(?!$)/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** The key behind a password. */
export function encrypted(key: string, passphrase: string): string {
  return createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase,
  }) as string;
}

function der(tag: number, content: Buffer): Buffer {
  const n = content.length;
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const distinguished = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid(oids.commonName), der(0x0c, Buffer.from(name)))));
const host = (name: string): Buffer =>
  isIPv4(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name));

/** UTCTime, good until 2049. */
function time(fromNowSeconds: number): Buffer {
  const iso = new Date(Date.now() + fromNowSeconds * 1000).toISOString();
  return der(0x17, Buffer.from(`${iso.slice(2, 19).replaceAll(/[-T:]/g, '')}Z`));
}
