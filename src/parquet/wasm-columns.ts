import { type Data, DataType, type RecordBatch, tableFromIPC } from 'apache-arrow';
import { ParquetFile, type RecordBatch as WasmBatch } from 'parquet-wasm';
import { FatalError } from '../base/errors.ts';
import type { ReadRange } from './file-facts.ts';

/** Some rows of some columns. */
export interface ColumnBatch {
  readonly rows: number;
  /** In the order asked for. */
  readonly columns: readonly (Float64Array | Words)[];
}

/** A column of texts: `words[codes[row]]`; -1 where there is none. */
export interface Words {
  readonly codes: Int32Array;
  readonly words: readonly string[];
}

/** A file whose columns are to be read. */
export interface ColumnSource {
  readonly sizeBytes: number;
  readonly read: ReadRange;
}

/** Reads columns of a Parquet file by their names, a batch of rows at a time. */
export type ReadColumns = (file: ColumnSource, names: readonly string[]) => AsyncIterable<ColumnBatch>;

const batchRows = 64 * 1024;

/**
 * Reads columns of numbers (as doubles, NaN for null) and texts, and only their bytes. arrow-rs asks for byte ranges as
 * of a Blob, so that is what it gets.
 *
 * A damaged file, or a read that fails, may end the engine for good, without a word to who waits for it: for threads of
 * their own ({@link ColumnThreads}).
 */
export async function* readColumns(
  file: ColumnSource,
  names: readonly string[],
): AsyncGenerator<ColumnBatch> {
  const parquet = await ParquetFile.fromFile(blobOf(file, 0, file.sizeBytes));
  try {
    const stream = await parquet.stream({ columns: [...names], batchSize: batchRows, concurrency: 1 });
    for await (const batch of stream as unknown as AsyncIterable<WasmBatch>)
      for (const read of tableFromIPC(batch.intoIPCStream()).batches) yield columnsOf(read, names);
  } finally {
    parquet.free();
  }
}

function blobOf(file: ColumnSource, start: number, end: number): Blob {
  const part = {
    size: end - start,
    slice: (from = 0, to = end - start) => blobOf(file, start + from, Math.min(end, start + to)),
    arrayBuffer: async () => {
      // A file that was cut off goes on as zeros: it must be as long as it was asked for.
      const whole = new Uint8Array(end - start);
      whole.set(await file.read(start, end));
      return whole.buffer;
    },
  };
  return part as unknown as Blob;
}

function columnsOf(batch: RecordBatch, names: readonly string[]): ColumnBatch {
  const columns = names.map((name) => {
    const index = batch.schema.fields.findIndex((field) => field.name === name);
    const data = batch.data.children[index]!;
    return DataType.isInt(data.type) ? numbersOf(data, name) : wordsOf(batch, index);
  });
  return { rows: batch.numRows, columns };
}

function numbersOf(data: Data, name: string): Float64Array {
  const numbers = new Float64Array(data.length);
  const { bitWidth } = data.type as unknown as { bitWidth: number };
  const values = data.values as Int32Array | BigInt64Array;
  if (bitWidth === 64) {
    // Halves of a long: a bigint for each would cost ten times as much.
    const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let i = 0; i < data.length; i++)
      numbers[i] = halves[i * 2 + 1]! * 4294967296 + (halves[i * 2]! >>> 0);
  } else if (bitWidth === 32) {
    for (let i = 0; i < data.length; i++) numbers[i] = Number(values[i]);
  } else {
    throw new FatalError(`reading column ${name}: it is neither int nor long`);
  }
  if (data.nullCount > 0)
    for (let i = 0; i < data.length; i++) if (!data.getValid(i)) numbers[i] = Number.NaN;
  return numbers;
}

/** Neighbours mostly have the same text. */
function wordsOf(batch: RecordBatch, index: number): Words {
  const vector = batch.getChildAt<DataType>(index)!;
  const codes = new Int32Array(vector.length);
  const words: string[] = [];
  const known = new Map<string, number>();
  const same = sameAsBefore(batch.data.children[index]!);
  for (let i = 0; i < vector.length; i++) {
    if (i > 0 && same(i)) {
      codes[i] = codes[i - 1]!;
      continue;
    }
    const word = vector.get(i) as string | null;
    let code = word === null ? -1 : known.get(word);
    if (code === undefined) {
      code = words.length;
      words.push(word!);
      known.set(word!, code);
    }
    codes[i] = code;
  }
  return { codes, words };
}

/** Compares a text with the one before without making strings of them, where the layout is the usual one. */
function sameAsBefore(data: Data): (i: number) => boolean {
  if (!DataType.isUtf8(data.type) || data.nullCount > 0) return () => false;
  const offsets = data.valueOffsets as Int32Array;
  const bytes = data.values as unknown as Uint8Array;
  return (i) => {
    const [before, start, end] = [offsets[i - 1]!, offsets[i]!, offsets[i + 1]!];
    if (end - start !== start - before) return false;
    for (let k = 0; k < end - start; k++) if (bytes[before + k] !== bytes[start + k]) return false;
    return true;
  };
}
