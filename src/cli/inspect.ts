import { Command } from 'commander';
import { FatalError, messageOf } from '../base/errors.ts';
import { writeJson } from '../base/json.ts';
import { parseIdentifier, type Table } from '../catalog/catalog.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { integerBound, readManifest } from '../iceberg/manifest.ts';
import { readManifestList } from '../iceberg/manifest-list.ts';
import {
  branchHead,
  currentSchema,
  defaultSpec,
  mainBranch,
  type Snapshot,
  type TableMetadata,
} from '../iceberg/metadata.ts';
import { formatPartitionTerms } from '../iceberg/partition-by.ts';
import { typeName } from '../iceberg/types.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { isChosen } from '../kafka/topic-pattern.ts';
import { type Ledger, ledgerNames, parseLedger, type Resolution, resolveLedger } from '../sink/ledger.ts';
import type { Store } from '../storage/store.ts';
import { catalogName, openCatalog, openWire } from '../worker/open.ts';
import { foundBy } from '../worker/topics.ts';
import { formatAge, formatBytes, formatCount, formatTable, parseCount } from './format.ts';
import { logsBehind } from './logs.ts';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description(
      'Show a table: its snapshots with their offset ranges, files, schema, and its ledger against the log ends.',
    )
    .argument('<table>', 'namespace.table')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('-n, --snapshots <count>', 'how many of the newest snapshots to show', parseCount, 10)
    .option('--files', 'list the data files of the current snapshot')
    .option('--json', 'print everything as one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  frazil inspect shop.orders -c frazil.yaml
  frazil inspect shop.orders -c frazil.yaml --files
  frazil inspect shop.orders -c frazil.yaml --json | jq '.partitions[] | {topic, partition, lag}'`,
    )
    .action(
      async (table: string, options: { config: string; snapshots: number; files?: true; json?: true }) => {
        const report = await inspect(
          loadConfig(options.config),
          table,
          options.snapshots,
          options.files === true,
        );
        console.log(options.json ? writeJson(report, 2) : render(report));
      },
    );
}

interface Inspection {
  table: string;
  uuid: string;
  location: string;
  metadataLocation: string;
  formatVersion: number;
  columns: { id: number; name: string; type: string; required: boolean }[];
  partitionedBy: string[];
  totals: { rows: number; files: number; bytes: number; snapshots: number };
  snapshots: InspectedSnapshot[];
  /** `known`, `new` (this pipeline has never landed here) or `rolledBack`. */
  ledger: Resolution['type'];
  partitions: InspectedPartition[];
  /** Why the log ends are not known, if they are not. */
  kafka?: string;
  files?: InspectedFile[];
}

interface InspectedSnapshot {
  id: bigint;
  at: string;
  operation: string;
  rows: number;
  files: number;
  /** Offsets that this snapshot landed; empty for snapshots of others. */
  offsets: { topic: string; partition: number; from: number | null; next: number }[];
  worker?: string;
}

interface InspectedPartition {
  topic: string;
  partition: number;
  next: number | null;
  logStart?: number;
  /** The last stable offset: one past what read_committed may see. */
  logEnd?: number;
  /** One past what is replicated, of open transactions too. */
  highWatermark?: number;
  /** Records (offsets) between what has landed and the log's end. */
  lag?: number;
  /** Age of the oldest record that has not landed. */
  oldestAgeMs?: number;
  /** From here on the log does not have any more what has landed: an unclean leader election. */
  truncatedAt?: number;
}

interface InspectedFile {
  path: string;
  rows: number;
  bytes: number;
  partition: Record<string, unknown>;
  offsets?: { from: number; to: number };
}

async function inspect(
  config: Config,
  name: string,
  snapshotsMax: number,
  files: boolean,
): Promise<Inspection> {
  const { catalog, store } = await openCatalog(config);
  const table = await catalog.load(parseIdentifier(name));
  if (!table)
    throw new FatalError(`inspecting table ${name}: it does not exist in catalog ${catalogName(config)}`);
  const { metadata } = table;
  const resolution = resolveLedger(metadata, config.pipeline, mainBranch);
  const ledger = ledgerOf(resolution);
  const schema = currentSchema(metadata);
  const summary = branchHead(metadata, mainBranch)?.summary ?? {};
  const total = (what: string): number => Number(summary[`total-${what}`] ?? 0);
  return {
    table: name,
    uuid: metadata['table-uuid'],
    location: metadata.location,
    metadataLocation: table.metadataLocation,
    formatVersion: metadata['format-version'],
    columns: schema.fields.map(({ id, name: column, type, required }) => ({
      id,
      name: column,
      type: typeName(type),
      required,
    })),
    partitionedBy: formatPartitionTerms(defaultSpec(metadata), schema),
    totals: {
      rows: total('records'),
      files: total('data-files'),
      bytes: total('files-size'),
      snapshots: metadata.snapshots.length,
    },
    snapshots: inspectSnapshots(metadata, config.pipeline).slice(0, snapshotsMax),
    ledger: resolution.type,
    ...(await inspectPartitions(config, name, ledger)),
    ...(files ? { files: await inspectFiles(table, store) } : {}),
  };
}

/** What the table's present history says. */
function ledgerOf(resolution: Resolution): Ledger | undefined {
  if (resolution.type === 'known') return resolution.ledger;
  return resolution.type === 'rolledBack' && typeof resolution.lineage !== 'string'
    ? resolution.lineage
    : undefined;
}

/** Newest first. */
function inspectSnapshots(metadata: TableMetadata, pipeline: string): InspectedSnapshot[] {
  const names = ledgerNames(pipeline);
  const ledgerOf = (snapshot: Snapshot): Ledger | undefined => {
    const text = snapshot.summary[names.offsets];
    return text === undefined ? undefined : parseLedger(text, `snapshot ${snapshot['snapshot-id']}`);
  };
  let before: ReadonlyMap<TopicPartitionKey, number> = new Map();
  const inspected = metadata.snapshots.map((snapshot): InspectedSnapshot => {
    const next = ledgerOf(snapshot)?.next ?? before;
    const offsets = [...next]
      .filter(([key, offset]) => before.get(key) !== offset)
      .map(([key, offset]) => ({ ...parseKey(key), from: before.get(key) ?? null, next: offset }));
    before = next;
    const worker = snapshot.summary[names.worker];
    return {
      id: snapshot['snapshot-id'],
      at: new Date(snapshot['timestamp-ms']).toISOString(),
      operation: snapshot.summary['operation'] ?? '',
      rows: Number(snapshot.summary['added-records'] ?? 0),
      files: Number(snapshot.summary['added-data-files'] ?? 0),
      offsets,
      ...(worker === undefined ? {} : { worker }),
    };
  });
  return inspected.reverse();
}

async function inspectPartitions(
  config: Config,
  name: string,
  ledger: Ledger | undefined,
): Promise<Pick<Inspection, 'partitions' | 'kafka'>> {
  const choice = config.tables.find((table) => table.table === name);
  const isOfTable = (topic: string): boolean => choice === undefined || isChosen(topic, choice);
  const found = foundBy(config);
  const isFound = found && ((topic: string) => found(topic) && isOfTable(topic));
  const wire = openWire(config);
  try {
    const logs = await logsBehind(
      wire,
      config.pipeline,
      config.source.topics.filter(isOfTable),
      isFound,
      ledger,
    );
    const partitions: InspectedPartition[] = [...logs].map(
      ([key, { start, end, highWatermark, oldestAtMs, truncatedAt }]) => {
        const next = ledger?.next.get(key) ?? null;
        const age = oldestAtMs === undefined ? undefined : Math.max(0, Date.now() - oldestAtMs);
        return {
          ...parseKey(key),
          next,
          logStart: start,
          logEnd: end,
          ...(highWatermark === undefined ? {} : { highWatermark }),
          lag: Math.max(0, end - Math.max(next ?? start, start)),
          ...(age === undefined ? {} : { oldestAgeMs: age }),
          ...(truncatedAt === undefined ? {} : { truncatedAt }),
        };
      },
    );
    // Topics that are gone: what has landed of them is there.
    const gone = [...(ledger?.next ?? [])].filter(([key]) => !logs.has(key));
    return { partitions: [...partitions, ...gone.map(([key, next]) => ({ ...parseKey(key), next }))] };
  } catch (error) {
    const partitions = [...(ledger?.next ?? [])].map(([key, next]) => ({ ...parseKey(key), next }));
    return { partitions, kafka: messageOf(error) };
  } finally {
    await wire.close();
  }
}

async function inspectFiles(table: Table, store: Store): Promise<InspectedFile[]> {
  const head = branchHead(table.metadata, mainBranch);
  if (!head) return [];
  const offsetColumn = currentSchema(table.metadata).fields.find(
    (field) => field.name === '_kafka_offset',
  )?.id;
  const files: InspectedFile[] = [];
  for (const manifest of readManifestList(await store.get(head['manifest-list']), head['manifest-list'])) {
    if (manifest.content !== 0) continue;
    for (const entry of readManifest(await store.get(manifest.path), manifest.path)) {
      if (entry.status === 'deleted') continue;
      const lower = offsetColumn === undefined ? undefined : entry.lowerBounds.get(offsetColumn);
      const upper = offsetColumn === undefined ? undefined : entry.upperBounds.get(offsetColumn);
      files.push({
        path: entry.path,
        rows: entry.recordCount,
        bytes: entry.fileSizeBytes,
        partition: entry.partition,
        ...(lower && upper
          ? { offsets: { from: Number(integerBound(lower)), to: Number(integerBound(upper)) } }
          : {}),
      });
    }
  }
  return files;
}

function render(report: Inspection): string {
  const { totals } = report;
  const parts = [
    `${report.table}  ${formatCount(totals.rows)} rows in ${formatCount(totals.files)} files (${formatBytes(totals.bytes)}), ${formatCount(totals.snapshots)} snapshots, format version ${report.formatVersion}`,
    `  location  ${report.location}`,
    `  metadata  ${report.metadataLocation}`,
    '',
    formatTable(
      ['column', 'type', 'required'],
      report.columns.map((column) => [column.name, column.type, column.required ? 'yes' : '']),
    ),
    report.partitionedBy.length > 0 ? `\npartitioned by ${report.partitionedBy.join(', ')}` : '',
    '',
    formatTable(
      ['snapshot', 'at', 'operation', 'rows', 'files', 'offsets landed [from, next)'],
      report.snapshots.map((snapshot) => [
        String(snapshot.id),
        snapshot.at,
        snapshot.operation,
        formatCount(snapshot.rows),
        formatCount(snapshot.files),
        snapshot.offsets
          .map(({ topic, partition, from, next }) => `${topic}-${partition} [${from ?? ''}, ${next})`)
          .join(' '),
      ]),
    ),
    '',
    renderLedger(report),
  ];
  if (report.files) {
    const rows = report.files.map((file) => [
      file.path,
      formatCount(file.rows),
      formatBytes(file.bytes),
      file.offsets ? `${file.offsets.from} to ${file.offsets.to}` : '',
    ]);
    parts.push('', formatTable(['file', 'rows', 'size', 'offsets'], rows));
  }
  return parts.filter((part, i) => part !== '' || parts[i - 1] !== '').join('\n');
}

function renderLedger(report: Inspection): string {
  const heads: Record<Inspection['ledger'], string> = {
    known: 'ledger',
    new: 'ledger: this pipeline has not landed anything here',
    rolledBack: 'ledger: the table was rolled back behind what had landed; see onRollback',
  };
  const number = (n: number | null | undefined): string =>
    n === null || n === undefined ? '-' : formatCount(n);
  const rows = report.partitions.map((p) => [
    `${p.topic}-${p.partition}`,
    number(p.next),
    number(p.logStart),
    number(p.logEnd),
    number(p.highWatermark),
    number(p.lag),
    p.oldestAgeMs === undefined ? '-' : formatAge(p.oldestAgeMs),
  ]);
  const cut = report.partitions.flatMap(({ topic, partition, truncatedAt, next }) =>
    truncatedAt === undefined
      ? []
      : [
          `${topic}-${partition}: offsets ${truncatedAt} to ${next! - 1} have landed and are in Kafka no more`,
        ],
  );
  const lag = report.partitions.reduce((sum, p) => sum + (p.lag ?? 0), 0);
  const end =
    report.kafka === undefined ? `lag ${formatCount(lag)} records` : `log ends not known: ${report.kafka}`;
  return [
    heads[report.ledger],
    formatTable(
      ['partition', 'landed up to', 'log start', 'log end', 'high watermark', 'lag', 'oldest'],
      rows,
    ),
    ...cut,
    end,
  ].join('\n');
}
