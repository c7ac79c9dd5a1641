import type { Clock } from './clock.ts';

/**
 * A queue with one reader: callbacks and finished tasks only record what happened, the reader's loop acts on it.
 * That keeps every state change in one place and in one order.
 */
export class Mailbox<T> {
  #items: T[] = [];
  #wake: (() => void) | undefined;

  put(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  get size(): number {
    return this.#items.length;
  }

  /** All that has arrived, at once if there is anything, else after the first arrival or `waitMs`. */
  async take(clock: Clock, waitMs: number): Promise<T[]> {
    if (this.#items.length === 0 && waitMs > 0) {
      const arrived = new AbortController();
      this.#wake = () => arrived.abort('arrived');
      await clock.sleep(waitMs, arrived.signal);
      this.#wake = undefined;
    }
    const items = this.#items;
    this.#items = [];
    return items;
  }
}
