import type { PrimitiveType } from '../../src/iceberg/types.ts';
import type { Canonical, Row } from './canonical.ts';
import { Localstack } from './localstack.ts';
import { spark } from './spark.ts';
import { identifier, type Properties, Trino, text } from './trino.ts';

/** An engine that speaks SQL, at one catalog. */
export interface Engine {
  readonly name: string;
  /** Runs a statement. `db.orders` may be named as {@link table} says. */
  query(sql: string): Promise<Row[]>;
  /** What a query on one table answers, and how many of its data files were opened for it. */
  scan(sql: string): Promise<{ rows: Row[]; files: number }>;
  table(namespace: string, name: string): string;
  column(name: string): string;
  /** A canonical value as SQL. */
  literal(type: PrimitiveType, value: string | boolean): string;
}

/** A catalog as Trino's and Spark's properties say it. `name` is the one that a JDBC catalog keeps its tables under. */
export interface EngineCatalog {
  readonly name: string;
  readonly trino: Properties;
  readonly spark: Properties;
}

/** Trino keeps what is younger than a week, unless the catalog says less. */
export const shortRetention: Properties = {
  'iceberg.expire-snapshots.min-retention': '0s',
  'iceberg.remove-orphan-files.min-retention': '1d',
};

/** A SQLite catalog and a warehouse below a folder. */
export function sqliteEngineCatalog(path: string, warehouse: string, name = 'lake'): EngineCatalog {
  const uri = `jdbc:sqlite:${path}`;
  return {
    name,
    trino: {
      'iceberg.catalog.type': 'jdbc',
      'iceberg.jdbc-catalog.driver-class': 'org.sqlite.JDBC',
      'iceberg.jdbc-catalog.connection-url': uri,
      'iceberg.jdbc-catalog.catalog-name': name,
      'iceberg.jdbc-catalog.default-warehouse-dir': warehouse,
      'iceberg.jdbc-catalog.schema-version': 'V1',
      'fs.native-local.enabled': 'true',
      'local.location': '/',
      ...shortRetention,
    },
    spark: { type: 'jdbc', uri, warehouse, 'jdbc.schema-version': 'V1' },
  };
}

/** How the engines reach files on S3. */
export function icebergOnS3(
  endpoint: string,
  [key, secret]: readonly [string, string],
): { trino: Properties; spark: Properties } {
  return {
    trino: {
      'fs.native-s3.enabled': 'true',
      's3.endpoint': endpoint,
      's3.region': 'us-east-1',
      's3.path-style-access': 'true',
      's3.aws-access-key': key,
      's3.aws-secret-key': secret,
    },
    spark: {
      'io-impl': 'org.apache.iceberg.aws.s3.S3FileIO',
      'client.region': 'us-east-1',
      's3.endpoint': endpoint,
      's3.path-style-access': 'true',
      's3.access-key-id': key,
      's3.secret-access-key': secret,
    },
  };
}

let catalogs = 0;
/** Compacting takes its time on a machine that has none. */
const statementTimeoutMs = 300_000;

/** Trino, started by the first file of a run that asks for it, with a catalog of its own. */
export async function trinoAt(catalog: EngineCatalog, sharedParts: string): Promise<Engine> {
  const { env } = await Localstack.share(sharedParts, ['trino']);
  const trino = new Trino(env['FRAZIL_TRINO']!);
  const name = `c${process.pid}_${catalogs++}`;
  await trino.createCatalog(name, catalog.trino);
  return {
    name: 'Trino',
    query: (sql) => trino.query(sql),
    scan: (sql) => trino.scan(sql),
    table: (...names) => [name, ...names].map(identifier).join('.'),
    column: identifier,
    literal: trinoLiteral,
  };
}

export function sparkAt(catalog: EngineCatalog): Engine {
  const scan = (sql: string): Promise<{ rows: Row[]; files?: number }> =>
    spark.call('sql', { name: catalog.name, catalog: catalog.spark, sql }, statementTimeoutMs);
  const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
  return {
    name: 'Spark',
    query: async (sql) => (await scan(sql)).rows,
    scan: async (sql) => {
      const { rows, files } = await scan(sql);
      return { rows, files: files ?? 0 };
    },
    table: (...names) => names.map(quoted).join('.'),
    column: quoted,
    literal: sparkLiteral,
  };
}

function trinoLiteral(type: PrimitiveType, value: string | boolean): string {
  const plain = plainText(type, value);
  switch (type.kind) {
    case 'boolean':
      return plain;
    case 'string':
      return text(plain);
    case 'binary':
    case 'fixed':
      return `X'${plain}'`;
    case 'timestamptz':
      return `TIMESTAMP '${plain} UTC'`;
    default:
      return `CAST('${plain}' AS ${{ long: 'bigint', float: 'real', decimal: decimal(type), timestamp: 'timestamp(6)', time: 'time(6)' }[type.kind as string] ?? type.kind})`;
  }
}

function sparkLiteral(type: PrimitiveType, value: string | boolean): string {
  const plain = plainText(type, value);
  switch (type.kind) {
    case 'boolean':
      return plain;
    case 'string':
      return `'${plain.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
    case 'binary':
    case 'fixed':
      return `X'${plain}'`;
    case 'timestamptz':
      return `TIMESTAMP '${plain} UTC'`;
    case 'timestamp':
      return `TIMESTAMP_NTZ '${plain}'`;
    default:
      return `CAST('${plain}' AS ${{ long: 'bigint', decimal: decimal(type) }[type.kind as string] ?? type.kind})`;
  }
}

const decimal = (type: PrimitiveType): string =>
  type.kind === 'decimal' ? `decimal(${type.precision}, ${type.scale})` : type.kind;

/** A canonical value as people write it. */
function plainText(type: PrimitiveType, value: Canonical): string {
  const micros = (): string => isoMicros(BigInt(value as string));
  switch (type.kind) {
    case 'float':
      return number(Buffer.from(value as string, 'hex').readFloatBE());
    case 'double':
      return number(Buffer.from(value as string, 'hex').readDoubleBE());
    case 'date':
      return isoMicros(BigInt(value as string) * 86_400_000_000n).slice(0, 10);
    case 'time':
      return micros().slice(11);
    case 'timestamp':
    case 'timestamptz':
      return micros();
    default:
      return String(value);
  }
}

const number = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** `2024-02-29 23:59:59.000001`, of the years 1 to 9999. */
function isoMicros(micros: bigint): string {
  const ms = Number((micros - (((micros % 1000n) + 1000n) % 1000n)) / 1000n);
  const rest = String(((micros % 1000n) + 1000n) % 1000n).padStart(3, '0');
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', rest);
}
