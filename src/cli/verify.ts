import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { systemClock, withDeadline } from '../base/clock.ts';
import { FatalError, messageOf } from '../base/errors.ts';
import { writeJson } from '../base/json.ts';
import { silentLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { parseIdentifier, type Table } from '../catalog/catalog.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { KafkaError } from '../kafka/errors.ts';
import { KafkaSource } from '../kafka/kafka-source.ts';
import type { Wire } from '../kafka/wire.ts';
import { ColumnThreads } from '../parquet/column-threads.ts';
import { basisAt, basisOf, type Remembered, remember } from '../verify/basis.ts';
import type { Basis } from '../verify/chain.ts';
import type { PartitionReport, Report } from '../verify/report.ts';
import { SourceLog } from '../verify/source-log.ts';
import { type Progress, verify } from '../verify/verify.ts';
import { jsonLog } from '../worker/log.ts';
import { catalogName, openCatalog, openWire } from '../worker/open.ts';
import { formatCount, formatRate, formatTable } from './format.ts';
import { LiveLine } from './live-line.ts';

interface Options {
  config: string;
  deep?: true;
  quick?: true;
  from?: bigint;
  state?: string;
  kafka: boolean;
  allowDeletes?: true;
  strict?: true;
  topicColumn: string;
  partitionColumn: string;
  offsetColumn: string;
  json?: true;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Prove that a table holds each record once, or name what is missing, doubled or damaged. Only reads.',
    )
    .argument('<table>', 'namespace.table')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--deep', 'read the offsets of every row, and believe no statistics')
    .option('--quick', 'look at metadata and manifests only, open no data file')
    .option('--from <snapshot>', 'verify what came after this snapshot', parseSnapshot)
    .option('--state <file>', 'go on from where the last sound run ended, and remember where this one does')
    .option('--no-kafka', 'do not compare the ledger with the log')
    .option('--allow-deletes', 'rows that others have deleted are exceptions, not problems')
    .option('--strict', 'offsets without a row are gaps also where nothing is left that tells why')
    .option('--topic-column <name>', 'column of topics', '_kafka_topic')
    .option('--partition-column <name>', 'column of partitions', '_kafka_partition')
    .option('--offset-column <name>', 'column of offsets', '_kafka_offset')
    .option('--json', 'print the findings as one JSON object')
    .addHelpText(
      'after',
      `
A table that frazil has filled is verified by its ledger: the claims of all snapshots join without gap or overlap, each
file has the rows and offsets that its snapshot claims, and the ledger agrees with the log. A table of another tool is
verified by its columns. The last line is the verdict; docs/verify.md tells what each finding means.

Examples:
  frazil verify shop.orders -c frazil.yaml
  frazil verify shop.orders -c frazil.yaml --deep --json | jq '.problems[].message'
  frazil verify shop.orders -c frazil.yaml --state verified.json     # every night: what is new since the last time
  frazil verify shop.clicks -c frazil.yaml --topic-column t --partition-column p --offset-column o

Exit code: 0 sound, 1 unsound (or it could not be verified), 2 bad configuration.`,
    )
    .action(async (table: string, options: Options) => {
      if (options.deep && options.quick)
        throw new FatalError('verifying: --deep and --quick exclude each other');
      const report = await run(loadConfig(options.config), table, options);
      console.log(options.json ? writeJson(report, 2) : render(report));
      if (report.verdict === 'unsound') process.exitCode = 1;
    });
}

function parseSnapshot(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected the id of a snapshot.');
  return BigInt(text);
}

async function run(config: Config, name: string, options: Options): Promise<Report> {
  const { catalog, store } = await openCatalog(config);
  const table = await catalog.load(parseIdentifier(name));
  if (!table)
    throw new FatalError(`verifying table ${name}: it does not exist in catalog ${catalogName(config)}`);
  const columns = new ColumnThreads(systemClock);
  const wire = options.kafka ? openWire(config) : undefined;
  const screen = watch(config, name, options.json === true);
  try {
    const report = await verify(
      table,
      {
        depth: options.deep ? 'columns' : options.quick ? 'quick' : 'footers',
        columns: {
          topic: options.topicColumn,
          partition: options.partitionColumn,
          offset: options.offsetColumn,
        },
        basis: readBasis(table, name, options),
        allowDeletes: options.allowDeletes === true,
        strict: options.strict === true,
        pipeline: config.pipeline,
        skipsUndecodable: config.decode.onError === 'skip',
      },
      {
        store,
        readColumns: columns.read,
        log: wire && openLog(config, wire),
        clock: systemClock,
        random: systemRandom,
        onProgress: screen.tell,
      },
    );
    if (options.state !== undefined && report.verdict === 'sound') writeState(options.state, name, table);
    return report;
  } finally {
    screen.end();
    await columns.close();
    await wire?.close();
  }
}

function readBasis(table: Table, name: string, { from, state }: Options): Basis | undefined {
  if (from !== undefined) return basisAt(table, from);
  const remembered = state === undefined ? undefined : readState(state)[name];
  return remembered && basisOf(remembered, table, state!);
}

function readState(file: string): Record<string, Remembered> {
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Remembered>;
  } catch (error) {
    throw new FatalError(`reading ${file}: it is not what --state has written: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Whole or not at all: a run that is killed leaves what was there. */
function writeState(file: string, name: string, table: Table): void {
  const remembered = remember(table, new Date().toISOString());
  if (!remembered) return;
  writeFileSync(`${file}.part`, `${writeJson({ ...readState(file), [name]: remembered }, 2)}\n`);
  renameSync(`${file}.part`, file);
}

/** Brokers that do not answer are not waited for longer. */
const describeTimeoutMs = 15_000;

function openLog(config: Config, wire: Wire): SourceLog {
  const ports = { wire, clock: systemClock, random: systemRandom, log: silentLog };
  return new SourceLog(
    async (topic) => {
      try {
        const doing = `asking for topic ${topic}`;
        const metadata = await withDeadline(systemClock, describeTimeoutMs, doing, () =>
          wire.metadata([topic]),
        );
        const { topicId, leaders } = metadata.topics.get(topic)!;
        return { clusterId: metadata.clusterId, topicId, partitions: leaders.length };
      } catch (error) {
        if (error instanceof KafkaError && error.id === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined;
        throw error;
      }
    },
    (partitions) =>
      new KafkaSource({ group: config.pipeline, topics: Object.keys(partitions), partitions }, ports),
    systemClock,
  );
}

// ---- progress ----

const progressIntervalMs = 500;

/** Says how far it is, on standard error: a live line for a person, else JSON lines now and then. */
function watch(
  config: Config,
  table: string,
  json: boolean,
): { tell(progress: Progress): void; end(): void } {
  const live = process.stderr.isTTY && !json;
  const screen = new LiveLine(live);
  const log = jsonLog(config.log.level);
  const intervalMs = live ? progressIntervalMs : config.log.statusInterval;
  const startedAtMs = performance.now();
  let toldAtMs = startedAtMs;
  return {
    tell(progress) {
      const nowMs = performance.now();
      if (nowMs - toldAtMs < intervalMs) return;
      toldAtMs = nowMs;
      const perSecond = progress.files / ((nowMs - startedAtMs) / 1000);
      const doing = progress.doing === 'columns' ? 'reading offsets' : 'verifying';
      if (live)
        screen.show(
          `${doing} of ${table}  ${formatCount(progress.files)} of ${formatCount(progress.filesTotal)} files  ${formatRate(perSecond)} files/s`,
        );
      else log.info('status', { table, ...progress, rssBytes: process.memoryUsage.rss() });
    },
    end: () => screen.end(),
  };
}

// ---- the report for people ----

function render(report: Report): string {
  const depths = {
    quick: 'metadata only',
    footers: 'with the footers of its files',
    columns: 'with all offsets read',
  };
  const ledgers =
    report.pipelines.length > 0 ? `pipeline ${report.pipelines.join(', ')}` : 'no ledger: by its columns';
  const after = report.after === undefined ? '' : ` after snapshot ${report.after}`;
  const parts = [
    `${report.table}  ${formatCount(report.rows)} rows in ${formatCount(report.files)} files, ${formatCount(report.snapshots)} snapshots; ${ledgers}`,
    `  verified${after} ${depths[report.depth]}${report.columnsReadBecause === undefined ? '' : ` (${report.columnsReadBecause})`}`,
    report.kafka === undefined ? '' : `  log not compared: ${report.kafka}`,
    '',
    report.partitions.length > 0 ? renderPartitions(report.partitions) : '',
    '',
    ...renderFindings('problem', report.problems, report.problemCounts),
    ...renderFindings('exception', report.exceptions, report.exceptionCounts),
    '',
    report.snapshot === null || report.verdict === 'unsound'
      ? ''
      : `verified up to snapshot ${report.snapshot}: next time --from ${report.snapshot} takes up there`,
    report.summary,
  ];
  return parts.filter((part, i) => part !== '' || (parts[i - 1] ?? '') !== '').join('\n');
}

function renderPartitions(partitions: readonly PartitionReport[]): string {
  const number = (n: number | null | undefined): string =>
    n === null || n === undefined ? '-' : formatCount(n);
  return formatTable(
    ['partition', 'from', 'landed up to', 'rows', 'log start', 'log end', 'to come'],
    partitions.map((each) => [
      each.topic === '' ? String(each.partition) : `${each.topic}-${each.partition}`,
      number(each.from),
      number(each.next),
      number(each.rows),
      number(each.logStart),
      number(each.logEnd),
      number(each.toCome),
    ]),
  );
}

function renderFindings(
  what: string,
  findings: readonly { kind: string; message: string }[],
  counts: Readonly<Record<string, number>>,
): string[] {
  const lines = findings.map(({ kind, message }) => `${what}  ${kind}: ${message}`);
  for (const [kind, count] of Object.entries(counts)) {
    const listed = findings.filter((finding) => finding.kind === kind).length;
    if (count > listed) lines.push(`${what}  ${kind}: and ${formatCount(count - listed)} more`);
  }
  return lines;
}
