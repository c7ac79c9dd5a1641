import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the simulator in a process of its own, on the project's Node. */
export const runApart = (...args: string[]): Promise<Ended> => runProgram('run.ts', ...args);

/** The same with another program of this folder. */
export async function runProgram(name: string, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, output };
}
