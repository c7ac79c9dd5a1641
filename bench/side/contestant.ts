import type { Cell } from './cells.ts';
import type { Servers } from './topics.ts';
import type { Warehouse } from './warehouse.ts';

export type ContestantName = 'frazil' | 'kafka-connect' | 'flink';

/** What is to be landed: each topic in the table of the same name. */
export interface Job {
  readonly cell: Cell;
  readonly servers: Servers;
  /** A topic to warm up with, of the same shape; it is full. */
  readonly warmUp: string;
  readonly topics: readonly string[];
  readonly warehouse: Warehouse;
  /** For whatever the contestant keeps. */
  readonly folder: string;
}

/** A contestant whose processes run. */
export interface Running {
  /** Its processes; what descends from them counts too. */
  readonly pids: readonly number[];
  /** From now on nothing is read of the topics until {@link begin}: they may be filled. */
  hold(): Promise<void>;
  /** Lets it read the topics. */
  begin(): Promise<void>;
  /** @throws with the end of its log if it has failed. */
  check(): Promise<void>;
  stop(): Promise<void>;
}

export interface Contestant {
  readonly name: ContestantName;
  /** Exactly what runs, for the page. */
  readonly version: string;
  /** Whether it can do this. */
  can(cell: Cell): boolean;
  /** Brings what it needs. */
  install(): Promise<void>;
  /** Starts its processes with everything it must know of the job. Topics and tables exist. */
  start(job: Job): Promise<Running>;
}
