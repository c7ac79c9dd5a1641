import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { checkHistory } from './catalog-bench.ts';

/**
 * Has several processes commit to one table of a SQL catalog, which the first of them makes: all that they commit is
 * there, and nothing else. `place` is a file of SQLite or a URL of PostgreSQL.
 */
export async function raceOfProcesses(
  catalog: Catalog,
  place: string,
  warehouse: string,
  processes: number,
  commits: number,
): Promise<void> {
  const script = fileURLToPath(new URL('committer.ts', import.meta.url));
  const children = Array.from({ length: processes }, (_, i) =>
    spawn(process.execPath, [script, place, warehouse, String(i), String(commits)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const outputs = await Promise.all(children.map(outputOf));
  const table = (await catalog.load({ namespace: ['shop'], name: 'raced' }))!;
  const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
  const ids = outputs.flatMap((output) => output.trim().split('\n').map(BigInt));
  expect(table.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']).sort(order)).toEqual(
    ids.sort(order),
  );
  checkHistory(table, processes * commits, 'all');
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(0);
  return output;
}
