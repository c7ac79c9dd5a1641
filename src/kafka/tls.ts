import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import { Refusal, reveal, type TlsSettings } from './access.ts';

/** The texts of {@link TlsSettings}. */
export interface TlsTexts {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassword?: string | undefined;
}

export type TlsSetting = keyof TlsTexts;

const settingNames: readonly TlsSetting[] = ['ca', 'cert', 'key', 'keyPassword'];

/** TLS to brokers. Certificates and keys in files are read anew for each connection, so that renewed ones are used. */
export class Tls {
  readonly #settings: TlsSettings;
  readonly #warn: (message: string) => void;
  #held: { texts: TlsTexts; context: SecureContext; principal: string | undefined } | undefined;

  /** `warn` is told when renewed files cannot be used. */
  constructor(settings: TlsSettings, warn: (message: string) => void) {
    this.#settings = settings;
    this.#warn = warn;
  }

  /** The subject of our certificate, as a broker calls it unless it has rules of its own (`ssl.principal.mapping.rules`). */
  get principal(): string | undefined {
    return this.#held?.principal;
  }

  /** What a connection to this host needs. @throws {Refusal} when there is nothing that could be used. */
  async optionsFor(host: string): Promise<{ tls: ConnectionOptions; tlsServerName?: string }> {
    const tls: ConnectionOptions = {
      secureContext: await this.#context(),
      // Said aloud: a variable of the environment could turn it off.
      rejectUnauthorized: true,
    };
    if (!this.#settings.verifyHostname) tls.checkServerIdentity = () => undefined;
    // Addresses are no server names (RFC 6066 section 3).
    return isIP(host) === 0 ? { tls, tlsServerName: host } : { tls };
  }

  /** Files may be in the middle of being renewed: until they are whole, what was read before is as good as ever. */
  async #context(): Promise<SecureContext> {
    try {
      return await this.#read();
    } catch (error) {
      if (!this.#held) throw error;
      this.#warn(messageOf(error));
      return this.#held.context;
    }
  }

  async #read(): Promise<SecureContext> {
    const texts: { -readonly [K in TlsSetting]?: string } = {};
    for (const name of settingNames) {
      const secret = this.#settings[name];
      if (secret !== undefined) texts[name] = await reveal(`source.tls.${name}`, secret);
    }
    const held = this.#held;
    if (held && settingNames.every((name) => held.texts[name] === texts[name])) return held.context;
    const [problem] = tlsProblems(texts);
    if (problem) throw new Refusal(`source.tls.${problem.setting}: ${problem.message}`);
    const { ca, cert, key, keyPassword } = texts;
    const context = createSecureContext({
      ...(ca === undefined ? {} : { ca: certificatesOf(ca) }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(keyPassword === undefined ? {} : { passphrase: keyPassword }),
    });
    const principal = cert === undefined ? undefined : principalOf(cert);
    this.#held = { texts, context, principal };
    return context;
  }
}

/** What is wrong with certificates and keys, by setting. Nothing of a key is told. */
export function tlsProblems(texts: TlsTexts): { setting: TlsSetting; message: string }[] {
  const problems: { setting: TlsSetting; message: string }[] = [];
  for (const setting of ['ca', 'cert'] as const) {
    const text = texts[setting];
    if (text === undefined) continue;
    try {
      for (const certificate of certificatesOf(text)) new X509Certificate(certificate);
    } catch (error) {
      problems.push({ setting, message: `it holds no certificates in PEM: ${messageOf(error)}` });
    }
  }
  const { cert, key } = texts;
  if (cert !== undefined && key === undefined)
    problems.push({ setting: 'cert', message: 'a certificate is of no use without its key' });
  if (key === undefined) return problems;
  if (cert === undefined)
    problems.push({ setting: 'key', message: 'a key is of no use without its certificate' });
  try {
    const opened = openKey(key, texts.keyPassword);
    if (problems.length === 0 && !new X509Certificate(cert!).checkPrivateKey(opened))
      problems.push({ setting: 'key', message: 'it is not the key of the certificate' });
  } catch (error) {
    problems.push(keyProblem(error, texts.keyPassword));
  }
  return problems;
}

function openKey(key: string, passphrase: string | undefined): KeyObject {
  return createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
}

function keyProblem(error: unknown, password: string | undefined): { setting: TlsSetting; message: string } {
  const { code = '' } = error as { code?: string };
  if (code === 'ERR_MISSING_PASSPHRASE' || (password === undefined && /INTERRUPTED/.test(code)))
    return { setting: 'key', message: 'it is encrypted: give its password as keyPassword' };
  if (/BAD_DECRYPT|BAD_PASSWORD|PKCS12_CIPHERFINAL/.test(code))
    return { setting: 'keyPassword', message: 'it does not open the key' };
  return { setting: 'key', message: `it holds no private key in PEM (${code || 'unreadable'})` };
}

function certificatesOf(pem: string): string[] {
  const found = pem.match(
    /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g,
  );
  if (!found) throw new Error('no BEGIN CERTIFICATE');
  return found;
}

/** `User:CN=frazil,O=shop`: RFC 2253, which has the last part first. */
function principalOf(cert: string): string {
  return `User:${new X509Certificate(cert).subject.split('\n').reverse().join(',')}`;
}
