/**
 * Queries tables with Trino, the engine of Athena.
 *
 *   node localstack/trino.ts [--json] URL SQL       --json: an object per row instead of a table
 *
 *   node localstack/trino.ts http://127.0.0.1:18080 'SELECT count(*) FROM lake.shop.orders'
 */
import { parseArgs } from 'node:util';

export interface TrinoResult {
  readonly columns: readonly TrinoColumn[];
  /** Numbers are the text that they were sent as: a double would not hold every bigint. */
  readonly rows: readonly (readonly unknown[])[];
}

export interface TrinoColumn {
  readonly name: string;
  readonly typeSignature: TrinoType;
}

export interface TrinoType {
  readonly rawType: string;
  readonly arguments: readonly { readonly kind: string; readonly value: unknown }[];
}

interface Page {
  columns?: TrinoColumn[];
  data?: unknown[][];
  nextUri?: string;
  error?: { message: string };
}

/**
 * Runs a statement to its end. @throws with Trino's own words when it fails
 * (https://trino.io/docs/current/develop/client-protocol.html).
 */
export async function queryTrino(url: string, sql: string): Promise<TrinoResult> {
  const headers = {
    'X-Trino-User': 'frazil',
    'X-Trino-Time-Zone': 'UTC',
    // Without it timestamps come in milliseconds.
    'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
  };
  let page = await pageOf(`${url}/v1/statement`, { method: 'POST', headers, body: sql });
  let { columns = [] } = page;
  const rows: unknown[][] = [];
  for (;;) {
    if (page.error) throw new Error(`trino: ${page.error.message}\n${sql}`);
    columns = page.columns ?? columns;
    rows.push(...(page.data ?? []));
    if (page.nextUri === undefined) return { columns, rows };
    page = await pageOf(page.nextUri, { headers });
  }
}

const parse = JSON.parse as (
  json: string,
  reviver: (key: string, value: unknown, context: { source: string }) => unknown,
) => unknown;

async function pageOf(url: string, init: RequestInit): Promise<Page> {
  for (;;) {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(120_000) });
    const body = await response.text();
    if (response.status === 200)
      return parse(body, (_key, value, { source }) => (typeof value === 'number' ? source : value)) as Page;
    // Busy, says the protocol: ask again.
    if (![502, 503, 504].includes(response.status)) throw new Error(`trino: ${response.status} ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A result as a person reads it. */
export function tableText({ columns, rows }: TrinoResult): string {
  const lines = [columns.map(({ name }) => name), ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The rows of a result as objects; integers are numbers there. */
export function objectsOf({ columns, rows }: TrinoResult): Record<string, unknown>[] {
  const plain = ({ typeSignature }: TrinoColumn, value: unknown): unknown =>
    value !== null && /^(tiny|small|big)?int(eger)?$/.test(typeSignature.rawType) ? Number(value) : value;
  return rows.map((row) =>
    Object.fromEntries(columns.map((column, i) => [column.name, plain(column, row[i])])),
  );
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean' } },
    allowPositionals: true,
  });
  const [url, sql] = positionals;
  if (url === undefined || sql === undefined) {
    console.error('usage: node localstack/trino.ts [--json] URL SQL');
    process.exit(2);
  }
  try {
    const result = await queryTrino(url, sql);
    if (values.json) for (const row of objectsOf(result)) console.log(JSON.stringify(row));
    else console.log(tableText(result));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
