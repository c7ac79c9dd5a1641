import { branchHead, type TableMetadata } from '../../src/iceberg/metadata.ts';
import { parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import { ledgerNames, type Resolution, resolveLedger } from '../../src/sink/ledger.ts';
import type { TableOptions } from '../../src/sink/options.ts';
import type { SimBroker } from './broker.ts';
import { CatalogServer } from './catalog-server.ts';
import { entriesOf, type Live, manifestsOf, readLive, readMetadata } from './check.ts';
import { type Contents, contentsAfter, eachRow, emptyContents, expectedRows } from './contents.ts';
import type { Features } from './features.ts';
import { NamedObjects } from './named-objects.ts';
import type { PartitionLog, SimRecord } from './partition-log.ts';
import { SimObjects } from './storage.ts';
import { brokenRule } from './table-rules.ts';
import type { World } from './world.ts';

export const pipeline = 'sim';

/** A table from its creation to its drop. */
interface TableLife {
  readonly options: TableOptions;
  readonly bornAtMs: number;
  /** Another one had its name before: it begins where the group stands. */
  readonly isRemade: boolean;
  readonly contentsOf: Map<bigint, Contents>;
  /** Which worker last moved the ledger, by log, with which snapshot, and when it began to write what it landed then. */
  readonly movedBy: Map<string, { worker: string; snapshot: bigint; sinceMs: number }>;
  metadata: TableMetadata;
  location: string;
  live: Live;
  /** Rolled back once: what landed may no longer be there. */
  wasRolledBack: boolean;
}

/** All tables, judged after every move: by a reader, against what the history of their ledgers says they hold. */
export class Tables {
  readonly objects = new SimObjects();
  readonly catalog = new CatalogServer();
  readonly lives: Map<string, TableLife> = new Map();
  readonly options: readonly TableOptions[];
  readonly #dropped = new Set<string>();
  readonly #world: World;
  readonly #broker: SimBroker;
  readonly #records: readonly SimRecord[];
  readonly #named: NamedObjects;
  readonly #isHistoryShown: boolean;
  readonly #names = ledgerNames(pipeline);
  /** Commits, creations and drops. */
  moves = 0;

  constructor(
    world: World,
    broker: SimBroker,
    options: readonly TableOptions[],
    records: readonly SimRecord[],
    features: Features,
    broken: (what: unknown) => void,
  ) {
    this.#isHistoryShown = features.catalog !== 'newest';
    this.#world = world;
    this.#broker = broker;
    this.options = options;
    this.#records = records;
    this.#named = new NamedObjects(this.objects, this.catalog, this.#names.flush, broken);
    this.catalog.onMove = (table, from, by) => {
      this.moves++;
      try {
        if (from === undefined) this.#onBorn(table);
        else this.#onMove(table, from, by);
      } catch (error) {
        broken(error);
      }
    };
  }

  #onBorn(table: string): void {
    const location = this.catalog.location(table)!;
    const metadata = readMetadata(this.objects, location);
    this.#named.add(location, undefined);
    this.lives.set(table, {
      options: this.options.find((options) => options.table === table)!,
      bornAtMs: this.#world.nowMs,
      isRemade: this.#dropped.has(table),
      contentsOf: new Map(),
      movedBy: new Map(),
      metadata,
      location,
      live: readLive(this.objects, metadata, this.#records),
      wasRolledBack: false,
    });
  }

  drop(table: string): void {
    this.moves++;
    this.catalog.tables.delete(table);
    this.lives.delete(table);
    this.#dropped.add(table);
  }

  /** Up to here every table that takes a topic-partition says it has landed. */
  landedEverywhere(key: TopicPartitionKey): number {
    const { id } = this.#broker.logs.get(key)!;
    const takers = this.options.filter(({ topics }) => topics.includes(parseKey(key).topic));
    const lives = takers.map(({ table }) => this.lives.get(table));
    return Math.min(...lives.map((life) => (life ? (this.contents(life).next.get(id) ?? 0) : 0)));
  }

  get wereDropped(): boolean {
    return this.#dropped.size > 0;
  }

  /** What a table's present head must hold. */
  contents(life: TableLife): Contents {
    const head = branchHead(life.metadata, 'main');
    return head ? life.contentsOf.get(head['snapshot-id'])! : emptyContents;
  }

  resolution({ metadata }: TableLife): Resolution {
    return resolveLedger(metadata, pipeline, 'main');
  }

  /** A commit of ours (`by` a worker) or of others: of each log the table must hold what it says, each row once (I1, I2). */
  #onMove(table: string, from: string, by: string | undefined): void {
    const life = this.lives.get(table)!;
    const base = life.metadata;
    const before = this.contents(life);
    const location = this.catalog.location(table)!;
    const metadata = readMetadata(this.objects, location);
    const head = branchHead(metadata, 'main');
    life.metadata = metadata;
    life.location = location;
    this.#named.add(location, head);
    this.#named.letGo(base, metadata);
    // Reading all that is named is the test of I4.
    life.live = readLive(this.objects, metadata, this.#records);
    if (head && !life.contentsOf.has(head['snapshot-id'])) {
      const isOurs = head.summary[this.#names.offsets] !== undefined;
      const judge = {
        pipeline,
        logOf: (id: string) => this.#broker.logsById.get(id),
        beginsAtMost: (log: PartitionLog) => this.#passedOver(life.isRemade, log),
      };
      const after = isOurs
        ? contentsAfter(before, base, metadata, head, life.options, judge)
        : { ...before, foreign: before.foreign + Number(head.summary['added-records'] ?? 0) };
      life.contentsOf.set(head['snapshot-id'], after);
      if (by !== undefined) {
        const own = [head['manifest-list'], ...this.#named.addedBy(head)];
        const sent = own.map((name) => this.objects.sentAtMs.get(name)!);
        const moved = { worker: by, snapshot: head['snapshot-id'], sinceMs: Math.min(...sent) };
        for (const [id, next] of after.next) if (before.next.get(id) !== next) life.movedBy.set(id, moved);
      }
    }
    if (by !== undefined) this.#checkCommit(life, base, from, by);
    this.#checkRows(life);
  }

  /** Offsets below this a table may never have been asked to take: where another had its name it begins at the group's. */
  #passedOver(isRemade: boolean, log: PartitionLog): number {
    return Math.max(log.start, isRemade ? (this.#broker.furthest.get(log.id) ?? 0) : 0);
  }

  #checkCommit(life: TableLife, base: TableMetadata, baseLocation: string, by: string): void {
    const rule = brokenRule(
      this.objects,
      { base, baseLocation, isHistoryShown: this.#isHistoryShown },
      life.metadata,
      life.live,
    );
    if (rule !== undefined) throw new Error(`${life.options.table}: a commit of ${by}: ${rule}`);
    const head = branchHead(life.metadata, 'main')!;
    for (const path of this.#named.addedBy(head))
      if (this.objects.sentAtMs.get(path)! < life.bornAtMs)
        throw new Error(`I9: ${by} lands ${path}, which is older than table ${life.options.table}`);
  }

  #checkRows(life: TableLife): void {
    const contents = this.contents(life);
    if (life.live.foreign !== contents.foreign)
      throw new Error(
        `${life.options.table}: ${life.live.foreign} of ${contents.foreign} rows of others are there`,
      );
    for (const log of this.#broker.logsById.values()) {
      const found = (life.live.numbers.get(log.id) ?? []).toSorted((a, b) => a - b);
      const expected = expectedRows(contents, log);
      if (found.length !== expected.length || found.some((number, i) => number !== expected[i]))
        throw new Error(
          `${life.options.table} ${log.id}: ledger ${contents.next.get(log.id)}, ${difference(this.#offsets(found), this.#offsets(expected))}`,
        );
    }
  }

  #offsets(numbers: readonly number[]): number[] {
    return numbers.map((number) => this.#records[number]!.offset);
  }

  /** Topic-partitions of which the table holds records that Kafka has no more. */
  lostInKafka(life: TableLife): TopicPartitionKey[] {
    const { parts } = this.contents(life);
    const resolution = this.resolution(life);
    // With `skip` it goes on from where it was, as if all of it were still there.
    const skipped = resolution.type === 'rolledBack' && life.options.onRollback === 'skip';
    const landed = skipped ? resolution.property.ledger : undefined;
    return [...this.#broker.logs].flatMap(([key, log]) => {
      const last = parts.get(log.id)?.at(-1);
      const epoch = landed ? landed.epochs.get(key) : last?.epoch;
      const next = (landed ? landed.next.get(key) : last?.to) ?? 0;
      return epoch !== undefined && log.epochEnd(epoch) < next ? [key] : [];
    });
  }

  /** I3: below a group offset every record is in every table. */
  checkOffsets(offsets: ReadonlyMap<TopicPartitionKey, number>): void {
    for (const [key, offset] of offsets) {
      for (const { table, topics } of this.options) {
        const life = this.lives.get(table);
        if (!topics.includes(parseKey(key).topic) || life?.wasRolledBack || this.#dropped.has(table))
          continue;
        const missing = this.#missing(table, key, offset);
        if (missing.length > 0)
          throw new Error(`I3: group offset ${key} ${offset}, but ${table} lacks ${missing.join()}`);
      }
    }
  }

  /** Rows of a log below `to` that a table lacks without a reason. */
  #missing(table: string, key: TopicPartitionKey, to: number): number[] {
    const life = this.lives.get(table);
    const log = this.#broker.logs.get(key)!;
    // One whose columns come from records is made anew when there are any.
    if (!life) return log.rows(this.#passedOver(this.#dropped.has(table), log), to);
    const live = new Set(life.live.numbers.get(log.id));
    const resolution = this.resolution(life);
    const skipped =
      resolution.type === 'rolledBack' && life.options.onRollback === 'skip'
        ? (resolution.property.ledger.next.get(key) ?? 0)
        : 0;
    const from = Math.max(skipped, this.#passedOver(life.isRemade, log));
    const missing: number[] = [];
    eachRow(this.contents(life), log, from, to, (offset, number) => {
      if (!live.has(number)) missing.push(offset);
    });
    return missing;
  }

  /** What has not landed of the logs up to `targets`; '' when everything has. */
  unlanded(targets: ReadonlyMap<TopicPartitionKey, number>): string {
    const missing: string[] = [];
    for (const { table, topics } of this.options) {
      for (const [key, to] of targets) {
        if (!topics.includes(parseKey(key).topic)) continue;
        const rows = this.#missing(table, key, to);
        if (rows.length > 0) missing.push(`${table} ${key} lacks ${rows.length} rows from ${rows[0]} on`);
      }
    }
    return missing.join('; ');
  }

  /** All that the tables' metadata name, with every snapshot that is retained: what a cleaner of orphans keeps. */
  namedNow(): Set<string> {
    const named = new Set<string>();
    for (const { metadata, location } of this.lives.values()) {
      named.add(location);
      for (const snapshot of metadata.snapshots) {
        named.add(snapshot['manifest-list']);
        for (const manifest of manifestsOf(this.objects, snapshot)) {
          named.add(manifest.path);
          for (const { path } of entriesOf(this.objects, manifest)) named.add(path);
        }
      }
    }
    return named;
  }
}

function difference(found: readonly number[], expected: readonly number[]): string {
  const doubled = found.filter((offset, i) => found[i - 1] === offset);
  const missing = expected.filter((offset) => !found.includes(offset));
  const strange = found.filter((offset) => !expected.includes(offset));
  return `doubled [${doubled.join()}], missing [${missing.join()}], not to be there [${strange.join()}]`;
}
