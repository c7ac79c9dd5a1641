import type { Schema as ArrowSchema } from 'apache-arrow';
import {
  Compression,
  Table,
  transformParquetStream,
  type WriterProperties,
  WriterPropertiesBuilder,
} from 'parquet-wasm';
import type { Columns } from '../arrow/columns.ts';
import { arrowSchema, toIpcStream } from '../arrow/ipc.ts';
import { assert } from '../base/assert.ts';
import { writeJson } from '../base/json.ts';
import { type Schema, schemaToJson } from '../iceberg/schema.ts';
import type { EncodedFile, Encoder, EncodingOptions, FileEncoder } from './encoder.ts';
import { finishFile } from './footer.ts';

/** Parquet through arrow-rs compiled to WebAssembly. */
export const wasmEncoder: Encoder = {
  open: (schema, options) => new WasmFile(schema, options),
};

const compressions: Record<EncodingOptions['codec'], Compression> = {
  zstd: Compression.ZSTD,
  gzip: Compression.GZIP,
  snappy: Compression.SNAPPY,
  lz4: Compression.LZ4_RAW,
  uncompressed: Compression.UNCOMPRESSED,
};

/** Pages and dictionaries that each column of an open row group keeps, besides its encoded data. */
const overheadBytes = 256 * 1024;

/**
 * One file. arrow-rs reads record batches from a stream of ours and writes to one of its own; handing over one batch at
 * a time, and waiting until the next is asked for, keeps only encoded pages in memory.
 */
class WasmFile implements FileEncoder {
  readonly #schema: Schema;
  #arrow: ArrowSchema | undefined;
  #controller: ReadableStreamDefaultController | undefined;
  #demanded = Promise.withResolvers<void>();
  #supplied = Promise.withResolvers<void>();
  readonly #chunks: Uint8Array[] = [];
  readonly #finished: Promise<void>;
  #outputBytes = 0;
  /** Column bytes of the row group under way: what it will shrink to is not known before it is written. */
  #inputBytes = 0;
  #lastBatchBytes = 0;

  constructor(schema: Schema, options: EncodingOptions) {
    this.#schema = schema;
    const input = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          // arrow-rs is done with the batch before and wants the next; it gets it when we have it.
          this.#demanded.resolve();
          return this.#supplied.promise;
        },
      },
      { highWaterMark: 0 },
    );
    this.#finished = this.#collect(transformParquetStream(input as never, properties(schema, options)));
    // A failure is reported by write() or close(), whichever awaits it first.
    this.#finished.catch(() => {});
  }

  get heldBytes(): number {
    return overheadBytes + this.#inputBytes + this.#outputBytes;
  }

  get writtenBytes(): number {
    return this.#outputBytes;
  }

  async write(columns: Columns): Promise<void> {
    assert(columns.rows > 0, 'rows are written, not empty batches');
    this.#arrow ??= arrowSchema(columns);
    await this.#wanted();
    // The table lives in the WebAssembly heap, which never shrinks: freed at once, not by the garbage collector.
    const table = Table.fromIPCStream(toIpcStream(columns, this.#arrow));
    try {
      for (const batch of table.recordBatches()) this.#controller!.enqueue(batch);
    } finally {
      table.free();
    }
    this.#lastBatchBytes = columns.byteLength();
    this.#inputBytes += this.#lastBatchBytes;
    this.#supply();
    await this.#wanted();
  }

  async close(): Promise<EncodedFile> {
    await this.#wanted();
    this.#controller!.close();
    this.#supply();
    await this.#finished;
    return finishFile(this.#chunks, this.#schema);
  }

  async abort(): Promise<void> {
    this.#controller!.error(new Error('file given up'));
    this.#supply();
    await this.#finished.catch(() => {});
  }

  /** Waits until arrow-rs asks for a batch; throws if it failed instead. */
  async #wanted(): Promise<void> {
    await Promise.race([this.#demanded.promise, this.#finished]);
  }

  #supply(): void {
    const supplied = this.#supplied;
    this.#demanded = Promise.withResolvers();
    this.#supplied = Promise.withResolvers();
    supplied.resolve();
  }

  async #collect(output: Promise<ReadableStream>): Promise<void> {
    for await (const chunk of (await output) as unknown as AsyncIterable<Uint8Array>) {
      this.#chunks.push(chunk);
      this.#outputBytes += chunk.length;
      // What did not fit into the row group is the rest of the last batch at most.
      if (chunk.length > magicLength) this.#inputBytes = this.#lastBatchBytes;
    }
  }
}

/** The first thing written is the file's magic; after that a chunk is a whole row group. */
const magicLength = 4;

function properties(schema: Schema, options: EncodingOptions): WriterProperties {
  return new WriterPropertiesBuilder()
    .setCompression(compressions[options.codec])
    .setMaxRowGroupBytes(options.rowGroupBytes)
    .setDataPageSizeLimit(options.pageBytes)
    .setDictionaryPageSizeLimit(options.dictionaryBytes)
    .setCreatedBy('frazil')
    .setKeyValueMetadata(new Map([['iceberg.schema', writeJson(schemaToJson(schema))]]))
    .build();
}
