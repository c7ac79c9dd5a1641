import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { messageOf, TransientError } from '../../src/base/errors.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import { memoryPointers } from '../../src/catalog/memory.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';

/**
 * The least metastore behind HTTP: GET, PUT (insert) and POST (swap) of a table's pointer. It shows what the suites for
 * faults ask of a catalog, without a server to install.
 */
export class PointerServer implements AsyncDisposable {
  readonly tables: Map<string, string>;
  readonly url: string;
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>, tables: Map<string, string>) {
    this.#server = server;
    this.tables = tables;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<PointerServer> {
    const { tables } = memoryPointers();
    const server = createServer(async (request, response) => {
      const name = request.url!;
      const current = tables.get(name);
      const { from, to } = (request.method === 'GET' ? {} : await json(request)) as {
        from?: string;
        to: string;
      };
      const isFree = request.method === 'GET' || current === from;
      if (isFree && to) tables.set(name, to);
      response.writeHead(isFree ? 200 : 409).end(JSON.stringify({ location: tables.get(name) }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new PointerServer(server, tables);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const verbs: Record<string, string> = { GET: 'loading', PUT: 'creating', POST: 'committing' };

/** A client of it. Only an answer of the server itself is proof of anything. */
export function httpPointers(url: string): Pointers {
  const ask = async (
    method: string,
    name: string,
    body?: object,
  ): Promise<{ taken: boolean; location?: string }> => {
    const doing = `${verbs[method]} table ${name}`;
    let response: Response;
    let answer: { location?: string };
    try {
      response = await fetch(`${url}/${name}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
      answer = (await response.json()) as { location?: string };
    } catch (error) {
      throw new TransientError(`${doing}: ${messageOf(error)}`, { cause: error });
    }
    if (response.status === 200 || response.status === 409)
      return { ...answer, taken: response.status === 409 };
    throw new TransientError(`${doing}: HTTP ${response.status}`, {
      context: { status: response.status },
    });
  };
  return {
    async get(identifier) {
      const { location } = await ask('GET', formatIdentifier(identifier));
      return location === undefined ? undefined : { location };
    },
    insert: async (identifier, location) =>
      !(await ask('PUT', formatIdentifier(identifier), { to: location })).taken,
    async swap(identifier, from, to) {
      try {
        const { taken } = await ask('POST', formatIdentifier(identifier), { from: from.location, to });
        return taken ? { type: 'rejected', reason: 'the table has moved' } : { type: 'applied' };
      } catch (error) {
        const { status } = (error as TransientError).context;
        return { type: status === 429 || status === 419 ? 'rejected' : 'unknown', reason: messageOf(error) };
      }
    },
    async close() {},
  };
}
