import type { Column } from '../arrow/columns.ts';
import { setLength } from '../arrow/set-length.ts';
import { DecodeError, type Entries } from './decoder.ts';

/**
 * Reads one entry, `bytes[start, end)`, and appends a value to each column.
 * @throws {DecodeError} with the columns in any state.
 */
export type ReadEntry = (bytes: Buffer, view: DataView, start: number, end: number) => void;

/**
 * Reads usual entries fast: writes those from `from` up to `to` straight into the arrays of the columns, the first at
 * `row`, without counting them. Returns `to`, or the first entry that is not usual; of that one anything may be behind the
 * others then. It never decides that an entry is wrong.
 */
export interface GeneratedReader {
  read(entries: Entries, from: number, to: number, row: number): number;
  /** Columns that count what they are given. */
  readonly appended: ReadonlySet<Column>;
  /** What was compiled. */
  readonly text: string;
}

/** The readers of one kind of entries. The generated one may be made, or made anew, while others are read. */
export interface Readers {
  exact: ReadEntry;
  generated: GeneratedReader | undefined;
}

/** Most entries that room is made for at once, before it is known how many of them make a row. */
const mostAtOnce = 4096;

/** Most entries in a row that the generated reader is not asked for. */
const longestPause = 63;

/**
 * Appends entries as rows: by a generated reader as far as it gets, and each one that it does not take by the reader that
 * knows everything. Where few are usual, the generated one is asked rarely.
 */
export class EntryReader {
  failure: DecodeError | undefined;
  /** How many entries the generated reader has left. */
  unusual = 0;
  readonly #columns: readonly Column[];
  /** Entries to go until the generated reader is asked again, and how many they will be if that was in vain. */
  #pause = 0;
  #nextPause = 0;

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  get #rows(): number {
    return this.#columns[0]?.length ?? 0;
  }

  append(entries: Entries, from: number, to: number, readers: Readers): number {
    let i = from;
    while (i < to) {
      if (this.#pause > 0) {
        this.#pause--;
      } else if (readers.generated) {
        const first = i;
        const most = Math.min(to, first + mostAtOnce);
        i = this.#appendUsual(readers.generated, entries, first, most);
        if (i > first) this.#nextPause = 0;
        if (i === most) continue;
        // The last may just have been too near to the end of the bytes.
        if (i < to - 1) this.#lengthenPause();
      }
      this.unusual++;
      const { generated } = readers;
      if (!this.#appendOne(entries, i, readers.exact)) return i;
      if (readers.generated !== generated) this.#pause = 0;
      i++;
    }
    return to;
  }

  #lengthenPause(): void {
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(longestPause, this.#nextPause * 2 + 1);
  }

  #appendUsual(generated: GeneratedReader, entries: Entries, from: number, to: number): number {
    const rows = this.#rows;
    for (const column of this.#columns) column.makeRoom(to - from);
    const end = generated.read(entries, from, to, rows);
    for (const column of this.#columns) setLength(column, rows + end - from, generated.appended);
    return end;
  }

  #appendOne({ bytes, view, starts, lengths }: Entries, i: number, read: ReadEntry): boolean {
    const rows = this.#rows;
    try {
      read(bytes, view, starts[i]!, starts[i]! + lengths[i]!);
      return true;
    } catch (error) {
      for (const column of this.#columns) column.truncate(rows);
      if (!(error instanceof DecodeError)) throw error;
      this.failure = error;
      return false;
    }
  }
}
