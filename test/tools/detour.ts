import { connect, createServer, type Server, type Socket } from 'node:net';

/** A port between a client and a server: it can swallow answers, cut connections, and refuse new ones. */
export class Detour {
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** When what the client sends contains this, the answer is swallowed and the connection is cut. */
  cutAnswerTo: string | undefined;
  /** The same, but the connection stays and nothing more comes. */
  silenceAnswerTo: string | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async open(target: number): Promise<Detour> {
    const detour = new Detour(target);
    await new Promise<void>((resolve) => detour.#server.listen(0, '127.0.0.1', resolve));
    return detour;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    const upstream = connect(this.#target, '127.0.0.1');
    let fate: 'passes' | 'cut' | 'silenced' = 'passes';
    client.on('data', (data) => {
      if (this.cutAnswerTo !== undefined && data.includes(this.cutAnswerTo)) fate = 'cut';
      if (this.silenceAnswerTo !== undefined && data.includes(this.silenceAnswerTo)) fate = 'silenced';
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (fate === 'passes') client.write(data);
      // The statement is done when its answer comes.
      if (fate === 'cut') client.destroy();
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
