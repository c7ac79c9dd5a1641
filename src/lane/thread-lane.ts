import { Worker } from 'node:worker_threads';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AccessSource } from '../storage/access.ts';
import type { StoreSettings } from '../storage/settings.ts';
import type { Lane } from './lane.ts';
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
  // The sources run as they are under Node's type stripping, and compiled from dist.
  const file = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);
  const workerData: ThreadSettings = { stores: stores.settings, asksAccess: stores.access !== undefined };
  const worker = new Worker(file, { workerData, name });
  // A lane that cannot be closed in time must not keep the process alive.
  worker.unref();
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let dead: Error | undefined;

  const fail = (error: Error): void => {
    dead ??= error;
    for (const { reject } of pending.values()) reject(dead);
    pending.clear();
  };
  worker.on('error', (error) =>
    fail(new FatalError(`lane ${name} died: ${messageOf(error)}`, { cause: error })),
  );
  worker.on('exit', (code) => fail(new FatalError(`lane ${name} died: its thread ended with code ${code}`)));
  worker.on('message', (message: FromThread) => {
    if ('log' in message) {
      const [level, text, fields] = message.log;
      log[level](text, { lane: name, ...fields });
      return;
    }
    if ('access' in message) {
      void answerAccess(message);
      return;
    }
    const waiting = pending.get(message.id);
    pending.delete(message.id);
    if ('result' in message) waiting?.resolve(message.result as never);
    else waiting?.reject(new (message.error.retryable ? TransientError : FatalError)(message.error.message));
  });

  const answerAccess = async ({ access, location }: { access: number; location: string }): Promise<void> => {
    let answer: ToThread;
    try {
      answer = { access, opens: await stores.access?.(location) };
    } catch (error) {
      answer = { access, error: messageOf(error), retryable: isRetryable(error) };
    }
    worker.postMessage(answer);
  };

  const call = <T>(command: keyof Lane, args: unknown[], transfer: ArrayBuffer[] = []): Promise<T> => {
    if (dead) return Promise.reject(dead);
    const id = nextId++;
    const answer = new Promise<T>((resolve, reject) => pending.set(id, { resolve, reject }));
    worker.postMessage({ id, command, args } satisfies ToThread, transfer);
    return answer;
  };

  return {
    open: (plan) => call('open', [plan]),
    seek: (table, topicPartition, position) => call('seek', [table, topicPartition, position]),
    append: (set) => call('append', [set], [set.records.buffer]),
    flush: (table) => call('flush', [table]),
    drop: (table) => call('drop', [table]),
    release: (topicPartition) => call('release', [topicPartition]),
    describe: (set, plan) => call('describe', [set, plan]),
    async close() {
      if (!dead) await call('close', []);
      await worker.terminate();
    },
  };
}
