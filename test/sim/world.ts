import { EventQueue } from './event-queue.ts';
import type { FaultRates } from './features.ts';
import { Moment } from './moment.ts';

/** The virtual time at which all worlds begin. */
const startMs = 1_700_000_000_000;

/** Which world, and what of its faults. */
export interface WorldOptions {
  readonly seed: number;
  readonly rates: FaultRates;
  /** Only these of the events that the seed draws happen; absent: all of them. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Whether the world tells what happens, step by step. */
  readonly tells?: boolean | undefined;
}

/**
 * A simulated world: virtual time, and all that is drawn for it. What happens at one moment is drawn from the seed and
 * the moment's name alone: an event that is left out changes nothing else that was drawn.
 */
export class World {
  readonly seed: number;
  readonly rates: FaultRates;
  nowMs = startMs;
  /** Faults happen only while this is true. */
  faulty = true;
  /** Store and catalog refuse everything. */
  isOut = false;
  /** Changes with every leap. */
  epoch = 0;
  /** All that has gone wrong, in order. */
  readonly events: string[] = [];
  readonly log: string[] = [];
  readonly tells: boolean;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #queue = new EventQueue();

  constructor({ seed, rates, only, tells = false }: WorldOptions) {
    this.seed = seed;
    this.rates = rates;
    this.#only = only;
    this.tells = tells;
  }

  /** The `n`th of the moments of this name. */
  moment(name: string, n: number): Moment {
    return new Moment(this, name, n);
  }

  /** Whether what was drawn comes to pass. It is noted as an event. */
  lets(event: string): boolean {
    if (!this.faulty || this.#only?.has(event) === false) return false;
    this.events.push(event);
    if (this.tells) this.note(`* ${event}`);
    return true;
  }

  /** Runs `run` after `ms` of virtual time. */
  after(ms: number, run: () => void): void {
    this.#queue.push(this.nowMs + Math.max(0, ms), run);
  }

  /** Time passes, and nothing else happens: what was to come comes as much later, and no request lives that long. */
  leap(ms: number): void {
    this.epoch++;
    this.nowMs += ms;
    this.#queue.delay(ms);
  }

  note(text: string): void {
    if (this.tells) this.log.push(`${((this.nowMs - startMs) / 1000).toFixed(3).padStart(9)} ${text}`);
  }

  /** Lets time pass until `done`, or `untilMs` of it. Each event's consequences settle before the next one. */
  async run(untilMs: number, done: () => boolean): Promise<boolean> {
    const endMs = this.nowMs + untilMs;
    for (;;) {
      await settle();
      if (done()) return true;
      const event = this.#queue.peek();
      if (!event || event.atMs > endMs) return false;
      this.#queue.pop();
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.run();
    }
  }
}

/** Lets all promises that can go on go on: microtasks run out before the next turn of the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
