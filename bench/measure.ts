import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** What something cost: all threads of this process together. */
export interface Cost {
  cpuSeconds: number;
  wallSeconds: number;
}

/** Runs `work` and measures it. */
export async function costOf(work: () => Promise<void> | void): Promise<Cost> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - startedAt) / 1000 };
}

/** The run with the median CPU of several, after one that only warms up. */
export async function medianCost(runs: number, work: () => Promise<void> | void): Promise<Cost> {
  await work();
  const costs: Cost[] = [];
  for (let i = 0; i < runs; i++) costs.push(await costOf(work));
  return costs.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[runs >> 1]!;
}

/** The summary of a bounded run. */
export interface Summary {
  records: number;
  rows: number;
  bytes: number;
  files: number;
  fileBytes: number;
  snapshots: number;
  seconds: number;
  cpuSeconds: number;
  rssBytesPeak: number;
}

/** Runs frazil until caught up. */
export async function catchUp(config: string): Promise<Summary> {
  const args = [program, 'run', '--until-caught-up', '-c', config];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = child.stdout.setEncoding('utf8').toArray();
  const log = child.stderr.setEncoding('utf8').toArray();
  const code = await new Promise<number | null>((end) => child.once('close', end));
  if (code !== 0) throw new Error(`frazil exited with ${code}:\n${(await log).join('').slice(-2000)}`);
  return JSON.parse((await output).join('')) as Summary;
}

/** Resident memory of a process, in bytes; 0 when it has ended. Linux. */
export function rssOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** What is being done, for a person who watches. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}${text === '' ? '' : ' ...'}`);
}

export const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
export const thousands = (n: number): string => Math.round(n).toLocaleString('en-US');

/** Columns as wide as they need to be, numbers to the right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows)
    console.log(
      `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('   ')}`,
    );
}
