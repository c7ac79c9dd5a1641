import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A small OpenID provider: signs tokens (RS256), tells its keys, and gives tokens for client credentials. */
export class Issuer implements AsyncDisposable {
  /** Client ids and their secrets. */
  readonly clients: Map<string, string> = new Map();
  /** How long its tokens are good for. */
  lifeSeconds = 3600;
  /** Status codes for the next requests for a token, instead of tokens. */
  failures: number[] = [];
  /** The forms of the requests for tokens so far, with what stood in the header. */
  readonly requests: { authorization: string | undefined; form: Record<string, string> }[] = [];
  readonly #key: KeyObject;
  readonly #jwk: JsonWebKey;
  readonly #server: Server;

  private constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#key = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    this.#jwk = publicKey.export({ format: 'jwk' });
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, body }) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      );
    });
  }

  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A token as brokers take it. */
  token(subject: string, lifeSeconds: number = this.lifeSeconds): string {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.url,
      aud: 'kafka',
      sub: subject,
      iat: nowSeconds - 10,
      exp: nowSeconds + lifeSeconds,
    };
    const encoded = [{ alg: 'RS256', typ: 'JWT', kid: 'key-1' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${encoded}.${sign('sha256', Buffer.from(encoded), this.#key).toString('base64url')}`;
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
    if (request.url === '/jwks')
      return { status: 200, body: { keys: [{ ...this.#jwk, kid: 'key-1', alg: 'RS256', use: 'sig' }] } };
    const body = (await request.setEncoding('utf8').toArray()).join('');
    const form = Object.fromEntries(new URLSearchParams(body));
    const { authorization } = request.headers;
    this.requests.push({ authorization, form });
    const failure = this.failures.shift();
    if (failure !== undefined) return { status: failure, body: { error: 'server_error' } };
    const [id = '', secret] = authorization
      ? Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':').map(decoded)
      : [form['client_id'], form['client_secret']];
    if (secret === undefined || this.clients.get(id) !== secret)
      return { status: 401, body: { error: 'invalid_client', error_description: 'who is that?' } };
    return {
      status: 200,
      body: { access_token: this.token(id), token_type: 'Bearer', expires_in: this.lifeSeconds },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const decoded = (part: string): string => decodeURIComponent(part.replaceAll('+', ' '));
