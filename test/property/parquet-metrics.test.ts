import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Columns } from '../../src/arrow/columns.ts';
import type { Schema } from '../../src/iceberg/schema.ts';
import { encodingOptions } from '../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../src/parquet/file-writer.ts';
import { type ColumnMetrics, columnMetrics } from '../../src/parquet/metrics.ts';
import type { Row } from '../tools/canonical.ts';
import { appendRow, rows, schemas } from '../unit/arrow/rows.ts';
import {
  decodeBound,
  type ExpectedMetrics,
  expectedMetrics,
  measuredLeaves,
} from '../unit/iceberg/bounds.ts';

async function collect(
  schema: Schema,
  chunks: readonly Row[][],
  mode: string,
  pageRows: number,
): Promise<ColumnMetrics> {
  const options = {
    ...encodingOptions({}),
    codec: 'uncompressed' as const,
    pageRows,
    rowGroupBytes: pageRows * 100,
  };
  const file = parquetEncoder.open(schema, options);
  // The same columns over and over, as the program fills them: a bound must not change with what comes next.
  const columns = new Columns(schema);
  for (const chunk of chunks) {
    for (const row of chunk) appendRow(columns, row);
    await file.write(columns);
    columns.truncate(0);
  }
  const { facts } = await file.close();
  return columnMetrics(schema, { 'write.metadata.metrics.default': mode }, facts);
}

function shown(schema: Schema, metrics: ColumnMetrics): ExpectedMetrics {
  const types = new Map(measuredLeaves(schema).map(({ id, type }) => [id, type]));
  const texts = (counts: Map<number, number>): Record<string, string> =>
    Object.fromEntries([...counts].map(([id, count]) => [id, String(count)]));
  const bounds = (encoded: Map<number, Uint8Array>): ExpectedMetrics['lowerBounds'] =>
    Object.fromEntries([...encoded].map(([id, bytes]) => [id, decodeBound(types.get(id)!, bytes)]));
  return {
    valueCounts: texts(metrics.valueCounts),
    nullCounts: texts(metrics.nullValueCounts),
    nanCounts: texts(metrics.nanValueCounts),
    lowerBounds: bounds(metrics.lowerBounds),
    upperBounds: bounds(metrics.upperBounds),
  };
}

test('metrics are what the rows say, however the rows are cut into chunks and pages and the bounds cut short', async () => {
  const cases = schemas(2).chain((schema) =>
    fc.record({
      schema: fc.constant(schema),
      chunks: fc.array(rows(schema, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      length: fc.constantFrom(1, 2, 3, 16, Number.POSITIVE_INFINITY),
      pageRows: fc.constantFrom(1, 3, 20_000),
    }),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ schema, chunks, length, pageRows }) => {
      const mode = Number.isFinite(length) ? `truncate(${length})` : 'full';
      const metrics = await collect(schema, chunks, mode, pageRows);
      expect(shown(schema, metrics)).toEqual(expectedMetrics(schema, chunks.flat(), length));
    }),
    { numRuns: 400 },
  );
});
