import { assert } from '../base/assert.ts';
import type { Extremes } from './encoder.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import type { LeafBatch } from './levels.ts';
import { firstValues, type PageValues, withRoom } from './page-values.ts';

/** BOOLEAN: a byte each until they are packed into bits. RLE would be shorter, but Iceberg's readers do not know it. */
export class BooleanValues implements PageValues {
  readonly nans = 0;
  count = 0;
  #values = new Uint8Array(firstValues);

  get plainBytes(): number {
    return (this.count + 7) >> 3;
  }

  get heldBytes(): number {
    return this.#values.length;
  }

  plainBytesOf(_batch: LeafBatch, from: number, to: number): number {
    return (to - from + 7) >> 3;
  }

  append({ column, slots }: LeafBatch, from: number, to: number): void {
    assert(column.kind === 'boolean', 'BOOLEAN values come from boolean columns');
    this.#values = withRoom(this.#values, this.count, to - from);
    const bits = column.values;
    for (let i = from; i < to; i++) {
      const slot = slots ? slots[i]! : i;
      this.#values[this.count++] = (bits[slot >> 3]! >> (slot & 7)) & 1;
    }
  }

  plain(out: GrowingBytes): void {
    const { plainBytes } = this;
    out.need(plainBytes);
    out.bytes.fill(0, out.length, out.length + plainBytes);
    for (let i = 0; i < this.count; i++) out.bytes[out.length + (i >> 3)]! |= this.#values[i]! << (i & 7);
    out.length += plainBytes;
  }

  delta(): undefined {}

  makeDictionary(): undefined {}

  index(): boolean {
    return false;
  }

  extremes(): Extremes | undefined {
    if (this.count === 0) return undefined;
    const values = this.#values.subarray(0, this.count);
    return {
      min: Uint8Array.of(values.includes(0) ? 0 : 1),
      max: Uint8Array.of(values.includes(1) ? 1 : 0),
    };
  }

  /** There are only two of them. */
  insertInto(): void {}

  clear(): void {
    this.count = 0;
  }
}
