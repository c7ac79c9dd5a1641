import type { Columns } from '../arrow/columns.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Random, uuid } from '../base/random.ts';
import type { RetryPolicy } from '../base/retry.ts';
import { DecodeError } from '../decode/decoder.ts';
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
    for (let i = 0; i < records.count && !progress.failure; i++) {
      if (records.offsets[i]! >= position) this.#appendRecord(progress, from, records, i);
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

  #appendRecord(progress: Progress, from: TopicPartition, records: RecordColumns, i: number): void {
    const valueLength = records.valueLengths[i]!;
    progress.records++;
    progress.timestampMaxMs = Math.max(progress.timestampMaxMs, records.timestamps[i]!);
    if (valueLength < 0) {
      if (this.#plan.onTombstone === 'skip') progress.tombstones++;
      else this.#halt(progress, from, records, i, tombstone());
      return;
    }
    const row = this.#rows.rows;
    try {
      this.#decoder.append(from, records, i);
      this.#router.check(row);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#rows.truncate(row);
      if (this.#plan.onError === 'halt') this.#halt(progress, from, records, i, error);
      else this.#skip(progress, from, records, i, error);
      return;
    }
    progress.rows++;
    progress.bytes += valueLength + Math.max(0, records.keyLengths[i]!);
  }

  /** Stops the table at a record: it stays to be read. */
  #halt(
    progress: Progress,
    from: TopicPartition,
    records: RecordColumns,
    i: number,
    error: DecodeError,
  ): void {
    progress.records--;
    progress.failure = failureOf(from, records, i, error);
    progress.next = progress.failure.offset;
  }

  /** Leaves a record out, and says so with all that is needed to find it. */
  #skip(
    progress: Progress,
    from: TopicPartition,
    records: RecordColumns,
    i: number,
    error: DecodeError,
  ): void {
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
        file.waiting.appendRows(this.#rows, group.rows);
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
