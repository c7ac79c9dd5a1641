import type { Clock } from '../../../src/base/clock.ts';

interface Sleeper {
  untilMs: number;
  wake: () => void;
}

/** Time that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #sleepers: Sleeper[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        untilMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', sleeper.wake, { once: true });
    });
  }

  /** How many wait for time to pass. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Lets `ms` pass. Whoever wakes on the way does all it can before time goes on. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#sleepers
        .filter((sleeper) => sleeper.untilMs <= untilMs)
        .sort((a, b) => a.untilMs - b.untilMs)[0];
      if (!next) break;
      this.#nowMs = Math.max(this.#nowMs, next.untilMs);
      next.wake();
      await settle();
    }
    this.#nowMs = untilMs;
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

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
