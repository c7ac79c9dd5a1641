import type { Chunk } from './column-writer.ts';
import type { FileLeaf } from './file-schema.ts';
import { pageTypes } from './page.ts';
import { columnIndex, offsetIndex, statistics } from './page-index.ts';
import { encodings } from './page-values.ts';
import { field, structOf, type ThriftStruct, thriftTypes } from './thrift.ts';

/** Row groups as the footer describes them (parquet.thrift `RowGroup`, `ColumnChunk`, `ColumnMetaData`). */

export interface RowGroup {
  rows: number;
  chunks: readonly WrittenChunk[];
}

/** A column chunk whose pages have their place in the file. */
export interface WrittenChunk {
  /** Of its first page. */
  start: number;
  compressedBytes: number;
  uncompressedBytes: number;
  metadata: ThriftStruct;
  bloomFilter: Uint8Array | undefined;
  columnIndex: Uint8Array | undefined;
  offsetIndex: Uint8Array;
  /** Where in the file these are. */
  places: Partial<Record<'bloomFilter' | 'columnIndex' | 'offsetIndex', Place>>;
}

interface Place {
  start: number;
  sizeBytes: number;
}

/** A chunk whose first page is at byte `start` of the file. */
export function writtenChunk(leaf: FileLeaf, chunk: Chunk, codec: number, start: number): WrittenChunk {
  const firstPage = start + chunk.dictionaryBytes;
  const hasDictionary = chunk.dictionaryBytes > 0;
  const { compressedBytes, uncompressedBytes, bloomFilter, dataPageType, pageEncodings } = chunk;
  const used = new Set([encodings.rle, ...pageEncodings.keys(), ...(hasDictionary ? [encodings.plain] : [])]);
  const stats = [...pageEncodings].map(([encoding, count]) => encodingStats(dataPageType, encoding, count));
  if (hasDictionary) stats.unshift(encodingStats(pageTypes.dictionary, encodings.plain, 1));
  return {
    start,
    compressedBytes,
    uncompressedBytes,
    metadata: structOf(
      field.i32(1, leaf.physical),
      field.list(2, thriftTypes.i32, [...used]),
      field.list(
        3,
        thriftTypes.binary,
        leaf.path.map((name) => Buffer.from(name)),
      ),
      field.i32(4, codec),
      field.i64(5, chunk.facts.entries),
      field.i64(6, uncompressedBytes),
      field.i64(7, compressedBytes),
      field.i64(9, firstPage),
      hasDictionary ? field.i64(11, start) : undefined,
      field.struct(12, statistics(leaf, chunk.facts)),
      field.list(13, thriftTypes.struct, stats),
    ),
    bloomFilter,
    columnIndex: columnIndex(leaf, chunk.pages),
    offsetIndex: offsetIndex(chunk.pages, firstPage),
    places: {},
  };
}

/** `PageEncodingStats`. */
function encodingStats(pageType: number, encoding: number, pages: number): ThriftStruct {
  return [field.i32(1, pageType), field.i32(2, encoding), field.i32(3, pages)];
}

export function rowGroupMetadata({ rows, chunks }: RowGroup, ordinal: number): ThriftStruct {
  const sum = (of: (chunk: WrittenChunk) => number): number =>
    chunks.reduce((total, chunk) => total + of(chunk), 0);
  return structOf(
    field.list(1, thriftTypes.struct, chunks.map(chunkMetadata)),
    field.i64(
      2,
      sum((chunk) => chunk.uncompressedBytes),
    ),
    field.i64(3, rows),
    field.i64(5, chunks[0]!.start),
    field.i64(
      6,
      sum((chunk) => chunk.compressedBytes),
    ),
    // Readers ignore it in files that are not encrypted; it has 16 bits.
    ordinal < 32_768 ? { id: 7, type: thriftTypes.i16, value: ordinal } : undefined,
  );
}

function chunkMetadata({ metadata, places }: WrittenChunk): ThriftStruct {
  const { bloomFilter, columnIndex: values, offsetIndex: rows } = places;
  return structOf(
    field.i64(2, 0),
    field.struct(
      3,
      structOf(
        ...metadata,
        bloomFilter && field.i64(14, bloomFilter.start),
        bloomFilter && field.i32(15, bloomFilter.sizeBytes),
      ),
    ),
    rows && field.i64(4, rows.start),
    rows && field.i32(5, rows.sizeBytes),
    values && field.i64(6, values.start),
    values && field.i32(7, values.sizeBytes),
  );
}
