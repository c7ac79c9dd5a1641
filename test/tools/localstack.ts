import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';

export interface Unit {
  part: string;
  unit: number;
  state: 'running' | 'unhealthy' | 'stopped';
  pid: number | null;
  port: number | null;
  version: string;
}

/** Real parts for tests: a data folder of their own, on free ports. */
export class Localstack implements AsyncDisposable {
  readonly data: string;
  /** FRAZIL_BROKERS and the like, as of the last up. */
  env: Record<string, string> = {};

  private constructor(data: string) {
    this.data = data;
  }

  /** Starts the named parts. Further arguments are those of localstack/up: '--brokers', '3', ... */
  static async start(parts: readonly string[], ...args: readonly string[]): Promise<Localstack> {
    const stack = new Localstack(Localstack.folder());
    try {
      await stack.up(...freePorts(parts), ...args, ...parts);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  /** The name of a new data folder. */
  static folder(): string {
    return join(tmpdir(), `frazil-localstack-${randomUUID()}`);
  }

  /** Starts the named parts unless they run already in this data folder, which whoever named it stops. */
  static async share(data: string, parts: readonly string[]): Promise<Localstack> {
    const stack = new Localstack(data);
    await stack.up(...freePorts(parts), '--timeout', '300', ...parts);
    return stack;
  }

  /** Ends what {@link share} has started. */
  static async stopShared(data: string): Promise<void> {
    if (existsSync(data)) await new Localstack(data).stop();
  }

  /** Brings the programs of all parts and test tools, in the background; what fails is told when it is needed. */
  static install(): { stop: () => Promise<void> } {
    const program = fileURLToPath(new URL('../../localstack/install', import.meta.url));
    const installing = spawn(program, { stdio: 'ignore', detached: true });
    const ended = new Promise<void>((resolve) => {
      installing.once('error', () => resolve());
      installing.once('close', () => resolve());
    });
    return {
      async stop() {
        if (installing.pid !== undefined && installing.exitCode === null)
          try {
            process.kill(-installing.pid); // with what it has started
          } catch {
            // It has ended just now.
          }
        await ended;
      },
    };
  }

  /** Also brings back what has ended: up('--broker', '2'). */
  async up(...args: readonly string[]): Promise<void> {
    await run('up', this.data, args);
    this.env = parseEnv(await readFile(join(this.data, 'env'), 'utf8')) as Record<string, string>;
  }

  /** down('--broker', '2', '--signal', 'KILL') */
  async down(...args: readonly string[]): Promise<void> {
    await run('down', this.data, args);
  }

  async status(): Promise<Unit[]> {
    return JSON.parse(await run('status', this.data, ['--json'], [0, 1]));
  }

  /** Ends all parts and removes their data. */
  async stop(): Promise<void> {
    await this.down('--wipe');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const freePorts = (parts: readonly string[]): string[] => parts.flatMap((part) => [`--${part}-port`, '0']);

/** Runs a command of localstack and returns what it prints; what it complains of goes to our standard error. */
async function run(
  command: 'up' | 'down' | 'status',
  data: string,
  args: readonly string[],
  successes: readonly number[] = [0],
): Promise<string> {
  const program = fileURLToPath(new URL(`../../localstack/${command}`, import.meta.url));
  const child = spawn(program, ['--data', data, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = child.stdout.setEncoding('utf8').toArray();
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const code = await promise;
  if (code === null || !successes.includes(code)) {
    throw new Error(`localstack/${command} ${args.join(' ')} failed (${code})`);
  }
  return (await output).join('');
}
