import type { GrowingBytes } from './growing-bytes.ts';
import { firstValues, withRoom } from './page-values.ts';
import { bitsFor, writeRun, writeRuns } from './run-lengths.ts';

/** Definition or repetition levels of the page under way. */
export class PageLevels {
  readonly #max: number;
  /** What is not said otherwise. */
  readonly #usual: number;
  #levels = new Uint8Array(0);
  /** Before this only the usual level has come; it is not written down. */
  #usualUntil = 0;
  count = 0;

  constructor(max: number, usual: number) {
    this.#max = max;
    this.#usual = usual;
  }

  get heldBytes(): number {
    return this.#levels.length;
  }

  /** Appends `levels[from, to)`; the usual level when there are none. */
  append(levels: Uint8Array | undefined, from: number, to: number): void {
    if (this.#max === 0) return;
    const length = to - from;
    if (!levels && this.#usualUntil === this.count) {
      this.#usualUntil = this.count += length;
      return;
    }
    if (this.#levels.length === 0) this.#levels = new Uint8Array(firstValues);
    this.#levels = withRoom(this.#levels, this.count, length);
    if (this.#usualUntil === this.count) this.#levels.fill(this.#usual, 0, this.count);
    if (levels) this.#levels.set(levels.subarray(from, to), this.count);
    else this.#levels.fill(this.#usual, this.count, this.count + length);
    this.count += length;
  }

  /** Writes them as runs, and returns their length in bytes. */
  write(out: GrowingBytes): number {
    if (this.#max === 0) return 0;
    const start = out.length;
    const bits = bitsFor(this.#max);
    if (this.#usualUntil === this.count) writeRun(out, this.#usual, this.count, bits);
    else writeRuns(out, this.#levels, 0, this.count, bits);
    return out.length - start;
  }

  clear(): void {
    this.count = 0;
    this.#usualUntil = 0;
  }
}
