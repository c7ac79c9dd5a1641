import { apiVersionsV3, Connection } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { isRetryable, messageOf } from '../../../src/base/errors.ts';
import type { Log } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { retry } from '../../../src/base/retry.ts';
import { defaultSigner } from '../../../src/catalog/rest-sigv4.ts';
import type { AccessSettings, SaslSettings, TlsSettings } from '../../../src/kafka/access.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import { KafkaSource } from '../../../src/kafka/kafka-source.ts';
import type { SourceEvent } from '../../../src/kafka/source.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { certificate, encrypted } from '../../tools/certificates.ts';
import { java } from '../../tools/java.ts';
import {
  type Acl,
  type Listener,
  plainUsers,
  SecureKafka,
  shortSessionMs,
} from '../../tools/secure-kafka.ts';
import { until } from './reading.ts';

/** Ways into a real broker, ways that are refused, and what is said then. */

let kafka: SecureKafka;
/** Whatever was logged or told in a test: no secret may be in it. */
let told: string[] = [];
const secrets = ['s3cret', 'p4ula', 'PRIVATE KEY', 'eyJ'];
const wires: Wire[] = [];
const sources: KafkaSource[] = [];

beforeAll(async () => {
  kafka = await SecureKafka.start();
  await java.call('configure', { brokers: kafka.address('plain') });
  await kafka.addUser('alice', 's3cret,a=b', 'SCRAM-SHA-256');
  await kafka.addUser('alice', 's3cret,a=b', 'SCRAM-SHA-512');
  await kafka.addUser('b,o=b,', 's3cret-b', 'SCRAM-SHA-512');
  kafka.issuer.clients.set('frazil app', 's3cret+:%&');
});
afterAll(async () => {
  await java.close();
  await kafka[Symbol.asyncDispose]();
});
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  for (const wire of wires.splice(0)) await wire.close();
  for (const secret of secrets) expect(told.join('\n')).not.toContain(secret);
  told = [];
});

const log: Log = {
  debug: (message, fields) => void told.push(`debug ${message} ${JSON.stringify(fields)}`),
  info: (message, fields) => void told.push(`info ${message} ${JSON.stringify(fields)}`),
  warn: (message, fields) => void told.push(`warn ${message} ${JSON.stringify(fields)}`),
  error: (message, fields) => void told.push(`error ${message} ${JSON.stringify(fields)}`),
};

function connect(listener: Listener, access: AccessSettings = {}, host?: string): Wire {
  const wire = new Wire(
    { brokers: [kafka.address(listener, host)], clientId: 'test', access: { graceMs: 0, ...access } },
    systemClock,
    {
      random: systemRandom,
      fetch,
      awsSigner: async (region) => ({
        ...defaultSigner(region),
        credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 's3cret' },
      }),
      warn: (message) => log.warn(message),
    },
  );
  wires.push(wire);
  return wire;
}

/** Who we are to the broker, after it has answered. */
async function enter(listener: Listener, access?: AccessSettings): Promise<string | undefined> {
  const wire = connect(listener, access);
  expect((await wire.metadata([])).brokers.size).toBe(1);
  return wire.access.principal;
}

/** The error with which the broker is not reached. */
async function refused(listener: Listener, access?: AccessSettings): Promise<KafkaError> {
  const error: unknown = await connect(listener, access)
    .metadata([])
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(error).toBeInstanceOf(KafkaError);
  // All of it is in the message: what the library says of the same is not added.
  expect(messageOf(error)).toBe((error as Error).message);
  told.push((error as Error).message);
  return error as KafkaError;
}

const trusting = (more: Partial<TlsSettings> = {}): TlsSettings => ({
  ca: kafka.authority.cert,
  verifyHostname: true,
  ...more,
});
const paula: SaslSettings = { mechanism: 'PLAIN', username: 'paula', password: plainUsers.paula };
const scram = (
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  username: string,
  password: string,
): SaslSettings => ({
  mechanism,
  username,
  password,
});
const bearing = (token: string): SaslSettings => ({ mechanism: 'OAUTHBEARER', token, extensions: {} });
const provided = (clientAuth: 'basic' | 'post' = 'basic', clientSecret = 's3cret+:%&'): SaslSettings => ({
  mechanism: 'OAUTHBEARER',
  oidc: {
    tokenUrl: `${kafka.issuer.url}/token`,
    clientId: 'frazil app',
    clientSecret,
    scope: 'kafka read',
    clientAuth,
  },
  extensions: {},
});

describe('TLS', () => {
  test('with an authority of our own, as text or file', async () => {
    expect(await enter('tls', { tls: trusting() })).toBe('User:ANONYMOUS');
    const path = kafka.file('ca.pem', kafka.authority.cert);
    expect(await enter('tls', { tls: trusting({ ca: { path } }) })).toBe('User:ANONYMOUS');
    // By its address, for which the certificate is too.
    await connect('tls', { tls: trusting() }, '127.0.0.1').metadata([]);
  });

  test('with a certificate of ours and its key, which may be behind a password', async () => {
    const { cert, key } = certificate({ name: 'frazil', issuer: kafka.authority });
    expect(await enter('mutual', { tls: trusting({ cert, key }) })).toBe('User:CN=frazil');
    const closed = { cert, key: encrypted(key, 's3cret-k'), keyPassword: 's3cret-k' };
    expect(await enter('mutual', { tls: trusting(closed) })).toBe('User:CN=frazil');
    const error = await refused('mutual', { tls: trusting({ ...closed, keyPassword: 's3cret-x' }) });
    expect(error.message).toMatch(
      /^asking for the brokers: connecting to localhost:\d+: source\.tls\.keyPassword: it does not open the key$/,
    );
  });

  test.each<[string, Listener, () => TlsSettings, RegExp]>([
    [
      'of an unknown authority',
      'tls',
      () => ({ verifyHostname: true }),
      /is not of an authority that is trusted: name that in source\.tls\.ca$/,
    ],
    [
      'that has expired',
      'expired',
      trusting,
      /the broker's certificate, or that of its authority, has expired: renew it$/,
    ],
    [
      'for another host',
      'elsewhere',
      trusting,
      /for another host: Host: localhost\. is not in the cert's altnames: DNS:kafka\.example: name the brokers/,
    ],
  ])('a certificate %s is refused', async (_, listener, tls, message) => {
    const error = await refused(listener, { tls: tls() });
    expect(error.message).toMatch(
      /^asking for the brokers: connecting to localhost:\d+: the broker's certificate/,
    );
    expect(error.message).toMatch(message);
    expect([error.id, isRetryable(error)]).toEqual(['REFUSED', false]);
  });

  test('for another host is taken where names are not looked at, but not of anyone', async () => {
    expect(await enter('elsewhere', { tls: trusting({ verifyHostname: false }) })).toBe('User:ANONYMOUS');
    expect((await refused('elsewhere', { tls: { verifyHostname: false } })).message).toContain(
      'not of an authority',
    );
  });

  test('no certificate, one of a stranger and one of the past are told from each other by the broker alone', async () => {
    const bare = await refused('mutual', { tls: trusting() });
    expect(bare.message).toMatch(/: the broker wants a certificate, or another one: check source\.tls\.cert/);
    expect(isRetryable(bare)).toBe(false);
    const stranger = certificate({ name: 'frazil', issuer: certificate({ name: 'nobody' }) });
    const past = certificate({
      name: 'frazil',
      issuer: kafka.authority,
      fromSeconds: -7200,
      untilSeconds: -60,
    });
    for (const { cert, key } of [stranger, past]) {
      const error = await refused('mutual', { tls: trusting({ cert, key }) });
      expect(error.message).toMatch(
        /: the broker does not take our certificate: check that source\.tls\.cert is valid/,
      );
      expect(isRetryable(error)).toBe(false);
    }
  });

  test('a renewed certificate is used by connections made later, and a half-written one is not', async () => {
    const past = certificate({
      name: 'frazil',
      issuer: kafka.authority,
      fromSeconds: -7200,
      untilSeconds: -60,
    });
    const cert = { path: kafka.file('client.pem', past.cert) };
    const key = { path: kafka.file('client.key', past.key) };
    const wire = connect('mutual', { tls: trusting({ cert, key }) });
    await expect(wire.metadata([])).rejects.toThrow('the broker does not take our certificate');
    const present = certificate({ name: 'renewed', issuer: kafka.authority });
    kafka.file('client.pem', present.cert);
    kafka.file('client.key', present.key);
    await wire.metadata([]);
    expect(wire.access.principal).toBe('User:CN=renewed');
    kafka.file('client.pem', certificate({ name: 'next', issuer: kafka.authority }).cert);
    const again = connect('mutual', { tls: trusting({ cert, key }) });
    await expect(again.metadata([])).rejects.toThrow('source.tls.key: it is not the key of the certificate');
  });
});

describe('what a listener does not speak', () => {
  test.each<[string, Listener, () => AccessSettings, RegExp]>([
    [
      'TLS to plain text',
      'plain',
      () => ({ tls: trusting() }),
      /ended the connection within the TLS handshake, as a listener without TLS does: check source\.tls/,
    ],
    [
      'TLS to a plain login',
      'login',
      () => ({ tls: trusting(), sasl: paula }),
      /as a listener without TLS does/,
    ],
    [
      'plain text to TLS',
      'tls',
      () => ({}),
      /its listener speaks TLS: set source\.tls|as a listener with TLS does: check source\.tls/,
    ],
    [
      'a plain login to TLS',
      'secure',
      () => ({ sasl: paula }),
      /its listener speaks TLS: set source\.tls|as a listener with TLS does: check source\.tls/,
    ],
    [
      'no login where one is wanted',
      'login',
      () => ({}),
      /instead of an answer, as a listener that wants a login does: check source\.sasl/,
    ],
    [
      'a login where none is taken',
      'plain',
      () => ({ sasl: paula }),
      /its listener takes no logins: remove source\.sasl/,
    ],
    [
      'no mechanism in common',
      'login',
      () => ({ sasl: bearing('x.y.z') }),
      /the broker does not take OAUTHBEARER, but (PLAIN|SCRAM)[^:]*: correct source\.sasl\.mechanism$/,
    ],
  ])('%s', async (_, listener, access, message) => {
    expect((await refused(listener, access())).message).toMatch(message);
  });
});

describe('logins', () => {
  test.each<[string, Listener, () => SaslSettings, string]>([
    ['PLAIN', 'secure', () => paula, 'User:paula'],
    ['PLAIN without TLS', 'login', () => paula, 'User:paula'],
    ['SCRAM-SHA-256', 'secure', () => scram('SCRAM-SHA-256', 'alice', 's3cret,a=b'), 'User:alice'],
    ['SCRAM-SHA-512', 'secure', () => scram('SCRAM-SHA-512', 'alice', 's3cret,a=b'), 'User:alice'],
    [
      'SCRAM of a name with commas',
      'login',
      () => scram('SCRAM-SHA-512', 'b,o=b,', 's3cret-b'),
      'User:b,o=b,',
    ],
    ['a token', 'secure', () => bearing(kafka.issuer.token('oscar')), 'User:oscar'],
    ['OIDC, with the header', 'secure', () => provided('basic'), 'User:frazil app'],
    ['OIDC, with the form', 'secure', () => provided('post'), 'User:frazil app'],
  ])('%s', async (_, listener, sasl, principal) => {
    const tls = listener === 'secure' ? trusting() : undefined;
    expect(await enter(listener, { tls, sasl: sasl() })).toBe(principal);
  });

  test.each<[string, () => SaslSettings, RegExp]>([
    [
      'PLAIN',
      () => ({ ...paula, password: 's3cret' }) as SaslSettings,
      /refuses User:paula with PLAIN \(.*Invalid username or password\): check source\.sasl\.username and password$/,
    ],
    [
      'SCRAM',
      () => scram('SCRAM-SHA-512', 'alice', 's3cret'),
      /refuses User:alice with SCRAM-SHA-512 \(.*invalid credentials.*\): check source\.sasl\.username and password, and that the user has credentials for SCRAM-SHA-512$/,
    ],
    [
      'SCRAM of nobody',
      () => scram('SCRAM-SHA-256', 'b,o=b,', 's3cret-b'),
      /refuses User:b,o=b, with SCRAM-SHA-256/,
    ],
    [
      'an expired token',
      () => bearing(kafka.issuer.token('oscar', -100)),
      /refuses User:oscar with OAUTHBEARER .*: the token expired at 20[-0-9T:.]+Z: renew it$/,
    ],
    [
      'a token of somebody else',
      () => bearing('s3cret.of.others'),
      /refuses the login with OAUTHBEARER .*: check that the token of source\.sasl is for this cluster$/,
    ],
    [
      'OIDC',
      () => provided('post', 's3cret'),
      /getting a token from http:.*\/token for client frazil app: HTTP 401 invalid_client who is that\?: check source\.sasl\.oidc/,
    ],
    [
      // This broker is not MSK: that it gets a token over OAUTHBEARER is all that can be seen.
      'AWS_MSK_IAM',
      () => ({ mechanism: 'AWS_MSK_IAM', region: 'us-east-1' }),
      /refuses the login with OAUTHBEARER .*: check that the IAM policy allows kafka-cluster:Connect/,
    ],
  ])('a wrong one is refused: %s', async (_, sasl, message) => {
    const error = await refused('secure', { tls: trusting(), sasl: sasl() });
    expect(error.message).toMatch(/^asking for the brokers: connecting to localhost:\d+: /);
    expect(error.message).toMatch(message);
    expect([error.id, isRetryable(error)]).toEqual(['REFUSED', false]);
  });

  test('a password in a file may be mended while it is tried again; after that nothing is tried', async () => {
    const path = kafka.file('password', 's3cret');
    const sasl: SaslSettings = { mechanism: 'PLAIN', username: 'paula', password: { path } };
    const source = follow(connect('login', { sasl, graceMs: 30_000 }), 'g', []);
    const started = source.start(() => {});
    await until(() => told.some((line) => line.includes('refuses User:paula')), 'the first refusal');
    kafka.file('password', plainUsers.paula);
    await started;
    kafka.file('password', 's3cret');
    const begin = performance.now();
    const other = follow(connect('login', { sasl, graceMs: 1_000 }), 'g', []);
    await expect(other.start(() => {})).rejects.toThrow('refuses User:paula with PLAIN');
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(told.filter((line) => line.includes('refuses User:paula')).length).toBeGreaterThan(1);
  });

  test('an OpenID provider that is away for a moment is asked again, and one token does for many connections', async () => {
    const { requests } = kafka.issuer;
    requests.length = 0;
    kafka.issuer.failures = [503, 500];
    const wire = connect('secure', { tls: trusting(), sasl: provided() });
    await wire.metadata([]);
    expect(requests.length).toBe(3);
    expect(requests.at(-1)).toEqual({
      authorization: `Basic ${Buffer.from('frazil+app:s3cret%2B%3A%25%26').toString('base64')}`,
      form: { grant_type: 'client_credentials', scope: 'kafka read' },
    });
    await Promise.all([wire.metadata([]), wire.metadata([]), wire.coordinator('g').catch(() => {})]);
    expect(requests.length).toBe(3);
  });
});

/** A source of all partitions of its topics, or of the group's. */
function follow(
  wire: Wire,
  group: string,
  topics: string[],
  partitions?: Record<string, number[]>,
): KafkaSource {
  const source = new KafkaSource(
    { group, topics, partitions },
    { wire, clock: systemClock, random: systemRandom, log },
  );
  sources.push(source);
  return source;
}

describe('sessions that the broker ends', () => {
  test('are really ended by it', async () => {
    const connection = new Connection('test', {
      tls: { ca: kafka.authority.cert },
      tlsServerName: true,
      // The life of the session is kept from the library: it would log in again.
      sasl: {
        mechanism: 'PLAIN',
        authenticate: (_m, wire, api, _u, _p, _t, callback) =>
          api(wire, Buffer.from(`\0paula\0${plainUsers.paula}`), (error, answer) =>
            callback(error, answer && { ...answer, sessionLifetimeMs: 0n }),
          ),
      },
    });
    const [host, port] = kafka.address('short').split(':');
    await connection.connect(host!, Number(port));
    let closed = false;
    connection.once('close', () => {
      closed = true;
    });
    await until(async () => {
      await apiVersionsV3.api.async(connection, 'test', '1').catch(() => {});
      return closed;
    }, 'the broker ends the session');
  });

  /** Reads while `forMs` pass, and what is produced every moment. */
  async function readOn(topic: string, wire: Wire, forMs: number): Promise<SourceEvent[]> {
    const source = follow(wire, 'g', [topic], { [topic]: [0] });
    let records = 0;
    const events: SourceEvent[] = [];
    const { topicPartitions } = await source.start((event) => {
      events.push(event);
      if (event.type === 'records') records += event.set.next - event.set.from;
    });
    source.seek(topicPartitions[0]!, 0);
    source.allow(64 * 1024 * 1024);
    const endMs = performance.now() + forMs;
    for (let produced = 0; performance.now() < endMs; ) {
      await java.call('produceMany', { topic, count: 100 });
      produced += 100;
      await until(() => records === produced, 'all is read');
    }
    return events.filter(({ type }) => type !== 'records' && type !== 'assigned');
  }

  test('are replaced before, and no fetch fails', async () => {
    kafka.issuer.lifeSeconds = 5;
    const asked = kafka.issuer.requests.length;
    const topics = ['session-plain', 'session-scram', 'session-token'];
    const principals = ['User:paula', 'User:alice', 'User:frazil app'];
    for (const topic of topics) await java.call('createTopic', { topic });
    await kafka.grant(
      ...topics.map(
        (name, i): Acl => ({ principal: principals[i]!, operation: 'READ', type: 'TOPIC', name }),
      ),
    );
    const tls = trusting();
    const alice = scram('SCRAM-SHA-256', 'alice', 's3cret,a=b');
    const others = await Promise.all([
      readOn(topics[0]!, connect('short', { tls, sasl: paula }), 3 * shortSessionMs),
      readOn(topics[1]!, connect('short', { tls, sasl: alice }), 3 * shortSessionMs),
      // Here sessions are as long as tokens.
      readOn(topics[2]!, connect('secure', { tls, sasl: provided() }), 3 * shortSessionMs),
    ]);
    kafka.issuer.lifeSeconds = 3600;
    expect(others).toEqual([[], [], []]);
    expect(told).toEqual([]);
    expect(kafka.issuer.requests.length - asked).toBeGreaterThan(2);
  });
});

test('a token that nobody renews ends the reading, and the message says when it expired', async () => {
  const topic = 'expiring';
  await java.call('createTopic', { topic });
  await kafka.grant({ principal: 'User:oscar', operation: 'READ', type: 'TOPIC', name: topic });
  const path = kafka.file('token', kafka.issuer.token('oscar', 4));
  const sasl: SaslSettings = { mechanism: 'OAUTHBEARER', token: { path }, extensions: {} };
  const wire = connect('secure', { tls: trusting(), sasl, graceMs: 2_000 });
  const source = follow(wire, 'g', [topic], { [topic]: [0] });
  const failure = Promise.withResolvers<Error>();
  const { topicPartitions } = await source.start((event) => {
    if (event.type === 'failed') failure.resolve(event.error);
  });
  source.seek(topicPartitions[0]!, 0);
  source.allow(1_000_000);
  expect((await failure.promise).message).toMatch(/: the token expired at 20[-0-9T:.]+Z: renew it$/);
});

describe('rights', () => {
  const alice = (graceMs = 0): Wire =>
    connect('secure', { tls: trusting(), sasl: scram('SCRAM-SHA-512', 'alice', 's3cret,a=b'), graceMs });
  const right = (operation: Acl['operation'], type: Acl['type'], name: string): Acl => ({
    principal: 'User:alice',
    operation,
    type,
    name,
  });

  test('that are missing are named, with principal and resource', async () => {
    await java.call('createTopic', { topic: 'denied' });
    await java.call('createTopic', { topic: 'described' });
    const described = right('DESCRIBE', 'TOPIC', 'described');
    await kafka.grant(described);
    const wire = alice();
    await expect(wire.metadata(['described', 'denied'])).rejects.toThrow(
      'asking for the metadata of described, denied: TOPIC_AUTHORIZATION_FAILED for User:alice on topic denied: grant this principal READ and DESCRIBE on the topic',
    );
    await expect(wire.coordinator('denied-group')).rejects.toThrow(
      'looking for the coordinator of group denied-group: GROUP_AUTHORIZATION_FAILED for User:alice: grant this principal READ on the group',
    );
    const source = follow(alice(), 'g', ['described'], { described: [0] });
    const failure = Promise.withResolvers<Error>();
    const { topicPartitions } = await source.start((event) => {
      if (event.type === 'failed') failure.resolve(event.error);
    });
    source.seek(topicPartitions[0]!, 0);
    source.allow(1_000_000);
    expect((await failure.promise).message).toBe(
      'fetching described-0 from offset 0: TOPIC_AUTHORIZATION_FAILED for User:alice on topic described: grant this principal READ and DESCRIBE on the topic',
    );
  });

  test('to find offsets but not to read as a group', async () => {
    await kafka.grant(right('DESCRIBE', 'GROUP', 'found'));
    const wire = alice();
    // A cluster that has never had a group makes the topic for their offsets first.
    const policy = { attemptsMax: 100, totalMs: 30_000, waitMinMs: 100, waitMaxMs: 500 };
    const coordinator = await retry({ clock: systemClock, random: systemRandom }, policy, () =>
      wire.coordinator('found'),
    );
    await expect(wire.mayRead(coordinator, 'found')).rejects.toThrow(
      'asking for the right to read as group found: GROUP_AUTHORIZATION_FAILED for User:alice: grant this principal READ on the group',
    );
    await kafka.grant(right('READ', 'GROUP', 'found'));
    await wire.mayRead(coordinator, 'found');
  });

  test('may be given while they are asked for; taken for good they end the reading', async () => {
    const topic = 'lent';
    await java.call('createTopic', { topic });
    await java.call('produceMany', { topic, count: 10 });
    const read = right('READ', 'TOPIC', topic);
    const source = follow(alice(3_000), 'g', [topic], { [topic]: [0] });
    const failure = Promise.withResolvers<Error>();
    let records = 0;
    const started = source.start((event) => {
      if (event.type === 'failed') failure.resolve(event.error);
      if (event.type === 'records') records += event.set.next - event.set.from;
    });
    await until(() => told.some((line) => line.includes('on topic lent')), 'the first refusal');
    await kafka.grant(read);
    const { topicPartitions } = await started;
    source.seek(topicPartitions[0]!, 0);
    source.allow(64 * 1024 * 1024);
    await until(() => records === 10, 'all is read');
    const begin = performance.now();
    await kafka.revoke(read);
    expect((await failure.promise).message).toContain(
      'TOPIC_AUTHORIZATION_FAILED for User:alice on topic lent',
    );
    expect(performance.now() - begin).toBeGreaterThan(2_500);
  });
});
