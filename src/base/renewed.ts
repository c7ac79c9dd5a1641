import type { Clock } from './clock.ts';

/** Something that is good for a while. */
export interface Lease<T> {
  readonly value: T;
  /** On the monotonic clock; Infinity when nobody says. */
  readonly renewAtMs: number;
}

/** Early enough for a request that is about to start, however short the life; a life of 0 is one without a known end. */
export function renewAtMs(askedAtMs: number, lifeMs: number): number {
  return lifeMs > 0 ? askedAtMs + lifeMs - Math.min(lifeMs / 5, 5 * 60_000) : Infinity;
}

/** A lease that is there or on its way. */
interface Held<T> {
  readonly asked: Promise<Lease<T>>;
  lease?: Lease<T>;
}

/** A token or the like: kept until shortly before it is over. Those who want it at the same time share the asking. */
export class Renewed<T> {
  readonly #clock: Clock;
  readonly #ask: () => Promise<Lease<T>>;
  #held: Held<T> | undefined;

  constructor(clock: Clock, ask: () => Promise<Lease<T>>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** @throws what asking throws; the next call asks again. */
  async get(): Promise<T> {
    const held = this.#held;
    if (held) {
      const lease = await held.asked;
      if (this.#clock.monotonicMs() < lease.renewAtMs) return lease.value;
      // Whoever comes back first replaces it; the others find the replacement.
      if (this.#held === held) this.#held = undefined;
    }
    return (await this.#share()).value;
  }

  /** Forgets what is held, if it is this. */
  drop(is: (value: T) => boolean): void {
    if (this.#held?.lease && is(this.#held.lease.value)) this.#held = undefined;
  }

  #share(): Promise<Lease<T>> {
    if (this.#held) return this.#held.asked;
    const held: Held<T> = { asked: this.#ask() };
    this.#held = held;
    held.asked.then(
      (lease) => {
        held.lease = lease;
      },
      () => {
        if (this.#held === held) this.#held = undefined;
      },
    );
    return held.asked;
  }
}
