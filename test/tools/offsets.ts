import type { Lake, OffsetCount } from './frazil.ts';
import { askDuckdb, type Place, sqlite } from './places.ts';

/** Counts a table's rows by partition with DuckDB, which knows nothing of ledgers. */
export async function countOffsets(lake: Lake, table: string, place: Place = sqlite): Promise<OffsetCount[]> {
  const rows = await askDuckdb(
    place,
    lake,
    table,
    'select _kafka_partition as p, count(*) as n, count(distinct _kafka_offset) as d, min(_kafka_offset) as lo, ' +
      'max(_kafka_offset) as hi from t group by 1 order by 1',
  );
  return rows.map(({ p, n, d, lo, hi }) => ({
    partition: Number(p),
    rows: Number(n),
    distinct: Number(d),
    min: Number(lo),
    max: Number(hi),
  }));
}

/** What a table must hold when each of these acknowledged records is in it once, from offset 0 on. */
export function everyOffsetOnce(acknowledged: readonly number[]): OffsetCount[] {
  return acknowledged.map((count, partition) => ({
    partition,
    rows: count,
    distinct: count,
    min: 0,
    max: count - 1,
  }));
}
