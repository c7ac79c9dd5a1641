import { RecordBatchStreamWriter, type StructRow, tableFromIPC, Vector } from 'apache-arrow';
import { Compression, readParquet, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm';
import type { Columns } from '../../src/arrow/columns.ts';
import { arrowSchema, recordBatch } from './arrow-ipc.ts';

/** Parquet as arrow-rs writes and reads it (parquet-wasm): another's view of the same columns. */

/** A file of the batches, in zstd. */
export function arrowRsFile(batches: readonly Columns[]): Uint8Array {
  const schema = arrowSchema(batches[0]!);
  const stream = RecordBatchStreamWriter.writeAll(
    batches.map((columns) => recordBatch(columns, schema)),
  ).toUint8Array(true);
  const properties = new WriterPropertiesBuilder().setCompression(Compression.ZSTD).build();
  return writeParquet(Table.fromIPCStream(stream), properties);
}

/** All rows of a file, in a form that compares: numbers, moments and decimals as texts, bytes in hex. */
export function arrowRsRows(file: Uint8Array): unknown[] {
  const table = tableFromIPC(readParquet(file).intoIPCStream());
  return Array.from({ length: table.numRows }, (_, i) =>
    table.schema.fields.map((_field, column) => plain(table.getChildAt(column)!.get(i))),
  );
}

function plain(value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value !== 'object') return String(value);
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
  if (value instanceof Vector) return [...value].map(plain);
  return [...(value as StructRow)].map(([name, member]) => [plain(name), plain(member)]);
}
