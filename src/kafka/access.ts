import { readFile } from 'node:fs/promises';
import { FatalError, messageOf } from '../base/errors.ts';

/** How brokers are reached and who we are to them. Plain data; what a file holds is read anew for each connection. */
export interface AccessSettings {
  readonly tls?: TlsSettings | undefined;
  readonly sasl?: SaslSettings | undefined;
  /** For so long a refusal is tried again: some brokers know new users and rights later than others. */
  readonly graceMs?: number | undefined;
}

/** A secret, or certificates in PEM: the text, or the file that holds it. */
export type Secret = string | { readonly path: string };

export interface TlsSettings {
  /** Whom to trust instead of the authorities that Node knows. */
  readonly ca?: Secret | undefined;
  /** Our certificate, with those between it and its authority, and its key. */
  readonly cert?: Secret | undefined;
  readonly key?: Secret | undefined;
  readonly keyPassword?: Secret | undefined;
  readonly verifyHostname: boolean;
}

export type SaslSettings = LoginSettings | BearerSettings | MskSettings;

export interface LoginSettings {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly username: string;
  readonly password: Secret;
}

/** Either a token or where it is to be had. */
export interface BearerSettings {
  readonly mechanism: 'OAUTHBEARER';
  readonly token?: Secret | undefined;
  readonly oidc?: OidcSettings | undefined;
  readonly extensions: Readonly<Record<string, string>>;
}

/** OAuth 2.0 client credentials (RFC 6749 section 4.4), as in KIP-768. */
export interface OidcSettings {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly scope?: string | undefined;
  /** Where id and secret go: the Authorization header, or the form. */
  readonly clientAuth: 'basic' | 'post';
}

export interface MskSettings {
  readonly mechanism: 'AWS_MSK_IAM';
  readonly region?: string | undefined;
}

/**
 * Access is refused, or what would open it cannot be had: for a person to mend, once it has lasted for a while. The
 * message tells what and how; it never holds a secret.
 */
export class Refusal extends FatalError {
  override readonly code: string = 'REFUSED';
}

/** The text of a secret. @throws {Refusal} naming its setting and its file. */
export async function reveal(setting: string, secret: Secret): Promise<string> {
  if (typeof secret === 'string') return secret;
  try {
    const text = (await readFile(secret.path, 'utf8')).trim();
    if (text !== '') return text;
  } catch (error) {
    throw new Refusal(`${setting} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  throw new Refusal(`${setting}: ${secret.path} is empty`);
}
