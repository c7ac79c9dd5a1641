import { mib, printTable, thousands } from '../measure.ts';
import type { ContestantName } from './contestant.ts';
import { othersShareMax, type Usage } from './meter.ts';
import type { CellResult, Landing, Latency } from './results.ts';
import { median } from './statistics.ts';

/** A line for each contestant: what it is called, and its medians. */
export type Table = readonly (readonly string[])[];

/** As they are called in tables and pictures. */
export const contestantTitles: Record<ContestantName, string> = {
  frazil: 'frazil',
  'kafka-connect': 'Kafka Connect',
  flink: 'Flink',
};

const contestantNames = Object.keys(contestantTitles) as ContestantName[];

/** Of a contestant's runs in a cell, the medians of what one is interested in. */
export interface LandingMedians {
  readonly contestant: ContestantName;
  readonly recordsPerCpuSecond: number;
  /** From the moment it may read until the last record is visible, waiting for commits to be due included. */
  readonly visiblePerSecond: number;
  /** The same without the time in which it waited. */
  readonly workedPerSecond: number;
  readonly valueMbPerSecond: number;
  readonly peakBytes: number;
  readonly bytesPerRecord: number;
  readonly files: number;
  readonly idleCores: number;
  readonly codecs: string;
  readonly runs: number;
  readonly clean: number;
}

export interface LatencyMedians {
  readonly contestant: ContestantName;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly cores: number;
  readonly peakBytes: number;
  readonly firstSeconds: number;
  readonly firstCpuSeconds: number;
  readonly runs: number;
  readonly clean: number;
}

const isClean = ({ othersShare }: Usage): boolean => othersShare <= othersShareMax;

function runsOf<R extends Usage>(
  runs: readonly { contestant: ContestantName; run: R }[],
): [ContestantName, R[]][] {
  return contestantNames
    .map((name): [ContestantName, R[]] => [
      name,
      runs.filter(({ contestant }) => contestant === name).map(({ run }) => run),
    ])
    .filter(([, its]) => its.length > 0);
}

export function landingMedians({ landings }: CellResult): LandingMedians[] {
  return runsOf<Landing>(landings).map(([contestant, runs]) => {
    const of = (value: (run: Landing) => number): number => median(runs.map(value));
    return {
      contestant,
      recordsPerCpuSecond: of((run) => run.records / run.cpuSeconds),
      visiblePerSecond: of((run) => run.records / run.seconds),
      workedPerSecond: of((run) => run.records / (run.seconds - run.waitingSeconds)),
      valueMbPerSecond: of((run) => run.valueBytes / 1e6 / (run.seconds - run.waitingSeconds)),
      peakBytes: of((run) => run.peakBytes),
      bytesPerRecord: of((run) => run.fileBytes / run.records),
      files: of((run) => run.files),
      idleCores: of((run) => run.idleCores),
      codecs: [...new Set(runs.flatMap(({ codecs }) => codecs))].join(', '),
      runs: runs.length,
      clean: runs.filter(isClean).length,
    };
  });
}

export function latencyMedians({ latencies }: CellResult): LatencyMedians[] {
  return runsOf<Latency>(latencies).map(([contestant, runs]) => {
    const of = (value: (run: Latency) => number): number => median(runs.map(value));
    return {
      contestant,
      p50Ms: of((run) => run.p50Ms),
      p99Ms: of((run) => run.p99Ms),
      maxMs: of((run) => run.maxMs),
      cores: of((run) => run.cpuSeconds / run.seconds),
      peakBytes: of((run) => run.peakBytes),
      firstSeconds: of((run) => run.first.seconds),
      firstCpuSeconds: of((run) => run.first.cpuSeconds),
      runs: runs.length,
      clean: runs.filter(isClean).length,
    };
  });
}

/** frazil's, as a job in a process of its own: with its start, and without what the same job takes with nothing to do. */
export function coldTable(result: CellResult): Table {
  if (result.cold.length === 0) return [];
  const of = (value: (run: CellResult['cold'][number]) => number): number => median(result.cold.map(value));
  const records = result.landings[0]?.run.records ?? 0;
  return [
    [
      thousands(of(({ whole }) => records / whole.cpuSeconds)),
      thousands(of(({ whole, start }) => records / (whole.cpuSeconds - start.cpuSeconds))),
      thousands(of(({ whole }) => records / whole.seconds)),
      `${of(({ start }) => start.seconds).toFixed(1)} s`,
      `${of(({ start }) => start.cpuSeconds).toFixed(1)} s`,
    ],
  ];
}

/** How many times more `ours` is than that of each other. */
const times = (ours: number | undefined, theirs: number, isOurs: boolean): string =>
  ours === undefined || isOurs ? '' : `${(ours / theirs).toFixed(1)}x`;

const cleanly = (clean: number, runs: number): string => (clean === runs ? 'yes' : `${clean} of ${runs}`);

export const landingHead: readonly string[] = [
  '',
  'records per CPU-second',
  "frazil's",
  'records/s at work',
  "frazil's",
  'records/s visible',
  'MB/s',
  'peak RSS MiB',
  'file bytes/record',
  'files',
  'idle cores',
  'codecs',
  'clean',
];

export function landingRows(result: CellResult): Table {
  const all = landingMedians(result);
  const ours = all.find(({ contestant }) => contestant === 'frazil');
  return all.map((its) => [
    contestantTitles[its.contestant],
    thousands(its.recordsPerCpuSecond),
    times(ours?.recordsPerCpuSecond, its.recordsPerCpuSecond, its === ours),
    thousands(its.workedPerSecond),
    times(ours?.workedPerSecond, its.workedPerSecond, its === ours),
    thousands(its.visiblePerSecond),
    its.valueMbPerSecond.toFixed(0),
    mib(its.peakBytes),
    its.bytesPerRecord.toFixed(1),
    its.files.toFixed(0),
    its.idleCores.toFixed(3),
    its.codecs,
    cleanly(its.clean, its.runs),
  ]);
}

export const latencyHead: readonly string[] = [
  '',
  'p50 ms',
  'p99 ms',
  'max ms',
  'cores',
  "of frazil's",
  'peak RSS MiB',
  'first record',
  'CPU until then',
  'clean',
];

export function latencyRows(result: CellResult): Table {
  const all = latencyMedians(result);
  const ours = all.find(({ contestant }) => contestant === 'frazil');
  return all.map((its) => [
    contestantTitles[its.contestant],
    its.p50Ms.toFixed(0),
    its.p99Ms.toFixed(0),
    its.maxMs.toFixed(0),
    its.cores.toFixed(3),
    ours === undefined || its === ours ? '' : `${(its.cores / ours.cores).toFixed(1)}x`,
    mib(its.peakBytes),
    `${its.firstSeconds.toFixed(1)} s`,
    `${its.firstCpuSeconds.toFixed(1)} s`,
    cleanly(its.clean, its.runs),
  ]);
}

export const coldHead: readonly string[] = [
  'records per CPU-second',
  'net of start',
  'records/s, start included',
  'start',
  'CPU of start',
];

/** The medians of a cell, for a terminal. */
export function printCell(result: CellResult): void {
  const { cell } = result;
  console.log(`\n${cell.title} (${cell.name})`);
  if (result.landings.length > 0) printTable([landingHead, ...landingRows(result)]);
  if (result.latencies.length > 0) printTable([latencyHead, ...latencyRows(result)]);
  if (result.cold.length > 0) {
    console.log('  frazil as a job, from the start of its process to its end:');
    printTable([coldHead, ...coldTable(result)]);
  }
  for (const { contestant, why } of result.failures)
    console.log(`  ${contestantTitles[contestant]} FAILED: ${why.split('\n')[0]}`);
}
