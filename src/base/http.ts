import { type Clock, withDeadline } from './clock.ts';
import { messageOf } from './errors.ts';
import { type Json, parseJson } from './json.ts';

/** One request and its answer, as REST catalogs and token endpoints exchange them. */

export interface HttpPorts {
  clock: Clock;
  fetch: typeof fetch;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  /** 0 when none came: whether the request has had an effect is unknown. */
  readonly status: number;
  /** Lossless; undefined when the body is not JSON. */
  readonly json: Json | undefined;
  /** What a message says of it: the status and the server's words. */
  readonly words: string;
  /** The server's name for the error, such as `NoSuchTableException`. */
  readonly errorType: string | undefined;
  /** For so long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;
}

/** An answer is waited for this long, if nothing else is said: less than the sink waits for a catalog. */
const requestTimeoutMs = 45_000;

/** Sends a request, once. Never throws: what goes wrong after sending is an answer with status 0. */
export async function exchange(
  doing: string,
  request: HttpRequest,
  ports: HttpPorts,
  timeoutMs = requestTimeoutMs,
): Promise<Answer> {
  const { method, url, headers, body } = request;
  try {
    return await withDeadline(ports.clock, timeoutMs, doing, async (signal) => {
      // A redirected POST would become a GET, and its answer look like that to the POST.
      const init = { method, headers, redirect: 'manual', signal } as const;
      const response = await ports.fetch(url, body === undefined ? init : { ...init, body });
      return answerOf(response, await response.text(), ports.clock);
    });
  } catch (error) {
    const words = messageOf(error).replace(`${doing}: `, '');
    return { status: 0, json: undefined, words, errorType: undefined, retryAfterMs: undefined };
  }
}

function answerOf({ status, headers }: Response, text: string, clock: Clock): Answer {
  const json = jsonOf(text);
  const { type, message } = errorOf(json);
  const target = status >= 300 && status < 400 ? ` to ${headers.get('location') ?? 'nowhere'}` : '';
  const words = [`HTTP ${status}${target}`, type, message ?? (status === 200 ? '' : excerpt(text))];
  return {
    status,
    json,
    words: words.filter((word) => word).join(' '),
    errorType: type,
    retryAfterMs: retryAfterMs(headers.get('retry-after'), clock),
  };
}

function jsonOf(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** The specification's `{"error": {"message", "type", "code"}}`, OAuth2's `{"error", "error_description"}`, or AWS's. */
function errorOf(json: Json | undefined): { type?: string; message?: string } {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const body = (json ?? {}) as { [key: string]: Json };
  const error = body['error'];
  const [type, message] =
    typeof error === 'object' && error !== null && !Array.isArray(error)
      ? [text(error['type']), text(error['message'])]
      : [text(error) ?? text(body['__type']), text(body['error_description']) ?? text(body['message'])];
  return {
    ...(type === undefined ? {} : { type }),
    ...(message === undefined ? {} : { message: excerpt(message) }),
  };
}

function excerpt(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)} ...` : text;
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterMs(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - clock.nowMs();
  return ms > 0 ? ms : undefined;
}

/** Whether the server refused the request for want of a valid token. */
export const isUnauthorized = ({ status }: Answer): boolean => status === 401 || status === 419;

/** The server was too busy to do it. AWS has its own way to say so. */
export const isThrottled = ({ status, errorType = '' }: Answer): boolean =>
  status === 429 || (status === 400 && /throttl|toomanyrequests/i.test(errorType));

/** Nobody can tell whether the request has had an effect. */
export const isUnknown = ({ status }: Answer): boolean => status === 0 || status === 408 || status >= 500;
