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
  rowGroupBytes: number;
  pageBytes: number;
  dictionaryBytes: number;
}

/** What the table's `write.parquet.*` properties ask for, with Java's defaults (`TableProperties`). */
export function encodingOptions(properties: Readonly<Record<string, string>>): EncodingOptions {
  const bytes = (name: string, fallback: number): number => {
    const value = Number(properties[`write.parquet.${name}`]);
    return Number.isFinite(value) && value > 0 ? value : fallback;
  };
  return {
    codec: codecOf(properties['write.parquet.compression-codec']),
    rowGroupBytes: bytes('row-group-size-bytes', 128 * 1024 * 1024),
    pageBytes: bytes('page-size-bytes', 1024 * 1024),
    dictionaryBytes: bytes('dict-size-bytes', 2 * 1024 * 1024),
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
