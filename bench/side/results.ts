import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Cell } from './cells.ts';
import type { ContestantName } from './contestant.ts';
import type { Usage } from './meter.ts';

/** Records that were there, until the last of them was visible. */
export interface Landing extends Usage {
  readonly records: number;
  readonly valueBytes: number;
  readonly files: number;
  readonly fileBytes: number;
  readonly snapshots: number;
  /** Of all column chunks, as the footers say. */
  readonly codecs: readonly string[];
  /** Cores it used afterwards, connected and with nothing to do. */
  readonly idleCores: number;
}

/** Records that came steadily: from when each was sent until a reader could see it. */
export interface Latency extends Usage {
  readonly records: number;
  readonly recordsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From the start of its first process until the first records of the warm-up were visible. */
  readonly first: Whole;
  readonly snapshots: number;
}

/** From the start of a process, everything counted. */
export interface Whole {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export interface CellResult {
  readonly cell: Cell;
  readonly at: string;
  /** Records that went through before, to warm up. */
  readonly warmUp: number;
  readonly landings: { readonly contestant: ContestantName; readonly run: Landing }[];
  readonly latencies: { readonly contestant: ContestantName; readonly run: Latency }[];
  /** frazil as a job, from nothing to the end of the topics and out; and the same with nothing to land. */
  readonly cold: { readonly whole: Whole; readonly start: Whole }[];
  /** Runs that did not come to an end. */
  readonly failures: { readonly contestant: ContestantName; readonly why: string }[];
}

export interface Results {
  machine: string;
  versions: Partial<Record<ContestantName, string>>;
  cells: Record<string, CellResult>;
}

const file = new URL('../results/bench.json', import.meta.url);

/** What earlier runs have found; nothing if there were none. */
export function readResults(): Results {
  if (!existsSync(file)) return { machine: '', versions: {}, cells: {} };
  return JSON.parse(readFileSync(file, 'utf8')) as Results;
}

/** Keeps what is known of other cells. */
export function writeResults(results: Results): void {
  mkdirSync(new URL('.', file), { recursive: true });
  writeFileSync(file, JSON.stringify(results, null, 2));
}
