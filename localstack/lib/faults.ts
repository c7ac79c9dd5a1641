import { readFile } from 'node:fs/promises';
import { seededRandom } from '../../src/base/random.ts';

/**
 * Which requests go wrong, and how. `passed` says that the request had reached the target, and was done, when the
 * client was told something else.
 */
export type Fault =
  /** The answer comes this much later. */
  | { type: 'delay'; ms: number }
  /** The request is done; there is no answer for as long as the client waits. */
  | { type: 'silence' }
  /** The connection ends: before the request is passed on, when it is done, or in the middle of the answer. */
  | { type: 'cut'; when: 'before' | 'after' | 'within' }
  /** This answer, whatever the target says (HTTP). */
  | { type: 'answer'; status: number; headers?: Record<string, string>; body?: string; passed?: boolean }
  /** What a service answers when it is asked too often, or with credentials that have expired (HTTP). */
  | { type: 'throttle' | 'expire'; as: Service; status?: number; passed?: boolean }
  /** The connection ends, and the request reaches the target only then: after `ms`, or when it is released. */
  | { type: 'late'; ms?: number }
  /** The request is done, its answer is lost, and it reaches the target once more (HTTP): as with `late`. */
  | { type: 'again'; ms?: number }
  /** PostgreSQL ends the session with this SQLSTATE (TCP). */
  | { type: 'sqlstate'; code: string; passed?: boolean };

export type Service = 'glue' | 's3' | 'rest';

/** A rule matches where all that it names matches; texts are regular expressions. */
export interface FaultRule {
  method?: string;
  /** Path and query. */
  path?: string;
  headers?: Readonly<Record<string, string>>;
  /** In the body, and for TCP in what the client sends. */
  body?: string;
  /** Of the matching requests only these, counted from 1. */
  nth?: number | readonly number[];
  /** Of the matching requests this share, drawn by the seed. */
  probability?: number;
  /** No more than this often. */
  times?: number;
  fault: Fault;
}

export interface ProxyRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface ProxyOptions {
  /** `http://host:port` or `tcp://host:port`. */
  target: string;
  rules?: readonly FaultRule[];
  seed?: number;
  /** 0, the default: any free one. */
  port?: number;
  /** Told of each fault, in one line. */
  onFault?: (what: string) => void;
}

/** Decides what becomes of each request. The same requests in the same order meet the same faults. */
export class Faults {
  /** What went wrong so far, in order. */
  readonly done: { readonly method: string; readonly path: string; readonly fault: Fault }[] = [];
  #random: ReturnType<typeof seededRandom>;
  #rules: { rule: FaultRule; matched: number; fired: number }[] = [];

  readonly #onFault: (what: string) => void;

  constructor({
    rules = [],
    seed = 1,
    onFault = () => {},
  }: Pick<ProxyOptions, 'rules' | 'seed' | 'onFault'>) {
    this.#random = seededRandom(seed);
    this.#onFault = onFault;
    this.set(...rules);
  }

  /** These rules from now on; without any all goes well. The first that applies counts. */
  set(...rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({ rule, matched: 0, fired: 0 }));
  }

  /** Draws from the beginning of this seed from now on. */
  reseed(seed: number): void {
    this.#random = seededRandom(seed);
  }

  /** What is to happen to a request; undefined when it goes well. */
  next(request: ProxyRequest): Fault | undefined {
    for (const state of this.#rules) {
      const { rule } = state;
      if (!matches(rule, request)) continue;
      state.matched++;
      if (rule.nth !== undefined && ![rule.nth].flat().includes(state.matched)) continue;
      if (rule.probability !== undefined && this.#random.float() >= rule.probability) continue;
      if (rule.times !== undefined && state.fired >= rule.times) continue;
      state.fired++;
      this.done.push({ method: request.method, path: request.path, fault: rule.fault });
      this.#onFault(`${request.method} ${request.path} ${JSON.stringify(rule.fault)}`.trimStart());
      return rule.fault;
    }
    return undefined;
  }
}

function matches(rule: FaultRule, request: ProxyRequest): boolean {
  if (rule.method !== undefined && rule.method !== request.method) return false;
  if (rule.path !== undefined && !new RegExp(rule.path).test(request.path)) return false;
  for (const [name, pattern] of Object.entries(rule.headers ?? {}))
    if (!new RegExp(pattern).test(String(request.headers[name.toLowerCase()] ?? ''))) return false;
  return rule.body === undefined || new RegExp(rule.body).test(Buffer.from(request.body).toString('latin1'));
}

/** Rules from a file: a JSON list. @throws {Error} that names the file and the rule which makes no sense. */
export async function readRules(file: string): Promise<FaultRule[]> {
  const rules: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (!Array.isArray(rules)) throw new Error(`${file}: expected a list of rules`);
  const known = ['delay', 'silence', 'cut', 'answer', 'throttle', 'expire', 'late', 'again', 'sqlstate'];
  for (const [i, rule] of (rules as FaultRule[]).entries())
    if (!known.includes(rule.fault?.type))
      throw new Error(`${file}: rule ${i + 1}: "fault" needs a "type", one of ${known.join(', ')}`);
  return rules;
}

export interface FaultAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** The answer that a fault gives in the target's place, if it gives one. */
export function answerOf(fault: Fault): FaultAnswer | undefined {
  switch (fault.type) {
    case 'answer':
      return { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' };
    case 'throttle':
      return { ...throttled[fault.as], ...(fault.status ? { status: fault.status } : {}) };
    case 'expire':
      return { ...expired[fault.as], ...(fault.status ? { status: fault.status } : {}) };
    default:
      return undefined;
  }
}

/** AWS JSON 1.1, as Glue speaks it. */
function awsJson(code: string, message: string): FaultAnswer {
  return {
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': code },
    body: JSON.stringify({ __type: code, message }),
  };
}

function s3Xml(status: number, code: string, message: string): FaultAnswer {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}

/** `ErrorModel` of the Iceberg REST protocol. */
function restJson(status: number, type: string, message: string, headers = {}): FaultAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ error: { message, type, code: status } }),
  };
}

const throttled: Record<Service, FaultAnswer> = {
  glue: awsJson('ThrottlingException', 'Rate exceeded'),
  s3: s3Xml(503, 'SlowDown', 'Please reduce your request rate.'),
  rest: restJson(429, 'TooManyRequestsException', 'too many requests', { 'retry-after': '1' }),
};

const expired: Record<Service, FaultAnswer> = {
  glue: awsJson('ExpiredTokenException', 'The security token included in the request is expired'),
  s3: s3Xml(400, 'ExpiredToken', 'The provided token has expired.'),
  rest: restJson(419, 'AuthenticationTimeoutException', 'the credentials have timed out'),
};
