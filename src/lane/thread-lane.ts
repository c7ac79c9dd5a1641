import { Worker } from 'node:worker_threads';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AccessSource } from '../storage/access.ts';
import type { StoreSettings } from '../storage/settings.ts';
import { type Lane, LaneDiedError } from './lane.ts';
import type { FromThread, ThreadSettings, ToThread } from './thread.ts';

interface Pending {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/** How lanes reach the store: its settings, and what opens it where the catalog vends that. */
export interface LaneStores {
  readonly settings: StoreSettings;
  readonly access?: AccessSource | undefined;
}

/** A lane in a worker thread of its own: encoding there never costs the main thread a heartbeat. */
export function threadLane(name: string, stores: LaneStores, log: Log): Lane {
  let thread = new LaneThread(name, stores, log);
  const call = <T>(command: keyof Lane, args: unknown[], transfer: ArrayBuffer[] = []): Promise<T> =>
    thread.call(command, args, transfer);

  return {
    open: (plan) => call('open', [plan]),
    seek: (table, topicPartition, position) => call('seek', [table, topicPartition, position]),
    append: (set) => call('append', [set], [set.records.buffer]),
    flush: (table) => call('flush', [table]),
    drop: (table) => call('drop', [table]),
    release: (topicPartition) => call('release', [topicPartition]),
    describe: (set, plan) => call('describe', [set, plan]),
    close: () => thread.close(),
    restart() {
      thread = new LaneThread(name, stores, log);
    },
  };
}

/** The thread of a lane, until it ends. */
class LaneThread {
  readonly #worker: Worker;
  readonly #stores: LaneStores;
  readonly #log: Log;
  readonly #name: string;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #dead: LaneDiedError | undefined;

  constructor(name: string, stores: LaneStores, log: Log) {
    this.#name = name;
    this.#stores = stores;
    this.#log = log;
    // The sources run as they are under Node's type stripping, and compiled from dist.
    const file = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
    const workerData: ThreadSettings = { stores: stores.settings, asksAccess: stores.access !== undefined };
    this.#worker = new Worker(file, { workerData, name });
    // A lane that cannot be closed in time must not keep the process alive.
    this.#worker.unref();
    this.#worker.on('error', (error) => this.#died(messageOf(error), error));
    this.#worker.on('exit', (code) => this.#died(`its thread ended with code ${code}`));
    this.#worker.on('message', (message: FromThread) => this.#heard(message));
  }

  #died(why: string, cause?: unknown): void {
    this.#dead ??= new LaneDiedError(`lane ${this.#name} died: ${why}`, { cause });
    for (const { reject } of this.#pending.values()) reject(this.#dead);
    this.#pending.clear();
  }

  #heard(message: FromThread): void {
    if ('log' in message) {
      const [level, text, fields] = message.log;
      this.#log[level](text, { lane: this.#name, ...fields });
      return;
    }
    if ('access' in message) {
      void this.#answerAccess(message);
      return;
    }
    const waiting = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('result' in message) waiting?.resolve(message.result as never);
    else waiting?.reject(new (message.error.retryable ? TransientError : FatalError)(message.error.message));
  }

  async #answerAccess({ access, location }: { access: number; location: string }): Promise<void> {
    let answer: ToThread;
    try {
      answer = { access, opens: await this.#stores.access?.(location) };
    } catch (error) {
      answer = { access, error: messageOf(error), retryable: isRetryable(error) };
    }
    this.#worker.postMessage(answer);
  }

  /** @throws {LaneDiedError} as soon as the thread has ended. */
  call<T>(command: keyof Lane, args: unknown[], transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#dead) return Promise.reject(this.#dead);
    const id = this.#nextId++;
    const answer = new Promise<T>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, command, args } satisfies ToThread, transfer);
    return answer;
  }

  async close(): Promise<void> {
    if (!this.#dead) await this.call('close', []);
    await this.#worker.terminate();
  }
}
