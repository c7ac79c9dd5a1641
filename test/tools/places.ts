import { vi } from 'vitest';
import type { Row } from './canonical.ts';
import { type EngineCatalog, icebergOnS3, shortRetention, sqliteEngineCatalog } from './engines.ts';
import type { Lake } from './frazil.ts';
import { Localstack } from './localstack.ts';
import { python } from './python.ts';
import { s3Properties, seaweedServer } from './rest-servers.ts';

/** Where a lake may be: a catalog and a store, and how each program opens them. */
export interface Place {
  readonly name: string;
  /** What the configuration says of it. */
  settings(lake: Lake): object;
  engines(lake: Lake): EngineCatalog;
  /** For Java's library and for PyIceberg, which know it by the name of {@link engines}. */
  java(lake: Lake): Readonly<Record<string, string>>;
  python(lake: Lake): Readonly<Record<string, string>>;
}

export interface Places {
  readonly sqlite: Place;
  readonly glue: Place;
  readonly rest: Place;
  readonly postgres: Place;
}

/**
 * The places, on parts that all files of a run share. From now on this process and those that it starts have the key of
 * both S3 servers (MiniStack takes any), until `vi.unstubAllEnvs()`.
 */
export async function openPlaces(sharedParts: string): Promise<Places> {
  const { env } = await Localstack.share(sharedParts, ['ministack', 'seaweedfs', 'postgres']);
  vi.stubEnv('AWS_ACCESS_KEY_ID', env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', env['FRAZIL_SEAWEEDFS_SECRET_KEY']!);
  vi.stubEnv('AWS_REGION', 'us-east-1');
  return { sqlite, glue: glueAt(env), rest: restAt(env), postgres: postgresAt(env) };
}

export const sqlite: Place = {
  name: 'SQLite',
  settings: () => ({
    catalog: { type: 'sqlite', path: './lake/catalog.db', name: 'lake', warehouse: './lake' },
  }),
  engines: ({ folder }) => sqliteEngineCatalog(`${folder}/lake/catalog.db`, `file://${folder}/lake`),
  java: ({ javaCatalog }) => javaCatalog,
  python: ({ pythonCatalog }) => pythonCatalog,
};

type Env = Readonly<Record<string, string>>;

const keyOf = (env: Env): [string, string] => [
  env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!,
  env['FRAZIL_SEAWEEDFS_SECRET_KEY']!,
];

function glueAt(env: Env): Place {
  const endpoint = env['FRAZIL_AWS']!;
  const region = 'us-east-1';
  const warehouse = 's3://lake/warehouse';
  const s3 = icebergOnS3(endpoint, keyOf(env));
  const properties = {
    type: 'glue',
    warehouse,
    'glue.endpoint': endpoint,
    ...s3Properties(env),
    's3.endpoint': endpoint,
  };
  return {
    name: 'Glue',
    settings: () => ({
      catalog: { type: 'glue', region, warehouse, endpoint, createDatabase: true },
      store: { type: 's3', region, endpoint },
    }),
    java: () => properties,
    python: () => ({ ...properties, 'glue.region': region, 's3.region': region }),
    engines: () => ({
      name: 'lake',
      trino: {
        'iceberg.catalog.type': 'glue',
        'hive.metastore.glue.region': region,
        'hive.metastore.glue.endpoint-url': endpoint,
        'hive.metastore.glue.aws-access-key': keyOf(env)[0],
        'hive.metastore.glue.aws-secret-key': keyOf(env)[1],
        'hive.metastore.glue.default-warehouse-dir': warehouse,
        ...s3.trino,
        ...shortRetention,
      },
      spark: { type: 'glue', warehouse, 'glue.endpoint': endpoint, ...s3.spark },
    }),
  };
}

function restAt(env: Env): Place {
  const [uri, endpoint] = [env['FRAZIL_SEAWEEDFS_REST']!, env['FRAZIL_SEAWEEDFS_S3']!];
  const warehouse = env['FRAZIL_SEAWEEDFS_WAREHOUSE']!;
  const credential = keyOf(env).join(':');
  const scope = 'PRINCIPAL_ROLE:ALL';
  const tokens = `${uri}/v1/oauth/tokens`;
  const s3 = icebergOnS3(endpoint, keyOf(env));
  const { catalog } = seaweedServer({ env });
  return {
    name: 'SeaweedFS’s REST catalog',
    settings: () => ({
      catalog: { type: 'rest', uri, warehouse, auth: { type: 'oauth2', credential, scope } },
      store: { type: 's3', region: 'us-east-1', endpoint },
    }),
    java: () => catalog,
    python: () => catalog,
    engines: () => ({
      name: 'lake',
      trino: {
        'iceberg.catalog.type': 'rest',
        'iceberg.rest-catalog.uri': uri,
        'iceberg.rest-catalog.warehouse': warehouse,
        'iceberg.rest-catalog.security': 'OAUTH2',
        'iceberg.rest-catalog.oauth2.credential': credential,
        'iceberg.rest-catalog.oauth2.server-uri': tokens,
        'iceberg.rest-catalog.oauth2.scope': scope,
        ...s3.trino,
        ...shortRetention,
      },
      spark: {
        type: 'rest',
        uri,
        warehouse,
        credential,
        'oauth2-server-uri': tokens,
        scope,
        ...s3.spark,
      },
    }),
  };
}

function postgresAt(env: Env): Place {
  const url = env['FRAZIL_POSTGRES']!;
  const { host } = new URL(url);
  const uri = `jdbc:postgresql://${host}/postgres?user=postgres`;
  // Files of one lake each in a catalog that all lakes share.
  const nameOf = (lake: Lake): string => lake.folder.slice(lake.folder.lastIndexOf('/') + 1);
  const warehouseOf = ({ folder }: Lake): string => `file://${folder}/lake`;
  const jdbc = (lake: Lake): Record<string, string> => ({
    type: 'jdbc',
    uri,
    warehouse: warehouseOf(lake),
    'jdbc.schema-version': 'V1',
  });
  return {
    name: 'PostgreSQL',
    settings: (lake) => ({
      catalog: { type: 'postgres', url, name: nameOf(lake), warehouse: './lake' },
    }),
    java: jdbc,
    python: (lake) => ({
      type: 'sql',
      uri: `postgresql+psycopg2://postgres@${host}/postgres`,
      warehouse: warehouseOf(lake),
    }),
    engines: (lake) => ({
      name: nameOf(lake),
      trino: {
        'iceberg.catalog.type': 'jdbc',
        'iceberg.jdbc-catalog.driver-class': 'org.postgresql.Driver',
        'iceberg.jdbc-catalog.connection-url': uri,
        'iceberg.jdbc-catalog.catalog-name': nameOf(lake),
        'iceberg.jdbc-catalog.default-warehouse-dir': warehouseOf(lake),
        'iceberg.jdbc-catalog.schema-version': 'V1',
        'fs.native-local.enabled': 'true',
        'local.location': '/',
        ...shortRetention,
      },
      spark: jdbc(lake),
    }),
  };
}

/** Runs SQL by DuckDB on the table as it is now, named `t`. */
export async function askDuckdb(place: Place, lake: Lake, table: string, sql: string): Promise<Row[]> {
  const catalog = place.python(lake);
  const endpoint = catalog['s3.endpoint'];
  if (endpoint)
    await python.call('duckdb', {
      sql:
        `CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '${catalog['s3.access-key-id']}', ` +
        `SECRET '${catalog['s3.secret-access-key']}', REGION 'us-east-1', ENDPOINT '${new URL(endpoint).host}', ` +
        `URL_STYLE 'path', USE_SSL false)`,
    });
  const { location } = await python.call<{ location: string }>('loadMetadata', {
    catalog,
    name: place.engines(lake).name,
    table,
  });
  return (await python.call<{ rows: Row[] }>('duckdb', { metadata: location, sql })).rows;
}
