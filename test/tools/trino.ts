import { queryTrino, type TrinoResult, type TrinoType } from '../../localstack/trino.ts';
import type { Canonical, Row } from './canonical.ts';

/** A catalog's properties, as in a file of etc/catalog. */
export type Properties = Readonly<Record<string, string>>;

/** Trino, its answers in canonical form. */
export class Trino {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** The rows of a statement. @throws with Trino's own words when it fails. */
  async query(sql: string): Promise<Row[]> {
    const { columns, rows } = await queryTrino(this.#url, sql);
    return rows.map((values) => toRow(columns, values));
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

// ---- canonical values ----

function toRow(columns: TrinoResult['columns'], values: readonly unknown[]): Row {
  return Object.fromEntries(
    columns.map(({ name, typeSignature }, i) => [name, canonical(typeSignature, values[i])]),
  );
}

function canonical(type: TrinoType, value: unknown): Canonical {
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

const element0 = (type: TrinoType): TrinoType => type.arguments[0]!.value as TrinoType;

function mapPairs(type: TrinoType, value: Record<string, unknown>): Canonical[] {
  const valueType = type.arguments[1]!.value as TrinoType;
  const order = (pair: Canonical[]): Buffer => Buffer.from(JSON.stringify(pair[0]));
  return Object.entries(value)
    .map(([key, item]) => [canonical(element0(type), key), canonical(valueType, item)])
    .sort((a, b) => Buffer.compare(order(a), order(b)));
}

function rowFields(type: TrinoType, values: readonly unknown[]): Row {
  return Object.fromEntries(
    type.arguments.map((argument, i) => {
      const field = argument.value as { fieldName: { name: string }; typeSignature: TrinoType };
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
