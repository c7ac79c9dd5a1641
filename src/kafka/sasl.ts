import type { HttpPorts } from '../base/http.ts';
import type { Random } from '../base/random.ts';
import { type BearerSettings, type LoginSettings, Refusal, reveal, type SaslSettings } from './access.ts';
import type { AwsSigner, MskTokens } from './msk.ts';
import { describeToken, OidcTokens } from './oidc.ts';
import { checkServerFinal, clientFinal, clientFirst } from './scram.ts';

/** What a broker says to one message of a SASL exchange. */
export interface SaslAnswer {
  readonly authBytes: Uint8Array;
  /** The broker ends the connection when this is over (KIP-368); 0: never. */
  readonly sessionLifetimeMs: bigint;
}

export type SaslExchange = (message: string) => Promise<SaslAnswer>;

/** Everything that a login needs but the broker: got before there is a connection, on whose time it would be. */
export interface Login {
  /** As brokers call us, where we know. */
  readonly principal: string | undefined;
  /** @throws {Refusal} when the broker does not keep to the mechanism; what `exchange` throws. */
  run(exchange: SaslExchange): Promise<SaslAnswer>;
  /** The broker said no. @returns what is known of the reason. */
  refused(): string;
  /** What is to be done when it is of the past by our clock. */
  expired?(): string | undefined;
}

/** Logins at brokers. */
export interface Sasl {
  /** As the handshake calls it. */
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  /** Secrets in files are read, and tokens renewed. @throws {TransientError} @throws {Refusal} */
  prepare(): Promise<Login>;
}

export interface SaslPorts extends HttpPorts {
  random: Random;
  /** The default chain of AWS credentials. */
  awsSigner(region: string | undefined): Promise<AwsSigner>;
}

export function saslOf(settings: SaslSettings, ports: SaslPorts): Sasl {
  switch (settings.mechanism) {
    case 'PLAIN':
      return { mechanism: 'PLAIN', prepare: async () => plain(settings.username, await password(settings)) };
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512': {
      const prepare = async (): Promise<Login> =>
        scram(
          settings.mechanism as 'SCRAM-SHA-256',
          settings.username,
          await password(settings),
          ports.random,
        );
      return { mechanism: settings.mechanism, prepare };
    }
    case 'OAUTHBEARER':
      return bearer(settings, ports);
    case 'AWS_MSK_IAM': {
      // What signs is loaded where it is needed.
      const open = async (): Promise<MskTokens> =>
        new (await import('./msk.ts')).MskTokens(await ports.awsSigner(settings.region), ports.clock);
      let tokens: Promise<MskTokens> | undefined;
      const prepare = async (): Promise<Login> => {
        tokens ??= open();
        const login = tokenLogin(await (await tokens).get(), {}, ports);
        const refused = (): string =>
          'check that the IAM policy allows kafka-cluster:Connect on the cluster, and the clock of this machine';
        return { ...login, refused };
      };
      return { mechanism: 'OAUTHBEARER', prepare };
    }
  }
}

function password(settings: LoginSettings): Promise<string> {
  return reveal('source.sasl.password', settings.password);
}

/** RFC 4616 */
function plain(username: string, secret: string): Login {
  return {
    principal: `User:${username}`,
    run: (exchange) => exchange(`\0${username}\0${secret}`),
    refused: () => 'check source.sasl.username and password',
  };
}

function scram(
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  username: string,
  secret: string,
  random: Random,
): Login {
  return {
    principal: `User:${username}`,
    async run(exchange) {
      const nonce = Buffer.from(random.bytes(24)).toString('base64url');
      const first = await exchange(clientFirst(username, nonce));
      const login = { username, password: secret, nonce };
      const { message, serverFinal } = await clientFinal(mechanism, login, text(first));
      const last = await exchange(message);
      checkServerFinal(serverFinal, text(last));
      return last;
    },
    refused: () =>
      `check source.sasl.username and password, and that the user has credentials for ${mechanism}`,
  };
}

function bearer(settings: BearerSettings, ports: SaslPorts): Sasl {
  const { token, oidc, extensions } = settings;
  const tokens = oidc && new OidcTokens(oidc, ports);
  return {
    mechanism: 'OAUTHBEARER',
    async prepare() {
      const value = tokens ? await tokens.get() : await reveal('source.sasl.token', token!);
      if (!/^[\x21-\x7e]+$/.test(value))
        throw new Refusal('the token of source.sasl has characters that none may have');
      return tokenLogin(value, extensions, ports, () => tokens?.drop(value));
    },
  };
}

/** RFC 7628 */
function tokenLogin(
  token: string,
  extensions: Readonly<Record<string, string>>,
  { clock }: SaslPorts,
  drop: () => void = () => {},
): Login {
  const { principal, expiresAtMs } = describeToken(token);
  const expired = (): string | undefined =>
    expiresAtMs !== undefined && expiresAtMs <= clock.nowMs()
      ? `the token expired at ${new Date(expiresAtMs).toISOString()}: renew it`
      : undefined;
  const further = Object.entries(extensions).map(([name, value]) => `${name}=${value}\x01`);
  return {
    principal,
    async run(exchange) {
      const answer = await exchange(`n,,\x01auth=Bearer ${token}\x01${further.join('')}\x01`);
      if (answer.authBytes.length === 0) return answer;
      // A refusal comes as a challenge (section 3.2.3); to the answer that ends it the broker says more.
      await exchange('\x01');
      throw new Refusal(`the broker refuses the token: ${text(answer).slice(0, 200)}`);
    },
    refused() {
      drop();
      return expired() ?? 'check that the token of source.sasl is for this cluster';
    },
    expired,
  };
}

function text({ authBytes }: SaslAnswer): string {
  return Buffer.from(authBytes).toString();
}
