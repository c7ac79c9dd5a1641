import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, formatProblem } from '../../../src/base/errors.ts';
import { type Config, parseConfig } from '../../../src/config/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'frazil-catalogs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A sound configuration with this catalog; `rest` are further lines. */
function config(catalog: string, ...rest: string[]): string {
  const table = rest.some((line) => line.startsWith('tables:'))
    ? []
    : ['tables: [{ table: shop.orders, topics: [orders] }]'];
  return [
    'pipeline: orders',
    "source: { brokers: 'kafka:9092', topics: [orders] }",
    'decode: { value: { format: json } }',
    `catalog: { ${catalog} }`,
    ...table,
    ...rest,
  ].join('\n');
}

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, environment, folder);
}

function problems(text: string): string[] {
  try {
    parse(text);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

describe('a catalog of each type', () => {
  test('glue needs a warehouse on S3, and has the rest from the environment', () => {
    expect(parse(config('type: glue, warehouse: "s3://lake/wh"')).catalog).toEqual({
      type: 'glue',
      warehouse: 's3://lake/wh',
      createDatabase: false,
      skipNameValidation: false,
    });
    expect(problems(config('type: glue, warehouse: ./wh'))).toEqual([
      '4:35 catalog.warehouse: expected an s3:// URI, found "./wh"',
    ]);
  });

  test('glue takes an account, a region and what stands in for AWS', () => {
    const all =
      'type: glue, region: eu-central-1, warehouse: "s3://lake", catalogId: 123456789012, endpoint: "http://127.0.0.1:4566"';
    expect(parse(config(all)).catalog).toMatchObject({
      region: 'eu-central-1',
      catalogId: '123456789012',
      endpoint: 'http://127.0.0.1:4566',
    });
  });

  test('rest needs its address; authorisation and credentials have defaults', () => {
    expect(parse(config('type: rest, uri: "https://catalog/iceberg"')).catalog).toEqual({
      type: 'rest',
      uri: 'https://catalog/iceberg',
      auth: { type: 'none' },
      vendedCredentials: true,
      headers: {},
    });
    expect(problems(config('type: rest'))).toEqual([
      '4:10 catalog.uri: missing: expected an http or https URL, without user and password',
    ]);
  });

  test.each([
    ['{ type: bearer, token: t }', { type: 'bearer', token: 't' }],
    ['{ type: oauth2, credential: "id:s" }', { type: 'oauth2', credential: 'id:s', scope: 'catalog' }],
    [
      '{ type: oauth2, credential: "id:s", serverUri: "https://idp/token", scope: "PRINCIPAL_ROLE:ALL" }',
      { type: 'oauth2', credential: 'id:s', serverUri: 'https://idp/token', scope: 'PRINCIPAL_ROLE:ALL' },
    ],
    ['{ type: sigv4 }', { type: 'sigv4', service: 'glue' }],
    [
      '{ type: sigv4, region: us-west-2, service: s3tables }',
      { type: 'sigv4', region: 'us-west-2', service: 's3tables' },
    ],
  ])('rest is authorised by %s', (auth, expected) => {
    const { catalog } = parse(config(`type: rest, uri: "https://c", auth: ${auth}`));
    expect(catalog).toMatchObject({ auth: expected });
  });

  test('postgres has a URL; a warehouse that is a folder stands beside the configuration', () => {
    expect(parse(config('type: postgres, url: "postgres://me@db/lake", warehouse: ./wh')).catalog).toEqual({
      type: 'postgres',
      url: 'postgres://me@db/lake',
      name: 'frazil',
      warehouse: join(folder, 'wh'),
    });
    const onS3 = parse(config('type: postgres, url: "postgres://db", warehouse: "s3://lake/wh"'));
    expect(onS3.catalog).toMatchObject({ warehouse: 's3://lake/wh' });
  });

  test('a warehouse of a scheme there is no store for is refused', () => {
    expect(problems(config('type: sqlite, path: c.db, warehouse: "hdfs://name/wh"'))).toEqual([
      '4:49 catalog.warehouse: expected a folder or an s3:// URI, found "hdfs://name/wh"',
    ]);
  });
});

describe('secrets of catalogs', () => {
  test('come from the text, the environment or files', () => {
    writeFileSync(join(folder, 'url'), 'postgres://me:geheim@db/lake\n');
    writeFileSync(join(folder, 'credential'), 'id:geheim');
    const postgres = parse(config('type: postgres, url: { file: url }, warehouse: wh')).catalog;
    expect(postgres).toMatchObject({ url: 'postgres://me:geheim@db/lake' });
    const fromEnvironment = config(`type: postgres, url: "postgres://me:\${PASSWORD}@db", warehouse: wh`);
    expect(parse(fromEnvironment, { PASSWORD: 'geheim' }).catalog).toMatchObject({
      url: 'postgres://me:geheim@db',
    });
    const rest = config(
      'type: rest, uri: "https://c", auth: { type: oauth2, credential: { file: credential } }, headers: { x-key: { file: credential } }',
    );
    expect(parse(rest).catalog).toMatchObject({
      auth: { credential: 'id:geheim' },
      headers: { 'x-key': 'id:geheim' },
    });
  });

  test('are told with their place when their file is missing', () => {
    expect(
      problems(config('type: rest, uri: "https://c", auth: { type: bearer, token: { file: nowhere } }')),
    ).toEqual([
      expect.stringMatching(/^4:\d+ catalog\.auth\.token\.file: the secret cannot be read: ENOENT/),
    ]);
  });

  test('are not told when they stand where something else belongs', () => {
    for (const catalog of [
      'type: postgres, url: ["postgres://me:hunter2@db"], warehouse: wh',
      'type: rest, uri: "https://me:hunter2@c"',
      'type: rest, uri: "https://c", auth: { type: bearer, token: [hunter2] }',
      'type: rest, uri: "https://c", auth: { type: oauth2, credentials: "id:hunter2" }',
      'type: rest, uri: "https://c", auth: hunter2',
    ]) {
      const told = problems(config(catalog)).join('\n');
      expect(told, catalog).not.toBe('');
      expect(told, catalog).not.toContain('hunter2');
    }
  });
});

describe('the store', () => {
  const glue = 'type: glue, warehouse: "s3://lake/wh"';

  test('may be left out, and takes what S3-compatible stores need', () => {
    expect(parse(config(glue)).store).toBeUndefined();
    expect(parse(config(glue, 'store: { type: s3, endpoint: "http://minio:9000" }')).store).toEqual({
      type: 's3',
      endpoint: 'http://minio:9000',
    });
    const encrypted =
      'store: { type: s3, region: eu-west-1, pathStyle: false, encryption: { type: kms, keyId: k } }';
    expect(parse(config(glue, encrypted)).store).toEqual({
      type: 's3',
      region: 'eu-west-1',
      pathStyle: false,
      encryption: { type: 'kms', keyId: 'k' },
    });
  });

  test('must be where the warehouse is', () => {
    expect(problems(config(glue, 'store: { type: local }'))).toEqual([
      '6:16 store.type: the warehouse is s3://lake/wh (fix: write type: s3, or remove store)',
    ]);
    expect(problems(config('type: sqlite, path: c.db, warehouse: wh', 'store: { type: s3 }'))).toEqual([
      '6:16 store.type: the warehouse is a folder (fix: remove store, or name a warehouse s3://...)',
    ]);
    expect(problems(config('type: rest, uri: "https://c"', 'store: { type: s3 }'))).toEqual([]);
  });
});

describe('names of tables in Glue', () => {
  const tables = (name: string): string => `tables: [{ table: ${name}, topics: [orders] }]`;

  test('are those that Athena takes, unless one says otherwise', () => {
    expect(problems(config('type: glue, warehouse: "s3://l"', tables('shop.Orders')))).toEqual([
      '5:19 tables[0].table: Athena takes a-z, 0-9 and _ in names, found "shop.Orders" (fix: rename it, or set catalog.skipNameValidation: true)',
    ]);
    expect(problems(config('type: glue, warehouse: "s3://l"', tables('a.b.orders')))).toEqual([
      '5:19 tables[0].table: Glue has one level of databases, found "a.b.orders" (fix: write database.table)',
    ]);
    expect(
      problems(config('type: glue, warehouse: "s3://l", skipNameValidation: true', tables('shop.my-orders'))),
    ).toEqual([]);
  });
});
