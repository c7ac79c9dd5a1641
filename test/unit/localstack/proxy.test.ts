import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FaultRule, Faults } from '../../../localstack/lib/faults.ts';
import { HttpProxy } from '../../../localstack/lib/http-proxy.ts';
import { TcpProxy } from '../../../localstack/lib/tcp-proxy.ts';

/** What the target has done, in order: `method path body`. */
let done: string[];
const closing: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  done = [];
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('before an HTTP server', () => {
  let proxy: HttpProxy;
  let seen: { rawHeaders: string[] }[];

  beforeEach(async () => {
    seen = [];
    const server = createServer(async (incoming, response) => {
      const body = await text(incoming);
      done.push(`${incoming.method} ${incoming.url} ${body}`.trimEnd());
      seen.push({ rawHeaders: incoming.rawHeaders });
      response.setHeader('x-target', ['one', 'two']);
      const answer = `done: ${body}`;
      response.setHeader('content-length', answer.length);
      response.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = await HttpProxy.start({ target: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    closing.push(
      () => new Promise((resolve) => server.close(resolve)),
      () => proxy.close(),
    );
  });

  const ask = async (path = '/a', body = 'b', init: RequestInit = {}): Promise<string> => {
    const response = await fetch(`${proxy.url}${path}`, { method: 'POST', body, ...init });
    return `${response.status} ${await response.text()}`;
  };
  const meet = (fault: FaultRule['fault'], rule: Omit<FaultRule, 'fault'> = {}): void =>
    proxy.faults.set({ ...rule, fault });

  test('what meets no fault is passed on as it is', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const port = new URL(proxy.url).port;
    const outgoing = httpRequest(
      {
        port,
        method: 'PUT',
        path: '/x%2Fy?q=%20',
        headers: { HOST: 'signed.example', 'X-Case': 'Ü'.normalize() },
      },
      async (response) => resolve(`${response.headers['x-target']} ${await text(response)}`),
    );
    outgoing.end('body');
    expect(await promise).toBe('one, two done: body');
    expect(done).toEqual(['PUT /x%2Fy?q=%20 body']);
    const { rawHeaders } = seen[0]!;
    expect(rawHeaders.slice(0, 2)).toEqual(['HOST', 'signed.example']);
    expect(rawHeaders).toContain('X-Case');
    expect(proxy.faults.done).toEqual([]);
  });

  test('the length that HEAD is told stays', async () => {
    const response = await fetch(proxy.url, { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe(String('done: '.length));
  });

  test('a delayed answer comes, later', async () => {
    meet({ type: 'delay', ms: 50 });
    const startedAt = performance.now();
    expect(await ask()).toBe('200 done: b');
    expect(performance.now() - startedAt).toBeGreaterThan(45);
  });

  test('with silence the request is done, and the client gives up', async () => {
    meet({ type: 'silence' });
    await expect(ask('/a', 'b', { signal: AbortSignal.timeout(100) })).rejects.toThrow();
    expect(done).toEqual(['POST /a b']);
    const second = ask();
    await expect.poll(() => done, { timeout: 10_000 }).toHaveLength(2);
    proxy.cut();
    await expect(second).rejects.toThrow();
  });

  test.each([
    ['before', []],
    ['after', ['POST /a b']],
    ['within', ['POST /a b']],
  ] as const)('a connection cut %s the request is done', async (when, expected) => {
    meet({ type: 'cut', when });
    await expect(ask()).rejects.toThrow();
    expect(done).toEqual(expected);
    expect(proxy.faults.done).toEqual([{ method: 'POST', path: '/a', fault: { type: 'cut', when } }]);
  });

  test.each([
    [false, []],
    [true, ['POST /a b']],
  ])('another answer, with the request passed: %s', async (passed, expected) => {
    meet({ type: 'answer', status: 503, body: 'away', headers: { 'x-why': 'fault' }, passed });
    const response = await fetch(`${proxy.url}/a`, { method: 'POST', body: 'b' });
    expect([response.status, await response.text(), response.headers.get('x-why')]).toEqual([
      503,
      'away',
      'fault',
    ]);
    expect(done).toEqual(expected);
  });

  test.each([
    [{ type: 'throttle', as: 'glue' }, 400, /"__type":"ThrottlingException"/],
    [{ type: 'throttle', as: 's3' }, 503, /<Code>SlowDown</],
    [{ type: 'throttle', as: 'rest' }, 429, /"code":429/],
    [{ type: 'expire', as: 'glue' }, 400, /"__type":"ExpiredTokenException"/],
    [{ type: 'expire', as: 's3', status: 403 }, 403, /<Code>ExpiredToken</],
    [{ type: 'expire', as: 'rest' }, 419, /AuthenticationTimeout/],
  ] as const)('%j', async (fault, status, body) => {
    meet(fault);
    const response = await fetch(proxy.url);
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(body);
    expect(response.headers.get('retry-after')).toBe(status === 429 ? '1' : null);
    expect(done).toEqual([]);
  });

  test('a late request reaches the target when it is released, its client long gone', async () => {
    meet({ type: 'late' }, { nth: 1 });
    await expect(ask('/late')).rejects.toThrow();
    expect(await ask('/next')).toBe('200 done: b');
    expect(done).toEqual(['POST /next b']);
    expect(await proxy.release()).toEqual([200]);
    expect(done).toEqual(['POST /next b', 'POST /late b']);
    expect(await proxy.release()).toEqual([]);
  });

  test('a late request reaches the target by itself after its time', async () => {
    meet({ type: 'late', ms: 20 });
    await expect(ask('/late')).rejects.toThrow();
    await expect.poll(() => done, { timeout: 10_000 }).toEqual(['POST /late b']);
  });

  test('a request that is delivered again is done twice', async () => {
    meet({ type: 'again' });
    await expect(ask()).rejects.toThrow();
    expect(done).toEqual(['POST /a b']);
    await proxy.release();
    expect(done).toEqual(['POST /a b', 'POST /a b']);
  });

  test('a target that is away is a cut connection', async () => {
    await using away = await HttpProxy.start({ target: 'http://127.0.0.1:1' });
    await expect(fetch(away.url)).rejects.toThrow();
  });
});

describe('rules', () => {
  const request = {
    method: 'POST',
    path: '/v1/t?x=1',
    headers: { 'x-amz-target': 'AWSGlue.UpdateTable' },
    body: Buffer.from('body'),
  };
  const fault = { type: 'silence' } as const;
  const fires = (rule: Omit<FaultRule, 'fault'>, times = 1, seed = 1): boolean[] => {
    const faults = new Faults({ rules: [{ ...rule, fault }], seed });
    return Array.from({ length: times }, () => faults.next(request) !== undefined);
  };

  test.each([
    [{}, true],
    [{ method: 'POST', path: '^/v1/t\\?', headers: { 'X-Amz-Target': 'UpdateTable$' }, body: 'od' }, true],
    [{ method: 'GET' }, false],
    [{ path: '/v2' }, false],
    [{ headers: { 'x-amz-target': 'GetTable$' } }, false],
    [{ headers: { 'x-other': '.' } }, false],
    [{ body: 'other' }, false],
  ])('%j', (rule, expected) => {
    expect(fires(rule)).toEqual([expected]);
  });

  test('count the requests that they match', () => {
    expect(fires({ nth: 2 }, 3)).toEqual([false, true, false]);
    expect(fires({ nth: [1, 3] }, 3)).toEqual([true, false, true]);
    expect(fires({ times: 2 }, 3)).toEqual([true, true, false]);
  });

  test('draw the same by the same seed', () => {
    const drawn = fires({ probability: 0.3 }, 1_000, 7);
    expect(drawn).toEqual(fires({ probability: 0.3 }, 1_000, 7));
    expect(drawn).not.toEqual(fires({ probability: 0.3 }, 1_000, 8));
    const share = drawn.filter(Boolean).length / 1_000;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.35);
  });

  test('are asked in their order', () => {
    const rules: FaultRule[] = [
      { path: '/other', fault: { type: 'silence' } },
      { nth: 2, fault: { type: 'cut', when: 'after' } },
      { fault: { type: 'cut', when: 'before' } },
    ];
    const faults = new Faults({ rules });
    expect([faults.next(request), faults.next(request)]).toEqual([
      { type: 'cut', when: 'before' },
      { type: 'cut', when: 'after' },
    ]);
  });
});

describe('before a TCP server', () => {
  let proxy: TcpProxy;
  beforeEach(async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        done.push(String(bytes));
        socket.write(`done: ${bytes}`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = await TcpProxy.start({ target: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` });
    closing.push(
      () => new Promise((resolve) => server.close(resolve)),
      () => proxy.close(),
    );
  });

  /** Sends a piece and returns what comes back: an answer, or what had come when the connection ended. */
  async function ask(...pieces: string[]): Promise<string> {
    const socket = connect(proxy.port, proxy.host);
    closing.push(async () => socket.destroy());
    let heard = '';
    let wake = (): void => {};
    socket.on('data', (bytes) => {
      heard += String(bytes);
      wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => wake());
    for (const piece of pieces) {
      socket.write(piece);
      while (!socket.closed && !heard.endsWith(piece)) await new Promise<void>((resolve) => (wake = resolve));
      if (socket.closed) return `${heard}|`;
    }
    return heard;
  }

  test('what meets no fault is passed on', async () => {
    expect(await ask('one', 'two')).toBe('done: onedone: two');
    expect(done).toEqual(['one', 'two']);
  });

  test.each([
    [{ type: 'cut', when: 'before' }, 'done: one|', ['one']],
    [{ type: 'cut', when: 'after' }, 'done: one|', ['one', 'two']],
    [{ type: 'cut', when: 'within' }, 'done: onedone|', ['one', 'two']],
    [{ type: 'delay', ms: 5 }, 'done: onedone: two', ['one', 'two']],
  ] as const)('%j', async (fault, heard, expected) => {
    proxy.faults.set({ body: '^two$', fault });
    expect(await ask('one', 'two')).toBe(heard);
    expect(done).toEqual(expected);
  });

  test.each([
    [true, ['one']],
    [false, []],
  ])('a session that the server ends says why, done: %s', async (passed, expected) => {
    proxy.faults.set({ fault: { type: 'sqlstate', code: '57P01', passed } });
    expect(await ask('one')).toMatch(/^E\0\0\0.SFATAL\0VFATAL\0C57P01\0M.*\0\0\|$/s);
    expect(done).toEqual(expected);
  });

  test('what is late arrives when it is released', async () => {
    proxy.faults.set({ body: 'two', fault: { type: 'late' } });
    expect(await ask('one', 'two')).toBe('done: one|');
    expect(await ask('three')).toBe('done: three');
    await proxy.release();
    expect(done).toEqual(['one', 'three', 'two']);
  });
});
