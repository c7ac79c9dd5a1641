import type { Columns } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import { writeJson } from '../base/json.ts';
import { type Schema, schemaToJson } from '../iceberg/schema.ts';
import { ColumnWriter } from './column-writer.ts';
import { type Compressor, codecs, compressorOf } from './compression.ts';
import type { EncodedFile, Encoder, EncodingOptions, FileEncoder, ValueFacts } from './encoder.ts';
import { type FileSchema, fileSchema } from './file-schema.ts';
import { eachLeaf } from './levels.ts';
import { addFacts, noFacts } from './page-index.ts';
import { type RowGroup, rowGroupMetadata, writtenChunk } from './row-group.ts';
import { field, type ThriftStruct, thriftTypes, writeThrift } from './thrift.ts';

/** Parquet straight from our columns (apache/parquet-format; field ids and types as the Iceberg spec has them). */
export const parquetEncoder: Encoder = {
  open: (schema, options) => new FileWriter(schema, options),
};

const magic = Buffer.from('PAR1');
/** What a leaf costs besides what it counts itself: objects, and what the footer will say of it. */
const leafBytes = 16 * 1024;

class FileWriter implements FileEncoder {
  readonly #schema: Schema;
  readonly #options: EncodingOptions;
  readonly #fileSchema: FileSchema;
  readonly #codec: number;
  #columns: readonly ColumnWriter[];
  /** All that is final. */
  #parts: Uint8Array[] = [magic];
  #writtenBytes: number = magic.length;
  #groups: RowGroup[] = [];
  readonly #facts = new Map<number, ValueFacts>();
  /** Of the row group under way. */
  #rows = 0;

  constructor(schema: Schema, options: EncodingOptions) {
    this.#schema = schema;
    this.#options = options;
    this.#fileSchema = fileSchema(schema);
    const compressor: Compressor = compressorOf(options.codec, options.level);
    this.#codec = codecs[options.codec];
    this.#columns = this.#fileSchema.leaves.map((leaf) => new ColumnWriter(leaf, options, compressor));
    for (const { id } of this.#fileSchema.leaves) this.#facts.set(id, noFacts());
  }

  get heldBytes(): number {
    let held = this.#writtenBytes;
    for (const column of this.#columns) held += leafBytes + column.heldBytes;
    return held;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async write(columns: Columns): Promise<void> {
    assert(columns.rows > 0, 'rows are written, not empty batches');
    let next = 0;
    let groupBytes = 0;
    eachLeaf(columns, (batch) => {
      const column = this.#columns[next++]!;
      column.append(batch);
      groupBytes += column.encodedBytes;
    });
    assert(next === this.#columns.length, 'a file is written from columns of its schema');
    this.#rows += columns.rows;
    if (groupBytes >= this.#options.rowGroupBytes) this.#endGroup();
  }

  #endGroup(): void {
    const chunks = this.#columns.map((column) => {
      const chunk = column.finish();
      const written = writtenChunk(column.leaf, chunk, this.#codec, this.#writtenBytes);
      for (const part of chunk.parts) this.#append(part);
      addFacts(column.leaf, this.#facts.get(column.leaf.id)!, chunk.facts);
      return written;
    });
    this.#groups.push({ rows: this.#rows, chunks });
    this.#rows = 0;
  }

  /** Answers where the part begins. */
  #append(part: Uint8Array): number {
    const start = this.#writtenBytes;
    this.#parts.push(part);
    this.#writtenBytes += part.length;
    return start;
  }

  async close(): Promise<EncodedFile> {
    if (this.#rows > 0) this.#endGroup();
    assert(this.#groups.length > 0, 'a file without rows is never closed');
    this.#writeIndexes();
    const footer = writeThrift(this.#metadata());
    this.#append(footer);
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(footer.length);
    magic.copy(tail, 4);
    this.#append(tail);
    return {
      parts: this.#parts,
      sizeBytes: this.#writtenBytes,
      columnSizes: this.#columnSizes(),
      splitOffsets: this.#groups.map(({ chunks }) => chunks[0]!.start),
      facts: this.#facts,
    };
  }

  /** Behind all row groups, each kind by itself: who wants one wants that of many columns (PageIndex.md). */
  #writeIndexes(): void {
    for (const kind of ['bloomFilter', 'columnIndex', 'offsetIndex'] as const)
      for (const { chunks } of this.#groups)
        for (const chunk of chunks) {
          const bytes = chunk[kind];
          if (bytes) chunk.places[kind] = { start: this.#append(bytes), sizeBytes: bytes.length };
        }
  }

  /** parquet.thrift `FileMetaData`. */
  #metadata(): ThriftStruct {
    const { elements, leaves } = this.#fileSchema;
    const rows = this.#groups.reduce((sum, group) => sum + group.rows, 0);
    const groups = this.#groups.map((group, i) => rowGroupMetadata(group, i));
    const icebergSchema = [
      field.text(1, 'iceberg.schema'),
      field.text(2, writeJson(schemaToJson(this.#schema))),
    ];
    const byType = leaves.map(() => [field.struct(1)]);
    return [
      field.i32(1, this.#options.pageVersion),
      field.list(2, thriftTypes.struct, [...elements]),
      field.i64(3, rows),
      field.list(4, thriftTypes.struct, groups),
      field.list(5, thriftTypes.struct, [icebergSchema]),
      field.text(6, 'frazil'),
      field.list(7, thriftTypes.struct, byType),
    ];
  }

  #columnSizes(): Map<number, number> {
    const sizes = new Map<number, number>();
    for (const { chunks } of this.#groups)
      for (const [i, { compressedBytes }] of chunks.entries()) {
        const { id } = this.#fileSchema.leaves[i]!;
        sizes.set(id, (sizes.get(id) ?? 0) + compressedBytes);
      }
    return sizes;
  }

  async abort(): Promise<void> {
    this.#columns = [];
    this.#parts = [];
    this.#groups = [];
    this.#writtenBytes = 0;
  }
}
