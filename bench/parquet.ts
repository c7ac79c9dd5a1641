import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Columns } from '../src/arrow/columns.ts';
import { encodingOptions } from '../src/parquet/encoder.ts';
import { parquetEncoder } from '../src/parquet/file-writer.ts';
import { printTable, thousands } from './measure.ts';
import { chunksOf, nested, orders, type Workload, wide } from './parquet-rows.ts';

/** Writing Parquet: ours, arrow-rs as WebAssembly, and pyarrow, on the same columns; in turns, each in its own process. */

const workloads = [orders, wide, nested];
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    /** In a process that was started by this one: which writer it is, and of which workload. */
    writer: { type: 'string' },
    workload: { type: 'string' },
  },
});
const rounds = Number(flags.rounds);

interface Measured {
  cpuSeconds: number;
  bytes: number;
}

async function ours(
  { schema }: Workload,
  chunks: readonly Columns[],
  version: string,
): Promise<Uint8Array[]> {
  const properties = { 'write.parquet.compression-codec': 'zstd', 'write.parquet.page-version': version };
  const file = parquetEncoder.open(schema, encodingOptions(properties));
  for (const columns of chunks) await file.write(columns);
  return [...(await file.close()).parts];
}

/** Writes the file as often as there are lines to read, and says what that took. */
async function serve(writer: string, workload: Workload): Promise<void> {
  const chunks = chunksOf(workload);
  const arrowRs = writer === 'arrow-rs' ? await import('../test/oracles/arrow-rs.ts') : undefined;
  for await (const _line of createInterface({ input: process.stdin })) {
    const before = process.cpuUsage();
    const parts = arrowRs ? [arrowRs.arrowRsFile(chunks)] : await ours(workload, chunks, writer);
    const { user, system } = process.cpuUsage(before);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    console.log(JSON.stringify({ cpuSeconds: (user + system) / 1e6, bytes } satisfies Measured));
  }
}

/** A writer in a process of its own. */
class Writer {
  readonly name: string;
  readonly costs: Measured[] = [];
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly #how: string;

  constructor(name: string, program: string, args: readonly string[], how = '') {
    this.name = name;
    this.#how = how;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async write(): Promise<Measured> {
    this.#child.stdin.write(`${this.#how}\n`);
    return JSON.parse((await this.#lines.next()).value as string) as Measured;
  }

  end(): void {
    this.#child.stdin.end();
  }
}

async function writersOf(workload: Workload, folder: string): Promise<Writer[]> {
  const chunks = chunksOf(workload);
  for (const version of ['v1', 'v2'])
    writeFileSync(join(folder, `${version}.parquet`), Buffer.concat(await ours(workload, chunks, version)));
  const self = (name: string, writer: string): Writer => {
    const args = [fileURLToPath(import.meta.url), '--workload', workload.name, '--writer', writer];
    return new Writer(name, process.execPath, args);
  };
  const venv = fileURLToPath(new URL('../localstack/python-venv', import.meta.url));
  const python = spawnSync(venv, { encoding: 'utf8' }).stdout.trim();
  const script = fileURLToPath(new URL('parquet-pyarrow.py', import.meta.url));
  const pyarrow = (name: string, how: string): Writer => new Writer(name, python, [script, folder], how);
  return [
    self('ours, v1 (the default)', 'v1'),
    self('ours, v2', 'v2'),
    pyarrow('pyarrow, its defaults', 'defaults'),
    pyarrow('pyarrow, with the encodings of ours, v1', 'v1'),
    pyarrow('pyarrow, with the encodings of ours, v2', 'v2'),
    self('parquet-wasm (arrow-rs), its defaults', 'arrow-rs'),
  ];
}

async function compare(workload: Workload): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  const writers = await writersOf(workload, folder);
  for (let round = -1; round <= rounds; round++)
    for (const writer of writers) {
      const measured = await writer.write();
      if (round > 0) writer.costs.push(measured); // the first two warm up
    }
  for (const writer of writers) writer.end();
  rmSync(folder, { recursive: true, force: true });
  const medians = writers.map(({ name, costs }) => {
    const { cpuSeconds, bytes } = costs.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[costs.length >> 1]!;
    const leastNs = (costs[0]!.cpuSeconds * 1e9) / workload.rows;
    return { name, nsPerRow: (cpuSeconds * 1e9) / workload.rows, leastNs, bytes };
  });
  console.log(`\n${workload.name}, ${thousands(workload.rows)} rows`);
  printTable([
    ['', 'CPU ns/row', 'to ours', 'least', 'bytes', 'to ours'],
    ...medians.map(({ name, nsPerRow, leastNs, bytes }) => [
      name,
      thousands(nsPerRow),
      (nsPerRow / medians[0]!.nsPerRow).toFixed(2),
      thousands(leastNs),
      thousands(bytes),
      (bytes / medians[0]!.bytes).toFixed(2),
    ]),
  ]);
  return { workload: workload.name, rows: workload.rows, medians };
}

if (flags.writer) {
  await serve(flags.writer, workloads.find(({ name }) => name === flags.workload)!);
} else {
  const results: object[] = [];
  for (const workload of workloads)
    if (!flags.only || workload.name.startsWith(flags.only)) results.push(await compare(workload));
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('parquet.json', folder), `${JSON.stringify(results, undefined, 2)}\n`);
}
