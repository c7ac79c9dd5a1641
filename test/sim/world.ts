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
  /** Store and catalog refuse everything. */
  isOut = false;
  readonly rates: FaultRates;
  /** Changes with every leap. */
  epoch = 0;
  readonly log: string[] = [];
  readonly #events = new EventQueue();
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

  /** Time passes, and nothing else happens: what was to come comes as much later, and no request lives that long. */
  leap(ms: number): void {
    this.epoch++;
    this.nowMs += ms;
    for (const event of this.#events.events) event.atMs += ms;
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
      const event = this.#events.peek();
      if (!event || event.atMs > endMs) return false;
      this.#events.pop();
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.run();
    }
  }
}

interface WorldEvent {
  atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap: the earliest event is on top, of those of one moment the one that was put there first. */
class EventQueue {
  readonly events: WorldEvent[] = [];

  peek(): WorldEvent | undefined {
    return this.events[0];
  }

  push(event: WorldEvent): void {
    let i = this.events.push(event) - 1;
    for (let parent = (i - 1) >> 1; i > 0 && isEarlier(event, this.events[parent]!); parent = (i - 1) >> 1) {
      this.events[i] = this.events[parent]!;
      i = parent;
    }
    this.events[i] = event;
  }

  pop(): void {
    const last = this.events.pop()!;
    const { length } = this.events;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child + 1 < length && isEarlier(this.events[child + 1]!, this.events[child]!)) child++;
      if (child >= length || !isEarlier(this.events[child]!, last)) break;
      this.events[i] = this.events[child]!;
      i = child;
    }
    this.events[i] = last;
  }
}

function isEarlier(a: WorldEvent, b: WorldEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
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
  lastFrozenAtMs = 0;
  /** What this machine's clock is off by. */
  skewMs = 0;
  /** Calls that have not been answered, with the time they were sent. */
  readonly calls: Map<symbol, { doing: string; sentAtMs: number }> = new Map();
  /** Connections do not outlive days of silence: answers on an older one never come. */
  connection = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.clock = {
      nowMs: () => Math.round(world.nowMs + this.skewMs),
      monotonicMs: () => world.nowMs,
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

  freeze(): void {
    this.frozen = true;
    this.lastFrozenAtMs = this.world.nowMs;
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
    const { world, connection } = this;
    const { epoch } = world;
    const call = Symbol(doing);
    this.calls.set(call, { doing, sentAtMs: world.nowMs });
    return new Promise((resolve, reject) => {
      const failed = (how: string): void => {
        world.note(`${this.name} ${doing}: ${how}`);
        reject(new TransientError(`${doing}: ${how}`));
      };
      const answer = (ms: number, give: () => void): void =>
        this.deliver(ms, () => {
          this.calls.delete(call);
          if (connection === this.connection) give();
          else failed('connection reset');
        });
      const sendMs = world.delayMs();
      if (world.isOut || world.chance(world.rates.refused)) return answer(sendMs, () => failed('refused'));
      if (world.chance(world.rates.late)) {
        world.after(sendMs + world.random.float() * 120_000, () => {
          if (epoch === world.epoch) attempt(apply);
        });
        return answer(sendMs, () => failed('timed out, applied late'));
      }
      world.after(sendMs, () => {
        if (epoch !== world.epoch) return answer(0, () => failed('connection reset'));
        const outcome = attempt(apply);
        const replyMs = world.delayMs();
        if (world.chance(world.rates.lostReply)) return answer(replyMs, () => failed('reply lost'));
        answer(replyMs, () => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)));
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
