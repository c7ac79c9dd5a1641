import { BloomFilter } from './bloom-filter.ts';
import { BooleanValues } from './boolean-values.ts';
import { BytesValues, FixedValues } from './bytes-values.ts';
import { type Compressor, PageCompressor } from './compression.ts';
import { BytesDictionary, type Dictionary, PairDictionary, WordDictionary } from './dictionary.ts';
import type { EncodingOptions, ValueFacts } from './encoder.ts';
import { type FileLeaf, physical } from './file-schema.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { LeafBatch } from './levels.ts';
import { DoubleValues, FloatValues, IntValues, LongValues } from './number-values.ts';
import { type PagePart, pageOf, pageTypes } from './page.ts';
import { addFacts, boundsOf, noFacts, type PageFacts } from './page-index.ts';
import { PageLevels } from './page-levels.ts';
import { encodings, type PageValues } from './page-values.ts';
import { bitsFor, writeRuns } from './run-lengths.ts';
import { field } from './thrift.ts';

/** A column chunk that is complete. */
export interface Chunk {
  /** The dictionary page, if there is one, and the data pages. */
  readonly parts: readonly Uint8Array[];
  readonly dictionaryBytes: number;
  /** With their headers, as the footer counts them. */
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
  readonly facts: ValueFacts;
  readonly pages: readonly PageFacts[];
  readonly dataPageType: number;
  /** Data pages by their encoding. */
  readonly pageEncodings: ReadonlyMap<number, number>;
  readonly bloomFilter: Uint8Array | undefined;
}

/** A page that is not full is ended with the batch when its values have reached this: enough to be worth a call. */
const settledBytes = 64 * 1024;
/** So many values tell whether a dictionary is worth trying. */
const sampleValues = 1_024;
/** A dictionary is given up unless it makes this of the first page, or less. */
const dictionaryWorthwhile = 0.75;

/** What is kept of a page besides its bytes. */
const pageFactsBytes = 1024;

/** What a page is put together in, one after the other. */
const scratch = new GrowingBytes(64 * 1024);
let codes = new Int32Array(1024);

/** One leaf of a file: takes batches, cuts them into pages, and keeps those until their row group ends. */
export class ColumnWriter {
  /**
   * One of each kind of object that values go through. V8 drops compiled code with the shapes that it was made for, and
   * those with the last object that has them: between two files there would be none.
   */
  static readonly kept: readonly unknown[] = [
    ...[new BooleanValues(), new IntValues(), new LongValues(), new FloatValues(), new DoubleValues()],
    ...[new BytesValues(), new FixedValues(1, 'fixed'), new PageLevels(1, 1)],
    ...[new WordDictionary(), new PairDictionary(), new BytesDictionary(false)],
  ];
  readonly leaf: FileLeaf;
  readonly #options: EncodingOptions;
  readonly #compressor: PageCompressor;
  readonly #values: PageValues;
  readonly #definitions: PageLevels;
  readonly #repetitions: PageLevels;
  readonly #bloomFilter: BloomFilter | undefined;
  readonly #falsePositives: number;
  /** Of the page under way. */
  #rows = 0;
  #entries = 0;
  /** What the pages that are indexed refer to. */
  #dictionary: Dictionary | undefined;
  #isIndexing = true;
  /** Of the chunk under way. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #uncompressedBytes = 0;
  #pages: PageFacts[] = [];
  #facts: ValueFacts = noFacts();
  #pageEncodings = new Map<number, number>();
  #groupRows = 0;

  constructor(leaf: FileLeaf, options: EncodingOptions, compressor: Compressor) {
    this.leaf = leaf;
    this.#options = options;
    this.#compressor = new PageCompressor(compressor);
    this.#values = valuesOf(leaf);
    this.#definitions = new PageLevels(leaf.maxDefinition, leaf.maxDefinition);
    this.#repetitions = new PageLevels(leaf.maxRepetition, 0);
    const falsePositives = options.bloomFilters.falsePositives.get(leaf.name);
    this.#falsePositives = falsePositives ?? 0;
    if (falsePositives !== undefined && leaf.physical !== physical.boolean)
      this.#bloomFilter = new BloomFilter(options.bloomFilters.bytesMax);
  }

  /** An upper estimate of all that is kept. */
  get heldBytes(): number {
    return (
      this.#partBytes +
      this.#pages.length * pageFactsBytes +
      this.#values.heldBytes +
      this.#definitions.heldBytes +
      this.#repetitions.heldBytes +
      (this.#dictionary?.heldBytes ?? 0) +
      (this.#bloomFilter?.heldBytes ?? 0)
    );
  }

  /** What this row group takes in the file so far: pages as they are, and values as they would be in PLAIN. */
  get encodedBytes(): number {
    return this.#partBytes + this.#values.plainBytes;
  }

  /** Takes in a batch. */
  append(batch: LeafBatch): void {
    let row = 0;
    while (row < batch.rows) {
      const next = this.#fitting(batch, row);
      if (next > row) this.#take(batch, row, next);
      row = next;
      if (row < batch.rows || this.#rows >= this.#options.pageRows) this.#endPage();
    }
    if (this.#values.plainBytes >= settledBytes) this.#endPage();
  }

  /** The row before which the page is full: at least one row goes into an empty one. */
  #fitting(batch: LeafBatch, from: number): number {
    const room = this.#options.pageBytes - this.#values.plainBytes;
    const first = valueAt(batch, from);
    const fits = (to: number): boolean => this.#values.plainBytesOf(batch, first, valueAt(batch, to)) <= room;
    const most = Math.min(batch.rows, from + this.#options.pageRows - this.#rows);
    if (fits(most)) return most;
    let low = from;
    let high = most - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (fits(middle)) low = middle;
      else high = middle - 1;
    }
    return this.#rows === 0 ? Math.max(low, from + 1) : low;
  }

  #take(batch: LeafBatch, from: number, to: number): void {
    const [first, last] = [entryAt(batch, from), entryAt(batch, to)];
    this.#definitions.append(batch.definition, first, last);
    this.#repetitions.append(batch.repetition, first, last);
    this.#values.append(batch, valueAt(batch, from), valueAt(batch, to));
    this.#entries += last - first;
    this.#rows += to - from;
  }

  #endPage(): void {
    if (this.#rows === 0) return;
    const values = this.#values;
    if (this.#bloomFilter) values.insertInto(this.#bloomFilter);
    const isIndexed = this.#index();
    const extremes = values.extremes(isIndexed ? codes : undefined, this.#dictionary);
    const { leaf } = this;
    const facts = {
      entries: this.#entries,
      nulls: this.#entries - values.count,
      nans: values.nans,
      extremes,
    };
    addFacts(leaf, this.#facts, facts);
    this.#pages.push({
      ...facts,
      extremes: extremes && boundsOf(leaf.type, extremes),
      firstRow: this.#groupRows,
      sizeBytes: this.#options.pageVersion === 1 ? this.#writeV1(isIndexed) : this.#writeV2(isIndexed),
    });
    this.#groupRows += this.#rows;
    this.#rows = 0;
    this.#entries = 0;
    values.clear();
    this.#definitions.clear();
    this.#repetitions.clear();
  }

  /** Puts the values into the dictionary while that is worth it; false when they are to be written themselves. */
  #index(): boolean {
    const values = this.#values;
    const isFirst = this.#pages.length === 0;
    if (isFirst) this.#dictionary = values.makeDictionary();
    const dictionary = this.#dictionary;
    if (!dictionary || !this.#isIndexing) return false;
    if (codes.length < values.count) codes = new Int32Array(Math.max(values.count, codes.length * 2));
    const sizeBefore = dictionary.size;
    const bytesMax = this.#options.dictionaryBytes;
    const { count } = values;
    if (!isFirst) {
      const all = { from: 0, to: count, sizeMax: Number.POSITIVE_INFINITY, bytesMax };
      if (values.index(dictionary, all, codes)) return true;
    } else {
      // Where most of the first are distinct, more will be: that is soon seen.
      const to = count < sampleValues * 2 ? 0 : sampleValues;
      const sample = { from: 0, to, sizeMax: to * 0.9, bytesMax };
      const rest = { from: to, to: count, sizeMax: Math.max(1, count >> 1), bytesMax };
      const isSmall = values.index(dictionary, sample, codes) && values.index(dictionary, rest, codes);
      const indexedBytes = dictionary.plainBytes + (count * bitsFor(dictionary.size)) / 8;
      if (isSmall && indexedBytes <= values.plainBytes * dictionaryWorthwhile) return true;
    }
    this.#isIndexing = false;
    dictionary.truncate(sizeBefore);
    if (isFirst) this.#dictionary = undefined;
    return false;
  }

  /** Writes the page as `DataPageHeader` has it: all in one, levels with their length in front. Returns its size. */
  #writeV1(isIndexed: boolean): number {
    scratch.length = 0;
    for (const levels of [this.#repetitions, this.#definitions]) {
      if (levels.count === 0) continue;
      const at = scratch.length;
      scratch.need(4);
      scratch.length += 4;
      scratch.view.setInt32(at, levels.write(scratch), true);
    }
    const encoding = this.#writeValues(scratch, isIndexed);
    const raw = scratch.written();
    const header = field.struct(5, [
      field.i32(1, this.#entries),
      field.i32(2, encoding),
      field.i32(3, encodings.rle),
      field.i32(4, encodings.rle),
    ]);
    const part = pageOf(pageTypes.data, raw.length, header, [this.#compressor.page(raw)]);
    return this.#keep(part, raw.length, encoding);
  }

  /** As `DataPageHeaderV2`: levels as they are, and what is behind them compressed if it shrinks. */
  #writeV2(isIndexed: boolean): number {
    scratch.length = 0;
    const repetitionBytes = this.#repetitions.write(scratch);
    const definitionBytes = this.#definitions.write(scratch);
    const levelBytes = scratch.length;
    const encoding = this.#writeValues(scratch, isIndexed);
    const raw = scratch.written();
    const values = raw.subarray(levelBytes);
    const compressed = this.#compressor.tryPage(values);
    const header = field.struct(8, [
      field.i32(1, this.#entries),
      field.i32(2, this.#entries - this.#values.count),
      field.i32(3, this.#rows),
      field.i32(4, encoding),
      field.i32(5, definitionBytes),
      field.i32(6, repetitionBytes),
      field.bool(7, compressed !== undefined),
    ]);
    const body = [raw.subarray(0, levelBytes), compressed ?? values];
    return this.#keep(pageOf(pageTypes.dataV2, raw.length, header, body), raw.length, encoding);
  }

  #keep(part: PagePart, rawBytes: number, encoding: number): number {
    this.#parts.push(part.bytes);
    this.#partBytes += part.bytes.length;
    this.#uncompressedBytes += part.headerBytes + rawBytes;
    this.#pageEncodings.set(encoding, (this.#pageEncodings.get(encoding) ?? 0) + 1);
    return part.bytes.length;
  }

  /** Appends the values; answers their encoding. */
  #writeValues(out: GrowingBytes, isIndexed: boolean): number {
    const values = this.#values;
    if (isIndexed) {
      const bits = bitsFor(this.#dictionary!.size - 1);
      out.byte(bits);
      writeRuns(out, codes, 0, values.count, bits);
      return encodings.rleDictionary;
    }
    if (this.#options.pageVersion === 2) {
      const start = out.length;
      const encoding = values.delta(out);
      if (encoding !== undefined && out.length - start < values.plainBytes) return encoding;
      out.length = start;
    }
    values.plain(out);
    return encodings.plain;
  }

  /** Ends the chunk, and begins the next. */
  finish(): Chunk {
    this.#endPage();
    const dictionary = this.#dictionary && this.#dictionaryPage(this.#dictionary);
    const chunk: Chunk = {
      parts: dictionary ? [dictionary.bytes, ...this.#parts] : this.#parts,
      dictionaryBytes: dictionary?.bytes.length ?? 0,
      compressedBytes: this.#partBytes + (dictionary?.bytes.length ?? 0),
      uncompressedBytes: this.#uncompressedBytes,
      facts: this.#facts,
      pages: this.#pages,
      dataPageType: this.#options.pageVersion === 1 ? pageTypes.data : pageTypes.dataV2,
      pageEncodings: this.#pageEncodings,
      bloomFilter: this.#bloomFilter?.take(this.#falsePositives),
    };
    this.#dictionary = undefined;
    this.#isIndexing = true;
    this.#parts = [];
    this.#partBytes = 0;
    this.#uncompressedBytes = 0;
    this.#pages = [];
    this.#facts = noFacts();
    this.#pageEncodings = new Map();
    this.#groupRows = 0;
    return chunk;
  }

  #dictionaryPage(dictionary: Dictionary): PagePart {
    scratch.length = 0;
    dictionary.plain(scratch);
    const raw = scratch.written();
    const header = field.struct(7, [field.i32(1, dictionary.size), field.i32(2, encodings.plain)]);
    const part = pageOf(pageTypes.dictionary, raw.length, header, [this.#compressor.dictionary(raw)]);
    this.#uncompressedBytes += part.headerBytes + raw.length;
    return part;
  }
}

function entryAt({ entryAt: at }: LeafBatch, row: number): number {
  return at ? at[row]! : row;
}

function valueAt({ valueAt: at }: LeafBatch, row: number): number {
  return at ? at[row]! : row;
}

function valuesOf({ physical: shape, type, width }: FileLeaf): PageValues {
  switch (shape) {
    case physical.boolean:
      return new BooleanValues();
    case physical.int32:
      return new IntValues();
    case physical.int64:
      return new LongValues();
    case physical.float:
      return new FloatValues();
    case physical.double:
      return new DoubleValues();
    case physical.fixed:
      return new FixedValues(width, type.kind);
    default:
      return new BytesValues();
  }
}
