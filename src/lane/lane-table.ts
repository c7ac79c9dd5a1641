import type { Columns } from '../arrow/columns.ts';
import { gatherRows } from '../arrow/gather.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Random, uuid } from '../base/random.ts';
import type { RetryPolicy } from '../base/retry.ts';
import type { DecodeError } from '../decode/decoder.ts';
import type { SchemaSource } from '../decode/registry.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import { dataFileLocation } from '../iceberg/data-location.ts';
import { partitionPath, partitionTypes } from '../iceberg/partition-spec.ts';
import type { PrimitiveType } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import type { RecordSet } from '../kafka/source.ts';
import type { TopicPartition, TopicPartitionKey } from '../kafka/topic-partition.ts';
import { type EncodedFile, type Encoder, type EncodingOptions, encodingOptions } from '../parquet/encoder.ts';
import { putNew } from '../storage/put.ts';
import type { Store } from '../storage/store.ts';
import type { AppendedTable, TablePlan } from './lane.ts';
import { isChunk, OpenFile } from './open-file.ts';
import { PartitionRouter } from './partition-router.ts';
import { failureOf, tombstone } from './record-failure.ts';
import { RowDecoder } from './row-decoder.ts';

export interface LanePorts {
  store: Store;
  encoder: Encoder;
  clock: Clock;
  random: Random;
  log: Log;
  fetch: typeof fetch;
}

/** An upload that fails for this long stops the pipeline; offsets have not moved. */
const uploadPolicy: RetryPolicy = {
  attemptsMax: 100,
  totalMs: 10 * 60_000,
  waitMinMs: 100,
  waitMaxMs: 10_000,
};
/** Files whose upload may be under way at once. */
const uploadsMax = 2;
/** Undecodable records logged one by one per record set; the rest are summed up in one line. */
const failuresLoggedMax = 20;

/**
 * Records that are decoded together after one that makes no row; twice as many each time that all do. What is wrong with a
 * key or a partition is seen when the values behind it have been decoded already, and then they are once more.
 */
const runAfterFailure = 8;

interface Progress extends AppendedTable {
  logged: number;
}

/** One table in one lane: its decoders, the rows not yet in a file, and its open and finished files. */
export class LaneTable {
  readonly #plan: TablePlan;
  readonly #ports: LanePorts;
  readonly #types: readonly PrimitiveType[];
  readonly #encoding: EncodingOptions;
  readonly #fileBytesTarget: number;
  /** The decoders append here; the rows go on to their partition's file. */
  readonly #rows: Columns;
  readonly #decoder: RowDecoder;
  readonly #router: PartitionRouter;
  /** Next offset to take, per topic-partition. */
  readonly #positions = new Map<TopicPartitionKey, number>();
  readonly #open = new Map<string, OpenFile>();
  #finished: DataFile[] = [];
  #uploads: Promise<void>[] = [];
  #progress: Progress | undefined;
  #fileNumber = 0;
  #runMax = runAfterFailure;

  constructor(plan: TablePlan, ports: LanePorts, registries: Map<string, SchemaSource>) {
    this.#plan = plan;
    this.#ports = ports;
    this.#types = partitionTypes(plan.spec, plan.schema);
    this.#encoding = encodingOptions(plan.properties);
    this.#fileBytesTarget = Number(plan.properties['write.target-file-size-bytes']) || 512 * 1024 * 1024;
    this.#decoder = new RowDecoder(plan, registries, ports);
    this.#rows = this.#decoder.rows;
    this.#router = new PartitionRouter(plan.spec, plan.schema, this.#rows);
  }

  get name(): string {
    return this.#plan.table;
  }

  get heldBytes(): number {
    let held = this.#rows.byteLength();
    for (const file of this.#open.values()) held += file.heldBytes;
    for (const file of this.#finished) held += file.fileSizeBytes;
    return held;
  }

  takes(key: TopicPartitionKey): boolean {
    return this.#positions.has(key);
  }

  position(key: TopicPartitionKey): number {
    return this.#positions.get(key)!;
  }

  seek(key: TopicPartitionKey, position: number): void {
    this.#positions.set(key, position);
  }

  release(key: TopicPartitionKey): void {
    this.#positions.delete(key);
  }

  /** Starts on a record set. */
  begin(key: TopicPartitionKey, set: RecordSet): void {
    const next = this.position(key);
    this.#progress = {
      next,
      records: 0,
      rows: 0,
      tombstones: 0,
      undecodable: 0,
      bytes: 0,
      timestampMaxMs: -1,
      logged: 0,
    };
    // Sets of one topic-partition join without a gap; only behind a record that stopped the table they do not.
    const { topic, partition, from } = set;
    if (from > next)
      this.#progress.failure = {
        topic,
        partition,
        offset: next,
        field: '',
        reason: `it was not handed over: the next record set begins at offset ${from}`,
      };
  }

  /** Appends those records of a batch that are at or past the table's position. */
  async append(key: TopicPartitionKey, from: TopicPartition, records: RecordColumns): Promise<void> {
    const progress = this.#progress!;
    if (progress.failure) return;
    await this.#decoder.prepare(records);
    const position = this.position(key);
    for (let i = 0; i < records.count && !progress.failure; ) {
      if (records.offsets[i]! < position) i++;
      else if (records.valueLengths[i]! < 0) this.#appendTombstone(progress, from, records, i++);
      else i = this.#appendRun(progress, from, records, i);
    }
    if (isChunk(this.#rows)) await this.#routeRows();
  }

  /** Ends a record set that was read up to `next`. */
  end(key: TopicPartitionKey, next: number): AppendedTable {
    const { logged, ...appended } = this.#progress!;
    if (!appended.failure) appended.next = Math.max(appended.next, next);
    if (appended.undecodable > logged)
      this.#ports.log.warn('more undecodable records skipped', {
        table: this.name,
        key,
        count: appended.undecodable - logged,
      });
    this.#positions.set(key, appended.next);
    this.#progress = undefined;
    return appended;
  }

  #appendTombstone(progress: Progress, from: TopicPartition, records: RecordColumns, i: number): void {
    if (this.#plan.onTombstone === 'halt') {
      halt(progress, from, records, i, tombstone());
      return;
    }
    countRecords(progress, records, i, i + 1);
    progress.tombstones++;
  }

  /** Appends records from `first` on, as long as they have a value; returns the one to go on with. */
  #appendRun(progress: Progress, from: TopicPartition, records: RecordColumns, first: number): number {
    const most = Math.min(records.count, first + this.#runMax);
    let to = first + 1;
    while (to < most && records.valueLengths[to]! >= 0) to++;
    const { end, error } = this.#appendRows(from, records, first, to);
    countRecords(progress, records, first, end);
    progress.rows += end - first;
    for (let i = first; i < end; i++)
      progress.bytes += records.valueLengths[i]! + Math.max(0, records.keyLengths[i]!);
    this.#runMax = error ? runAfterFailure : this.#runMax * 2;
    if (!error) return end;
    if (this.#plan.onError === 'halt') halt(progress, from, records, end, error);
    else this.#skip(progress, from, records, end, error);
    return end + 1;
  }

  /** Appends the rows of records up to the first that makes none. */
  #appendRows(
    from: TopicPartition,
    records: RecordColumns,
    first: number,
    to: number,
  ): { end: number; error?: DecodeError | undefined } {
    const before = this.#rows.rows;
    const end = this.#decoder.append(from, records, first, to);
    const misfit = this.#router.check(before, this.#rows.rows);
    if (misfit) {
      this.#rows.truncate(misfit.row);
      return { end: first + misfit.row - before, error: misfit.error };
    }
    return end < to ? { end, error: this.#decoder.failure } : { end };
  }

  /** Leaves a record out, and says so with all that is needed to find it. */
  #skip(
    progress: Progress,
    from: TopicPartition,
    records: RecordColumns,
    i: number,
    error: DecodeError,
  ): void {
    countRecords(progress, records, i, i + 1);
    progress.undecodable++;
    if (progress.logged >= failuresLoggedMax) return;
    progress.logged++;
    this.#ports.log.warn('record skipped: it cannot be decoded', {
      table: this.name,
      ...failureOf(from, records, i, error),
    });
  }

  /** Moves the decoded rows to the files of their partitions. */
  async #routeRows(): Promise<void> {
    if (this.#rows.rows === 0) return;
    const groups = this.#router.group();
    for (const group of groups) {
      let file = this.#open.get(group.key);
      if (!file) {
        file = new OpenFile(this.#plan, group.partition, this.#ports.encoder, this.#encoding);
        this.#open.set(group.key, file);
      }
      if (groups.length === 1 && file.waiting.rows === 0 && isChunk(this.#rows)) {
        await file.encode(this.#rows); // all of one partition: nothing to gather
      } else {
        gatherRows(file.waiting, this.#rows, group.rows);
        if (isChunk(file.waiting)) await file.encode(file.waiting);
      }
      if (file.writtenBytes >= this.#fileBytesTarget) await this.#roll(group.key, file);
    }
    this.#rows.truncate(0);
  }

  /** Closes a file and starts its upload. */
  async #roll(key: string, file: OpenFile): Promise<void> {
    this.#open.delete(key);
    const folder = partitionPath(this.#plan.spec, this.#types, file.partition);
    const name = `${this.#plan.filePrefix}-${String(++this.#fileNumber).padStart(5, '0')}-${uuid(this.#ports.random)}.parquet`;
    const { dataLocation, hashed } = this.#plan;
    const { encoded, dataFile } = await file.close(
      dataFileLocation({ folder: dataLocation, hashed }, folder, name),
    );
    while (this.#uploads.length >= uploadsMax) await this.#uploads.shift();
    const upload = this.#upload(dataFile.path, encoded);
    upload.catch(() => {}); // awaited by the next roll or flush
    this.#uploads.push(upload);
    this.#finished.push(dataFile);
  }

  async #upload(path: string, encoded: EncodedFile): Promise<void> {
    const { store, log } = this.#ports;
    await putNew(store, path, encoded.parts, this.#ports, uploadPolicy, (error, attempt, waitMs) =>
      log.warn('uploading a data file failed; trying again', {
        path,
        attempt,
        waitMs,
        error: messageOf(error),
      }),
    );
  }

  /** All files with the rows appended so far, uploaded and durable. */
  async flush(): Promise<DataFile[]> {
    await this.#routeRows();
    for (const [key, file] of this.#open) await this.#roll(key, file);
    await Promise.all(this.#uploads);
    this.#uploads = [];
    const files = this.#finished;
    this.#finished = [];
    return files;
  }

  /** Forgets everything. Uploaded files are nobody's: no commit has ever named them. */
  async drop(): Promise<void> {
    this.#positions.clear();
    this.#rows.truncate(0);
    for (const file of this.#open.values()) await file.abort();
    this.#open.clear();
    await Promise.allSettled(this.#uploads);
    this.#uploads = [];
    const files = this.#finished;
    this.#finished = [];
    for (const file of files) await this.#ports.store.delete(file.path).catch(() => {});
  }
}

function countRecords(progress: Progress, records: RecordColumns, first: number, to: number): void {
  progress.records += to - first;
  for (let i = first; i < to; i++)
    progress.timestampMaxMs = Math.max(progress.timestampMaxMs, records.timestamps[i]!);
}

/** Stops the table at a record: it stays to be read. */
function halt(
  progress: Progress,
  from: TopicPartition,
  records: RecordColumns,
  i: number,
  error: DecodeError,
): void {
  progress.failure = failureOf(from, records, i, error);
  progress.next = progress.failure.offset;
}
