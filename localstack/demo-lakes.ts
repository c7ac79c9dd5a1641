import { execFile, spawn } from 'node:child_process';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { objectsOf, queryTrino, tableText } from './trino.ts';

const repo = fileURLToPath(new URL('..', import.meta.url));

/** Where a demo lands its orders, and the engine that reads them there. */
export interface DemoLake {
  readonly engine: string;
  /** Parts that it needs besides Kafka and the registry. */
  readonly parts: readonly string[];
  /** What the workers' environment must hold. */
  readonly environment: NodeJS.Dict<string>;
  /** Brings what can be brought while the parts come up. */
  begin(): Promise<void>;
  /** Makes the engine ready; `parts` is the environment that localstack/up has written. */
  ready(parts: NodeJS.Dict<string>): Promise<void>;
  /** The lines of the configuration that say where tables are. */
  settings(parts: NodeJS.Dict<string>): string;
  /** Prints what a query finds. */
  show(sql: string): Promise<void>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /** A command that queries the table, to try next. */
  queryCommand(sql: string): string;
}

/** A SQLite catalog and a folder, read by DuckDB. */
export function localLake(folder: string): DemoLake {
  const catalog = join(folder, 'lake/catalog.db');
  const sql = join(repo, 'localstack/sql');
  return {
    engine: 'DuckDB',
    parts: [],
    environment: {},
    async begin() {
      await promisify(execFile)(join(repo, 'localstack/python-venv'));
    },
    async ready() {},
    settings: () => 'catalog: { type: sqlite, path: ./lake/catalog.db, name: lake, warehouse: ./lake }',
    show: (query) => run(sql, [catalog, query]),
    async rows(query) {
      const { stdout } = await promisify(execFile)(sql, ['--json', catalog, query]);
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    queryCommand: (query) => `localstack/sql ${relative(process.cwd(), catalog)} '${query}'`,
  };
}

/** The shape of AWS on this machine: Glue and S3 by ministack, read by Trino, the engine of Athena. */
export function awsLake(): DemoLake {
  let trino = '';
  // What stands in for AWS takes any credentials; the default chain of the AWS SDK finds these.
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  return {
    engine: 'Trino',
    parts: ['ministack', 'trino'],
    environment: credentials,
    async begin() {},
    async ready(parts) {
      trino = parts['FRAZIL_TRINO']!;
      const aws = parts['FRAZIL_AWS']!;
      const properties = {
        'iceberg.catalog.type': 'glue',
        'hive.metastore.glue.region': 'us-east-1',
        'hive.metastore.glue.endpoint-url': aws,
        'hive.metastore.glue.aws-access-key': credentials.AWS_ACCESS_KEY_ID,
        'hive.metastore.glue.aws-secret-key': credentials.AWS_SECRET_ACCESS_KEY,
        'fs.native-s3.enabled': 'true',
        's3.endpoint': aws,
        's3.region': 'us-east-1',
        's3.path-style-access': 'true',
        's3.aws-access-key': credentials.AWS_ACCESS_KEY_ID,
        's3.aws-secret-key': credentials.AWS_SECRET_ACCESS_KEY,
      };
      const list = Object.entries(properties).map(([name, value]) => `"${name}" = '${value}'`);
      await queryTrino(trino, `CREATE CATALOG lake USING iceberg WITH (${list.join(', ')})`);
    },
    settings: (parts) => {
      const aws = parts['FRAZIL_AWS']!;
      return `catalog: { type: glue, region: us-east-1, warehouse: "s3://lake/wh", endpoint: "${aws}", createDatabase: true }
store: { type: s3, region: us-east-1, endpoint: "${aws}", pathStyle: true }`;
    },
    async show(sql) {
      console.log(`\n${tableText(await queryTrino(trino, inCatalog(sql)))}\n`);
    },
    rows: async (sql) => objectsOf(await queryTrino(trino, inCatalog(sql))),
    queryCommand: (sql) => `node_modules/.bin/node localstack/trino.ts ${trino} '${inCatalog(sql)}'`,
  };
}

function inCatalog(sql: string): string {
  return sql.replaceAll('shop.orders', 'lake.shop.orders');
}

/** Runs a program to its end, its output before the eyes of the user. */
export async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: 'inherit' });
  const code = await new Promise<number | null>((end, fail) => child.once('error', fail).once('close', end));
  if (code !== 0) throw new Error(`${relative(process.cwd(), command)} ${args.join(' ')} ended with ${code}`);
}
