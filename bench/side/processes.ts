import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** What processes used of the machine, from Linux' /proc (proc_pid_stat(5), proc_stat(5)). Times are in clock ticks. */

/** A process with all its threads. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of its threads, ended ones included, and of ended children that it has waited for. */
  readonly ticks: number;
}

/** The machine since it was started, all cores together. */
export interface MachineStat {
  /** User and system time of processes; not that of interrupts, which nobody can be charged with. */
  readonly ticks: number;
  /** Taken by the host for other machines. */
  readonly stolen: number;
}

/** Reads /proc/PID/stat. The program's name stands in brackets and may hold anything, brackets too. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
  return {
    pid: Number.parseInt(text, 10),
    parent: Number(fields[1]),
    ticks: utime! + stime! + cutime! + cstime!,
  };
}

/** Reads /proc/stat. Guests are counted within user and nice. */
export function parseMachineStat(text: string): MachineStat {
  const [user, nice, system, , , , , steal] = text
    .slice(4, text.indexOf('\n'))
    .trim()
    .split(/ +/)
    .map(Number);
  return { ticks: user! + nice! + system!, stolen: steal! };
}

/** The roots that are there, and all that descend from them. */
export function treeOf(all: readonly ProcessStat[], roots: readonly number[]): ProcessStat[] {
  const tree = all.filter(({ pid }) => roots.includes(pid));
  const pids = new Set(tree.map(({ pid }) => pid));
  for (let found = true; found; ) {
    const more = all.filter(({ pid, parent }) => !pids.has(pid) && pids.has(parent));
    for (const process of more) pids.add(process.pid);
    tree.push(...more);
    found = more.length > 0;
  }
  return tree;
}

/** CPU seconds since their start of processes with all that descends from them. */
export function cpuSecondsOf(roots: readonly number[]): number {
  return sum(treeOf(allProcesses(), roots)) / ticksPerSecond;
}

/** CPU seconds of one process without its children: as cheap as it gets. 0 when it has ended. */
export function ownCpuSeconds(pid: number): number {
  return (statOf(pid)?.ticks ?? 0) / ticksPerSecond;
}

/** CPU seconds of the machine, and what was stolen from it. */
export function machineSeconds(): { busy: number; stolen: number } {
  const { ticks, stolen } = parseMachineStat(readFileSync('/proc/stat', 'utf8'));
  return { busy: ticks / ticksPerSecond, stolen: stolen / ticksPerSecond };
}

/** From now on the peak of the memory counts of these processes and what descends from them. */
export function resetPeaks(roots: readonly number[]): void {
  for (const { pid } of treeOf(allProcesses(), roots)) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The peaks of resident memory of these processes and what descends from them, in bytes, as if they had come together. */
export function peakBytes(roots: readonly number[]): number {
  return treeOf(allProcesses(), roots).reduce((bytes, { pid }) => bytes + peakOf(pid), 0);
}

function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // it has ended
  }
}

const sum = (processes: readonly ProcessStat[]): number =>
  processes.reduce((ticks, process) => ticks + process.ticks, 0);

function allProcesses(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => statOf(Number(pid)) ?? []);
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined; // it has ended
  }
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
