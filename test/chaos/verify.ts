import type { Repl } from '../tools/repl.ts';

/**
 * What a table holds, as DuckDB reads it, against what Kafka has: no code of frazil's is in this.
 * Rows are told apart by their offset (that is what lands once), records by their id (that is what a producer sent once).
 */

export interface PartitionVerdict {
  partition: number;
  /** Where the log ends. */
  end: number;
  rows: number;
  /** Offsets that no row has. */
  gaps: number;
  /** Rows whose offset another row has. */
  duplicates: number;
}

export interface Verdict {
  table: string;
  partitions: PartitionVerdict[];
  gaps: number;
  duplicates: number;
  /** Rows of offsets that the log does not have. */
  strangers: number;
  /** Acknowledged records that are not in the table at their offset. */
  missing: number;
  /** Ids that the log itself has at several offsets: the producer's doing. */
  sentTwice: number;
  /** Some of what is wrong. */
  examples: string[];
}

export interface Log {
  /** Where each partition ends. */
  ends: readonly number[];
  /** The producer's notes. */
  acknowledged: string;
}

type Rows = Record<string, string>[];

export async function verifyTable(python: Repl, table: string, metadata: string, log: Log): Promise<Verdict> {
  const query = async (sql: string): Promise<Rows> =>
    (await python.call<{ rows: Rows }>('duckdb', { metadata, sql: `WITH ${views(log)} ${sql}` }, 300_000))
      .rows;
  const counted = await query(
    'SELECT ends.p, "end", count(o) AS n, count(DISTINCT o) AS d FROM ends ' +
      'LEFT JOIN landed ON landed.p = ends.p AND o BETWEEN 0 AND "end" - 1 GROUP BY ALL ORDER BY 1',
  );
  const partitions = counted.map(({ p, end, n, d }) => ({
    partition: Number(p),
    end: Number(end),
    rows: Number(n),
    gaps: Number(end) - Number(d),
    duplicates: Number(n) - Number(d),
  }));
  const [others] = await query(
    'SELECT (SELECT count(*) FROM landed LEFT JOIN ends USING (p) WHERE "end" IS NULL OR o NOT BETWEEN 0 AND "end" - 1) AS strangers, ' +
      '(SELECT count(*) FROM acked ANTI JOIN landed USING (p, o, id)) AS missing, ' +
      '(SELECT count(*) FROM (SELECT id FROM landed GROUP BY id HAVING count(DISTINCT (p, o)) > 1)) AS twice',
  );
  const sum = (of: 'gaps' | 'duplicates'): number => partitions.reduce((all, each) => all + each[of], 0);
  const verdict: Verdict = {
    table,
    partitions,
    gaps: sum('gaps'),
    duplicates: sum('duplicates'),
    strangers: Number(others!['strangers']),
    missing: Number(others!['missing']),
    sentTwice: Number(others!['twice']),
    examples: [],
  };
  if (!isSound(verdict)) verdict.examples = await examplesOf(query);
  return verdict;
}

/** The offsets are complete; what a producer did is not a table's fault. */
export function isSound({ gaps, duplicates, strangers, missing }: Verdict): boolean {
  return gaps + duplicates + strangers + missing === 0;
}

function views({ ends, acknowledged }: Log): string {
  const values = ends.map((end, partition) => `(${partition}, ${end})`).join(', ');
  return (
    'landed AS (SELECT _kafka_partition AS p, _kafka_offset AS o, order_id AS id FROM t), ' +
    `ends(p, "end") AS (VALUES ${values}), ` +
    `acked AS (SELECT "partition" AS p, "offset" AS o, order_id AS id FROM read_csv('${acknowledged.replaceAll("'", "''")}', ` +
    "header = true, columns = {'partition': 'INT', 'offset': 'BIGINT', 'order_id': 'BIGINT'}))"
  );
}

/** Runs of offsets that are missing, and offsets that are there more than once. */
async function examplesOf(query: (sql: string) => Promise<Rows>): Promise<string[]> {
  const gaps = await query(
    'SELECT p, min(o) AS a, max(o) AS b, count(*) AS n FROM (' +
      'SELECT p, o, o - row_number() OVER (PARTITION BY p ORDER BY o) AS run FROM (' +
      'SELECT p, unnest(range("end")) AS o FROM ends) ANTI JOIN landed USING (p, o)) GROUP BY p, run ORDER BY p, a LIMIT 20',
  );
  const doubled = await query(
    'SELECT p, min(o) AS a, max(o) AS b, count(*) AS n FROM (' +
      'SELECT p, o, o - row_number() OVER (PARTITION BY p ORDER BY o) AS run FROM (' +
      'SELECT p, o FROM landed GROUP BY p, o HAVING count(*) > 1)) GROUP BY p, run ORDER BY p, a LIMIT 20',
  );
  const told = (what: string, rows: Rows): string[] =>
    rows.map(({ p, a, b, n }) => `partition ${p}: ${what} ${a} to ${b} (${n} offsets)`);
  return [...told('missing', gaps), ...told('more than once', doubled)];
}
