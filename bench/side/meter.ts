import { cpuSecondsOf, machineSeconds, ownCpuSeconds, peakBytes, resetPeaks } from './processes.ts';
import { type Sample, waitingSeconds } from './statistics.ts';

/** What a contestant used between two moments, and whether it had the machine for itself. */
export interface Usage {
  readonly seconds: number;
  /** Of these, those in which it did nothing. */
  readonly waitingSeconds: number;
  /** All its threads and processes, user and system. */
  readonly cpuSeconds: number;
  /** Of Kafka and the registry. */
  readonly serversCpuSeconds: number;
  readonly peakBytes: number;
  /** What all others, and the host, took of the machine's cores: 0 to 1. */
  readonly othersShare: number;
}

/** A run is called clean when others took no more than this. */
export const othersShareMax = 0.03;

const sampleEveryMs = 100;

/** Measures from its construction on. */
export class Meter {
  readonly #pids: readonly number[];
  readonly #servers: readonly number[];
  readonly #before: Reading;
  readonly #samples: Sample[] = [];

  /** `pids`: the contestant's. `servers`: Kafka's and the registry's. This process and its children are nobody's others. */
  constructor(pids: readonly number[], servers: readonly number[]) {
    this.#pids = pids;
    this.#servers = servers;
    resetPeaks(pids);
    this.#before = read(pids, servers);
    this.look();
  }

  /** To be called often: tells work from waiting. */
  look(): void {
    const atMs = performance.now();
    if (atMs - (this.#samples.at(-1)?.atMs ?? 0) < sampleEveryMs) return;
    this.#samples.push({ atMs, cpuSeconds: this.#pids.reduce((sum, pid) => sum + ownCpuSeconds(pid), 0) });
  }

  end(cores: number): Usage {
    const after = read(this.#pids, this.#servers);
    const before = this.#before;
    const seconds = (after.atMs - before.atMs) / 1000;
    const others = after.busy - before.busy - (after.known - before.known);
    const stolen = after.stolen - before.stolen;
    return {
      seconds,
      waitingSeconds: waitingSeconds(this.#samples),
      cpuSeconds: after.contestant - before.contestant,
      serversCpuSeconds: after.servers - before.servers,
      peakBytes: peakBytes(this.#pids),
      othersShare: Math.max(0, others + stolen) / (seconds * cores),
    };
  }
}

interface Reading {
  atMs: number;
  contestant: number;
  servers: number;
  known: number;
  busy: number;
  stolen: number;
}

function read(pids: readonly number[], servers: readonly number[]): Reading {
  return {
    atMs: performance.now(),
    contestant: cpuSecondsOf(pids),
    servers: cpuSecondsOf(servers),
    known: cpuSecondsOf([process.pid, ...pids, ...servers]),
    ...machineSeconds(),
  };
}
