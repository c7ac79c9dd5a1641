/** What is to happen at some virtual time. */
interface WorldEvent {
  atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap: the earliest event is on top, of those of one moment the one that was put there first. */
export class EventQueue {
  readonly #events: WorldEvent[] = [];
  #order = 0;

  peek(): WorldEvent | undefined {
    return this.#events[0];
  }

  push(atMs: number, run: () => void): void {
    const event = { atMs, order: this.#order++, run };
    let i = this.#events.push(event) - 1;
    for (let parent = (i - 1) >> 1; i > 0 && isEarlier(event, this.#events[parent]!); parent = (i - 1) >> 1) {
      this.#events[i] = this.#events[parent]!;
      i = parent;
    }
    this.#events[i] = event;
  }

  pop(): void {
    const last = this.#events.pop()!;
    const { length } = this.#events;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child + 1 < length && isEarlier(this.#events[child + 1]!, this.#events[child]!)) child++;
      if (child >= length || !isEarlier(this.#events[child]!, last)) break;
      this.#events[i] = this.#events[child]!;
      i = child;
    }
    this.#events[i] = last;
  }

  /** All of it comes so much later. */
  delay(ms: number): void {
    for (const event of this.#events) event.atMs += ms;
  }
}

function isEarlier(a: WorldEvent, b: WorldEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
