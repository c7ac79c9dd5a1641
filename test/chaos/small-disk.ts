import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const roomyMiB = 1024;

/**
 * A disk in memory that can be made full, for those who are not root: Linux lets everybody mount one in a namespace of
 * their own, on most machines. What is on it is seen by processes that are started with {@link command}.
 */
export class SmallDisk {
  readonly folder: string;
  readonly #keeper: ChildProcess;

  private constructor(folder: string, keeper: ChildProcess) {
    this.folder = folder;
    this.#keeper = keeper;
  }

  /** @returns undefined where that is not allowed. */
  static async mount(folder: string): Promise<SmallDisk | undefined> {
    mkdirSync(folder, { recursive: true });
    const script = `mount -t tmpfs -o size=${roomyMiB}m tmpfs "$0" && echo mounted && exec cat`;
    const keeper = spawn('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', script, folder], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const mounted = await Promise.race([
      once(keeper.stdout!, 'data').then(() => true),
      once(keeper, 'close').then(() => false),
      once(keeper, 'error').then(() => false),
    ]).catch(() => false);
    return mounted ? new SmallDisk(folder, keeper) : undefined;
  }

  /** A command as it is to be started to see the disk. */
  command(program: string, args: readonly string[]): [string, string[]] {
    const seeing = ['--target', String(this.#keeper.pid), '--user', '--mount', '--preserve-credentials'];
    return ['nsenter', [...seeing, program, ...args]];
  }

  /** Leaves so many bytes of room. */
  async fill(roomBytes: number): Promise<void> {
    // What is written between the two commands makes it too small to be: then with a little more.
    for (let room = roomBytes; ; room *= 2)
      try {
        return await this.#resize(`${(await this.#usedBytes()) + room}`);
      } catch (error) {
        if (room > 64 * roomBytes) throw error;
      }
  }

  async #usedBytes(): Promise<number> {
    const { stdout } = await run(...this.command('df', ['--block-size=1', '--output=used', this.folder]));
    return Number(stdout.trim().split('\n').at(-1));
  }

  async free(): Promise<void> {
    await this.#resize(`${roomyMiB}m`);
  }

  /** What is on it goes to the real disk, under the same names; then it is no more. */
  async save(): Promise<void> {
    const [program, args] = this.command('tar', ['-C', this.folder, '-c', '.']);
    const packing = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const unpacking = spawn('tar', ['-C', this.folder, '-x'], { stdio: ['pipe', 'inherit', 'inherit'] });
    packing.stdout!.pipe(unpacking.stdin!);
    const [code] = (await once(unpacking, 'close')) as [number];
    if (code !== 0) throw new Error(`saving ${this.folder}: tar ended with ${code}`);
    await this.unmount();
  }

  async unmount(): Promise<void> {
    if (this.#keeper.exitCode !== null) return;
    this.#keeper.stdin!.end();
    await once(this.#keeper, 'close');
  }

  async #resize(size: string): Promise<void> {
    await run(...this.command('mount', ['-o', `remount,size=${size}`, this.folder]));
  }
}
