import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AclOperations,
  AclPermissionTypes,
  alterUserScramCredentialsV0,
  Connection,
  createAclsV3,
  deleteAclsV3,
  describeAclsV3,
  ResourcePatternTypes,
  ResourceTypes,
  ScramMechanisms,
} from '@platformatic/kafka';
import { type Authority, certificate } from './certificates.ts';
import { Issuer } from './issuer.ts';
import { Localstack } from './localstack.ts';
import { pause } from './pipeline.ts';

/** What each listener of the broker is for. */
const listeners = {
  /** No TLS and no login: for the tests' own tools, who may do everything. */
  plain: 'PLAINTEXT',
  tls: 'SSL',
  /** Wants a certificate. */
  mutual: 'SSL',
  /** Has a certificate of the past. */
  expired: 'SSL',
  /** Has a certificate for another host. */
  elsewhere: 'SSL',
  /** A login without TLS; no OAUTHBEARER. */
  login: 'SASL_PLAINTEXT',
  /** TLS and a login. */
  secure: 'SASL_SSL',
  /** As `secure`; sessions end after {@link shortSessionMs}. */
  short: 'SASL_SSL',
} as const;

export type Listener = keyof typeof listeners;
export const shortSessionMs = 4_000;

/** Users of PLAIN; the others are made by {@link SecureKafka.addUser}. */
export const plainUsers = { paula: 'p4ula-secret' };

/** Names as users of Kafka's tools know them. */
export interface Acl {
  principal: string;
  operation: 'READ' | 'DESCRIBE' | 'DESCRIBE_CONFIGS';
  type: 'TOPIC' | 'GROUP';
  name: string;
}

/** A broker with a listener of each kind, where nobody but the tests' tools may do what is not granted. */
export class SecureKafka implements AsyncDisposable {
  /** Certificates, keys and whatever else a test writes. */
  readonly folder: string;
  readonly authority: Authority;
  readonly issuer: Issuer;
  readonly #ports: Readonly<Record<string, number>>;
  readonly #stack: Localstack;

  private constructor(
    folder: string,
    authority: Authority,
    issuer: Issuer,
    ports: Readonly<Record<string, number>>,
    stack: Localstack,
  ) {
    this.folder = folder;
    this.authority = authority;
    this.issuer = issuer;
    this.#ports = ports;
    this.#stack = stack;
  }

  static async start(): Promise<SecureKafka> {
    const folder = mkdtempSync(join(tmpdir(), 'frazil-secure-'));
    const authority = certificate({ name: 'authority' });
    const issuer = await Issuer.start();
    const names = Object.keys(listeners);
    const ports = Object.fromEntries((await freePorts(names.length)).map((port, i) => [names[i]!, port]));
    const properties = brokerProperties(folder, authority, issuer.url, ports);
    // The broker takes keys from nowhere else.
    process.env['FRAZIL_KAFKA_HEAP'] =
      `-Xmx512m -Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${issuer.url}/jwks`;
    try {
      const stack = await Localstack.start(
        ['kafka'],
        '--kafka-port',
        String(ports['plain']),
        ...properties.flatMap((property) => ['--kafka-property', property]),
      );
      return new SecureKafka(folder, authority, issuer, ports, stack);
    } finally {
      delete process.env['FRAZIL_KAFKA_HEAP'];
    }
  }

  /** `localhost:port`; the plain one by its address. The certificates are for both. */
  address(listener: Listener, host = listener === 'plain' ? '127.0.0.1' : 'localhost'): string {
    return `${host}:${this.#ports[listener]}`;
  }

  /** Writes a file of the folder. @returns its path. */
  file(name: string, text: string): string {
    writeFileSync(join(this.folder, name), text);
    return join(this.folder, name);
  }

  /** Makes a user of SCRAM, or changes the password. */
  async addUser(name: string, password: string, mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'): Promise<void> {
    const [hash, length] =
      mechanism === 'SCRAM-SHA-256' ? (['sha256', 32] as const) : (['sha512', 64] as const);
    const salt = randomBytes(16);
    const iterations = 4096;
    const saltedPassword = pbkdf2Sync(password, salt, iterations, length, hash);
    const id = mechanism === 'SCRAM-SHA-256' ? ScramMechanisms.SCRAM_SHA_256 : ScramMechanisms.SCRAM_SHA_512;
    await this.#ask((connection) =>
      alterUserScramCredentialsV0.api.async(
        connection,
        [],
        [{ name, mechanism: id, iterations, salt, saltedPassword }],
      ),
    );
  }

  /** Until the broker goes by it. */
  async grant(...acls: Acl[]): Promise<void> {
    await this.#ask(async (connection) => {
      await createAclsV3.api.async(connection, acls.map(entry) as never);
      for (const acl of acls) while (!(await isGranted(connection, acl))) await pause(20);
    });
  }

  async revoke(...acls: Acl[]): Promise<void> {
    await this.#ask(async (connection) => {
      await deleteAclsV3.api.async(connection, acls.map(entry) as never);
      for (const acl of acls) while (await isGranted(connection, acl)) await pause(20);
    });
  }

  async #ask<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = new Connection('test');
    await connection.connect('127.0.0.1', this.#ports['plain']!);
    try {
      return await ask(connection);
    } finally {
      await connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.stop();
    await this.issuer[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function isGranted(connection: Connection, acl: Acl): Promise<boolean> {
  const { resources } = await describeAclsV3.api.async(connection, entry(acl) as never);
  return resources.length > 0;
}

function entry({ principal, operation, type, name }: Acl): object {
  return {
    resourceType: ResourceTypes[type],
    resourceName: name,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal,
    host: '*',
    operation: AclOperations[operation],
    permissionType: AclPermissionTypes.ALLOW,
  };
}

function brokerProperties(
  folder: string,
  authority: Authority,
  issuer: string,
  ports: Readonly<Record<string, number>>,
): string[] {
  const names = Object.keys(listeners) as Listener[];
  const upper = (name: string): string => (name === 'plain' ? 'PLAINTEXT' : name.toUpperCase());
  const controller = ports['plain']! + 1000;
  const store = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const hosts = ['localhost', '127.0.0.1'];
  const identities = {
    '': certificate({ name: 'broker', hosts, issuer: authority }),
    'listener.name.expired.': certificate({
      name: 'broker',
      hosts,
      issuer: authority,
      fromSeconds: -7200,
      untilSeconds: -3600,
    }),
    'listener.name.elsewhere.': certificate({ name: 'broker', hosts: ['kafka.example'], issuer: authority }),
  };
  const kafka = 'org.apache.kafka.common.security';
  const logins = (name: string): string[] => [
    `listener.name.${name}.plain.sasl.jaas.config=${kafka}.plain.PlainLoginModule required ${Object.entries(
      plainUsers,
    )
      .map(([user, password]) => `user_${user}="${password}"`)
      .join(' ')};`,
    ...[256, 512].map(
      (bits) =>
        `listener.name.${name}.scram-sha-${bits}.sasl.jaas.config=${kafka}.scram.ScramLoginModule required;`,
    ),
  ];
  const tokens = (name: string): string[] => {
    const prefix = `listener.name.${name}.oauthbearer`;
    return [
      `${prefix}.sasl.jaas.config=${kafka}.oauthbearer.OAuthBearerLoginModule required;`,
      `${prefix}.sasl.server.callback.handler.class=${kafka}.oauthbearer.OAuthBearerValidatorCallbackHandler`,
      `listener.name.${name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER`,
    ];
  };
  return [
    `listeners=${names.map((name) => `${upper(name)}://127.0.0.1:${ports[name]}`).join(',')},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=${names
      .map((name) => `${upper(name)}://${name === 'plain' ? '127.0.0.1' : 'localhost'}:${ports[name]}`)
      .join(',')}`,
    `listener.security.protocol.map=${names.map((name) => `${upper(name)}:${listeners[name]}`).join(',')},CONTROLLER:PLAINTEXT`,
    ...Object.entries(identities).flatMap(([prefix, { cert, key }]) => [
      `${prefix}ssl.keystore.type=PEM`,
      `${prefix}ssl.keystore.location=${store(`${prefix}broker.pem`, key + cert + authority.cert)}`,
    ]),
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${store('authority.pem', authority.cert)}`,
    'listener.name.mutual.ssl.client.auth=required',
    'listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...['login', 'secure', 'short'].flatMap(logins),
    ...['secure', 'short'].flatMap(tokens),
    `sasl.oauthbearer.jwks.endpoint.url=${issuer}/jwks`,
    'sasl.oauthbearer.expected.audience=kafka',
    `sasl.oauthbearer.expected.issuer=${issuer}`,
    // Tokens end sessions too.
    'listener.name.secure.oauthbearer.connections.max.reauth.ms=3600000',
    ...['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'].map(
      (mechanism) => `listener.name.short.${mechanism}.connections.max.reauth.ms=${shortSessionMs}`,
    ),
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users=User:ANONYMOUS',
    // A listener without logins that is not plain may be tried by anyone.
    'connection.failed.authentication.delay.ms=50',
  ];
}

/** Ports that are free now, the first with a free one 1000 above, for the controller. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  let first = 0;
  for (const [i, port] of ports.entries()) {
    const above = port + 1000 < 65_536 ? await listen(port + 1000).catch(() => undefined) : undefined;
    if (!above) continue;
    servers.push(above);
    first = i;
    break;
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [ports[first]!, ...ports.filter((_, i) => i !== first)];
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
