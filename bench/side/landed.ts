import { python } from '../../test/tools/python.ts';
import type { SeenFile } from './warehouse.ts';

/** What is asked of the files is asked of DuckDB, which is no contestant's. */
async function ask<Row>(sql: string): Promise<Row[]> {
  return (await python.call<{ rows: Row[] }>('duckdb', { sql }, 600_000)).rows;
}

const listOf = (files: readonly SeenFile[]): string => `[${files.map(({ path }) => `'${path}'`).join(',')}]`;

/**
 * Checks that each order is in the table once, and how its files are compressed.
 * @returns the codecs of all column chunks.
 * @throws unless the orders are those that were produced.
 */
export async function checkTable(
  table: string,
  files: readonly SeenFile[],
  records: number,
): Promise<string[]> {
  const [found] = await ask<Record<string, string>>(
    'select count(*)::varchar as rows, count(distinct order_id)::varchar as orders, ' +
      '(max(order_id) - min(order_id) + 1)::varchar as range ' +
      `from read_parquet(${listOf(files)}, hive_partitioning = false)`,
  );
  const produced = String(records);
  if (found?.['rows'] !== produced || found['orders'] !== produced || found['range'] !== produced)
    throw new Error(`counting ${table}: found ${JSON.stringify(found)} of ${produced} orders in a row`);
  const codecs = await ask<{ codec: string }>(
    `select distinct compression as codec from parquet_metadata(${listOf(files)}) order by 1`,
  );
  return codecs.map(({ codec }) => codec.toLowerCase());
}

/** How many records of each file were sent at which time, in ms since the epoch. */
export async function sentTimes(
  files: readonly SeenFile[],
): Promise<{ path: string; sentAtMs: number; records: number }[]> {
  const rows = await ask<{ path: string; sent: string; records: string }>(
    'select filename as path, epoch_ms(updated_at)::varchar as sent, count(*)::varchar as records ' +
      `from read_parquet(${listOf(files)}, hive_partitioning = false, filename = true) group by 1, 2`,
  );
  return rows.map(({ path, sent, records }) => ({ path, sentAtMs: Number(sent), records: Number(records) }));
}
