import type { Clock } from '../base/clock.ts';
import type { AccessSettings } from './access.ts';
import type { Access } from './errors.ts';
import { Grace } from './refusals.ts';
import { type Login, type Sasl, type SaslPorts, saslOf } from './sasl.ts';
import { Tls } from './tls.ts';

export interface CredentialsPorts extends SaslPorts {
  clock: Clock;
  /** Told of what is not in order and does not matter yet. */
  warn(message: string): void;
}

const graceMs = 15_000;

/** How this program gets in at brokers: one for all its connections, so that they share tokens and certificates. */
export class Credentials implements Access {
  readonly tls: Tls | undefined;
  readonly sasl: Sasl | undefined;
  /** Refusals of logins and of rights end together. */
  readonly grace: Grace;
  #principal: string | undefined;

  constructor(access: AccessSettings, ports: CredentialsPorts) {
    this.tls = access.tls && new Tls(access.tls, (message) => ports.warn(message));
    this.sasl = access.sasl && saslOf(access.sasl, ports);
    this.grace = new Grace(ports.clock, access.graceMs ?? graceMs);
  }

  /** As brokers call us, as far as we know: of the last login, or the certificate. */
  get principal(): string | undefined {
    if (this.sasl) return this.#principal;
    return this.tls?.principal ?? 'User:ANONYMOUS';
  }

  /** What to say at the next login; undefined where none is asked for. */
  async prepare(): Promise<Login | undefined> {
    const login = await this.sasl?.prepare();
    if (login) this.#principal = login.principal;
    return login;
  }
}
