import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Runs seeds in a process of their own, on the project's Node. */
export function simulate(folder: string, seeds: number, from = 1): { status: number | null; output: string } {
  const args = [join(folder, 'test/sim/run.ts'), '--seeds', String(seeds), '--from', String(from)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}
