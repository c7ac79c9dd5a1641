import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Columns } from '../../src/arrow/columns.ts';
import type { Schema } from '../../src/iceberg/schema.ts';
import type { EncodedFile, EncodingOptions } from '../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../src/parquet/file-writer.ts';
import { arrowRsFile, arrowRsRows } from '../oracles/arrow-rs.ts';
import type { Row } from '../tools/canonical.ts';
import { appendRow, columnsOf, rows, schemas } from '../unit/arrow/rows.ts';
import { join, readParquet } from '../unit/parquet/parquet-file.ts';

/** Writes rows in chunks, with the columns filled anew for each as the program does it. */
async function encode(
  schema: Schema,
  chunks: readonly Row[][],
  options: EncodingOptions,
): Promise<EncodedFile> {
  const file = parquetEncoder.open(schema, options);
  const columns = new Columns(schema);
  for (const chunk of chunks) {
    for (const row of chunk) appendRow(columns, row);
    await file.write(columns);
    columns.truncate(0);
  }
  return file.close();
}

const options = fc.record({
  codec: fc.constantFrom('zstd', 'gzip', 'snappy', 'lz4', 'uncompressed'),
  level: fc.constant(undefined),
  rowGroupBytes: fc.constantFrom(1, 500, 128 * 1024 * 1024),
  pageBytes: fc.constantFrom(1, 100, 1024 * 1024),
  pageRows: fc.constantFrom(1, 7, 20_000),
  pageVersion: fc.constantFrom(1, 2),
  dictionaryBytes: fc.constantFrom(1, 20, 2 * 1024 * 1024),
  bloomFilters: fc.constant({ bytesMax: 1024, falsePositives: new Map([['a', 0.01]]) }),
}) as fc.Arbitrary<EncodingOptions>;

const cases = schemas(3).chain((schema) =>
  fc.record({
    schema: fc.constant(schema),
    // Some of the rows over and over: then dictionaries are worth their while.
    chunks: fc.array(
      fc
        .tuple(rows(schema, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3 }))
        .map(([some, times]) => Array.from({ length: times }, () => some).flat()),
      { minLength: 1, maxLength: 4 },
    ),
    options,
  }),
);

test('what is written is read back value by value, for any schema, encoding, chunks and row groups', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ schema, chunks, options: how }) => {
      const encoded = await encode(schema, chunks, how);
      const file = join(encoded.parts);
      expect(file.byteLength).toBe(encoded.sizeBytes);
      expect(await readParquet(file, schema)).toEqual(chunks.flat());
    }),
    { numRuns: 150 },
  );
});

test('arrow-rs reads in a file of ours what it reads in its own', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ schema, chunks, options: how }) => {
      const encoded = await encode(schema, chunks, how);
      const own = arrowRsFile(chunks.map((chunk) => columnsOf(schema, chunk)));
      expect(arrowRsRows(Buffer.concat(encoded.parts))).toEqual(arrowRsRows(own));
    }),
    { numRuns: 60 },
  );
});
