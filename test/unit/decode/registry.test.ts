import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { FatalError, messageOf, NotFoundError, TransientError } from '../../../src/base/errors.ts';
import type { Log } from '../../../src/base/log.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { type RegistryOptions, registryClient, type SchemaSource } from '../../../src/decode/registry.ts';
import { ManualClock } from '../base/clock.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const schema = (name: string): string => JSON.stringify({ type: 'enum', name, symbols: ['A'] });
const missing = { error_code: 40403, message: 'Schema not found' };

function answer(status: number, body: unknown): Handler {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** What was said in warnings: no secret may be in there either. */
let warnings: string[] = [];
const log: Log = {
  debug() {},
  info() {},
  warn: (message, fields) => warnings.push(JSON.stringify([message, fields])),
  error() {},
};

/** A registry that answers as each test likes. */
class Registry {
  readonly asked: string[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  readonly answers = new Map<string, Handler[]>();
  readonly #server: Server = createServer((request, response) => {
    this.asked.push(request.url!);
    this.headers.push(request.headers);
    const handlers = this.answers.get(request.url!) ?? [];
    const handler = handlers.length > 1 ? handlers.shift()! : handlers[0];
    (handler ?? answer(404, missing))(request, response);
  });

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The last handler answers from then on. */
  on(path: string, ...handlers: Handler[]): this {
    this.answers.set(path, handlers);
    return this;
  }

  client(options: Partial<RegistryOptions> = {}): SchemaSource {
    // Ten times as fast: nobody has to wait.
    const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) };
    return registryClient(
      { url: `http://${this.host}/api/`, ...options },
      { clock, random: seededRandom(1), log, fetch },
    );
  }
}

let registry: Registry;
beforeEach(async () => {
  warnings = [];
  registry = new Registry();
  await registry.start();
});
afterEach(() => registry.stop());

async function failure(pending: Promise<unknown>): Promise<Error> {
  return pending.then(
    () => new Error('it did not fail'),
    (error) => error,
  );
}

describe('a schema', () => {
  test('is asked for once, and kept', async () => {
    registry.on('/api/schemas/ids/7', answer(200, { schema: schema('S') }));
    const client = registry.client();
    const expected = { type: 'AVRO', text: schema('S'), references: [] };
    expect(await client.get(7)).toEqual(expected);
    expect(await client.get(7)).toEqual(expected);
    expect(registry.asked).toEqual(['/api/schemas/ids/7']);
    expect(registry.headers[0]!.accept).toBe('application/vnd.schemaregistry.v1+json, application/json');
    expect(registry.headers[0]!.authorization).toBeUndefined();
  });

  test('is asked for once by many at the same time', async () => {
    registry.on('/api/schemas/ids/7', answer(200, { schema: schema('S') }));
    registry.on('/api/schemas/ids/8', answer(200, { schema: schema('T') }));
    const client = registry.client();
    const texts = await Promise.all([7, 8, 7, 7, 8].map(async (id) => (await client.get(id)).text));
    expect(texts).toEqual(['S', 'T', 'S', 'S', 'T'].map(schema));
    expect(registry.asked.sort()).toEqual(['/api/schemas/ids/7', '/api/schemas/ids/8']);
  });

  test('has a type', async () => {
    registry.on('/api/schemas/ids/7', answer(200, { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' }));
    expect(await registry.client().get(7)).toMatchObject({ type: 'PROTOBUF', text: 'syntax = "proto3";' });
  });

  test('comes with what it refers to, each after what it needs itself, and once', async () => {
    const reference = (subject: string, version = 1) => ({ name: subject, subject, version });
    const of = (name: string, ...references: unknown[]): Handler =>
      answer(200, { schema: schema(name), references });
    registry.on('/api/schemas/ids/1', of('Root', reference('b'), reference('c'), reference('a/ü', 2)));
    registry.on('/api/subjects/b/versions/1', of('B', reference('a/ü', 2)));
    registry.on('/api/subjects/c/versions/1', of('C', reference('b')));
    registry.on('/api/subjects/a%2F%C3%BC/versions/2', of('A'));
    const { text, references } = await registry.client().get(1);
    expect(text).toBe(schema('Root'));
    expect(references).toEqual(['A', 'B', 'C'].map(schema));
    expect(registry.asked.length).toBe(4);
  });

  test('that refers in circles ends', async () => {
    const to = (subject: string) => ({
      schema: schema(subject),
      references: [{ name: 'x', subject, version: 1 }],
    });
    registry.on('/api/schemas/ids/1', answer(200, to('a')));
    registry.on('/api/subjects/a/versions/1', answer(200, to('b')));
    registry.on('/api/subjects/b/versions/1', answer(200, to('a')));
    expect((await registry.client().get(1)).references.length).toBe(2);
  });

  test('that refers to ever more ends', async () => {
    const to = (version: number) => ({ schema: '"int"', references: [{ name: 'x', subject: 's', version }] });
    let version = 0;
    const fetch = async () => new Response(JSON.stringify(to(++version)));
    const client = registryClient(
      { url: 'http://r' },
      { clock: systemClock, random: seededRandom(1), log, fetch },
    );
    await expect(client.get(1)).rejects.toThrow(new FatalError('loading schema references: more than 1000'));
  });
});

describe('a registry that has no such schema', () => {
  test('says so, and is asked again the next time', async () => {
    const client = registry.client();
    const error = await failure(client.get(5));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.message).toBe(
      `asking the schema registry for http://${registry.host}/api/schemas/ids/5: HTTP 404 ${JSON.stringify(missing)}`,
    );
    registry.on('/api/schemas/ids/5', answer(200, { schema: schema('S') }));
    expect((await client.get(5)).text).toBe(schema('S'));
    expect(registry.asked.length).toBe(2);
  });

  test.each([
    ['a page', '<html>404 Not Found</html>'],
    ['nothing', ''],
    ['JSON of another kind', '{"title":"no such resource"}'],
  ])('is not what answers 404 with %s: no record is to blame for that', async (_, body) => {
    registry.on('/api/schemas/ids/5', answer(404, body));
    const error = await failure(registry.client().get(5));
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toMatch(/HTTP 404.*: check decode\.\*\.registry\.url$/);
  });

  test('but refers to it is broken: no record is to blame for that either', async () => {
    const references = [{ name: 'n.Gone', subject: 'gone', version: 3 }];
    registry.on('/api/schemas/ids/5', answer(200, { schema: schema('S'), references }));
    registry.on(
      '/api/subjects/gone/versions/3',
      answer(404, { error_code: 40402, message: 'Version not found' }),
    );
    const error = await failure(registry.client().get(5));
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toMatch(
      /^loading what schema 5 refers to: .*\/subjects\/gone\/versions\/3: HTTP 404/,
    );
  });
});

describe('a registry that refuses us', () => {
  test.each([401, 403])('with %i is not asked twice, and the setting is named', async (status) => {
    registry.on('/api/schemas/ids/5', answer(status, { error_code: status, message: 'Unauthorized' }));
    const error = await failure(registry.client().get(5));
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toMatch(new RegExp(`HTTP ${status} .*: check decode\\.\\*\\.registry\\.auth$`));
    expect(registry.asked.length).toBe(1);
  });

  test.each([400, 422, 304])('with %i is not asked twice', async (status) => {
    registry.on('/api/schemas/ids/5', answer(status, ''));
    expect(await failure(registry.client().get(5))).toBeInstanceOf(FatalError);
    expect(registry.asked.length).toBe(1);
  });

  test.each([
    ['no JSON', '<html>welcome</html>'],
    ['no schema', '{"id":1}'],
    ['null', 'null'],
  ])('in a way: it answers with %s', async (_, body) => {
    registry.on('/api/schemas/ids/5', answer(200, body));
    const error = await failure(registry.client().get(5));
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toMatch(/: the answer is not a schema: check decode\.\*\.registry\.url$/);
  });
});

describe('trouble', () => {
  const good = answer(200, { schema: schema('S') });
  const hangUp: Handler = (request) => request.socket.destroy();
  const cutOff: Handler = (_, response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.write('{"schema":');
    setTimeout(() => response.destroy(), 20);
  };

  test.each([
    ['HTTP 500', answer(500, { error_code: 50001, message: 'store down' })],
    ['HTTP 502', answer(502, '<html>bad gateway</html>')],
    ['HTTP 503', answer(503, '')],
    ['HTTP 429', answer(429, '')],
    ['HTTP 408', answer(408, '')],
    ['a closed connection', hangUp],
    ['an answer that ends too early', cutOff],
  ])('%s passes', async (_, trouble) => {
    registry.on('/api/schemas/ids/5', trouble, trouble, good);
    expect((await registry.client().get(5)).text).toBe(schema('S'));
    expect(registry.asked.length).toBe(3);
    expect(warnings.length).toBe(2);
  });

  test('in the middle of references passes', async () => {
    const references = [{ name: 'T', subject: 't', version: 1 }];
    registry.on('/api/schemas/ids/5', answer(200, { schema: schema('S'), references }));
    registry.on('/api/subjects/t/versions/1', answer(503, ''), answer(200, { schema: schema('T') }));
    expect((await registry.client().get(5)).references).toEqual([schema('T')]);
  });

  test.each([
    ['HTTP 503', async () => new Response('', { status: 503 }), 'HTTP 503'],
    [
      'a refused connection',
      async () => {
        throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') });
      },
      'fetch failed: connect ECONNREFUSED 127.0.0.1:1',
    ],
    ['no answer', () => new Promise<Response>(() => {}), 'no answer within 10000 ms'],
  ])('%s is waited for, a quarter of an hour and no longer', async (_, fetch, reason) => {
    const clock = new ManualClock();
    const startMs = clock.nowMs();
    const client = registryClient({ url: 'http://r/' }, { clock, random: seededRandom(1), log, fetch });
    let asked: Error | undefined;
    void failure(client.get(5)).then((error) => {
      asked = error;
    });
    while (!asked && clock.nowMs() < startMs + 3_600_000) await clock.pass(5_000);
    expect(asked).toBeInstanceOf(TransientError);
    expect(asked!.message).toBe(`asking the schema registry for http://r/schemas/ids/5: ${reason}`);
    const tookMs = clock.nowMs() - startMs;
    expect(tookMs).toBeGreaterThan(14 * 60_000);
    expect(tookMs).toBeLessThan(16 * 60_000);
    expect(warnings.length).toBeGreaterThan(50);
    expect(clock.sleeping).toBe(0);
  });

  test('that was waited for in vain is tried again the next time', async () => {
    const clock = new ManualClock();
    let isUp = false;
    const fetch = async () =>
      isUp ? new Response(JSON.stringify({ schema: schema('S') })) : new Response('', { status: 503 });
    const client = registryClient({ url: 'http://r/' }, { clock, random: seededRandom(1), log, fetch });
    const first = failure(client.get(5));
    await clock.pass(20 * 60_000);
    expect(await first).toBeInstanceOf(TransientError);
    isUp = true;
    expect((await client.get(5)).text).toBe(schema('S'));
  });
});

describe('secrets', () => {
  const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`;

  test.each<[string, Partial<RegistryOptions>, string]>([
    ['user and password', { auth: { username: 'ü', password: 'p:w' } }, basic('ü:p:w')],
    ['a token', { auth: { token: 'abc.def-_=' } }, 'Bearer abc.def-_='],
  ])('%s go into the header', async (_, options, header) => {
    registry.on('/api/schemas/ids/5', answer(200, { schema: schema('S') }));
    await registry.client(options).get(5);
    expect(registry.headers[0]!.authorization).toBe(header);
  });

  test('in the URL go into the header', async () => {
    registry.on('/api/schemas/ids/5', answer(200, { schema: schema('S') }));
    await registry.client({ url: `http://me:s%40cret@${registry.host}/api` }).get(5);
    expect(registry.headers[0]!.authorization).toBe(basic('me:s@cret'));
  });

  test('are in no message', async () => {
    const secret = 'tops3cret';
    const logins: Partial<RegistryOptions>[] = [
      { auth: { username: 'me', password: secret } },
      { auth: { token: secret } },
      { url: `http://me:${secret}@${registry.host}/api` },
    ];
    const troubles: Handler[] = [
      answer(401, 'no'),
      answer(404, missing),
      answer(404, ''),
      answer(400, ''),
      answer(200, 'no JSON'),
    ];
    for (const options of logins)
      for (const trouble of troubles) {
        registry.on('/api/schemas/ids/5', answer(503, ''), trouble);
        const error = await failure(registry.client(options).get(5));
        const basicForm = basic(`me:${secret}`).slice('Basic '.length);
        for (const told of [messageOf(error), String(error.stack), JSON.stringify(error), ...warnings]) {
          expect(told).not.toContain(secret);
          expect(told).not.toContain(basicForm);
        }
      }
    expect(warnings.length).toBe(logins.length * troubles.length);
  });

  test.each(['tops3cret\n', 'tops3cret x', 'tops3cret\0', '€', ''])(
    'that no header can have are refused at once: %j',
    (token) => {
      expect(() => registry.client({ auth: { token } })).toThrow(
        new FatalError(
          'asking the schema registry: its token has characters that none may have: check decode.*.registry.auth',
        ),
      );
    },
  );
});
