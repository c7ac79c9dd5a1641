import { type Column, Columns } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import type { PartitionValue } from '../iceberg/transforms.ts';
import type { EncodedFile, Encoder, EncodingOptions, FileEncoder } from '../parquet/encoder.ts';
import { columnMetrics } from '../parquet/metrics.ts';
import type { TablePlan } from './lane.ts';

/** Rows go to the encoder in chunks of this size: large enough to be worth a call, small enough to keep memory flat. */
const chunkBytes = 4 * 1024 * 1024;
const chunkRows = 65_536;

/** What a column costs before its first row: buffers to begin with, and the objects around them. */
const emptyColumnBytes = 1_500;

export function isChunk(columns: Columns): boolean {
  return columns.rows >= chunkRows || columns.byteLength() >= chunkBytes;
}

/**
 * A data file being filled, of one table partition. Rows wait in columns until they make a chunk; only then is a
 * Parquet encoder opened, so that thousands of partitions with a few rows each cost a few rows each.
 */
export class OpenFile {
  readonly partition: readonly PartitionValue[];
  /** Rows that no encoder has seen yet. */
  readonly waiting: Columns;
  readonly #encoder: Encoder;
  readonly #options: EncodingOptions;
  readonly #plan: TablePlan;
  /** With thousands of partitions of a few rows each this is most of what they hold. */
  readonly #emptyBytes: number;
  #file: FileEncoder | undefined;
  #rows = 0;

  constructor(
    plan: TablePlan,
    partition: readonly PartitionValue[],
    encoder: Encoder,
    options: EncodingOptions,
  ) {
    this.partition = partition;
    this.waiting = new Columns(plan.schema);
    this.#emptyBytes = countColumns(this.waiting.columns) * emptyColumnBytes;
    this.#encoder = encoder;
    this.#options = options;
    this.#plan = plan;
  }

  get heldBytes(): number {
    return this.#emptyBytes + this.waiting.byteLength() + (this.#file?.heldBytes ?? 0);
  }

  get rows(): number {
    return this.#rows + this.waiting.rows;
  }

  /** Bytes that are final: what decides whether the file is large enough. */
  get writtenBytes(): number {
    return this.#file?.writtenBytes ?? 0;
  }

  /** Encodes `columns` (the file's own waiting rows or others of the same table) and clears them. */
  async encode(columns: Columns): Promise<void> {
    if (columns.rows === 0) return;
    this.#file ??= this.#encoder.open(columns.schema, this.#options);
    await this.#file.write(columns);
    this.#rows += columns.rows;
    columns.truncate(0);
  }

  /** Ends the file. `path` is where it will be stored. */
  async close(path: string): Promise<{ encoded: EncodedFile; dataFile: DataFile }> {
    await this.encode(this.waiting);
    assert(this.#file && this.#rows > 0, 'a file without rows is never opened');
    const encoded = await this.#file.close();
    const { schema, properties } = this.#plan;
    const dataFile: DataFile = {
      path,
      format: 'PARQUET',
      partition: this.partition,
      recordCount: this.#rows,
      fileSizeBytes: encoded.sizeBytes,
      columnSizes: encoded.columnSizes,
      splitOffsets: encoded.splitOffsets,
      ...columnMetrics(schema, properties, encoded.facts),
    };
    return { encoded, dataFile };
  }

  async abort(): Promise<void> {
    await this.#file?.abort();
  }
}

/** Columns with all that lie within them. */
function countColumns(columns: readonly Column[]): number {
  const within = (column: Column): readonly Column[] => {
    if (column.kind === 'struct') return column.children;
    if (column.kind === 'list') return [column.element];
    return column.kind === 'map' ? [column.key, column.value] : [];
  };
  return columns.reduce((sum, column) => sum + 1 + countColumns(within(column)), 0);
}
