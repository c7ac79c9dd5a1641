import type { Clock } from '../../src/base/clock.ts';
import { TransientError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';

/**
 * A simulated world: virtual time, processes that crash and freeze, and calls that take three steps (send, apply, reply),
 * each of which may be late or lost. Everything is drawn from one seed.
 */
export class World {
  readonly random: ReturnType<typeof seededRandom>;
  nowMs = 1_700_000_000_000;
  /** Faults happen only while this is true. */
  faulty = true;
  readonly rates: FaultRates;
  readonly log: string[] = [];
  readonly #events: { atMs: number; order: number; run: () => void }[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    // Swarm: each world has its own mix of faults, many of them none of a kind.
    const rate = (max: number): number => (this.random.float() < 0.5 ? 0 : this.random.float() * max);
    this.rates = { refused: rate(0.15), lostReply: rate(0.25), late: rate(0.1), slow: rate(0.2) };
  }

  /** Runs `run` after `ms` of virtual time. */
  after(ms: number, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run });
  }

  note(text: string): void {
    this.log.push(`${((this.nowMs - 1_700_000_000_000) / 1000).toFixed(3).padStart(9)} ${text}`);
  }

  chance(probability: number): boolean {
    return this.faulty && this.random.float() < probability;
  }

  /** Network or disk time for one way. */
  delayMs(): number {
    return this.chance(this.rates.slow) ? this.random.float() * 20_000 : this.random.float() * 20;
  }

  /** Lets time pass until `done`, or `untilMs` of it. Each event's consequences settle before the next one. */
  async run(untilMs: number, done: () => boolean): Promise<boolean> {
    const endMs = this.nowMs + untilMs;
    for (;;) {
      await settle();
      if (done()) return true;
      const next = this.#earliest();
      if (next === -1 || this.#events[next]!.atMs > endMs) return false;
      const [event] = this.#events.splice(next, 1);
      this.nowMs = Math.max(this.nowMs, event!.atMs);
      event!.run();
    }
  }

  /** Index of the next event, -1 when there is none. */
  #earliest(): number {
    let best = -1;
    for (let i = 0; i < this.#events.length; i++) {
      const [a, b] = [this.#events[i]!, this.#events[best]];
      if (!b || a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)) best = i;
    }
    return best;
  }
}

export interface FaultRates {
  /** The request never arrives, and the caller is told. */
  refused: number;
  /** It was applied, but the caller gets an error. */
  lostReply: number;
  /** The caller gets an error; it is applied long afterwards. */
  late: number;
  slow: number;
}

/** Lets all promises that can go on go on: microtasks run out before the next turn of the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A worker's process: what reaches it waits while it is frozen, and is nothing when it is dead. */
export class Process {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  alive = true;
  frozen = false;
  /** What this machine's clock is off by. */
  skewMs = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.clock = {
      nowMs: () => Math.round(world.nowMs + this.skewMs),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          signal?.addEventListener('abort', () => resolve(), { once: true });
          this.deliver(ms, resolve);
        }),
    };
  }

  /** Something reaches the process after `ms`. */
  deliver(ms: number, run: () => void): void {
    this.world.after(ms, () => {
      if (!this.alive) return;
      if (this.frozen) this.#waiting.push(run);
      else run();
    });
  }

  thaw(): void {
    this.frozen = false;
    for (const run of this.#waiting.splice(0)) if (this.alive) run();
  }

  /**
   * A call to a server: sent, applied there, answered; each step can go wrong on its own. The server does not care
   * whether the caller still lives.
   */
  call<T>(doing: string, apply: () => T): Promise<T> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      const failed = (how: string) => (): void => {
        world.note(`${this.name} ${doing}: ${how}`);
        reject(new TransientError(`${doing}: ${how}`));
      };
      const sendMs = world.delayMs();
      if (world.chance(world.rates.refused)) return this.deliver(sendMs, failed('refused'));
      if (world.chance(world.rates.late)) {
        world.after(sendMs + world.random.float() * 120_000, () => attempt(apply));
        return this.deliver(sendMs, failed('timed out, applied late'));
      }
      world.after(sendMs, () => {
        const outcome = attempt(apply);
        const replyMs = world.delayMs();
        if (world.chance(world.rates.lostReply)) return this.deliver(replyMs, failed('reply lost'));
        this.deliver(replyMs, () => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)));
      });
    });
  }
}

function attempt<T>(apply: () => T): { ok: true; value: T } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: apply() };
  } catch (error) {
    return { ok: false, error };
  }
}
