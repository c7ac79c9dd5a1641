import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that has been read. */
export interface S3Request {
  readonly method: string;
  /** Decoded, without the leading slash: `bucket/key`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** What it does: `put`, `get`, `head`, `delete`, `create`, `part`, `complete`, `abort`. */
  readonly action: string;
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** What is done instead of answering as S3 would: an answer, a cut connection, or silence. */
export type Fault =
  | Answer
  | 'cut'
  | 'silent'
  | { applied: 'cut' | 'silent' }
  /** The answer begins, and after so many bytes it ends or nothing more comes. */
  | { begun: number; end: 'cut' | 'silent' };

interface Held {
  body: Buffer;
  metadata: Record<string, string>;
}

/** As much of S3 as the store uses, in memory, with failures on demand. It knows no signatures, but digests. */
export class S3Server implements AsyncDisposable {
  readonly objects = new Map<string, Held>();
  readonly uploads = new Map<string, { metadata: Record<string, string>; parts: Map<number, Buffer> }>();
  readonly requests: S3Request[] = [];
  readonly #faults: { action: string; fault: Fault }[] = [];
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #sockets = 0;

  private constructor() {}

  static async start(): Promise<S3Server> {
    const server = new S3Server();
    server.#server.on('connection', () => server.#sockets++);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections made so far. */
  get sockets(): number {
    return this.#sockets;
  }

  /** What was asked, in the order in which requests had been read. */
  get actions(): string[] {
    return this.requests.map(({ action }) => action);
  }

  /** Each is what happens to one request of that action, in turn; afterwards all is well. */
  fail(action: string, ...faults: Fault[]): void {
    this.#faults.push(...faults.map((fault) => ({ action, fault })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return; // the client has left
    }
    const request = read(incoming, Buffer.concat(chunks));
    this.requests.push(request);
    const at = this.#faults.findIndex(({ action }) => action === request.action);
    const fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]!.fault;
    if (fault === undefined) return send(response, this.#answer(request));
    if (typeof fault === 'object' && 'status' in fault) return send(response, fault);
    if (typeof fault === 'object' && 'begun' in fault) {
      const body = this.#answer(request).body as Buffer;
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, fault.begun), () => {
        if (fault.end === 'cut') response.destroy();
      });
      return;
    }
    if (typeof fault === 'object') this.#answer(request);
    if (fault === 'cut' || (typeof fault === 'object' && fault.applied === 'cut')) response.destroy();
  }

  #answer(request: S3Request): Answer {
    const { action, path, query, headers, body } = request;
    if (['put', 'part'].includes(action) && headers['x-amz-content-sha256'] !== sha256(body))
      return refusal(400, 'XAmzContentSHA256Mismatch');
    const taken = headers['if-none-match'] === '*' && this.objects.has(path);
    const upload = this.uploads.get(query.get('uploadId') ?? '');
    switch (action) {
      case 'put':
        if (taken) return refusal(412, 'PreconditionFailed');
        this.objects.set(path, { body, metadata: metadataOf(headers) });
        return { status: 200, headers: { etag: '"1"' } };
      case 'get':
      case 'head': {
        const held = this.objects.get(path);
        if (!held) return action === 'head' ? { status: 404 } : refusal(404, 'NoSuchKey');
        return { status: 200, headers: held.metadata, body: action === 'head' ? '' : held.body };
      }
      case 'delete':
        this.objects.delete(path);
        return { status: 204 };
      case 'create': {
        const id = `upload-${this.requests.length}`;
        this.uploads.set(id, { metadata: metadataOf(headers), parts: new Map() });
        return xml(
          `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        );
      }
    }
    if (!upload) return refusal(404, 'NoSuchUpload');
    switch (action) {
      case 'part':
        upload.parts.set(Number(query.get('partNumber')), body);
        return { status: 200, headers: { etag: `"${query.get('partNumber')}"`, ...checksumOf(headers) } };
      case 'complete': {
        if (taken) return refusal(412, 'PreconditionFailed');
        const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)/g)].map(([, number]) =>
          Number(number),
        );
        this.objects.set(path, {
          body: Buffer.concat(numbers.map((number) => upload.parts.get(number)!)),
          metadata: upload.metadata,
        });
        this.uploads.delete(query.get('uploadId')!);
        return xml('<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>');
      }
      case 'abort':
        this.uploads.delete(query.get('uploadId')!);
        return { status: 204 };
    }
    return refusal(501, 'NotImplemented');
  }
}

/** An error as S3 words it. */
export function refusal(status: number, code: string, message = `${code}.`, more = ''): Answer {
  return xml(`<Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`, status);
}

function xml(body: string, status = 200): Answer {
  return { status, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>\n${body}` };
}

function send(response: ServerResponse, { status, headers = {}, body = '' }: Answer): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

function read(incoming: IncomingMessage, body: Buffer): S3Request {
  const [path, search] = incoming.url!.split('?');
  const query = new URLSearchParams(search);
  const method = incoming.method!;
  return {
    method,
    path: decodeURIComponent(path!.slice(1)),
    query,
    headers: incoming.headers as Record<string, string>,
    body,
    action: actionOf(method, query),
  };
}

function actionOf(method: string, query: URLSearchParams): string {
  if (query.has('uploads')) return 'create';
  if (!query.has('uploadId')) return method.toLowerCase();
  return { PUT: 'part', POST: 'complete', DELETE: 'abort' }[method] ?? method;
}

function metadataOf(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-')));
}

/** A checksum that came with a body, for the answer. */
function checksumOf(headers: Record<string, string>): Record<string, string> {
  const checksum = headers['x-amz-checksum-crc32'];
  return checksum ? { 'x-amz-checksum-crc32': checksum } : {};
}

const sha256 = (body: Buffer): string => createHash('sha256').update(body).digest('hex');
