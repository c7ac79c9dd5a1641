import type { Clock } from '../../../src/base/clock.ts';

/** Time that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs: number;
  #sleepers: { untilMs: number; wake: () => void }[] = [];

  constructor(nowMs = 1_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#nowMs + ms, wake: resolve };
    this.#sleepers.push(sleeper);
    signal?.addEventListener('abort', () => this.#wake(sleeper), { once: true });
    return promise;
  }

  /** Moves time on and lets whoever wakes up act. */
  async advance(ms: number): Promise<void> {
    this.#nowMs += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= this.#nowMs) this.#wake(sleeper);
    await new Promise((resolve) => setImmediate(resolve));
  }

  #wake(sleeper: { wake: () => void }): void {
    this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    sleeper.wake();
  }
}

/** Time that jumps over short sleeps, and remembers how long each was; longer ones, deadlines, never end by themselves. */
export class SkippingClock implements Clock {
  readonly slept: number[] = [];
  #nowMs: number;
  readonly #longestMs: number;

  constructor(nowMs = 1_000_000, longestMs = 60_000) {
    this.#nowMs = nowMs;
    this.#longestMs = longestMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms > this.#longestMs)
      return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    this.slept.push(ms);
    this.#nowMs += ms;
  }

  /** Moves time on, or back. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }
}
