/** Offsets from `from` up to, not including, `next`. */
export interface OffsetRange {
  readonly from: number;
  readonly next: number;
}

/**
 * A set of offsets. Runs of 65,536 that are whole cost an entry, others 8 KiB: what it takes grows with the holes, not
 * with the rows.
 */
export class OffsetSet {
  readonly #chunks = new Map<number, Chunk | typeof whole>();
  /** How many offsets are in it. */
  size = 0;

  /** @returns false when it was there already. */
  add(offset: number): boolean {
    const index = Math.floor(offset / chunkSize);
    let chunk = this.#chunks.get(index);
    if (chunk === whole) return false;
    if (!chunk) {
      chunk = { bits: new Uint32Array(chunkSize / 32), count: 0 };
      this.#chunks.set(index, chunk);
    }
    const at = offset - index * chunkSize;
    const bit = 1 << (at & 31);
    if ((chunk.bits[at >>> 5]! & bit) !== 0) return false;
    chunk.bits[at >>> 5]! |= bit;
    this.size++;
    if (++chunk.count === chunkSize) this.#chunks.set(index, whole);
    return true;
  }

  /** Adds a range. @returns those parts of it that were there already. */
  addRange(range: OffsetRange): OffsetRange[] {
    const taken: OffsetRange[] = [];
    for (let from = range.from; from < range.next; ) {
      const index = Math.floor(from / chunkSize);
      const next = Math.min(range.next, (index + 1) * chunkSize);
      if (next - from === chunkSize && !this.#chunks.has(index)) {
        this.#chunks.set(index, whole);
        this.size += chunkSize;
      } else {
        for (let offset = from; offset < next; offset++)
          if (!this.add(offset)) extend(taken, { from: offset, next: offset + 1 });
      }
      from = next;
    }
    return taken;
  }

  /** The parts of a range that are not in the set, in order. */
  *holes(range: OffsetRange): Generator<OffsetRange> {
    let open: number | undefined;
    for (let at = range.from; at < range.next; ) {
      const index = Math.floor(at / chunkSize);
      const next = Math.min(range.next, (index + 1) * chunkSize);
      const chunk = this.#chunks.get(index);
      if (chunk === undefined) {
        open ??= at;
      } else if (chunk === whole) {
        if (open !== undefined) yield { from: open, next: at };
        open = undefined;
      } else {
        for (let offset = at; offset < next; offset++) {
          const bit = offset - index * chunkSize;
          const isIn = (chunk.bits[bit >>> 5]! & (1 << (bit & 31))) !== 0;
          if (isIn && open !== undefined) yield { from: open, next: offset };
          if (isIn) open = undefined;
          else open ??= offset;
        }
      }
      at = next;
    }
    if (open !== undefined) yield { from: open, next: range.next };
  }

  /** The least and the greatest offset. */
  bounds(): { min: number; max: number } | undefined {
    if (this.#chunks.size === 0) return undefined;
    let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const index of this.#chunks.keys()) {
      first = Math.min(first, index);
      last = Math.max(last, index);
    }
    const inside = (index: number): number[] => {
      const chunk = this.#chunks.get(index)!;
      if (chunk === whole) return [0, chunkSize - 1];
      const least = chunk.bits.findIndex((word) => word !== 0);
      const greatest = chunk.bits.findLastIndex((word) => word !== 0);
      const low = chunk.bits[least]!;
      return [
        least * 32 + (31 - Math.clz32(low & -low)),
        greatest * 32 + 31 - Math.clz32(chunk.bits[greatest]!),
      ];
    };
    return { min: first * chunkSize + inside(first)[0]!, max: last * chunkSize + inside(last)[1]! };
  }
}

const chunkSize = 65_536;
const whole = 'whole';

interface Chunk {
  bits: Uint32Array;
  count: number;
}

/** Appends to ordered ranges, joining what touches. */
export function extend(ranges: OffsetRange[], range: OffsetRange): void {
  const last = ranges.at(-1);
  if (last && last.next === range.from) ranges[ranges.length - 1] = { from: last.from, next: range.next };
  else ranges.push(range);
}

export function countOf(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, { from, next }) => sum + next - from, 0);
}

/** The parts of `range` inside of and outside of `others`, which are in any order and may overlap. */
export function split(
  range: OffsetRange,
  others: readonly OffsetRange[],
): { inside: OffsetRange[]; outside: OffsetRange[] } {
  const inside: OffsetRange[] = [];
  const outside: OffsetRange[] = [];
  let at = range.from;
  const near = others
    .filter(({ from, next }) => next > range.from && from < range.next)
    .sort((a, b) => a.from - b.from);
  for (const { from, next } of near) {
    if (from > at) extend(outside, { from: at, next: Math.min(from, range.next) });
    const start = Math.max(at, from);
    const end = Math.min(next, range.next);
    if (end > start) extend(inside, { from: start, next: end });
    at = Math.max(at, end);
  }
  if (at < range.next) extend(outside, { from: at, next: range.next });
  return { inside, outside };
}
