import { Worker } from 'node:worker_threads';
import { type Clock, withDeadline } from '../base/clock.ts';
import { DeadlineError, FatalError, messageOf } from '../base/errors.ts';
import type { FromColumnThread, ToColumnThread } from './column-thread.ts';
import type { ColumnBatch, ColumnSource, ReadColumns } from './wasm-columns.ts';

/** One batch of rows takes milliseconds to decode. */
const decodeTimeoutMs = 60_000;

/**
 * Reads columns in worker threads, one for each file that is being read. A damaged file can end the engine for good, or
 * have it turn in circles: then its thread goes, and the next file has another.
 */
export class ColumnThreads {
  readonly #clock: Clock;
  readonly #idle: ColumnThread[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws {FatalError} when the file is damaged; what `file.read` throws. */
  readonly read: ReadColumns = (file, names) => this.#read(file, names);

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((thread) => thread.end()));
  }

  async *#read(file: ColumnSource, names: readonly string[]): AsyncGenerator<ColumnBatch> {
    const thread = this.#idle.pop() ?? new ColumnThread(this.#clock);
    let isDone = false;
    try {
      thread.post({ open: { sizeBytes: file.sizeBytes, names } });
      for (;;) {
        const message = await thread.next();
        if ('range' in message) {
          thread.post({ bytes: await file.read(...message.range), of: message.of });
        } else if ('batch' in message) {
          yield message.batch;
          thread.post({ more: true });
        } else {
          isDone = true;
          if ('error' in message) throw new FatalError(message.error);
          return;
        }
      }
    } finally {
      if (isDone) this.#idle.push(thread);
      else await thread.end();
    }
  }
}

class ColumnThread {
  readonly #clock: Clock;
  readonly #worker: Worker;
  readonly #arrived: FromColumnThread[] = [];
  #death: FatalError | undefined;
  #wake = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    // The sources run as they are under Node's type stripping, and compiled from dist.
    const name = import.meta.url.endsWith('.ts') ? './column-thread.ts' : './column-thread.js';
    this.#worker = new Worker(new URL(name, import.meta.url), {
      name: 'columns',
      resourceLimits: { maxYoungGenerationSizeMb: 16 },
    });
    this.#worker.unref();
    this.#worker.on('message', (message: FromColumnThread) => {
      this.#arrived.push(message);
      this.#wake();
    });
    const die = (why: string): void => {
      this.#death ??= new FatalError(`the Parquet engine ended on it: ${why}`);
      this.#wake();
    };
    this.#worker.on('error', (error) => die(messageOf(error)));
    this.#worker.on('exit', (code) => die(`its thread ended with code ${code}`));
  }

  post(message: ToColumnThread): void {
    this.#worker.postMessage(message);
  }

  /** @throws {FatalError} when the thread has died, or says nothing. */
  async next(): Promise<FromColumnThread> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message) return message;
      if (this.#death) throw this.#death;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      try {
        await withDeadline(this.#clock, decodeTimeoutMs, 'decoding', () => woken);
      } catch (error) {
        if (!(error instanceof DeadlineError)) throw error;
        throw new FatalError(`the Parquet engine came to no end with it in ${decodeTimeoutMs} ms`);
      }
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
