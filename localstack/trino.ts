/**
 * Queries tables with Trino, the engine of Athena.
 *
 *   node localstack/trino.ts [--json] URL SQL       --json: an object per row instead of a table
 *
 *   node localstack/trino.ts http://127.0.0.1:18080 'SELECT count(*) FROM lake.shop.orders'
 */
import { parseArgs } from 'node:util';

export interface TrinoResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

interface Page {
  columns?: { name: string; type: string }[];
  data?: unknown[][];
  nextUri?: string;
  error?: { message: string };
}

/** Runs a statement to its end (Trino's client protocol: a page, and where the next one is). @throws what Trino says */
export async function queryTrino(url: string, sql: string): Promise<TrinoResult> {
  let page = await pageOf(`${url}/v1/statement`, { method: 'POST', body: sql });
  let { columns = [] } = page;
  const rows: unknown[][] = [];
  for (;;) {
    if (page.error) throw new Error(`Trino, running ${sql}: ${page.error.message}`);
    columns = page.columns ?? columns;
    rows.push(...(page.data ?? []));
    if (page.nextUri === undefined) return { columns, rows };
    page = await pageOf(page.nextUri, {});
  }
}

async function pageOf(url: string, request: RequestInit): Promise<Page> {
  const response = await fetch(url, { ...request, headers: { 'X-Trino-User': 'frazil' } });
  if (!response.ok) throw new Error(`Trino answers ${response.status}: ${await response.text()}`);
  return (await response.json()) as Page;
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

/** The rows of a result as objects. */
export function objectsOf({ columns, rows }: TrinoResult): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])));
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
