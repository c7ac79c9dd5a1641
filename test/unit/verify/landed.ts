import { systemClock } from '../../../src/base/clock.ts';
import { parseIdentifier, type Table } from '../../../src/catalog/catalog.ts';
import type { DataFile } from '../../../src/iceberg/data-file.ts';
import { readManifest, writeManifest } from '../../../src/iceberg/manifest.ts';
import {
  addedManifest,
  type ManifestFile,
  readManifestList,
  writeManifestList,
} from '../../../src/iceberg/manifest-list.ts';
import { branchHead, currentSchema, type Snapshot } from '../../../src/iceberg/metadata.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { newSnapshotId } from '../../../src/iceberg/snapshot.ts';
import { appendRequirements, nextTimestampMs } from '../../../src/iceberg/update.ts';
import { parseKey, type TopicPartitionKey } from '../../../src/kafka/topic-partition.ts';
import { metadataFields } from '../../../src/lane/metadata-columns.ts';
import { ColumnThreads } from '../../../src/parquet/column-threads.ts';
import type { RollbackPolicy } from '../../../src/sink/ledger.ts';
import { commitFlush, type Flush, type Landing } from '../../../src/sink/table-commit.ts';
import { basisAt } from '../../../src/verify/basis.ts';
import type { LogPort } from '../../../src/verify/log.ts';
import type { Report } from '../../../src/verify/report.ts';
import { type VerifyOptions, verify } from '../../../src/verify/verify.ts';
import { append, writeDataFile } from '../../contract/appends.ts';
import type { Row } from '../../tools/canonical.ts';
import { Lake, LakeClock } from '../sink/lake.ts';

/** Offsets by topic-partition. */
export type Offsets = Readonly<Record<TopicPartitionKey, readonly number[]>>;

export const range = (from: number, next: number): number[] =>
  Array.from({ length: next - from }, (_, i) => from + i);

const columns = new ColumnThreads(systemClock);

/** A table that pipeline `shop` lands topic `orders` in, with real files, and what others do to it. */
export class Landed {
  readonly lake: Lake = new Lake(new LakeClock());
  readonly name: string;
  topicId = 'topic-id';
  onRollback: RollbackPolicy = 'halt';
  #next = new Map<TopicPartitionKey, number>();
  #flushes = 0;

  constructor(name = 'shop.orders') {
    this.name = name;
  }

  async create(fields = metadataFields): Promise<this> {
    await this.lake.others.create(parseIdentifier(this.name), {
      fields: [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }, ...fields],
      spec: () => unpartitioned,
      properties: {},
    });
    return this;
  }

  table(): Promise<Table> {
    return this.lake.load(this.name);
  }

  async head(): Promise<Snapshot> {
    return branchHead((await this.table()).metadata, 'main')!;
  }

  /** Writes rows of these offsets as one file. */
  async file(offsets: Offsets): Promise<DataFile> {
    const table = await this.table();
    return writeDataFile(table, rowsOf(table, offsets), [], this.lake);
  }

  /** A commit of the pipeline. `claims`: up to where, if not one past the last offset of each. */
  async land(
    offsets: Offsets,
    change: Partial<Pick<Flush, 'files' | 'lost' | 'leftOut' | 'truncated'>> & {
      claims?: Readonly<Record<string, number>>;
    } = {},
  ): Promise<Extract<Landing, { type: 'landed' }>> {
    const ends =
      change.claims ??
      Object.fromEntries(Object.entries(offsets).map(([key, all]) => [key, all.at(-1)! + 1]));
    const files = change.files ?? (Object.keys(offsets).length > 0 ? [await this.file(offsets)] : []);
    const claims = Object.entries(ends).map(([key, next]) => ({
      key,
      start: this.#next.get(key) ?? 0,
      next,
      initial: !this.#next.has(key),
      ...(this.#replaces ? { replaces: this.#replaces } : {}),
    }));
    const flush: Flush = {
      id: `flush-${++this.#flushes}`,
      table: await this.table(),
      files,
      claims,
      lost: change.lost ?? [],
      leftOut: change.leftOut ?? [],
      truncated: change.truncated ?? [],
      watermarkMs: undefined,
      createdAtMs: this.lake.clock.nowMs(),
    };
    const topics = new Map(claims.map(({ key }) => [parseKey(key).topic, this.topicId]));
    const landing = await commitFlush(
      flush,
      {
        pipeline: 'shop',
        worker: 'w1',
        branch: 'main',
        origin: { clusterId: 'cluster', topicIds: topics },
        onRollback: this.onRollback,
        engineVersion: '1.2.3',
        policy: { attemptsMax: 1, totalMs: 60_000, waitMinMs: 100, waitMaxMs: 1_000 },
      },
      this.lake,
    );
    if (landing.type !== 'landed') throw new Error(`it was ${landing.type}`);
    this.#replaces = undefined;
    for (const { key, next } of claims) this.#next.set(key, next);
    return landing;
  }

  #replaces: string | undefined;

  /** The topic is deleted and made anew: its offsets begin at 0 again. */
  makeTopicAnew(): void {
    this.#replaces = `cluster/${this.topicId}`;
    this.topicId = 'another-id';
    this.#next = new Map();
  }

  /** The pipeline takes up from here, as after a restart. */
  takeUp(key: TopicPartitionKey, offset: number): void {
    this.#next.set(key, offset);
  }

  /** Somebody appends files. */
  async append(files: readonly DataFile[], summary: Record<string, string> = {}): Promise<void> {
    await append(this.lake.others, await this.table(), files, this.lake, summary);
  }

  /** Somebody replaces all files by these. */
  async rewrite(files: readonly DataFile[], operation = 'replace'): Promise<void> {
    await this.#commit(operation, async (location, snapshot) => {
      const schema = currentSchema((await this.table()).metadata);
      const bytes = writeManifest(schema, unpartitioned, [], files, this.lake.random.bytes(16));
      await this.lake.store.put(`${location}-m0.avro`, [bytes]);
      const place = { path: `${location}-m0.avro`, length: bytes.length };
      return [addedManifest(place, snapshot, unpartitioned, [], files)];
    });
  }

  /** Somebody adds a delete file that marks so many rows. */
  async markDeleted(rows: number): Promise<void> {
    const kept = await this.manifests();
    await this.#commit('delete', async (location, { snapshotId, sequenceNumber }) => {
      const deletes = {
        content: 1,
        addedFiles: 1,
        addedRows: rows,
        addedSnapshotId: snapshotId,
        sequenceNumber,
      };
      return [{ ...kept[0]!, path: `${location}-m0.avro`, ...deletes }, ...kept];
    });
  }

  async #commit(
    operation: string,
    manifests: (
      location: string,
      snapshot: { snapshotId: bigint; sequenceNumber: number },
    ) => Promise<readonly ManifestFile[]>,
  ): Promise<void> {
    const table = await this.table();
    const { metadata } = table;
    const head = branchHead(metadata, 'main')!;
    const snapshotId = newSnapshotId(this.lake.random, metadata);
    const sequenceNumber = metadata['last-sequence-number'] + 1;
    const location = `${metadata.location}/metadata/changed-${snapshotId}`;
    const header = { snapshotId, parentSnapshotId: head['snapshot-id'], sequenceNumber };
    const listed = await manifests(location, { snapshotId, sequenceNumber });
    await this.lake.store.put(`${location}.avro`, [
      writeManifestList(header, listed, this.lake.random.bytes(16)),
    ]);
    await this.lake.others.commit(table, appendRequirements(metadata, 'main'), [
      {
        action: 'add-snapshot',
        snapshot: {
          'snapshot-id': snapshotId,
          'parent-snapshot-id': head['snapshot-id'],
          'sequence-number': sequenceNumber,
          'timestamp-ms': nextTimestampMs(metadata, this.lake.clock.nowMs()),
          'manifest-list': `${location}.avro`,
          summary: { operation },
          'schema-id': 0,
        },
      },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': snapshotId },
    ]);
  }

  /** Java's rollback: the branch moves, no snapshot is made. */
  async rollBackTo(id: bigint): Promise<void> {
    await this.lake.change(
      (metadata) => ({
        ...metadata,
        'current-snapshot-id': id,
        refs: { main: { 'snapshot-id': id, type: 'branch' } },
        'snapshot-log': [
          ...metadata['snapshot-log'],
          { 'timestamp-ms': metadata['last-updated-ms'], 'snapshot-id': id },
        ],
      }),
      this.name,
    );
  }

  /** All snapshots but the newest are expired. */
  async expire(keep = 1): Promise<void> {
    await this.lake.change((metadata) => {
      const snapshots = metadata.snapshots.slice(-keep);
      const kept = new Set(snapshots.map((each) => each['snapshot-id']));
      return {
        ...metadata,
        snapshots,
        'snapshot-log': metadata['snapshot-log'].filter((entry) => kept.has(entry['snapshot-id'])),
      };
    }, this.name);
  }

  /** Changes the summary of the newest snapshot, behind everybody's back. */
  async changeSummary(change: Record<string, string>): Promise<void> {
    await this.lake.change((metadata) => {
      const head = metadata.snapshots.at(-1)!;
      const changed = { ...head, summary: { ...head.summary, ...change } };
      return { ...metadata, snapshots: [...metadata.snapshots.slice(0, -1), changed] };
    }, this.name);
  }

  async changeProperties(change: Record<string, string>): Promise<void> {
    await this.lake.change(
      (metadata) => ({ ...metadata, properties: { ...metadata.properties, ...change } }),
      this.name,
    );
  }

  /** Writes a manifest of the newest snapshot anew, with other files in it: its list is left as it is. */
  async changeManifest(files: readonly DataFile[]): Promise<void> {
    const [manifest] = await this.manifests();
    this.lake.store.objects.set(
      manifest!.path,
      writeManifest(
        currentSchema((await this.table()).metadata),
        unpartitioned,
        [],
        files,
        this.lake.random.bytes(16),
      ),
    );
  }

  /** Of the newest snapshot, newest first. */
  async manifests(): Promise<ReturnType<typeof readManifestList>> {
    const list = (await this.head())['manifest-list'];
    return readManifestList(await this.lake.store.get(list), list);
  }

  /** Leaves a manifest out of the newest snapshot's list. */
  async dropManifest(index: number): Promise<void> {
    const head = await this.head();
    const manifests = await this.manifests();
    const header = {
      snapshotId: head['snapshot-id'],
      parentSnapshotId: head['parent-snapshot-id'] ?? null,
      sequenceNumber: head['sequence-number'],
    };
    this.lake.store.objects.set(
      head['manifest-list'],
      writeManifestList(header, manifests.toSpliced(index, 1), this.lake.random.bytes(16)),
    );
  }

  /** The live files, newest first. */
  async paths(): Promise<string[]> {
    const found: string[] = [];
    for (const { path } of await this.manifests())
      for (const entry of readManifest(await this.lake.store.get(path), path)) found.push(entry.path);
    return found;
  }

  /** Puts a file in the place of another; its manifest goes on describing the old one, but for its size. */
  async replaceBytes(path: string, by: DataFile): Promise<void> {
    this.lake.store.objects.set(path, this.lake.store.objects.get(by.path)!);
  }

  async verify(change: Partial<VerifyOptions> & { log?: LogPort; from?: bigint } = {}): Promise<Report> {
    const { log, from, ...options } = change;
    const table = await this.table();
    return verify(
      table,
      {
        depth: 'footers',
        columns: { topic: '_kafka_topic', partition: '_kafka_partition', offset: '_kafka_offset' },
        basis: from === undefined ? undefined : basisAt(table, from),
        allowDeletes: false,
        strict: false,
        pipeline: 'shop',
        skipsUndecodable: false,
        ...options,
      },
      {
        store: this.lake.store,
        readColumns: columns.read,
        log,
        clock: this.lake.clock,
        random: this.lake.random,
        onProgress: () => {},
      },
    );
  }
}

/** Rows of these offsets, topic-partition by topic-partition; those of `none` are of no record. */
function rowsOf(table: Table, offsets: Offsets): Row[] {
  const { fields } = currentSchema(table.metadata);
  return Object.entries(offsets).flatMap(([key, all]) => {
    const { topic, partition } = parseKey(key);
    return all.map((offset) => {
      const values: Row = {
        n: String(offset),
        _kafka_topic: topic,
        _kafka_partition: String(partition),
        _kafka_offset: String(offset),
        _kafka_timestamp: null,
        p: String(partition),
        o: String(offset),
      };
      const isOfNone = topic === 'none';
      return Object.fromEntries(
        fields.map(({ name }) => [name, isOfNone && name.startsWith('_') ? null : values[name]!]),
      );
    });
  });
}
