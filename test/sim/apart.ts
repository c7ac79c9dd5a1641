import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** Runs the simulator in a process of its own, on the project's Node. */
export async function runApart(...args: string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run.ts'), ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, output };
}
