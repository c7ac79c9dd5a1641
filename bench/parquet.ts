import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Columns } from '../src/arrow/columns.ts';
import { encodingOptions } from '../src/parquet/encoder.ts';
import { parquetEncoder } from '../src/parquet/file-writer.ts';
import { arrowRsFile } from '../test/oracles/arrow-rs.ts';
import { printTable, thousands } from './measure.ts';
import { chunksOf, nested, orders, type Workload, wide } from './parquet-rows.ts';

/** Writing Parquet: ours, arrow-rs as WebAssembly, and pyarrow, on the same columns in turns. */

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string' } },
});
const rounds = Number(flags.rounds);

interface Measured {
  cpuSeconds: number;
  bytes: number;
}
type Writer = () => Promise<Measured>;

function writerOf({ schema }: Workload, chunks: readonly Columns[], version: string): Writer {
  const options = encodingOptions({
    'write.parquet.compression-codec': 'zstd',
    'write.parquet.page-version': version,
  });
  return async () => {
    const before = process.cpuUsage();
    const file = parquetEncoder.open(schema, options);
    for (const columns of chunks) await file.write(columns);
    const { sizeBytes } = await file.close();
    return { cpuSeconds: cpuSince(before), bytes: sizeBytes };
  };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** pyarrow in a process of its own, which has the rows in memory: it reads them from files of ours. */
async function pyarrow(
  workload: Workload,
  chunks: readonly Columns[],
): Promise<[Record<string, Writer>, () => void]> {
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  for (const version of ['v1', 'v2']) {
    const options = { 'write.parquet.compression-codec': 'zstd', 'write.parquet.page-version': version };
    const file = parquetEncoder.open(workload.schema, encodingOptions(options));
    for (const columns of chunks) await file.write(columns);
    writeFileSync(join(folder, `${version}.parquet`), Buffer.concat((await file.close()).parts));
  }
  const venv = fileURLToPath(new URL('../localstack/python-venv', import.meta.url));
  const python = spawnSync(venv, { encoding: 'utf8' }).stdout.trim();
  const script = fileURLToPath(new URL('parquet-pyarrow.py', import.meta.url));
  const child = spawn(python, [script, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const writer =
    (how: string): Writer =>
    async () => {
      child.stdin.write(`${how}\n`);
      return JSON.parse((await lines.next()).value as string) as Measured;
    };
  const writers = {
    'pyarrow, its defaults': writer('defaults'),
    'pyarrow, with the encodings of ours (v1)': writer('v1'),
    'pyarrow, with the encodings of ours (v2)': writer('v2'),
  };
  return [
    writers,
    () => {
      child.stdin.end();
      rmSync(folder, { recursive: true, force: true });
    },
  ];
}

async function compare(workload: Workload): Promise<object> {
  const chunks = chunksOf(workload);
  const [others, end] = await pyarrow(workload, chunks);
  const writers: Record<string, Writer> = {
    'ours, v1 (the default)': writerOf(workload, chunks, 'v1'),
    'ours, v2': writerOf(workload, chunks, 'v2'),
    ...others,
    'parquet-wasm (arrow-rs), its defaults': async () => {
      const before = process.cpuUsage();
      const bytes = arrowRsFile(chunks).length;
      return { cpuSeconds: cpuSince(before), bytes };
    },
  };
  const costs = new Map<string, Measured[]>(Object.keys(writers).map((name) => [name, []]));
  for (let round = -1; round <= rounds; round++)
    for (const [name, write] of Object.entries(writers)) {
      collectGarbage(); // what one leaves behind is not for the next to clear away
      const measured = await write();
      if (round > 0) costs.get(name)!.push(measured); // the first two warm up
    }
  end();
  const medians = [...costs].map(([name, all]) => {
    const median = all.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[all.length >> 1]!;
    return { name, nsPerRow: (median.cpuSeconds * 1e9) / workload.rows, bytes: median.bytes };
  });
  console.log(`\n${workload.name}, ${thousands(workload.rows)} rows`);
  printTable([
    ['', 'CPU ns/row', 'to ours', 'bytes', 'to ours'],
    ...medians.map(({ name, nsPerRow, bytes }) => [
      name,
      thousands(nsPerRow),
      (nsPerRow / medians[0]!.nsPerRow).toFixed(2),
      thousands(bytes),
      (bytes / medians[0]!.bytes).toFixed(2),
    ]),
  ]);
  return { workload: workload.name, rows: workload.rows, medians };
}

const results: object[] = [];
for (const workload of [orders, wide, nested])
  if (!flags.only || workload.name.startsWith(flags.only)) results.push(await compare(workload));
const folder = new URL('results/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('parquet.json', folder), `${JSON.stringify(results, undefined, 2)}\n`);
