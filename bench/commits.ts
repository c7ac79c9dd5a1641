/**
 * What a commit costs as its table grows old: CPU of this process, and what goes over the wire.
 *
 *   node bench/commits.ts [--snapshots 1,100,1000,10000] [--files 100000] [--only SQLite,Glue,REST] [--commits 100] [--unmerged]
 *
 * The table has so many snapshots of this pipeline, each of which added a manifest of ten files, up to so many files. What
 * is measured are the commits after those that merge these manifests; with --unmerged the table wants no merging. A
 * hundred commits have one merge among them. Objects are in memory; Glue and the REST server are doubles in this process,
 * whose own time is taken off.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GetTableCommand, type TableInput } from '@aws-sdk/client-glue';
import { systemClock } from '../src/base/clock.ts';
import { parseJson } from '../src/base/json.ts';
import { silentLog } from '../src/base/log.ts';
import { systemRandom } from '../src/base/random.ts';
import type { Catalog, Table } from '../src/catalog/catalog.ts';
import { gluePointersOver } from '../src/catalog/glue.ts';
import { MetastoreCatalog, type Pointers } from '../src/catalog/metastore.ts';
import { RestCatalog } from '../src/catalog/rest.ts';
import { sqlitePointers } from '../src/catalog/sqlite.ts';
import type { DataFile } from '../src/iceberg/data-file.ts';
import { writeManifest } from '../src/iceberg/manifest.ts';
import { addedManifest, writeManifestList } from '../src/iceberg/manifest-list.ts';
import {
  branchHead,
  currentSchema,
  newTableMetadata,
  parseMetadata,
  type Snapshot,
  type TableMetadata,
  writeMetadata,
} from '../src/iceberg/metadata.ts';
import { unpartitioned } from '../src/iceberg/partition-spec.ts';
import { appendSummary } from '../src/iceberg/snapshot.ts';
import { applyUpdates, type Update } from '../src/iceberg/update.ts';
import { type Ledger, ledgerNames, writeLedger, writeLedgerProperty } from '../src/sink/ledger.ts';
import { commitFlush } from '../src/sink/table-commit.ts';
import { MemoryStore } from '../src/storage/memory.ts';
import { costOf } from './measure.ts';

const { values } = parseArgs({
  options: {
    snapshots: { type: 'string', default: '1,100,1000,10000' },
    files: { type: 'string', default: '100000' },
    only: { type: 'string' },
    commits: { type: 'string', default: '100' },
    unmerged: { type: 'boolean', default: false },
  },
});
const commits = Number(values.commits);
const filesMax = Number(values.files);
const filesPerManifest = 10;
const pipeline = 'orders';
const partitions = 6;
const rowsPerFile = 5_000;
const identifier = { namespace: ['shop'], name: 'orders' };
const ports = { clock: systemClock, random: systemRandom };

/** Counts what is asked of it. */
class CountingStore extends MemoryStore {
  gets = 0;
  puts = 0;
  readBytes = 0;
  writtenBytes = 0;

  override async get(location: string): Promise<Uint8Array> {
    const bytes = await super.get(location);
    this.gets++;
    this.readBytes += bytes.length;
    return bytes;
  }

  override async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    this.puts++;
    for (const part of parts) this.writtenBytes += part.length;
    await super.put(location, parts);
  }
}

/** What a server does is not the client's cost. */
class ServerTime {
  seconds = 0;

  spend<T>(work: () => T): T {
    const before = process.cpuUsage();
    try {
      return work();
    } finally {
      const { user, system } = process.cpuUsage(before);
      this.seconds += (user + system) / 1e6;
    }
  }
}

const columns = [
  'order_id',
  'customer',
  'merchant',
  'amount',
  'currency',
  'status',
  'at',
  'paid',
  'note',
  'n',
];

function dataFile(i: number): DataFile {
  const each = <T>(value: T): Map<number, T> => new Map(columns.map((_, id) => [id + 1, value]));
  return {
    path: `memory://wh/shop/orders/data/frazil-orders-host-4711-${String(i).padStart(8, '0')}-0b0f1d6e-5f3e.parquet`,
    format: 'PARQUET',
    partition: [],
    recordCount: rowsPerFile,
    fileSizeBytes: 190_000 + i,
    columnSizes: each(19_000 + (i % 1_000)),
    valueCounts: each(rowsPerFile),
    nullValueCounts: each(0),
    nanValueCounts: new Map(),
    lowerBounds: each(Buffer.from(String(i).padStart(12, '0'))),
    upperBounds: each(Buffer.from(String(i + rowsPerFile).padStart(12, '0'))),
    splitOffsets: [4],
  };
}

function ledgerAt(step: number): Ledger {
  const keys = Array.from({ length: partitions }, (_, i) => `orders-${i}`);
  return {
    clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
    topicIds: new Map([['orders', 'Dv2Yd6lpQkaSQ7k1bYVbmw']]),
    next: new Map(keys.map((key) => [key, step * rowsPerFile])),
    epochs: new Map(keys.map((key) => [key, 3])),
    starts: new Map(keys.map((key) => [key, 0])),
  };
}

/** The metadata of a table that so many commits of this pipeline have filled. */
async function agedTable(store: MemoryStore, count: number): Promise<TableMetadata> {
  let metadata = newTableMetadata({
    uuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
    location: 'memory://wh/shop/orders',
    fields: columns.map((name) => ({ id: 0, name, required: false, type: { kind: 'string' } })),
    spec: () => unpartitioned,
    properties: { 'commit.manifest-merge.enabled': String(!values.unmerged) },
    nowMs: Date.now() - count * 1_000,
  });
  const names = ledgerNames(pipeline);
  const files = Array.from({ length: filesPerManifest }, (_, i) => dataFile(i));
  const bytes = writeManifest(currentSchema(metadata), unpartitioned, [], files, systemRandom.bytes(16));
  const manifests: Parameters<typeof writeManifestList>[1][number][] = [];
  const snapshots: Snapshot[] = [];
  const folder = `${metadata.location}/metadata`;
  for (let i = 1; i <= count; i++) {
    const snapshotId = 7_000_000_000_000_000_000n + BigInt(i) * 1_003n;
    const added = i * filesPerManifest <= filesMax ? files : [];
    if (added.length > 0) {
      // Ten files stand for all: only their names would be others.
      const path = `${folder}/0b0f1d6e-5f3e-4f0a-8d41-${String(i).padStart(12, '0')}-m0.avro`;
      await store.put(path, [bytes]);
      const at = { snapshotId, sequenceNumber: i };
      manifests.unshift(addedManifest({ path, length: bytes.length }, at, unpartitioned, [], added));
    }
    const parent = snapshots.at(-1);
    snapshots.push({
      'snapshot-id': snapshotId,
      ...(parent ? { 'parent-snapshot-id': parent['snapshot-id'] } : {}),
      'sequence-number': i,
      'timestamp-ms': metadata['last-updated-ms'] + i * 1_000,
      'manifest-list': `${folder}/snap-${snapshotId}-1-0b0f1d6e-5f3e-4f0a-8d41-0123456789ab.avro`,
      summary: appendSummary(
        parent,
        added,
        { created: 1, kept: manifests.length },
        {
          [names.offsets]: writeLedger(ledgerAt(i)),
          [names.flush]: `0b0f1d6e-5f3e-4f0a-8d41-${String(i).padStart(12, '0')}`,
          [names.worker]: 'host-4711',
          'engine-name': 'frazil',
          'engine-version': '0.1.0',
        },
      ),
      'schema-id': 0,
    });
  }
  const head = snapshots.at(-1)!;
  const headId = head['snapshot-id'];
  const header = { snapshotId: headId, parentSnapshotId: null, sequenceNumber: count };
  await store.put(head['manifest-list'], [writeManifestList(header, manifests, systemRandom.bytes(16))]);
  const property = { snapshotId: headId, sequenceNumber: count, branch: 'main', ledger: ledgerAt(count) };
  metadata = {
    ...metadata,
    'last-sequence-number': count,
    'last-updated-ms': head['timestamp-ms'],
    properties: { ...metadata.properties, [names.property]: writeLedgerProperty(property) },
    'current-snapshot-id': headId,
    refs: { main: { 'snapshot-id': headId, type: 'branch' } },
    snapshots,
    'snapshot-log': snapshots.map((each) => ({
      'timestamp-ms': each['timestamp-ms'],
      'snapshot-id': each['snapshot-id'],
    })),
  };
  return metadata;
}

/** A catalog over a table that is there already. */
interface Opened {
  catalog: Catalog;
  /** Bytes that went to and from the catalog itself. */
  wire: { readBytes: number; writtenBytes: number };
  server: ServerTime;
  close(): void;
}

async function putMetadata(store: MemoryStore, metadata: TableMetadata): Promise<string> {
  const location = `${metadata.location}/metadata/00001-0b0f1d6e-5f3e-4f0a-8d41-0123456789ab.metadata.json`;
  await store.put(location, [Buffer.from(writeMetadata(metadata))]);
  return location;
}

const noWire = { readBytes: 0, writtenBytes: 0 };

const kinds: Record<string, (store: CountingStore, metadata: TableMetadata) => Promise<Opened>> = {
  SQLite: async (store, metadata) => {
    const folder = mkdtempSync(join(tmpdir(), 'frazil-commits-'));
    const pointers: Pointers = sqlitePointers(join(folder, 'lake.db'), 'lake');
    await pointers.insert(identifier, await putMetadata(store, metadata), metadata);
    return {
      catalog: new MetastoreCatalog(pointers, 'memory://wh', { ...ports, store }),
      wire: noWire,
      server: new ServerTime(),
      close: () => rmSync(folder, { recursive: true }),
    };
  },
  Glue: async (store, metadata) => {
    const location = await putMetadata(store, metadata);
    const wire = { readBytes: 0, writtenBytes: 0 };
    let input: TableInput = {
      Name: 'orders',
      Parameters: { table_type: 'ICEBERG', metadata_location: location },
    };
    let version = 0;
    const send = async (command: { input: unknown }): Promise<object> => {
      if (command instanceof GetTableCommand) {
        const answer = { Table: { ...input, VersionId: String(version) } };
        wire.readBytes += JSON.stringify(answer).length;
        return answer;
      }
      wire.writtenBytes += JSON.stringify(command.input).length;
      const asked = command.input as { TableInput: TableInput; VersionId: string };
      if (asked.VersionId !== String(version)) throw new Error('the bench is alone at its table');
      input = asked.TableInput;
      version++;
      return {};
    };
    const pointers = gluePointersOver({ createDatabase: true, skipNameValidation: false }, {
      send,
      destroy: () => {},
    } as never);
    const catalog = new MetastoreCatalog(pointers, 'memory://wh', { ...ports, store });
    return { catalog, wire, server: new ServerTime(), close: () => {} };
  },
  REST: async (_store, metadata) => {
    const wire = { readBytes: 0, writtenBytes: 0 };
    const server = new ServerTime();
    let text = writeMetadata(metadata);
    const answer = (): string => `{"metadata-location":"memory://wh/m.json","metadata":${text},"config":{}}`;
    const fetching = async (url: string, init: RequestInit = {}): Promise<Response> => {
      const body = String(init.body ?? '');
      wire.writtenBytes += body.length;
      const told = server.spend(() => {
        if (url.includes('/config')) return '{"defaults":{},"overrides":{}}';
        if (init.method === 'POST') {
          const { updates } = parseJson(body) as unknown as { updates: Update[] };
          text = writeMetadata(applyUpdates(parseMetadata(text, 'it'), 'before', updates, Date.now()));
        }
        return answer();
      });
      wire.readBytes += told.length;
      return new Response(told, { headers: { 'content-type': 'application/json' } });
    };
    const settings = {
      uri: 'http://rest',
      auth: { type: 'none' },
      vendedCredentials: false,
      headers: {},
    } as const;
    const catalog = new RestCatalog(settings, { ...ports, fetch: fetching as typeof fetch });
    return { catalog, wire, server, close: () => {} };
  },
};

/** One commit after the other of a worker that is alone at the table, each of one file. */
async function commitOn(opened: Opened, store: CountingStore, from: number, count: number): Promise<number> {
  const names = ['orders'];
  const options = {
    pipeline,
    worker: 'host-4711',
    branch: 'main',
    origin: {
      clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
      topicIds: new Map([[names[0]!, 'Dv2Yd6lpQkaSQ7k1bYVbmw']]),
    },
    onRollback: 'halt',
    engineVersion: '0.1.0',
    policy: { attemptsMax: 1, totalMs: 60_000, waitMinMs: 1, waitMaxMs: 1 },
  } as const;
  let longestMs = 0;
  let table: Table = (await opened.catalog.load(identifier))!;
  for (let i = 0; i < count; i++) {
    const step = from + i;
    const claims = Array.from({ length: partitions }, (_, p) => ({
      key: `orders-${p}` as const,
      start: step * rowsPerFile,
      next: (step + 1) * rowsPerFile,
      startEpoch: 3,
      epoch: 3,
      initial: false,
    }));
    const flush = {
      id: crypto.randomUUID(),
      table,
      files: [dataFile(step)],
      claims,
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: Date.now(),
      createdAtMs: Date.now(),
    };
    const startedAt = performance.now();
    const landing = await commitFlush(flush, options, {
      catalog: opened.catalog,
      store,
      ...ports,
      log: silentLog,
    });
    if (landing.type !== 'landed') throw new Error(`a commit was ${landing.type}`);
    longestMs = Math.max(longestMs, performance.now() - startedAt);
    table = landing.table;
  }
  return longestMs;
}

const kb = (bytes: number): string => (bytes / 1_000).toFixed(0);

console.log(
  '| catalog | snapshots | files | CPU ms | longest ms | reads | kB read | writes | kB written | manifests |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const [name, open] of Object.entries(kinds)) {
  if (values.only && !values.only.split(',').includes(name)) continue;
  for (const count of values.snapshots.split(',').map(Number)) {
    const store = new CountingStore();
    const opened = await open(store, await agedTable(store, count));
    // Each commit merges 256 of them at most.
    const warmUp = 3 + (values.unmerged ? 0 : Math.ceil(count / 250));
    await commitOn(opened, store, count, warmUp);
    Object.assign(store, { gets: 0, puts: 0, readBytes: 0, writtenBytes: 0 });
    Object.assign(opened.wire, { readBytes: 0, writtenBytes: 0 });
    opened.server.seconds = 0;
    let longestMs = 0;
    const cost = await costOf(async () => {
      longestMs = await commitOn(opened, store, count + warmUp, commits);
    });
    const head = branchHead((await opened.catalog.load(identifier))!.metadata, 'main')!;
    const { 'manifests-kept': kept, 'total-data-files': files } = head.summary;
    const cells = [
      ((cost.cpuSeconds - opened.server.seconds) * 1_000) / commits,
      longestMs,
      store.gets / commits,
      (store.readBytes + opened.wire.readBytes) / commits,
      store.puts / commits,
      (store.writtenBytes + opened.wire.writtenBytes) / commits,
    ] as const;
    const [cpuMs, longest, reads, readBytes, writes, writtenBytes] = cells;
    console.log(
      `| ${name} | ${count} | ${files} | ${cpuMs.toFixed(1)} | ${longest.toFixed(0)} | ${reads.toFixed(1)} | ${kb(readBytes)} | ${writes.toFixed(1)} | ${kb(writtenBytes)} | ${kept} |`,
    );
    opened.close();
  }
}
