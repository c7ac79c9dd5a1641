import type { Columns } from '../arrow/columns.ts';
import type { Schema } from '../iceberg/schema.ts';

/** A finished Parquet file, in the pieces it was produced in. */
export interface EncodedFile {
  parts: readonly Uint8Array[];
  sizeBytes: number;
  /** Compressed bytes per leaf, by field id. */
  columnSizes: Map<number, number>;
  /** Where each row group starts. */
  splitOffsets: number[];
  /** What all values of each leaf have in common, by field id. */
  facts: ReadonlyMap<number, ValueFacts>;
}

/** What is known of the values of a leaf: in a page, a column chunk, or a file. */
export interface ValueFacts {
  /** Places for a value, those without one included. */
  entries: number;
  nulls: number;
  nans: number;
  /** Undefined: nothing but nulls and NaNs, or of a type that has none. */
  extremes: Extremes | undefined;
}

/** The least and the greatest value in PLAIN, byte strings without their length. -0 is below +0. */
export interface Extremes {
  min: Uint8Array;
  max: Uint8Array;
}

/** A Parquet file being written. */
export interface FileEncoder {
  /** Appends all rows of `columns`; they may be cleared and filled again when it resolves. */
  write(columns: Columns): Promise<void>;
  /** Bytes this file keeps in memory: an upper estimate. */
  readonly heldBytes: number;
  /** Bytes of the file that are final. */
  readonly writtenBytes: number;
  /** Ends the file. At least one row was written. */
  close(): Promise<EncodedFile>;
  /** Gives the file up and frees its memory. */
  abort(): Promise<void>;
}

/** The Parquet engine as a port. */
export interface Encoder {
  open(schema: Schema, options: EncodingOptions): FileEncoder;
}

export interface EncodingOptions {
  codec: 'zstd' | 'gzip' | 'snappy' | 'lz4' | 'uncompressed';
  /** Of zstd or gzip; undefined: the encoder's choice. */
  level: number | undefined;
  rowGroupBytes: number;
  pageBytes: number;
  pageRows: number;
  /** 2 also stands for the delta encodings, as it does for Java. */
  pageVersion: 1 | 2;
  dictionaryBytes: number;
  bloomFilters: BloomFilterOptions;
}

export interface BloomFilterOptions {
  bytesMax: number;
  /** By the name of the column, such as `address.city`: the part of wrong answers that is allowed. */
  falsePositives: ReadonlyMap<string, number>;
}

/** What the table's `write.parquet.*` properties ask for, with Java's defaults (`TableProperties`). */
export function encodingOptions(properties: Readonly<Record<string, string>>): EncodingOptions {
  const positive = (name: string, fallback: number): number => {
    const value = Number(properties[`write.parquet.${name}`]);
    return Number.isFinite(value) && value > 0 ? value : fallback;
  };
  const codec = codecOf(properties['write.parquet.compression-codec']);
  return {
    codec,
    level: levelOf(codec, properties['write.parquet.compression-level']),
    rowGroupBytes: positive('row-group-size-bytes', 128 * 1024 * 1024),
    pageBytes: positive('page-size-bytes', 1024 * 1024),
    pageRows: Math.ceil(positive('page-row-limit', 20_000)),
    pageVersion: properties['write.parquet.page-version']?.toLowerCase() === 'v2' ? 2 : 1,
    dictionaryBytes: positive('dict-size-bytes', 2 * 1024 * 1024),
    bloomFilters: {
      bytesMax: positive('bloom-filter-max-bytes', 1024 * 1024),
      falsePositives: new Map(bloomFilterColumns(properties)),
    },
  };
}

function codecOf(name: string | undefined): EncodingOptions['codec'] {
  switch (name?.toLowerCase()) {
    case 'zstd':
    case 'gzip':
    case 'snappy':
    case 'lz4':
    case 'uncompressed':
      return name.toLowerCase() as EncodingOptions['codec'];
    default:
      return 'gzip'; // Java's default for tables without the property
  }
}

/** Undefined for what the codec does not have. zstd takes 0 and -1 for its own default, 3. */
function levelOf(codec: EncodingOptions['codec'], text: string | undefined): number | undefined {
  const level = Number(text?.trim() || Number.NaN);
  if (!Number.isInteger(level)) return undefined;
  if (codec === 'zstd') return level >= -7 && level <= 22 ? level : undefined;
  return codec === 'gzip' && level >= -1 && level <= 9 ? level : undefined;
}

function* bloomFilterColumns(properties: Readonly<Record<string, string>>): Generator<[string, number]> {
  const prefix = 'write.parquet.bloom-filter-enabled.column.';
  for (const [name, value] of Object.entries(properties)) {
    if (!name.startsWith(prefix) || value.toLowerCase() !== 'true') continue;
    const column = name.slice(prefix.length);
    const wanted = Number(properties[`write.parquet.bloom-filter-fpp.column.${column}`]);
    yield [column, wanted > 0 && wanted < 1 ? wanted : 0.01];
  }
}
