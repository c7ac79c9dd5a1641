import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { Mailbox } from '../base/mailbox.ts';
import type { Random } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import type { AssignedPartition, RecordSet, Source, SourceEvent } from '../kafka/source.ts';
import type { TopicPartitionKey } from '../kafka/topic-partition.ts';
import { type Appended, type Described, type Lane, LaneDiedError } from '../lane/lane.ts';
import type { Store } from '../storage/store.ts';
import { Budget } from './budget.ts';
import type { Origin } from './claims.ts';
import { RebalanceHistory } from './lag.ts';
import type { Ledger } from './ledger.ts';
import type { SinkOptions } from './options.ts';
import type { OpenedTable } from './positions.ts';
import type { Flush, Landing } from './table-commit.ts';
import { TableWriter } from './table-writer.ts';
import { Totals } from './totals.ts';

/** All effects of the core. */
export interface SinkPorts {
  source: Source;
  lanes: readonly Lane[];
  catalog: Catalog;
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

/** A topic-partition of ours. */
export interface Partition {
  readonly topicPartition: AssignedPartition;
  readonly lane: number;
  /** What the source called its present position; 0 while it has none. */
  generation: number;
}

/** What happened. Events of tables carry the table's generation: after a drop they are about nothing any more. */
export type SinkEvent =
  | SourceEvent
  | {
      type: 'opened';
      writer: TableWriter;
      generation: number;
      asked: readonly AssignedPartition[];
      opened: OpenedTable;
    }
  | {
      type: 'described';
      writer: TableWriter;
      generation: number;
      set: RecordSet;
      described: Described;
    }
  | { type: 'created'; writer: TableWriter; generation: number }
  | {
      type: 'appended';
      set: RecordSet;
      generations: ReadonlyMap<TableWriter, number>;
      lane: number;
      receivedAtMs: number;
      appended: Appended;
    }
  | { type: 'laneFlushed'; writer: TableWriter; lane: number; files: DataFile[]; heldBytes: number }
  | { type: 'landing'; writer: TableWriter; flush: Flush; landing: Landing; startedAtMs: number }
  | { type: 'looked'; writer: TableWriter; atMs: number; ledger: Ledger | undefined }
  | { type: 'laneDied'; lane: number; error: LaneDiedError }
  | { type: 'mirrored' }
  | { type: 'covered'; covered: boolean }
  | { type: 'ends'; ends: ReadonlyMap<TopicPartitionKey, number> }
  /** A table, or (without one) all of them, can be written no more. */
  | { type: 'broken'; writer: TableWriter | undefined; error: Error }
  /** Something must stop the pipeline, but what was read can be landed. */
  | { type: 'unfit'; error: Error }
  | { type: 'stop'; reason: string };

/** What the parts of the sink share. */
export class SinkContext {
  readonly options: SinkOptions;
  readonly ports: SinkPorts;
  readonly mailbox: Mailbox<SinkEvent> = new Mailbox();
  readonly writers: readonly TableWriter[];
  readonly partitions: Map<TopicPartitionKey, Partition> = new Map();
  readonly budget: Budget;
  readonly totals: Totals;
  readonly rebalances: RebalanceHistory = new RebalanceHistory();
  /** Draining: nothing more is read, what was read is landed. */
  state: 'running' | 'draining' | 'stopped' = 'running';
  clusterId = '';
  /** All partitions that the topics had when the worker started; none when it has a fixed assignment. */
  siblings: readonly AssignedPartition[] = [];
  /** That are read, by this worker or by others. */
  readonly topics: Set<string> = new Set();
  readonly #topicIds = new Map<string, string>();

  constructor(options: SinkOptions, ports: SinkPorts) {
    this.options = options;
    this.ports = ports;
    this.writers = options.tables.map((table) => new TableWriter(table));
    this.budget = new Budget(options.heldBytesMax, ports.lanes.length);
    this.totals = new Totals(ports.clock.monotonicMs());
  }

  learnTopics(topicPartitions: readonly AssignedPartition[]): void {
    for (const { topic, topicId } of topicPartitions) this.#topicIds.set(topic, topicId);
  }

  /** True when the topic is another one than the one of its name that was known so far. */
  isMadeAnew({ topic, topicId }: AssignedPartition): boolean {
    return (this.#topicIds.get(topic) ?? topicId) !== topicId;
  }

  origin(): Origin {
    return { clusterId: this.clusterId, topicIds: this.#topicIds };
  }

  /** The tables that a topic goes into. */
  takersOf(topic: string): TableWriter[] {
    return this.writers.filter((writer) => writer.takes(topic));
  }

  post(event: SinkEvent): void {
    this.mailbox.put(event);
  }

  /** Lets something run and posts what came of it; a failure breaks the table, or without one everything. */
  task<T>(writer: TableWriter | undefined, running: Promise<T>, event: (result: T) => SinkEvent): void {
    running.then(
      (result) => this.post(event(result)),
      (error) => this.post({ type: 'broken', writer, error: asError(error) }),
    );
  }

  /**
   * A command to a lane, and what came of it; lanes run commands in order. A failure breaks the table, or without one
   * everything; the lane's death only costs what it held.
   */
  inLane<T>(
    index: number,
    command: (lane: Lane) => Promise<T>,
    event?: (result: T) => SinkEvent,
    writer?: TableWriter,
  ): void {
    command(this.ports.lanes[index]!).then(
      (result) => {
        if (event) this.post(event(result));
      },
      (error) =>
        this.post(
          error instanceof LaneDiedError
            ? { type: 'laneDied', lane: index, error }
            : { type: 'broken', writer, error: asError(error) },
        ),
    );
  }

  inEveryLane(command: (lane: Lane) => Promise<void>): void {
    for (const index of this.ports.lanes.keys()) this.inLane(index, command);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
