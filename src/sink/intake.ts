import { FatalError, RecordError } from '../base/errors.ts';
import { epochAt } from '../kafka/leader-epochs.ts';
import type { LogRange, RecordSet } from '../kafka/source.ts';
import { keyOf, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { RecordFailure } from '../lane/lane.ts';
import type { Assignment } from './assignment.ts';
import type { Partition, SinkContext, SinkEvent } from './context.ts';
import { createTable } from './positions.ts';
import type { TableWriter } from './table-writer.ts';

type OutOfRange = Extract<SinkEvent, { type: 'outOfRange' }>;
type Truncated = Extract<SinkEvent, { type: 'truncated' }>;

/** How often a broker may refuse a position that is in range. */
const doubtsMax = 10;

/** Record sets on their way from the source into the lanes. */
export class Intake {
  readonly #context: SinkContext;
  readonly #assignment: Assignment;
  /** Gaps behind record sets that lanes have not answered for. */
  readonly #gaps = new Map<TopicPartitionKey, OutOfRange>();
  /** Positions that logs which were cut have to come to. */
  readonly #awaited = new Map<TopicPartitionKey, number>();
  /** Positions that brokers refused and that were in range when asked. */
  readonly #doubts = new Map<TopicPartitionKey, { position: number; times: number }>();

  constructor(context: SinkContext, assignment: Assignment) {
    this.#context = context;
    this.#assignment = assignment;
  }

  onRecords(set: RecordSet): void {
    const { budget, ports, partitions } = this.#context;
    const key = keyOf(set);
    const partition = partitions.get(key);
    const { length } = set.records;
    if (partition?.generation !== set.generation) return budget.dropped(length);
    const takers = this.#context.takersOf(set.topic).filter((writer) => !writer.broken);
    const absent = takers.filter((writer) => writer.phase === 'absent');
    // Read again when the table is there; those that are there need not wait.
    for (const writer of absent) this.#describe(writer, key, set);
    const generations = new Map<TableWriter, number>();
    for (const writer of takers) {
      if (writer.phase !== 'ready' || !writer.entries.has(key)) continue; // it is being opened, and will ask again
      if (!writer.joins(key, set)) {
        this.#assignment.drop(
          writer,
          `${key} has another record before its position than the one that was read`,
        );
        continue;
      }
      writer.handed(key, set.next, epochAt(set.epochs, set.next));
      generations.set(writer, writer.generation);
    }
    if (generations.size === 0) return budget.dropped(length);
    const receivedAtMs = ports.clock.monotonicMs();
    const { lane } = partition;
    budget.handed(length);
    this.#context.inLane(
      lane,
      (to) => {
        const appending = to.append(set);
        appending.catch(() => budget.unanswered(length));
        return appending;
      },
      (appended) => {
        budget.appended(lane, length, appended);
        return { type: 'appended', set, generations, lane, receivedAtMs, appended };
      },
    );
  }

  onAppended({ set, generations, receivedAtMs, appended }: Extract<SinkEvent, { type: 'appended' }>): void {
    for (const [writer, generation] of generations) {
      const result = appended.tables[writer.name];
      if (!result || writer.generation !== generation) continue;
      writer.appended(keyOf(set), result, receivedAtMs, epochAt(set.epochs, set.next));
      this.#context.totals.read(result);
      if (result.failure) this.#onRecordFailure(writer, result.failure);
    }
    const gap = this.#gaps.get(keyOf(set));
    if (this.#gaps.delete(keyOf(set))) this.onOutOfRange(gap!);
  }

  #onRecordFailure(writer: TableWriter, failure: RecordFailure): void {
    const { topic, partition, offset, field, reason } = failure;
    const error = new RecordError(
      `landing ${keyOf(failure)} in table ${writer.name}: the record at offset ${offset} cannot be landed: ` +
        `${field === '' ? '' : `field ${field}: `}${reason}; its offset has not moved ` +
        '(decode.onError: skip leaves such records out, decode.onTombstone: skip those without a value)',
      { context: { topic, partition, offset, field, reason, table: writer.name } },
    );
    this.#context.post({ type: 'unfit', error });
  }

  /** The first record that has a schema tells the columns of a table that is to be created. */
  #describe(writer: TableWriter, key: TopicPartitionKey, set: RecordSet): void {
    const entry = writer.entries.get(key);
    if (!entry || set.from > entry.asked) return;
    entry.asked = Math.max(entry.asked, set.next);
    const { generation } = writer;
    const { value, key: keyFormat, keyColumn, onError, onTombstone } = writer.options;
    const plan = { value, key: keyFormat, keyColumn, onError, onTombstone };
    this.#context.inLane(
      entry.lane,
      (lane) => lane.describe(set, plan),
      (described) => ({ type: 'described', writer, generation, set, described }),
      writer,
    );
  }

  onDescribed({ writer, generation, set, described }: Extract<SinkEvent, { type: 'described' }>): void {
    if (writer.generation !== generation || writer.phase !== 'absent') return;
    const { ports } = this.#context;
    if (described.type === 'failure') return this.#onRecordFailure(writer, described.failure);
    if (described.type === 'nothing') {
      writer.told(keyOf(set), set);
      const { undecodable, first } = described;
      if (undecodable > 0)
        ports.log.warn('records skipped: they cannot be decoded, and none tells the columns of the table', {
          table: writer.name,
          count: undecodable,
          ...first,
        });
      return;
    }
    const { fields } = described;
    writer.phase = 'opening';
    ports.log.info('creating table', { table: writer.name, columns: fields.map((field) => field.name) });
    const creating = createTable(writer.options, fields, ports);
    this.#context.task(writer, creating, () => ({ type: 'created', writer, generation }));
  }

  /** Its ledger is asked now: another worker may have been faster, and have landed something already. */
  onCreated(writer: TableWriter, generation: number): void {
    if (writer.generation === generation) this.#assignment.drop(writer, 'it was created');
  }

  onOutOfRange(event: OutOfRange): void {
    const { topicPartition, generation, position, log } = event;
    const { partitions, writers, options, ports } = this.#context;
    const key = keyOf(topicPartition);
    const partition = partitions.get(key);
    if (partition?.generation !== generation) return;
    if (position > log.end && options.onTruncation === 'halt')
      return this.#stop(pastTheEnd(key, position, log));
    if (position > log.end) return this.#awaitEnd(event, partition);
    if (position >= log.start) return this.#onBackInRange(event, partition);
    if (options.onGap === 'halt') return this.#stop(gap(key, position, log));
    // What lanes are still at work on is not lost: a claim passes the gap only when they have answered.
    if (writers.some((writer) => !writer.isAnswered(key))) {
      this.#gaps.set(key, event);
      return;
    }
    ports.log.error('records are lost to retention', { partition: key, from: position, to: log.start });
    for (const writer of writers) {
      const entry = writer.entries.get(key);
      // A table that is further on has lost nothing.
      if (!entry || entry.handed >= log.start) continue;
      writer.skipLost(key, entry.handed, log.start);
      if (writer.phase === 'ready')
        this.#context.inLane(partition.lane, (lane) => lane.seek(writer.name, topicPartition, log.start));
    }
    this.#assignment.resume(key, partition);
  }

  /**
   * The log was cut below what was read. What of that has not landed is dropped and read again from the ledger on; what
   * has landed is found when the tables are opened, and decided on there.
   */
  onTruncated({ topicPartition, generation, position, end }: Truncated): void {
    const { partitions, ports } = this.#context;
    const key = keyOf(topicPartition);
    if (partitions.get(key)?.generation !== generation) return;
    ports.log.error('the log was cut below what was read', { partition: key, read: position, end });
    for (const writer of this.#context.takersOf(topicPartition.topic))
      if (writer.entries.has(key)) this.#assignment.drop(writer, `the log of ${key} was cut at ${end}`);
  }

  /** What has landed is kept, and with it its offsets: the log has to come to where they end. */
  #awaitEnd({ topicPartition, position, log }: OutOfRange, partition: Partition): void {
    const key = keyOf(topicPartition);
    if (this.#awaited.get(key) !== position)
      this.#context.ports.log.warn('the log ends before what has landed; waiting for it to get there', {
        partition: key,
        position,
        log,
      });
    this.#awaited.set(key, position);
    this.#assignment.resume(key, partition);
  }

  /**
   * Outside of the log a moment ago, inside of it now. A replica that leads no more may have answered; but if it goes on,
   * the log was cut and has grown again, and what is there now is not what was read.
   */
  #onBackInRange({ topicPartition, position, log }: OutOfRange, partition: Partition): void {
    const key = keyOf(topicPartition);
    const before = this.#doubts.get(key);
    const times = before?.position === position ? before.times + 1 : 1;
    if (times > doubtsMax) return this.#stop(wasCut(key, position, log));
    this.#doubts.set(key, { position, times });
    this.#context.ports.log.warn('a position was out of range and is not any more; asking again', {
      partition: key,
      position,
      log,
    });
    this.#assignment.resume(key, partition);
  }

  #stop(error: Error): void {
    this.#context.post({ type: 'unfit', error });
  }
}

function pastTheEnd(key: TopicPartitionKey, position: number, log: LogRange): FatalError {
  return new FatalError(
    `fetching ${key}: position ${position} is past the end of the log (${log.end}): the topic was truncated or made anew, ` +
      'or this is another cluster; compare the ledger (frazil inspect) with the topic',
  );
}

function wasCut(key: TopicPartitionKey, position: number, log: LogRange): FatalError {
  return new FatalError(
    `fetching ${key}: position ${position} is refused as out of range, and the log is said to go from ${log.start} to ` +
      `${log.end}: it was cut below the position (an unclean leader election?), and records that have landed may be others ` +
      'now; compare the table with the topic, then restart',
  );
}

function gap(key: TopicPartitionKey, position: number, log: LogRange): FatalError {
  return new FatalError(
    `fetching ${key}: offsets ${position} to ${log.start - 1} (${log.start - position} offsets) are no longer retained and ` +
      `have not been landed; source.onGap: skip goes on from offset ${log.start} and records in the table what was lost`,
  );
}
