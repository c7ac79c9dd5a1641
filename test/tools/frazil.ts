import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export type LogLine = { level: string; msg: string; [field: string]: unknown };

/** A folder with a configuration and a lake, as a user has it. `dist` must have been built. */
export class Lake implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'frazil-lake-'));
  readonly configFile: string = join(this.folder, 'frazil.yaml');
  /** For Java's JdbcCatalog. */
  readonly javaCatalog: Record<string, string> = {
    type: 'jdbc',
    uri: `jdbc:sqlite:${this.folder}/lake/catalog.db`,
    warehouse: `file://${this.folder}/lake`,
    'jdbc.schema-version': 'V1',
  };
  /** For PyIceberg's SqlCatalog. */
  readonly pythonCatalog: Record<string, string> = {
    type: 'sql',
    uri: `sqlite:///${this.folder}/lake/catalog.db`,
    warehouse: `file://${this.folder}/lake`,
  };
  readonly #running = new Set<Run>();

  constructor(config: object) {
    this.configure(config);
  }

  /** JSON is YAML. */
  configure(config: object): void {
    const catalog = { type: 'sqlite', path: './lake/catalog.db', name: 'lake', warehouse: './lake' };
    writeFileSync(this.configFile, JSON.stringify({ catalog, ...config }, null, 2));
  }

  /** Starts a command; `-c` is added. */
  start(...args: string[]): Run {
    const run = new Run([...args, '-c', this.configFile]);
    this.#running.add(run);
    void run.exit.then(() => this.#running.delete(run));
    return run;
  }

  /** Runs a command to its end and gives what it printed. @throws unless it succeeds. */
  async call(...args: string[]): Promise<string> {
    const run = this.start(...args);
    const code = await run.exit;
    if (code !== 0)
      throw new Error(`frazil ${args.join(' ')} exited with ${code}:\n${run.stderr.slice(-3000)}`);
    return run.stdout;
  }

  /** Lands everything there is and gives the summary. */
  async catchUp(): Promise<Record<string, number>> {
    return JSON.parse(await this.call('run', '--until-caught-up')) as Record<string, number>;
  }

  [Symbol.dispose](): void {
    for (const run of this.#running) run.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A frazil process. */
export class Run {
  stdout = '';
  stderr = '';
  /** Exit code, or -1 when a signal ended it. */
  readonly exit: Promise<number>;
  readonly #child: ChildProcess;
  #changed: (() => void)[] = [];
  #ended = false;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#change();
    });
    this.exit = new Promise((resolve) =>
      this.#child.once('close', (code) => {
        this.#ended = true;
        this.#change();
        resolve(code ?? -1);
      }),
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The log lines so far. */
  log(): LogLine[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Waits for a log line; `after` of them are passed over. @throws when the process ends or the time is up before. */
  async logged(
    message: string | ((line: LogLine) => boolean),
    after = 0,
    timeoutMs = 60_000,
  ): Promise<LogLine> {
    const fits =
      typeof message === 'string' ? (line: LogLine): boolean => line.msg.includes(message) : message;
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.log().filter(fits)[after];
      if (found) return found;
      if (this.#ended) throw new Error(`it ended before it logged ${message}:\n${this.stderr.slice(-3000)}`);
      if (Date.now() > deadline)
        throw new Error(`it did not log ${message} in ${timeoutMs} ms:\n${this.stderr.slice(-3000)}`);
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        setTimeout(resolve, 1000);
      });
    }
  }

  #change(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }
}

/** Where the offsets of a table's rows stand, as an engine that is not ours counts them. */
export interface OffsetCount {
  partition: number;
  rows: number;
  distinct: number;
  min: number;
  max: number;
}
