import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../localstack/repl', import.meta.url));

/** A first start downloads and builds: minutes on a slow line. */
const startTimeoutMs = 600_000;
const callTimeoutMs = 120_000;

type Kind = 'java' | 'python' | 'spark';
export type Arguments = Record<string, unknown>;

type Child = ChildProcessByStdio<Socket, Socket, null>;

interface Waiting {
  resolve: (line: string) => void;
  reject: (error: Error) => void;
}

/** The Java, the Python or the Spark test tools: one process, started by the first call, doing one command at a time. */
export class Repl {
  readonly #kind: Kind;
  #process: Child | undefined;
  #waiting: Waiting | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** What configure was given, for the next process if this one ends. */
  #defaults: Arguments = {};

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** Runs a command; README.md lists them. What it answers is only declared here, not checked. */
  call<Answer = Record<string, unknown>>(
    command: string,
    args: Arguments = {},
    timeoutMs: number = callTimeoutMs,
  ): Promise<Answer> {
    if (command === 'configure') this.#defaults = { ...this.#defaults, ...args };
    const turn = this.#last.then(async () => {
      if (!this.#process) await this.#start();
      return this.#ask<Answer>({ command, ...args }, timeoutMs);
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Ends the process; what it left open (transactions, group members) goes with it. */
  close(): Promise<void> {
    const turn = this.#last.then(() => this.#end());
    this.#last = turn;
    return turn;
  }

  async #start(): Promise<void> {
    const child = spawn(launcher, [this.#kind], { stdio: ['pipe', 'pipe', 'inherit'] }) as Child;
    this.#process = child;
    child.on('error', (error) => this.#lose(child, error));
    child.on('exit', (code, signal) => {
      this.#lose(child, new Error(`the ${this.#kind} tools ended (${signal ?? code})`));
    });
    child.stdin.on('error', () => undefined); // the exit tells
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting?.resolve(line));
    await this.#ask({ command: 'configure', ...this.#defaults }, startTimeoutMs);
  }

  async #ask<Answer>(request: { command: string }, timeoutMs: number): Promise<Answer> {
    const line = await this.#exchange(request, timeoutMs);
    const { ok, error, ...answer } = JSON.parse(line);
    if (!ok) throw new Error(`${this.#kind} ${request.command}: ${error}`);
    return answer;
  }

  async #exchange(request: { command: string }, timeoutMs: number): Promise<string> {
    const child = this.#process!;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting = { resolve, reject };
    const timer = setTimeout(() => {
      reject(new Error(`${this.#kind} ${request.command}: no answer within ${timeoutMs} ms`));
      child.kill('SIGKILL'); // a later answer would be taken for that of the next command
      this.#process = undefined;
    }, timeoutMs);
    keepAlive(child, true);
    child.stdin.write(`${JSON.stringify(request)}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      keepAlive(child, false);
      this.#waiting = undefined;
    }
  }

  #lose(child: Child, error: Error): void {
    if (this.#process !== child) return;
    this.#process = undefined;
    this.#waiting?.reject(error);
  }

  async #end(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    keepAlive(child, true);
    child.stdin.end();
    await ended;
  }
}

/** Tools that nobody waits for do not keep a test run from ending; they end when it does. */
function keepAlive(child: Child, keep: boolean): void {
  for (const handle of [child, child.stdin, child.stdout]) {
    if (keep) handle.ref();
    else handle.unref();
  }
}
