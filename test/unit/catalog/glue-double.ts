import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Database, Table, TableInput } from '@aws-sdk/client-glue';

/**
 * As much of Glue's Data Catalog as tables need, strict where the real one is, over its JSON protocol.
 *
 * MiniStack, which the integration tests use, differs from AWS, and this double does not:
 * - it begins with VersionId "1" (AWS: "0") and words a conflict in its own way;
 * - it takes an update without VersionId (so does AWS; here it is refused: ours must never send one);
 * - it knows neither SkipArchive nor archives, and no limits of sizes or characters;
 * - it ignores CatalogId: there is one catalog for each account and region;
 * - UpdateTable keeps what the input leaves out (AWS forgets it), and never sets Retention;
 * - it never throttles, times out or fails inside.
 */
export class GlueDouble implements AsyncDisposable {
  readonly databases: Map<string, Database> = new Map();
  readonly tables: Map<string, Kept> = new Map();
  /** Every request, in order. */
  readonly requests: { action: string; body: Body }[] = [];
  readonly #server: Server;
  readonly #faults: { action: string; fault: Fault }[] = [];

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<GlueDouble> {
    const double = new GlueDouble();
    await new Promise<void>((listening) => double.#server.listen(0, '127.0.0.1', listening));
    return double;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What the next request of this action comes to; faults of an action are used up in turn. */
  next(action: string, ...faults: Fault[]): void {
    for (const fault of faults) this.#faults.push({ action, fault });
  }

  /** How many requests of an action there were. */
  count(action: string): number {
    return this.requests.filter((request) => request.action === action).length;
  }

  table(database: string, name: string, catalog: string = ownCatalog): Kept {
    return this.tables.get(`${catalog}/${database}/${name}`)!;
  }

  drop(database: string, name: string): void {
    this.tables.delete(`${ownCatalog}/${database}/${name}`);
  }

  /** As another program does it: no VersionId is asked for. */
  change(database: string, name: string, input: Partial<TableInput>): void {
    const kept = this.table(database, name);
    kept.table = { ...kept.table, ...input };
    kept.version++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const action = String(request.headers['x-amz-target']).replace(/^AWSGlue\./, '');
    const body = JSON.parse(await text(request)) as Body;
    this.requests.push({ action, body });
    const at = this.#faults.findIndex((each) => each.action === action);
    const fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]!.fault;
    if (fault?.type === 'preceded') fault.by();
    const answer = fault?.applied === false ? undefined : this.#answer(action, body);
    if (!fault || fault.type === 'preceded') return send(response, answer!);
    if (fault.type === 'answer') return send(response, fault);
    // Silence else: the client gives up.
    if (fault.type === 'cut') request.socket.destroy();
  }

  #answer(action: string, body: Body): Answer {
    const catalog = body.CatalogId ?? ownCatalog;
    const database = `${catalog}/${body.DatabaseName ?? body.Name}`;
    switch (action) {
      case 'GetDatabase': {
        const found = this.databases.get(database);
        return found ? { status: 200, body: { Database: found } } : notFound;
      }
      case 'CreateDatabase': {
        const name = `${catalog}/${body.DatabaseInput!.Name}`;
        if (this.databases.has(name)) return { status: 400, code: 'AlreadyExistsException' };
        this.databases.set(name, body.DatabaseInput!);
        return { status: 200, body: {} };
      }
      case 'GetTable': {
        const kept = this.tables.get(`${database}/${body.Name}`);
        if (!kept) return notFound;
        return {
          status: 200,
          body: {
            Table: { ...kept.table, DatabaseName: body.DatabaseName, VersionId: String(kept.version) },
          },
        };
      }
      case 'CreateTable':
        return this.#create(database, body);
      case 'UpdateTable':
        return this.#update(database, body);
      case 'DeleteTable':
        return this.tables.delete(`${database}/${body.Name}`) ? { status: 200, body: {} } : notFound;
      default:
        return { status: 400, code: 'UnknownOperationException' };
    }
  }

  #create(database: string, { TableInput: input }: Body): Answer {
    if (!this.databases.has(database)) return notFound;
    const name = `${database}/${input!.Name}`;
    if (this.tables.has(name)) return { status: 400, code: 'AlreadyExistsException' };
    const refused = refusedInput(input!);
    if (refused) return refused;
    this.tables.set(name, { table: input!, version: 0, archives: 0 });
    return { status: 200, body: {} };
  }

  #update(database: string, { TableInput: input, VersionId, SkipArchive }: Body): Answer {
    const kept = this.tables.get(`${database}/${input!.Name}`);
    if (!kept) return notFound;
    if (VersionId !== String(kept.version))
      return {
        status: 400,
        code: 'ConcurrentModificationException',
        message: 'Update table failed due to concurrent modifications.',
      };
    const refused = refusedInput(input!);
    if (refused) return refused;
    kept.table = input!;
    kept.version++;
    if (!SkipArchive) kept.archives++;
    return { status: 200, body: {} };
  }
}

/** A table as it was last given, and what was kept of it. */
export interface Kept {
  table: Table;
  version: number;
  archives: number;
}

/** How a request ends: with this answer, cut off, or never, and whether it was carried out; or as usual, but later. */
export type Fault =
  | ({ type: 'answer'; applied: boolean } & Answer)
  | { type: 'cut' | 'silence'; applied: boolean }
  | { type: 'preceded'; applied?: true; by: () => void };

interface Body {
  CatalogId?: string;
  DatabaseName?: string;
  Name?: string;
  DatabaseInput?: { Name: string };
  TableInput?: TableInput;
  VersionId?: string;
  SkipArchive?: boolean;
}

type Answer = { status: number; code?: string; message?: string; body?: object };

const ownCatalog = '111122223333';
const notFound: Answer = { status: 400, code: 'EntityNotFoundException', message: 'Entity Not Found' };

/** The limits of Glue's API: Column, ParametersMap, TableInput. */
function refusedInput(input: TableInput): Answer | undefined {
  const bad = (what: string): Answer => ({ status: 400, code: 'ValidationException', message: what });
  for (const [key, value] of Object.entries(input.Parameters ?? {}))
    if (key.length > 255 || value.length > 512_000) return bad(`Parameters.${key} is too long`);
  if ((input.Description ?? '').length > 2048) return bad('Description is too long');
  const names = new Set<string>();
  for (const { Name, Type = '', Comment = '' } of input.StorageDescriptor?.Columns ?? []) {
    if (!Name || Name.length > 255) return bad('a column has a bad name');
    if (Type.length > 131_072) return bad(`the type of ${Name} is too long`);
    if (Comment.length > 255) return bad(`the comment of ${Name} is too long`);
    for (const each of [Name, Type, Comment])
      if (/[^\P{Cc}\t]/u.test(each) || !each.isWellFormed()) return bad(`${Name} has bad characters`);
    if (names.has(Name)) return { status: 400, code: 'InvalidInputException', message: `twice: ${Name}` };
    names.add(Name);
  }
  return undefined;
}

function send(response: ServerResponse, answer: Answer): void {
  response.statusCode = answer.status;
  response.setHeader('Content-Type', 'application/x-amz-json-1.1');
  response.setHeader('x-amzn-RequestId', '00000000-0000-4000-8000-000000000000');
  const body = answer.code ? { __type: answer.code, Message: answer.message ?? answer.code } : answer.body;
  response.end(JSON.stringify(body));
}
