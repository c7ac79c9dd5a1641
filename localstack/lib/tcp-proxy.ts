import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Fault, Faults, type ProxyOptions } from './faults.ts';

/**
 * Stands before a TCP server, such as PostgreSQL. Rules look into what a client sends (`body`): a piece that one of
 * them matches is a request, and whatever the server sends next is its answer.
 */
export class TcpProxy implements AsyncDisposable {
  readonly host: string = '127.0.0.1';
  readonly port: number;
  readonly faults: Faults;
  readonly #server: Server;
  readonly #sessions = new Set<Session>();

  private constructor(server: Server, target: URL, faults: Faults) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.faults = faults;
    server.on('connection', (client) => {
      const session = new Session(client, target, faults);
      this.#sessions.add(session);
      session.ended.then(() => this.#sessions.delete(session));
    });
  }

  static async start(options: ProxyOptions): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
    await promise;
    return new TcpProxy(server, new URL(options.target), new Faults(options));
  }

  /** Passes on what is held back, until the server has answered it, to nobody. */
  async release(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.release()));
  }

  /** Ends all connections that there are now. */
  cut(): void {
    for (const session of this.#sessions) session.end();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A client's connection and the one that it stands for. */
class Session {
  readonly ended: Promise<void>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #faults: Faults;
  /** What becomes of the answer that is awaited. */
  #pending: Fault | undefined;
  #held: Buffer | undefined;

  constructor(client: Socket, target: URL, faults: Faults) {
    this.#client = client;
    this.#server = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    this.#faults = faults;
    this.ended = new Promise((resolve) => this.#server.once('close', () => resolve()));
    this.ended.then(() => client.destroy());
    for (const socket of [client, this.#server]) socket.on('error', () => {});
    client.on('data', (bytes) => this.#ask(bytes));
    client.on('close', () => {
      if (!this.#held) this.#server.destroy();
    });
    this.#server.on('data', (bytes) => this.#answer(bytes));
  }

  end(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  async release(): Promise<void> {
    const held = this.#held;
    if (!held || this.#server.destroyed) return;
    // Its answer is the last thing that is heard here.
    this.#pending = { type: 'cut', when: 'after' };
    this.#server.write(held);
    await this.ended;
  }

  #ask(bytes: Buffer): void {
    const fault = this.#faults.next({ method: '', path: '', headers: {}, body: bytes });
    if (fault?.type === 'late') {
      this.#held = bytes;
      this.#client.destroy();
      if (fault.ms !== undefined) setTimeout(() => void this.release(), fault.ms);
      return;
    }
    if (fault?.type === 'cut' && fault.when === 'before') return this.end();
    if (fault?.type === 'sqlstate' && !fault.passed) return this.#endWith(fault.code);
    this.#pending = fault;
    this.#server.write(bytes);
  }

  #answer(bytes: Buffer): void {
    const fault = this.#pending;
    switch (fault?.type) {
      case 'silence':
        return;
      case 'cut':
        if (fault.when === 'after') return this.end();
        this.#client.write(bytes.subarray(0, bytes.length / 2), () => this.end());
        return;
      case 'sqlstate':
        return this.#endWith(fault.code);
      case 'delay':
        this.#pending = undefined;
        this.#server.pause();
        setTimeout(() => {
          this.#client.write(bytes);
          this.#server.resume();
        }, fault.ms);
        return;
      default:
        this.#client.write(bytes);
    }
  }

  /** What PostgreSQL says last: an ErrorResponse with severity FATAL. */
  #endWith(code: string): void {
    const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0Mthe session was ended by a fault\0\0`);
    const head = Buffer.alloc(5);
    head.write('E');
    head.writeInt32BE(4 + fields.length, 1);
    this.#client.end(Buffer.concat([head, fields]));
    this.#server.destroy();
  }
}
