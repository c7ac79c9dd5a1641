import { readPartitionTerms } from '../iceberg/partition-by.ts';
import { singleFields } from '../iceberg/schema.ts';
import type { Type } from '../iceberg/types.ts';
import { isChosen, isInternal } from '../kafka/topic-pattern.ts';
import { nearest } from './nearest.ts';
import type { RawConfig } from './schema.ts';
import type { Path, Report } from './setting.ts';

/** What takes more than one setting to see. Settings that are wrong in themselves are absent. */
export function checkConfig(config: Partial<RawConfig>, _path: Path, report: Report): void {
  const { source, decode, tables, catalog, store } = config;
  if (tables) for (const i of tables.keys()) checkNames(tables, i, report);
  if (decode && tables) for (const i of tables.keys()) checkColumns(decode, tables[i]!, i, report);
  if (source && tables) checkTopics(source, tables, report);
  if (source) checkAccess(source, report);
  if (catalog && store) checkStore(catalog, store, report);
  if (catalog?.type === 'glue' && !catalog.skipNameValidation && tables) checkGlueNames(tables, report);
}

function checkAccess({ sasl, tls }: RawConfig['source'], report: Report): void {
  if (sasl?.mechanism === 'OAUTHBEARER' && sasl.token === undefined && sasl.oidc === undefined)
    report(['source', 'sasl'], 'OAUTHBEARER needs a token', 'give token or oidc');
  if (sasl?.mechanism === 'AWS_MSK_IAM' && !tls)
    report(['source', 'sasl', 'mechanism'], 'MSK takes AWS_MSK_IAM over TLS only', 'set source.tls: true');
}

type Tables = RawConfig['tables'];
type Store = NonNullable<RawConfig['store']>;

function checkStore(catalog: RawConfig['catalog'], store: Store, report: Report): void {
  // A REST catalog says itself where its tables are.
  if (catalog.type === 'rest') return;
  const onS3 = catalog.warehouse.toLowerCase().startsWith('s3:');
  if (onS3 && store.type === 'local')
    report(['store', 'type'], `the warehouse is ${catalog.warehouse}`, 'write type: s3, or remove store');
  if (!onS3 && store.type === 's3')
    report(['store', 'type'], 'the warehouse is a folder', 'remove store, or name a warehouse s3://...');
}

/** Athena takes no other names; Glue itself does. */
function checkGlueNames(tables: Tables, report: Report): void {
  for (const [i, { table }] of tables.entries()) {
    const path = ['tables', i, 'table'];
    if (table.split('.').length > 2)
      report(path, `Glue has one level of databases, found "${table}"`, 'write database.table');
    else if (!/^[a-z0-9_]{1,252}\.[a-z0-9_]{1,255}$/.test(table))
      report(
        path,
        `Athena takes a-z, 0-9 and _ in names, found "${table}"`,
        'rename it, or set catalog.skipNameValidation: true',
      );
  }
}

const neither = 'neither topics nor topicsPattern is given';

function checkTopics(source: RawConfig['source'], tables: Tables, report: Report): void {
  const { topics, topicsPattern, partitions } = source;
  if (topics.length === 0 && !topicsPattern)
    report(['source', 'topics'], neither, 'write topics: [orders], or topicsPattern: shop\\..*');
  for (const [i, topic] of topics.entries()) {
    if (topics.indexOf(topic) !== i)
      report(['source', 'topics', i], `topic ${topic} is listed twice`, 'remove one');
    if (!tables.some((table) => isChosen(topic, table)))
      report(
        ['source', 'topics', i],
        `topic ${topic} goes into no table`,
        'name it in the topics of a table, or remove it here',
      );
  }
  for (const [i, table] of tables.entries()) {
    if (table.topics.length === 0 && !table.topicsPattern)
      report(['tables', i, 'topics'], neither, 'name topics of source, or write topicsPattern: .* for all');
    for (const [j, topic] of table.topics.entries())
      if (!isRead(topic, source))
        report(
          ['tables', i, 'topics', j],
          `topic ${topic} is not in source.topics`,
          suggest(topic, topics) ?? 'add it there',
        );
  }
  if (!partitions) return;
  if (topicsPattern)
    report(
      ['source', 'topicsPattern'],
      'a fixed assignment takes topics by name',
      'name them in source.topics, or remove source.partitions',
    );
  for (const topic of Object.keys(partitions))
    if (!topics.includes(topic))
      report(['source', 'partitions', topic], `topic ${topic} is not in source.topics`, undefined, 'key');
  for (const topic of topics)
    if (!partitions[topic])
      report(
        ['source', 'partitions'],
        `topic ${topic} has no partitions here`,
        `write ${topic}: [0, 1, ...]`,
      );
}

function isRead(topic: string, { topics, topicsPattern }: RawConfig['source']): boolean {
  return topics.includes(topic) || (!isInternal(topic) && (topicsPattern?.matches(topic) ?? false));
}

const metadataTypes: readonly [string, Type][] = [
  ['_kafka_topic', { kind: 'string' }],
  ['_kafka_partition', { kind: 'int' }],
  ['_kafka_offset', { kind: 'long' }],
  ['_kafka_timestamp', { kind: 'timestamptz' }],
];
const metadataNames = metadataTypes.map(([name]) => name);

function checkNames(tables: Tables, i: number, report: Report): void {
  const table = tables[i]!;
  if (tables.findIndex((other) => other.table === table.table) !== i)
    report(
      ['tables', i, 'table'],
      `table ${table.table} is listed twice`,
      'put all its topics into one entry',
    );
  const names = table.schema.map((field) => field.name);
  for (const [j, name] of names.entries()) {
    const path = ['tables', i, 'schema', j, 'name'];
    if (names.indexOf(name) !== j) report(path, `column ${name} is listed twice`, 'rename one');
    if (metadataNames.includes(name) || name === table.keyColumn)
      report(path, `column ${name} is filled by frazil itself`, 'rename it');
  }
}

function checkColumns(decode: RawConfig['decode'], table: Tables[number], i: number, report: Report): void {
  const names = table.schema.map((field) => field.name);
  const isAvro = decode.value.format === 'avro';
  if (isAvro && names.length > 0)
    report(['tables', i, 'schema'], 'an Avro table gets its columns from the Avro schema', 'remove schema');
  if (!table.create) return;
  if (!isAvro && names.length === 0)
    report(
      ['tables', i, 'create'],
      'JSON does not tell the columns of a table',
      'give its schema, or create the table yourself',
    );
  const columns = new Map<string, Type | undefined>([
    ...singleFields(table.schema).map(({ name, field }) => [name, field.type] as const),
    ...(table.metadataColumns ? metadataTypes : []),
    ...(table.keyColumn ? [[table.keyColumn, undefined] as const] : []),
  ]);
  for (const [j, term] of readPartitionTerms(table.partitionBy, columns).entries()) {
    // Which columns Avro records have is not known yet.
    if (!('problem' in term) || (isAvro && term.unknown !== undefined)) continue;
    const fix = term.unknown === undefined ? undefined : suggest(term.unknown, [...columns.keys()]);
    report(['tables', i, 'partitionBy', j], term.problem, fix);
  }
}

function suggest(name: string, known: readonly string[]): string | undefined {
  const meant = nearest(name, known);
  return meant && `did you mean ${meant}?`;
}
