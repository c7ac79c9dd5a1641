import { messageOf, TransientError } from '../base/errors.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { FileFacts } from '../parquet/file-facts.ts';
import type { ColumnBatch, ReadColumns, Words } from '../parquet/wasm-columns.ts';
import type { RangedStore } from '../storage/store.ts';
import type { Claimed } from './claimed.ts';
import type { OffsetColumns } from './columns.ts';
import { type Findings, formatRange } from './finding.ts';
import { tellingRanges } from './footers.ts';
import type { Bounds, LiveFile } from './live-files.ts';
import { extend, type OffsetRange, OffsetSet } from './offset-set.ts';
import { keyName } from './told.ts';

/** The offsets of a topic-partition that the table has rows of. */
export interface Seen extends TopicPartition {
  readonly key: TopicPartitionKey;
  readonly epoch: number;
  readonly set: OffsetSet;
  rows: number;
}

export interface ContentsPorts {
  readonly store: RangedStore;
  readonly readColumns: ReadColumns;
}

export interface ContentsRules {
  /** Offsets below were verified before. */
  readonly floors: ReadonlyMap<TopicPartitionKey, number>;
  /** Snapshots of others that have only added rows: those of offsets that were verified before are there twice. */
  readonly appenders: ReadonlySet<bigint>;
  /** Read no columns; files of which the footer does not tell the offsets are counted. */
  readonly byFooters: boolean;
}

/** Which offsets the data files have rows of, by their columns (or, to be quick, by their footers). */
export class Contents {
  readonly seen: Map<string, Seen> = new Map();
  /** Rows that are of no record. */
  withoutOffset = 0;
  /** Rows of which topic of a name cannot be told. */
  ambiguous = 0;
  /** Files of which the footer does not tell the offsets. */
  filesOpen = 0;
  readonly #columns: OffsetColumns;
  readonly #claimed: Claimed;
  readonly #rules: ContentsRules;
  readonly #ports: ContentsPorts;
  readonly #findings: Findings;

  constructor(
    columns: OffsetColumns,
    claimed: Claimed,
    rules: ContentsRules,
    ports: ContentsPorts,
    findings: Findings,
  ) {
    this.#columns = columns;
    this.#claimed = claimed;
    this.#rules = rules;
    this.#ports = ports;
    this.#findings = findings;
  }

  /** Takes in the rows of a file. `facts`: what its footer says. */
  async add(file: LiveFile, facts: FileFacts): Promise<void> {
    const tally = new Tally();
    if (this.#rules.byFooters) {
      const told = tellingRanges(facts, this.#columns);
      for (const { topicPartition, range } of told ?? []) this.#addRange(file, topicPartition, range, tally);
      if (!told) this.filesOpen++;
    } else {
      await this.#read(file, facts, tally);
    }
    tally.report(file, this.#findings);
  }

  async #read(file: LiveFile, facts: FileFacts, tally: Tally): Promise<void> {
    const { topic, partition } = this.#columns;
    const [topicName, partitionName, offsetName] = facts.names;
    if (offsetName === undefined) {
      this.withoutOffset += facts.rows;
      return;
    }
    const names = [topicName, partitionName, offsetName].filter((name) => name !== undefined);
    const read = (start: number, end: number): Promise<Uint8Array> =>
      this.#ports.store.getRange(file.path, start, end);
    let rows = 0;
    try {
      for await (const batch of this.#ports.readColumns({ sizeBytes: file.sizeBytes, read }, names)) {
        const columns = [...batch.columns];
        const topics = topic && topicName !== undefined ? (columns.shift() as Words) : undefined;
        const partitions =
          partition && partitionName !== undefined ? (columns.shift() as Float64Array) : undefined;
        this.#addBatch(file, batch, topics, partitions, columns[0] as Float64Array, tally);
        rows += batch.rows;
      }
    } catch (error) {
      if (error instanceof TransientError) throw error;
      this.#findings.problem('damaged-file', `${file.path} cannot be read: ${messageOf(error)}`, {
        file: file.path,
      });
      return;
    }
    if (rows !== file.rows)
      this.#findings.problem('row-count', `${file.path} has ${rows} rows, its manifest says ${file.rows}`, {
        file: file.path,
        count: rows,
      });
    tally.checkBounds(file, this.#findings);
  }

  #addBatch(
    file: LiveFile,
    batch: ColumnBatch,
    topics: Words | undefined,
    partitions: Float64Array | undefined,
    offsets: Float64Array,
    tally: Tally,
  ): void {
    let lane: Lane | undefined;
    let [lastTopic, lastPartition] = [-2, -2];
    for (let row = 0; row < batch.rows; row++) {
      const offset = offsets[row]!;
      const topic = topics ? topics.codes[row]! : 0;
      const partition = partitions ? partitions[row]! : 0;
      if (Number.isNaN(offset) || Number.isNaN(partition) || topic < 0) {
        this.withoutOffset++;
        continue;
      }
      if (!lane || topic !== lastTopic || partition !== lastPartition) {
        lane = this.#laneOf(file, { topic: topics?.words[topic] ?? '', partition }, tally);
        [lastTopic, lastPartition] = [topic, partition];
      }
      this.#addOffset(lane, offset);
    }
  }

  #addOffset(lane: Lane, offset: number): void {
    lane.min = Math.min(lane.min, offset);
    lane.max = Math.max(lane.max, offset);
    if (offset < lane.floor) {
      if (lane.isAppended) lane.addDoubled(offset);
      return;
    }
    if (offset < lane.from || offset >= lane.next) lane.outside++;
    if (!lane.seen) this.ambiguous++;
    else if (lane.seen.set.add(offset)) lane.seen.rows++;
    else {
      lane.seen.rows++;
      lane.addDoubled(offset);
    }
  }

  #addRange(file: LiveFile, topicPartition: TopicPartition, told: OffsetRange, tally: Tally): void {
    const lane = this.#laneOf(file, topicPartition, tally);
    lane.min = Math.min(lane.min, told.from);
    lane.max = Math.max(lane.max, told.next - 1);
    const range = { from: Math.max(told.from, lane.floor), next: told.next };
    if (lane.isAppended && told.from < lane.floor)
      extend(lane.doubled, { from: told.from, next: Math.min(told.next, lane.floor) });
    if (range.next <= range.from) return;
    const inside = Math.max(0, Math.min(range.next, lane.next) - Math.max(range.from, lane.from));
    lane.outside += range.next - range.from - inside;
    if (!lane.seen) {
      this.ambiguous += range.next - range.from;
      return;
    }
    lane.seen.rows += range.next - range.from;
    for (const doubled of lane.seen.set.addRange(range)) extend(lane.doubled, doubled);
  }

  #laneOf(file: LiveFile, { topic, partition }: TopicPartition, tally: Tally): Lane {
    const key = keyOf({ topic, partition });
    const known = tally.lanes.get(key);
    if (known) return known;
    const step = this.#claimed.stepOf(file.adder);
    const link = step?.links.find((each) => each.key === key);
    const epoch = step ? (link?.epoch ?? 0) : this.#claimed.epochOf(key);
    const lane = new Lane(
      { topic, partition },
      epoch === undefined ? undefined : this.#seenOf(key, epoch, { topic, partition }),
      { floor: this.#rules.floors.get(key) ?? 0, isAppended: this.#rules.appenders.has(file.adder) },
      step ? { from: link ? (link.from ?? 0) : 0, next: link?.next ?? 0 } : everything,
    );
    tally.lanes.set(key, lane);
    return lane;
  }

  #seenOf(key: TopicPartitionKey, epoch: number, topicPartition: TopicPartition): Seen {
    const name = `${key}#${epoch}`;
    let seen = this.seen.get(name);
    if (!seen) {
      seen = { ...topicPartition, key, epoch, set: new OffsetSet(), rows: 0 };
      this.seen.set(name, seen);
    }
    return seen;
  }
}

const everything: OffsetRange = { from: Number.NEGATIVE_INFINITY, next: Number.POSITIVE_INFINITY };

/** Rows of one topic-partition in one file. */
class Lane {
  readonly topicPartition: TopicPartition;
  readonly seen: Seen | undefined;
  readonly floor: number;
  readonly isAppended: boolean;
  /** What the file's snapshot claims of it. */
  readonly from: number;
  readonly next: number;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  outside = 0;
  /** Offsets that were there already; beyond some ranges they are counted only. */
  readonly doubled: OffsetRange[] = [];
  doubledMore = 0;

  constructor(
    topicPartition: TopicPartition,
    seen: Seen | undefined,
    { floor, isAppended }: { floor: number; isAppended: boolean },
    claim: OffsetRange,
  ) {
    this.topicPartition = topicPartition;
    this.seen = seen;
    this.floor = floor;
    this.isAppended = isAppended;
    this.from = claim.from;
    this.next = claim.next;
  }

  addDoubled(offset: number): void {
    if (this.doubled.length < rangesMax || this.doubled.at(-1)!.next === offset)
      extend(this.doubled, { from: offset, next: offset + 1 });
    else this.doubledMore++;
  }
}

const rangesMax = 1_000;

/** What was found in one file. */
class Tally {
  readonly lanes: Map<TopicPartitionKey, Lane> = new Map();

  report(file: LiveFile, findings: Findings): void {
    for (const [key, lane] of this.lanes) {
      const { topicPartition, doubled, doubledMore, outside, from, next, min, max } = lane;
      const place = { ...topicPartition, file: file.path };
      for (const range of doubled)
        findings.problem(
          'duplicate',
          `${keyName(key)} ${formatRange(range)}: there before, and again in ${file.path}`,
          {
            ...place,
            ...range,
            count: range.next - range.from,
          },
        );
      if (doubledMore > 0)
        findings.problem(
          'duplicate',
          `${keyName(key)}: ${doubledMore} further offsets of ${file.path} were there before`,
          {
            ...place,
            count: doubledMore,
          },
        );
      if (outside > 0)
        findings.problem(
          'outside-claim',
          `${file.path} has ${outside} rows of ${keyName(key)} (between ${min} and ${max}) outside of the claim of the ` +
            `snapshot that added it, ${from >= next ? 'which claims nothing of it' : formatRange({ from, next })}`,
          { ...place, count: outside, snapshot: file.adder },
        );
    }
  }

  /** Bounds may be wider than what is in the file, never narrower: readers would pass over rows. */
  checkBounds(file: LiveFile, findings: Findings): void {
    const lanes = [...this.lanes.values()];
    if (lanes.length === 0) return;
    const offsets = {
      min: Math.min(...lanes.map(({ min }) => min)),
      max: Math.max(...lanes.map(({ max }) => max)),
    };
    const numbers = lanes.map(({ topicPartition }) => topicPartition.partition);
    const partitions = { min: Math.min(...numbers), max: Math.max(...numbers) };
    checkInside(file, 'offsets', offsets, file.offset, findings);
    checkInside(file, 'partitions', partitions, file.partition, findings);
  }
}

function checkInside(
  file: LiveFile,
  what: string,
  found: Bounds<number>,
  told: Bounds<number> | undefined,
  findings: Findings,
): void {
  if (!told || (found.min >= told.min && found.max <= told.max)) return;
  findings.problem(
    'wrong-bounds',
    `${file.path} has ${what} from ${found.min} to ${found.max}, its manifest says ${told.min} to ${told.max}`,
    { file: file.path },
  );
}
