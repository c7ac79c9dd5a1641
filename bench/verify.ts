/**
 * What `frazil verify` takes on a table of very many files: time and memory, for each depth.
 *
 *   node bench/verify.ts [--files 100000] [--folder /tmp/somewhere]
 *
 * The table is made in a folder: a snapshot of the pipeline for each 100 files, a file of 100 offsets of one of six
 * partitions. Each depth is a process of its own, the program as users run it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import { parseIdentifier, type Table } from '../src/catalog/catalog.ts';
import { sqliteCatalog } from '../src/catalog/sqlite.ts';
import type { DataFile } from '../src/iceberg/data-file.ts';
import { writeManifest } from '../src/iceberg/manifest.ts';
import { addedManifest, type ManifestFile, writeManifestList } from '../src/iceberg/manifest-list.ts';
import { currentSchema, type Snapshot } from '../src/iceberg/metadata.ts';
import { unpartitioned } from '../src/iceberg/partition-spec.ts';
import { appendSummary } from '../src/iceberg/snapshot.ts';
import type { Update } from '../src/iceberg/update.ts';
import { metadataFields } from '../src/lane/metadata-columns.ts';
import { encodingOptions } from '../src/parquet/encoder.ts';
import { parquetEncoder } from '../src/parquet/file-writer.ts';
import { columnMetrics } from '../src/parquet/metrics.ts';
import { type Ledger, ledgerNames, writeLedger, writeLedgerProperty } from '../src/sink/ledger.ts';
import { LocalStore } from '../src/storage/local.ts';
import { columnsOf } from '../test/unit/arrow/rows.ts';

const { values } = parseArgs({
  options: { files: { type: 'string', default: '100000' }, folder: { type: 'string' } },
});
const filesPerSnapshot = 100;
const snapshots = Math.ceil(Number(values.files) / filesPerSnapshot);
const rowsPerFile = 100;
const partitions = 6;

const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'frazil-verify-'));
const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Offsets in a template are these: they are found in its bytes, and others put in their place. */
const marked = 0x5a5a_5a5a_0000;

interface Template {
  bytes: Buffer;
  /** Where the offset `marked + i` stands. */
  places: { at: number; i: number }[];
  file: DataFile;
}

/** A real file of a partition, uncompressed, so that its numbers can be changed where they stand. */
async function templateOf(table: Table, partition: number): Promise<Template> {
  const schema = currentSchema(table.metadata);
  const properties = { 'write.parquet.compression-codec': 'uncompressed' };
  const rows = Array.from({ length: rowsPerFile }, (_, i) => ({
    n: '1',
    _kafka_topic: 'orders',
    _kafka_partition: String(partition),
    _kafka_offset: String(marked + i),
    _kafka_timestamp: null,
  }));
  const columns = columnsOf(schema, rows);
  const encoder = parquetEncoder.open(schema, encodingOptions(properties));
  await encoder.write(columns);
  const encoded = await encoder.close();
  const bytes = Buffer.concat(encoded.parts);
  const places: Template['places'] = [];
  for (let at = 0; at + 8 <= bytes.length; at++) {
    const i = Number(bytes.readBigInt64LE(at)) - marked;
    if (i >= 0 && i < rowsPerFile) places.push({ at, i });
  }
  const { columnSizes, splitOffsets, sizeBytes, facts } = encoded;
  const described = { path: '', format: 'PARQUET' as const, partition: [], recordCount: rowsPerFile };
  return {
    bytes,
    places,
    file: {
      ...described,
      fileSizeBytes: sizeBytes,
      columnSizes,
      splitOffsets,
      ...columnMetrics(schema, properties, facts),
    },
  };
}

function writeFile(
  { bytes, places, file }: Template,
  path: string,
  from: number,
  offsetId: number,
): DataFile {
  const changed = Buffer.from(bytes);
  for (const { at, i } of places) changed.writeBigInt64LE(BigInt(from + i), at);
  writeFileSync(path, changed);
  const bound = (offset: number): Buffer => {
    const out = Buffer.alloc(8);
    out.writeBigInt64LE(BigInt(offset));
    return out;
  };
  return {
    ...file,
    path: `file://${path}`,
    lowerBounds: new Map(file.lowerBounds).set(offsetId, bound(from)),
    upperBounds: new Map(file.upperBounds).set(offsetId, bound(from + rowsPerFile - 1)),
  };
}

async function build(): Promise<void> {
  const ports = { store: new LocalStore(), clock: systemClock, random: systemRandom };
  const catalog = sqliteCatalog(
    { path: join(folder, 'catalog.db'), name: 'lake', warehouse: `file://${folder}` },
    ports,
  );
  const table = await catalog.create(parseIdentifier('shop.orders'), {
    fields: [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }, ...metadataFields],
    spec: () => unpartitioned,
    properties: {},
  });
  const schema = currentSchema(table.metadata);
  const offsetId = schema.fields.find(({ name }) => name === '_kafka_offset')!.id;
  const templates: Template[] = [];
  for (let partition = 0; partition < partitions; partition++)
    templates.push(await templateOf(table, partition));
  const place = table.metadata.location.replace('file://', '');
  for (const part of ['data', 'metadata']) mkdirSync(join(place, part), { recursive: true });
  const next = new Array<number>(partitions).fill(0);
  const names = ledgerNames('shop');
  const made: Snapshot[] = [];
  let manifests: ManifestFile[] = [];
  for (let s = 0; s < snapshots; s++) {
    const files: DataFile[] = [];
    for (let f = 0; f < filesPerSnapshot; f++) {
      const partition = f % partitions;
      const path = join(place, 'data', `${s}-${f}.parquet`);
      files.push(writeFile(templates[partition]!, path, next[partition]!, offsetId));
      next[partition]! += rowsPerFile;
    }
    const id = BigInt(s + 1);
    const bytes = writeManifest(schema, unpartitioned, [], files, systemRandom.bytes(16));
    const path = join(place, 'metadata', `m-${s}.avro`);
    writeFileSync(path, bytes);
    const where = { path: `file://${path}`, length: bytes.length };
    manifests = [
      addedManifest(where, { snapshotId: id, sequenceNumber: s + 1 }, unpartitioned, [], files),
      ...manifests,
    ];
    const list = join(place, 'metadata', `snap-${s}.avro`);
    // Of the lists between only the sums of rows count, and those come out.
    if (s === 0 || s === snapshots - 1) {
      const header = { snapshotId: id, parentSnapshotId: s === 0 ? null : id - 1n, sequenceNumber: s + 1 };
      writeFileSync(list, writeManifestList(header, manifests, systemRandom.bytes(16)));
    }
    const head = made.at(-1);
    made.push({
      'snapshot-id': id,
      ...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),
      'sequence-number': s + 1,
      'timestamp-ms': table.metadata['last-updated-ms'] + s,
      'manifest-list': `file://${list}`,
      summary: appendSummary(
        head,
        files,
        { created: 1, kept: s },
        { [names.offsets]: writeLedger(ledgerAt(next)) },
      ),
      'schema-id': 0,
    });
  }
  const updates: Update[] = [
    ...made.map((snapshot): Update => ({ action: 'add-snapshot', snapshot })),
    { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': BigInt(snapshots) },
    {
      action: 'set-properties',
      updates: {
        [names.property]: writeLedgerProperty({
          snapshotId: BigInt(snapshots),
          sequenceNumber: snapshots,
          branch: 'main',
          ledger: ledgerAt(next),
        }),
      },
    },
  ];
  const outcome = await catalog.commit(table, [], updates);
  if (outcome.type !== 'applied') throw new Error(`the table was ${outcome.type}`);
  await catalog.close();
}

function ledgerAt(next: readonly number[]): Ledger {
  const by = (of: (partition: number) => number): Map<string, number> =>
    new Map(next.map((_, partition) => [`orders-${partition}`, of(partition)]));
  return {
    clusterId: 'cluster',
    topicIds: new Map([['orders', 'topic-id']]),
    next: by((partition) => next[partition]!),
    epochs: new Map(),
    starts: by(() => 0),
  };
}

/** Prints what the process took at its end, on a line of its own. */
const meter = `process.on('exit', () => { const u = process.resourceUsage(); process.stderr.write('\\nUSED ' + JSON.stringify({
  rss: u.maxRSS * 1024, cpu: (u.userCPUTime + u.systemCPUTime) / 1e6 }) + '\\n'); });`;

function measure(depth: string, options: readonly string[]): void {
  const config = join(folder, 'frazil.json');
  const catalog = { type: 'sqlite', path: './catalog.db', name: 'lake', warehouse: '.' };
  const table = { table: 'shop.orders', topics: ['orders'] };
  const source = { brokers: ['127.0.0.1:1'], topics: ['orders'] };
  writeFileSync(
    config,
    JSON.stringify({
      pipeline: 'shop',
      source,
      decode: { value: { format: 'json' } },
      catalog,
      tables: [table],
    }),
  );
  const startedAt = performance.now();
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(meter)}`,
      program,
      'verify',
      'shop.orders',
      '-c',
      config,
      '--no-kafka',
      '--json',
      ...options,
    ],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const seconds = (performance.now() - startedAt) / 1000;
  if (status !== 0)
    throw new Error(`it exited with ${status}: ${stdout.slice(-2000)} ${stderr.slice(-2000)}`);
  const { files, rows } = JSON.parse(stdout) as { files: number; rows: number };
  const used = JSON.parse(/USED (.*)/.exec(stderr)![1]!) as { rss: number; cpu: number };
  const cells = [
    depth.padEnd(8),
    `${files} files, ${rows} rows`,
    `${seconds.toFixed(1)} s`,
    `${Math.round(files / seconds)} files/s`,
    `${used.cpu.toFixed(1)} s CPU`,
    `${Math.round(used.rss / 1024 / 1024)} MiB peak`,
  ];
  console.log(cells.join('  '));
}

try {
  await build();
  measure('--quick', ['--quick']);
  measure('footers', []);
  measure('--deep', ['--deep']);
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
