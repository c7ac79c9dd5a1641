import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface WorkerOptions {
  name: string;
  config: string;
  /** All its lives write into this. */
  logFile: string;
  environment: NodeJS.ProcessEnv;
  /** How a command is started, where that is not just so. */
  command?: (program: string, args: readonly string[]) => [string, string[]];
  onEnd: (text: string) => void;
}

/** A frazil process and, when it ends without being told to, the next one: somebody always supervises workers. */
export class Worker {
  readonly name: string;
  /** How it ended by itself, each time. */
  readonly endings: string[] = [];
  readonly #options: WorkerOptions;
  #process: ChildProcess | undefined;
  #ended: Promise<number> = Promise.resolve(0);
  #isWanted = false;

  constructor(options: WorkerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  start(): void {
    if (this.#process) return;
    const { config, logFile, environment, command = (...same) => same } = this.#options;
    const [file, args] = command(process.execPath, [program, 'run', '-c', config]);
    const log = openSync(logFile, 'a');
    const child = spawn(file, args as string[], { stdio: ['ignore', 'ignore', log], env: environment });
    closeSync(log);
    this.#isWanted = true;
    this.#process = child;
    this.#ended = new Promise((resolve) =>
      child.once('close', (code) => {
        this.#process = undefined;
        if (this.#isWanted) this.#startAgain(code);
        resolve(code ?? -1);
      }),
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it with a signal, and it stays away. @returns its exit code, -1 when it was killed. */
  async end(signal: NodeJS.Signals, withinMs = 60_000): Promise<number> {
    this.#isWanted = false;
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), withinMs);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  #startAgain(code: number | null): void {
    const text = `${this.name} ended by itself with ${code}: ${this.#lastError()}`;
    this.endings.push(text);
    this.#options.onEnd(text);
    void pause(1_000).then(() => this.#isWanted && this.start());
  }

  #lastError(): string {
    const lines = readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n');
    const last = lines.findLast((line) => /"level":"(error|fatal)"/.test(line)) ?? lines.at(-1) ?? '';
    try {
      const { msg, error } = JSON.parse(last) as { msg: string; error?: string };
      return error === undefined ? msg : `${msg}: ${error}`;
    } catch {
      return last;
    }
  }
}
