import { Command, Option } from 'commander';
import { type Shown, valueAt } from '../arrow/values.ts';
import { systemClock } from '../base/clock.ts';
import { writeJson } from '../base/json.ts';
import { silentLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { parseIdentifier } from '../catalog/catalog.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { currentSchema, defaultSpec } from '../iceberg/metadata.ts';
import { type PartitionSpec, partitionPath, partitionTypes } from '../iceberg/partition-spec.ts';
import { assignFieldIds, type Schema } from '../iceberg/schema.ts';
import type { Field } from '../iceberg/types.ts';
import { KafkaSource } from '../kafka/kafka-source.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import { RecordSetReader, readHeaders, summarize } from '../kafka/record-set.ts';
import type { RecordSet } from '../kafka/source.ts';
import { keyOf } from '../kafka/topic-partition.ts';
import { isChosen, type TopicChoice } from '../kafka/topic-pattern.ts';
import { describe } from '../lane/describe.ts';
import { PartitionRouter } from '../lane/partition-router.ts';
import { RowDecoder } from '../lane/row-decoder.ts';
import { creationOf } from '../sink/plan.ts';
import { openCatalog, openWire } from '../worker/open.ts';
import { foundBy } from '../worker/topics.ts';
import { tableOptions } from '../worker/worker.ts';
import { parseCount } from './format.ts';

export function peekCommand(): Command {
  return new Command('peek')
    .description('Show decoded records and where they would go. Writes nothing, joins no group.')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('-n, --records <count>', 'how many records', parseCount, 5)
    .addOption(
      new Option('--from <where>', 'earliest, or latest for the last ones')
        .choices(['earliest', 'latest'])
        .default('earliest'),
    )
    .option('--json', 'one JSON object per record')
    .addHelpText(
      'after',
      `
Examples:
  frazil peek -c frazil.yaml -n 5
  frazil peek -c frazil.yaml --from latest --json | jq .tables`,
    )
    .action(async (options: { config: string; records: number; from: Where; json?: true }) => {
      const records = await peek(loadConfig(options.config), options.records, options.from);
      for (const record of records) console.log(options.json ? writeJson(record) : render(record));
      if (records.length === 0 && !options.json) console.error('no records');
    });
}

interface PeekedRecord {
  topic: string;
  partition: number;
  offset: number;
  timestamp: string | null;
  key: string | null;
  headers: { key: string; value: string | null }[];
  tables: Destination[];
}

/** Where a record would go, or why it would not. */
type Destination =
  | { table: string; partition?: string; row: { [column: string]: Shown } }
  | { table: string; left: 'tombstone' }
  | { table: string; error: string; field: string };

const waitMaxMs = 10_000;

type Where = 'earliest' | 'latest';

async function peek(config: Config, count: number, from: Where): Promise<PeekedRecord[]> {
  const sets = await fetchSome(config, count, from);
  const tables = config.tables.map((table) => new PeekedTable(config, table));
  const records: PeekedRecord[] = [];
  for (const set of sets) {
    const reader = new RecordSetReader(
      Buffer.from(set.records.buffer),
      set.from,
      set.aborted,
      set.batchBytesMax,
    );
    while (reader.read()) {
      const { columns } = reader;
      for (let i = 0; i < columns.count; i++) {
        const takers = tables.filter((table) => isChosen(set.topic, table.choice));
        const destinations: Destination[] = [];
        for (const table of takers) destinations.push(await table.destination(set, columns, i));
        records.push(peeked(set, columns, i, destinations));
      }
    }
  }
  records.sort((a, b) => (a.timestamp ?? '').localeCompare(b.timestamp ?? '') || a.offset - b.offset);
  return from === 'earliest' ? records.slice(0, count) : records.slice(-count);
}

/** Record sets with at least `count` records, if the topics have as many. */
async function fetchSome(config: Config, count: number, from: Where): Promise<RecordSet[]> {
  const wire = openWire(config);
  try {
    const metadata = await wire.metadata(config.source.topics, foundBy(config));
    const partitions = Object.fromEntries(
      [...metadata.topics.values()].map(({ topic, leaders }) => [topic, [...leaders.keys()]]),
    );
    const source = new KafkaSource(
      { group: config.pipeline, topics: Object.keys(partitions), partitions },
      { wire, clock: systemClock, random: systemRandom, log: silentLog },
    );
    const sets: RecordSet[] = [];
    let found = 0;
    const arrived = Promise.withResolvers<void>();
    const open = new Map<string, number>();
    const { topicPartitions } = await source.start((event) => {
      if (event.type === 'failed') arrived.reject(event.error);
      if (event.type !== 'records') return;
      sets.push(event.set);
      found += summarize(Buffer.from(event.set.records.buffer), event.set.from).records;
      if (event.set.next >= open.get(keyOf(event.set))!) open.delete(keyOf(event.set));
      if ((from === 'earliest' && found >= count) || open.size === 0) arrived.resolve();
    });
    const starts = await source.listOffsets(topicPartitions, 'earliest');
    const ends = await source.listOffsets(topicPartitions, 'latest');
    for (const topicPartition of topicPartitions) {
      const key = keyOf(topicPartition);
      const [start, end] = [starts.get(key)!, ends.get(key)!];
      if (start === end) continue;
      open.set(key, end);
      source.seek(topicPartition, from === 'earliest' ? start : Math.max(start, end - count));
    }
    if (open.size === 0) return [];
    source.allow(64 * 1024 * 1024);
    await Promise.race([arrived.promise, systemClock.sleep(waitMaxMs)]);
    return sets;
  } finally {
    await wire.close();
  }
}

/** A configured table and what a record would become in it. */
class PeekedTable {
  readonly choice: TopicChoice;
  readonly #config: Config;
  readonly #options: ReturnType<typeof tableOptions>;
  readonly #ports = { clock: systemClock, random: systemRandom, log: silentLog, fetch };
  readonly #registries = new Map();
  #layout: { schema: Schema; spec: PartitionSpec } | undefined;
  #decoder: RowDecoder | undefined;

  constructor(config: Config, table: Config['tables'][number]) {
    this.choice = table;
    this.#config = config;
    this.#options = tableOptions(config, table);
  }

  async destination(set: RecordSet, records: RecordColumns, i: number): Promise<Destination> {
    const { table } = this.#options;
    if (records.valueLengths[i]! < 0) return { table, left: 'tombstone' };
    this.#layout ??= await this.#findLayout(set);
    if (!this.#layout) return { table, error: 'no record tells the columns of this table', field: '' };
    const { schema, spec } = this.#layout;
    this.#decoder ??= new RowDecoder({ ...this.#options, schema }, this.#registries, this.#ports);
    const { rows } = this.#decoder;
    const router = new PartitionRouter(spec, schema, rows);
    await this.#decoder.prepare(records);
    const isRow = this.#decoder.append(set, records, i, i + 1) > i;
    const error = isRow ? router.check(0, 1)?.error : this.#decoder.failure;
    if (error) {
      rows.truncate(0);
      return { table, error: error.reason, field: error.field };
    }
    const row = Object.fromEntries(
      schema.fields.map((field, j) => [field.name, valueAt(rows.columns[j]!, 0, field.type)]),
    );
    const [group] = router.group();
    rows.truncate(0);
    const partition = partitionPath(spec, partitionTypes(spec, schema), group!.partition);
    return partition === '' ? { table, row } : { table, partition, row };
  }

  /** The table's own layout, or the one it would be created with. */
  async #findLayout(set: RecordSet): Promise<{ schema: Schema; spec: PartitionSpec } | undefined> {
    const { catalog } = await openCatalog(this.#config);
    const table = await catalog.load(parseIdentifier(this.#options.table));
    if (table) return { schema: currentSchema(table.metadata), spec: defaultSpec(table.metadata) };
    const fields = this.#options.fields.length > 0 ? this.#options.fields : await this.#describe(set);
    if (!fields) return undefined;
    const creation = creationOf(fields, this.#options);
    const schema = { schemaId: 0, fields: assignFieldIds(creation.fields).fields };
    return { schema, spec: creation.spec(schema) };
  }

  async #describe(set: RecordSet): Promise<readonly Field[] | undefined> {
    const plan = { ...this.#options, onError: 'skip', onTombstone: 'skip' } as const;
    const described = await describe(set, plan, this.#ports, this.#registries);
    return described.type === 'columns' ? described.fields : undefined;
  }
}

function peeked(set: RecordSet, records: RecordColumns, i: number, tables: Destination[]): PeekedRecord {
  const timestamp = records.timestamps[i]!;
  const keyLength = records.keyLengths[i]!;
  const keyStart = records.keyStarts[i]!;
  return {
    topic: set.topic,
    partition: set.partition,
    offset: records.offsets[i]!,
    timestamp: timestamp < 0 ? null : new Date(timestamp).toISOString(),
    key: keyLength < 0 ? null : readable(records.bytes.subarray(keyStart, keyStart + keyLength)),
    headers: readHeaders(records, i).map(({ key, value }) => ({ key, value: value && readable(value) })),
    tables,
  };
}

/** Text where it is text, else hexadecimal. */
function readable(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? `0x${bytes.toString('hex')}` : text;
}

function render(record: PeekedRecord): string {
  const { topic, partition, offset, timestamp, key, headers } = record;
  const head = [`${topic}-${partition}@${offset}`, timestamp ?? 'no timestamp', `key ${key ?? 'null'}`];
  if (headers.length > 0)
    head.push(`headers ${writeJson(Object.fromEntries(headers.map((h) => [h.key, h.value])))}`);
  const lines = record.tables.map((destination) => {
    if ('left' in destination) return `  -> left out of ${destination.table}: ${destination.left}`;
    if ('error' in destination)
      return `  -> cannot go into ${destination.table}: ${destination.field === '' ? '' : `field ${destination.field}: `}${destination.error}`;
    const where =
      destination.partition === undefined
        ? destination.table
        : `${destination.table} (${destination.partition})`;
    return `  -> ${where} ${writeJson(destination.row)}`;
  });
  return [head.join('  '), ...lines].join('\n');
}
