import type { Canonical, Row } from './canonical.ts';

/** A catalog's properties, as in a file of etc/catalog. */
export type Properties = Readonly<Record<string, string>>;

/** Trino over HTTP: https://trino.io/docs/current/develop/client-protocol.html */
export class Trino {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Runs a statement to its end. @throws with Trino's own words when it fails. */
  async query(sql: string): Promise<Row[]> {
    const rows: Row[] = [];
    const headers = {
      'X-Trino-User': 'test',
      'X-Trino-Time-Zone': 'UTC',
      // Without it timestamps come in milliseconds.
      'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
    };
    let page = await ask(`${this.#url}/v1/statement`, { method: 'POST', headers, body: sql });
    for (;;) {
      if (page.error) throw new Error(`trino: ${page.error.message}\n${sql}`);
      for (const values of page.data ?? []) rows.push(toRow(page.columns!, values));
      if (!page.nextUri) return rows;
      page = await ask(page.nextUri, { headers });
    }
  }

  /** The rows of a query on one table, and how many of the table's data files Trino planned to open for it. */
  async scan(sql: string): Promise<{ rows: Row[]; files: number }> {
    const plan = JSON.stringify(await this.query(`EXPLAIN ANALYZE VERBOSE ${sql}`));
    const counts = [...plan.matchAll(/'dataFiles' = LongCount\{total=(\d+)\}/g)];
    // Where the filter can hold nowhere, Trino does not even ask the table.
    const files = counts.reduce((sum, [, count]) => sum + Number(count), 0);
    return { rows: await this.query(sql), files };
  }

  /** Makes a catalog of the Iceberg connector, for as long as the server runs. */
  async createCatalog(name: string, properties: Properties): Promise<void> {
    const settings = Object.entries(properties).map(([key, value]) => `${identifier(key)} = ${text(value)}`);
    await this.query(`CREATE CATALOG ${identifier(name)} USING iceberg WITH (${settings.join(', ')})`);
  }

  async dropCatalog(name: string): Promise<void> {
    await this.query(`DROP CATALOG ${identifier(name)}`);
  }
}

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

interface Page {
  nextUri?: string;
  columns?: { name: string; typeSignature: Signature }[];
  data?: unknown[][];
  error?: { message: string };
}

interface Signature {
  rawType: string;
  arguments: { kind: string; value: unknown }[];
}

/** Numbers stay the text that they are: a double would not hold every bigint. */
const parse = JSON.parse as (
  json: string,
  reviver: (key: string, value: unknown, context: { source: string }) => unknown,
) => unknown;

async function ask(url: string, init: RequestInit): Promise<Page> {
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

// ---- canonical values ----

function toRow(columns: NonNullable<Page['columns']>, values: readonly unknown[]): Row {
  return Object.fromEntries(
    columns.map(({ name, typeSignature }, i) => [name, canonical(typeSignature, values[i])]),
  );
}

function canonical(type: Signature, value: unknown): Canonical {
  if (value === null || typeof value === 'boolean') return value;
  switch (type.rawType) {
    case 'real':
      return floatBits(Number(value));
    case 'double':
      return doubleBits(Number(value));
    case 'date':
      return String(microsOf(`${value} 00:00:00`) / 86_400_000_000n);
    case 'time':
      return String(microsOf(`1970-01-01 ${value}`));
    case 'timestamp':
    case 'timestamp with time zone':
      return String(microsOf((value as string).replace(/ UTC$/, '')));
    case 'varbinary':
      return Buffer.from(value as string, 'base64').toString('hex');
    case 'array':
      return (value as unknown[]).map((element) => canonical(element0(type), element));
    case 'map':
      return mapPairs(type, value as Record<string, unknown>);
    case 'row':
      return rowFields(type, value as unknown[]);
    default:
      return String(value);
  }
}

const element0 = (type: Signature): Signature => type.arguments[0]!.value as Signature;

function mapPairs(type: Signature, value: Record<string, unknown>): Canonical[] {
  const valueType = type.arguments[1]!.value as Signature;
  const order = (pair: Canonical[]): Buffer => Buffer.from(JSON.stringify(pair[0]));
  return Object.entries(value)
    .map(([key, item]) => [canonical(element0(type), key), canonical(valueType, item)])
    .sort((a, b) => Buffer.compare(order(a), order(b)));
}

function rowFields(type: Signature, values: readonly unknown[]): Row {
  return Object.fromEntries(
    type.arguments.map((argument, i) => {
      const field = argument.value as { fieldName: { name: string }; typeSignature: Signature };
      return [field.fieldName.name, canonical(field.typeSignature, values[i])];
    }),
  );
}

function floatBits(value: number): string {
  if (Number.isNaN(value)) return '7fc00000';
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return bytes.toString('hex');
}

function doubleBits(value: number): string {
  if (Number.isNaN(value)) return '7ff8000000000000';
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
}

/** Of `2024-02-29 23:59:59.999999`, where the year may have a sign and more digits. */
function microsOf(timestamp: string): bigint {
  const parts = /^([+-]?\d+)-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(timestamp);
  if (!parts) throw new Error(`trino: what is the time ${timestamp}?`);
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as number[];
  const date = new Date(0);
  date.setUTCFullYear(year!, month! - 1, day!);
  const ms = date.getTime() + ((hour! * 60 + minute!) * 60 + second!) * 1000;
  return BigInt(ms) * 1000n + BigInt((parts[7] ?? '').padEnd(6, '0'));
}
