import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { apiVersionsV1 } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRetryable } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { AccessSettings, SaslSettings } from '../../../src/kafka/access.ts';
import { Connections } from '../../../src/kafka/connections.ts';
import { Credentials } from '../../../src/kafka/credentials.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import { ManualClock } from '../base/clock.ts';

/** A broker that knows versions and logins only, and does what a test wants. */
class Gate {
  /** Of the sessions of later logins. */
  sessionMs = 0;
  /** What it says to the messages of a login, instead of a good answer. */
  challenge: string | undefined;
  refuses = false;
  /** Questions for versions are not answered while this is so, but for those of logins. */
  holds = false;
  /** Messages of logins so far. */
  logins = 0;
  readonly sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  release(): void {
    this.holds = false;
    for (const answer of this.#held.splice(0)) answer();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    let rest = Buffer.alloc(0);
    let isIn = false;
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE()) {
        const request = rest.subarray(4, 4 + rest.readInt32BE());
        rest = rest.subarray(4 + request.length);
        const key = request.readInt16BE(0);
        const body = this.#answer(key);
        const head = Buffer.alloc(8);
        head.writeInt32BE(4 + body.length);
        request.copy(head, 4, 4, 8);
        const answer = (): void => void socket.write(Buffer.concat([head, body]));
        if (key === 18 && isIn && this.holds) this.#held.push(answer);
        else answer();
        isIn ||= key === 36;
      }
    });
  }

  #answer(key: number): Buffer {
    const [short, int, long] = [Buffer.alloc(2), Buffer.alloc(4), Buffer.alloc(8)];
    if (key === 18) {
      // No error; two APIs: handshake (17) and login (36), each in versions 0 to 1; no throttling.
      const apis = Buffer.from('000000000002001100000001002400000001' + '00000000', 'hex');
      return apis;
    }
    if (key === 17) return Buffer.concat([short, int]);
    this.logins++;
    if (this.refuses) short.writeInt16BE(58);
    const said = Buffer.from(this.challenge ?? '');
    int.writeInt32BE(said.length);
    long.writeBigInt64BE(BigInt(this.sessionMs));
    return Buffer.concat([short, Buffer.from('ffff', 'hex'), int, said, long]);
  }
}

let gate: Gate;
let clock: ManualClock;
let warnings: string[];
let credentials: Credentials;
let connections: Connections;

beforeEach(async () => {
  gate = new Gate();
  await gate.open();
  clock = new ManualClock();
  warnings = [];
});
afterEach(async () => {
  await connections.close();
  await gate.close();
});

const login: SaslSettings = { mechanism: 'PLAIN', username: 'a', password: 'secret' };

function open(access: AccessSettings = { sasl: login }): Connections {
  const ports = {
    clock,
    random: seededRandom(1),
    fetch,
    awsSigner: () => Promise.reject(new Error('none')),
    warn: (message: string) => warnings.push(message),
  };
  credentials = new Credentials(access, ports);
  const limits = { connectTimeoutMs: 5_000, requestTimeoutMs: 5_000 };
  connections = new Connections('test', credentials, limits, ports);
  return connections;
}

/** Lets sockets do what they are about to. */
async function until(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error('it does not come to that');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const refusal = (error: unknown): KafkaError => {
  expect(error).toBeInstanceOf(KafkaError);
  return error as KafkaError;
};

describe('connections', () => {
  test('those who ask at the same time, and later, share one', async () => {
    open();
    const [one, two] = await Promise.all([connections.get(gate.address), connections.get(gate.address)]);
    expect(one).toBe(two);
    expect(await connections.get(gate.address)).toBe(one);
    expect(gate.sockets.size).toBe(1);
    expect(credentials.principal).toBe('User:a');
  });

  test('one that has ended is made anew', async () => {
    open();
    const one = await connections.get(gate.address);
    for (const socket of gate.sockets) socket.destroy();
    await until(() => !one.isConnected());
    expect(await connections.get(gate.address)).not.toBe(one);
  });

  test('of several brokers the first that can be reached is asked, and again as long as it is there', async () => {
    open();
    const dead = { host: '127.0.0.1', port: 1 };
    const one = await connections.getFirstAvailable([dead, gate.address]);
    expect(await connections.getFirstAvailable([dead, gate.address])).toBe(one);
    const error = refusal(await connections.getFirstAvailable([dead]).catch((reason: unknown) => reason));
    expect([error.id, error.message]).toEqual([
      'NETWORK',
      'connecting to 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1',
    ]);
  });

  test('a refusal says more than a broker that is down', async () => {
    open();
    gate.refuses = true;
    const brokers = [{ host: '127.0.0.1', port: 1 }, gate.address];
    const error = refusal(await connections.getFirstAvailable(brokers).catch((reason: unknown) => reason));
    expect(error.id).toBe('REFUSED');
    expect(error.message).toMatch(/refuses User:a with PLAIN: check source\.sasl\.username and password$/);
  });

  test('are closed with all others, and none is made afterwards', async () => {
    open();
    await connections.get(gate.address);
    await connections.close();
    await until(() => gate.sockets.size === 0);
    await expect(connections.get(gate.address)).rejects.toThrow('the connections are closed');
  });
});

describe('a login', () => {
  test('that is refused may be tried again for a while', async () => {
    open({ sasl: login, graceMs: 10_000 });
    gate.refuses = true;
    const retryable: boolean[] = [];
    for (let i = 0; i < 4; i++) {
      await connections.get(gate.address).catch((error: unknown) => retryable.push(isRetryable(error)));
      await clock.pass(4_000);
    }
    expect(retryable).toEqual([true, true, true, false]);
  });

  test('that is refused is not tried by everyone who asks', async () => {
    open();
    gate.refuses = true;
    for (let i = 0; i < 5; i++) {
      await expect(connections.get(gate.address)).rejects.toThrow('refuses User:a');
      await clock.pass(250);
    }
    expect(gate.logins).toBe(2);
  });

  test.each(['', 'garbage', 'r=1,s=x', '\0'])(
    'a broker that answers SCRAM with %j is refused',
    async (challenge) => {
      open({ sasl: { mechanism: 'SCRAM-SHA-256', username: 'a', password: 'secret' } });
      gate.challenge = challenge;
      const error = refusal(await connections.get(gate.address).catch((reason: unknown) => reason));
      expect(error.message).toMatch(/: the broker's answer is not SCRAM-SHA-256's$/);
      await until(() => gate.sockets.size === 0);
    },
  );

  test('a token that is answered with a challenge has been refused, though it is no error', async () => {
    open({ sasl: { mechanism: 'OAUTHBEARER', token: 'secret', extensions: {} } });
    gate.challenge = '{"status":"invalid_token"}';
    await expect(connections.get(gate.address)).rejects.toThrow(
      'the broker refuses the token: {"status":"invalid_token"}',
    );
  });

  test.each([
    [
      'a token with what none may have',
      { mechanism: 'OAUTHBEARER', token: 'a\x01b', extensions: {} },
      'characters that none may have',
    ],
    [
      'a password that is gone',
      { mechanism: 'PLAIN', username: 'a', password: { path: '/nowhere/x' } },
      'source.sasl.password cannot be read: ENOENT',
    ],
  ] as [string, SaslSettings, string][])('%s does not get to the broker', async (_, sasl, message) => {
    open({ sasl });
    await expect(connections.get(gate.address)).rejects.toThrow(message);
    expect(gate.sockets.size).toBe(0);
  });
});

describe('a session that will end', () => {
  beforeEach(() => {
    gate.sessionMs = 10_000;
  });

  test('is replaced before; the old connection goes when its last answer has come', async () => {
    open();
    const old = await connections.get(gate.address);
    await clock.pass(7_000);
    expect(await connections.get(gate.address)).toBe(old);
    gate.holds = true;
    const answer = apiVersionsV1.api.async(old, 'test', '1');
    await clock.pass(1_500);
    expect(await connections.get(gate.address)).toBe(old);
    await until(() => gate.sockets.size === 2);
    await until(() => clock.sleeping === 1);
    const next = await connections.get(gate.address);
    expect(next).not.toBe(old);
    await clock.pass(3_000);
    expect(old.isConnected()).toBe(true);
    gate.release();
    expect((await answer).errorCode).toBe(0);
    await clock.pass(1_000);
    await until(() => gate.sockets.size === 1);
    expect(next.isConnected()).toBe(true);
  });

  test('is used on while it cannot be, but not when little is left', async () => {
    open({ sasl: login, graceMs: 60_000 });
    const old = await connections.get(gate.address);
    gate.refuses = true;
    await clock.pass(8_500);
    expect(await connections.get(gate.address)).toBe(old);
    await until(() => warnings.length === 1);
    expect(warnings[0]).toMatch(/^a session that will end could not be renewed: .*refuses User:a with PLAIN/);
    // Not with every request.
    expect(await connections.get(gate.address)).toBe(old);
    await clock.pass(1_100);
    await expect(connections.get(gate.address)).rejects.toThrow('refuses User:a');
    gate.refuses = false;
    await clock.pass(1_000);
    expect(await connections.get(gate.address)).not.toBe(old);
  });

  test('has no end when the broker does not say one', async () => {
    gate.sessionMs = 0;
    open();
    const one = await connections.get(gate.address);
    await clock.pass(1_000_000_000);
    expect(await connections.get(gate.address)).toBe(one);
    expect(gate.sockets.size).toBe(1);
  });
});
