import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { answerOf, type Fault, Faults, type ProxyOptions, type ProxyRequest } from './faults.ts';

interface Answer {
  status: number;
  rawHeaders: string[];
  body: Buffer;
}

/** A request that reaches the target after its client has gone. */
interface Held {
  readonly request: ForwardRequest;
  timer: NodeJS.Timeout | undefined;
  done: Promise<number> | undefined;
}

interface ForwardRequest extends ProxyRequest {
  readonly rawHeaders: string[];
  readonly body: Buffer;
}

/**
 * Stands before an HTTP server on the loopback interface and passes everything on as it is, the Host header too (it is
 * part of what AWS clients sign), except where a rule says otherwise.
 */
export class HttpProxy implements AsyncDisposable {
  readonly url: string;
  readonly faults: Faults;
  readonly #server: Server;
  readonly #target: URL;
  readonly #held = new Set<Held>();

  private constructor(server: Server, target: URL, faults: Faults) {
    this.#server = server;
    this.#target = target;
    this.faults = faults;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  static async start(options: ProxyOptions): Promise<HttpProxy> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
    await promise;
    return new HttpProxy(server, new URL(options.target), new Faults(options));
  }

  /** Passes on what is held back. @returns the statuses that the target answered with, to nobody. */
  async release(): Promise<number[]> {
    return Promise.all([...this.#held].map((held) => this.#deliver(held)));
  }

  /** Ends all connections that there are now. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    for (const { timer } of this.#held) clearTimeout(timer);
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request: ForwardRequest = {
      method: incoming.method!,
      path: incoming.url!,
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      body: await buffer(incoming),
    };
    const fault = this.faults.next(request);
    const { socket } = incoming;
    if (fault?.type === 'late') {
      this.#hold(request, fault.ms);
      socket.destroy();
      return;
    }
    if (isBefore(fault)) {
      const answer = fault && answerOf(fault);
      if (!answer) socket.destroy();
      else response.writeHead(answer.status, answer.headers).end(answer.body);
      return;
    }
    const answer = await this.#forward(request);
    await this.#answer(request, answer, fault, response, socket);
  }

  async #answer(
    request: ForwardRequest,
    answer: Answer,
    fault: Fault | undefined,
    response: ServerResponse,
    socket: Socket,
  ): Promise<void> {
    const instead = fault && answerOf(fault);
    if (instead) {
      response.writeHead(instead.status, instead.headers).end(instead.body);
      return;
    }
    switch (fault?.type) {
      case 'silence':
        return;
      case 'cut':
        if (fault.when === 'within') {
          response.writeHead(answer.status, answer.rawHeaders);
          response.flushHeaders();
          const half = answer.body.subarray(0, answer.body.length / 2);
          await new Promise<unknown>((resolve) => response.write(half.length > 0 ? half : '', resolve));
        }
        socket.destroy();
        return;
      case 'again':
        this.#hold(request, fault.ms);
        socket.destroy();
        return;
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        break;
    }
    response.writeHead(answer.status, answer.rawHeaders).end(answer.body);
  }

  #hold(request: ForwardRequest, ms: number | undefined): void {
    const held: Held = { request, timer: undefined, done: undefined };
    if (ms !== undefined) held.timer = setTimeout(() => void this.#deliver(held).catch(() => {}), ms);
    this.#held.add(held);
  }

  #deliver(held: Held): Promise<number> {
    clearTimeout(held.timer);
    held.done ??= this.#forward(held.request)
      .then(({ status }) => status)
      .finally(() => this.#held.delete(held));
    return held.done;
  }

  /** Asks the target and reads its whole answer. Each request has a connection of its own: none can be stale. */
  #forward({ method, path, rawHeaders, body }: ForwardRequest): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const outgoing = httpRequest({
      host: this.#target.hostname,
      port: this.#target.port,
      method,
      path,
      headers: [...withoutHop(rawHeaders), 'Content-Length', String(body.length), 'Connection', 'close'],
      agent: false,
    });
    outgoing.once('error', reject);
    outgoing.once('response', (answer) => {
      buffer(answer).then(
        (read) =>
          resolve({
            status: answer.statusCode!,
            rawHeaders: answerHeaders(answer.rawHeaders, method, read),
            body: read,
          }),
        reject,
      );
    });
    outgoing.end(body);
    return promise;
  }
}

/** Whether the target never sees the request. */
function isBefore(fault: Fault | undefined): boolean {
  if (fault?.type === 'cut') return fault.when === 'before';
  return fault !== undefined && answerOf(fault) !== undefined && !(fault as { passed?: boolean }).passed;
}

/** What belongs to one connection, and the length, which is counted anew. */
const hop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'expect', 'upgrade']);

function withoutHop(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, i) => !hop.has(rawHeaders[i - (i % 2)]!.toLowerCase()));
}

function answerHeaders(rawHeaders: readonly string[], method: string, body: Uint8Array): string[] {
  // To HEAD the length is that of a body which is not there.
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length');
  const length = method === 'HEAD' && at >= 0 ? rawHeaders[at + 1]! : String(body.length);
  return [...withoutHop(rawHeaders), ...(at < 0 && body.length === 0 ? [] : ['Content-Length', length])];
}
