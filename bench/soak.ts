/**
 * Ten minutes of 10,000 records a second with a small memory bound, the catalog locked for one of them: consumption
 * pauses, memory stays flat, nothing is lost, and it recovers by itself.
 *
 *   node bench/soak.ts [--minutes 10] [--rate 10000] [--held 128MiB] [--outage 60]
 *
 * Ends with exit code 1 unless every offset is in the table once and held bytes stayed below the bound. Writes the curve
 * to results/soak.json and results/soak.svg.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { orderColumns } from '../localstack/orders.ts';
import { produceOrders } from '../localstack/produce.ts';
import { Lake } from '../test/tools/frazil.ts';
import { Localstack } from '../test/tools/localstack.ts';
import { countOffsets, everyOffsetOnce } from '../test/tools/offsets.ts';
import { pause } from '../test/tools/pipeline.ts';
import { python } from '../test/tools/python.ts';
import { mib, printTable, rssOf, thousands } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '10000' },
    held: { type: 'string', default: '128MiB' },
    outage: { type: 'string', default: '60' },
  },
});
const minutes = Number(options.minutes);
const rate = Number(options.rate);
const outageSeconds = Number(options.outage);
const outageAtSeconds = (minutes * 60 - outageSeconds) * 0.4;
const topic = 'soak';

interface Sample {
  second: number;
  rssMiB: number;
  heldMiB: number;
  lag: number;
  rows: number;
  paused: boolean;
  locked: boolean;
}

function config(brokers: string): object {
  return {
    pipeline: topic,
    source: { brokers, topics: [topic] },
    decode: { value: { format: 'json', epoch: 'us' } },
    tables: [
      {
        table: 'shop.orders',
        topics: [topic],
        create: true,
        schema: [...orderColumns, { name: 'pad', type: 'string' }],
      },
    ],
    commit: { interval: '5s' },
    memory: { held: options.held },
    log: { statusInterval: '1s' },
  };
}

/** Holds the catalog's lock, as a process that hangs in a transaction does. */
async function lockCatalog(lake: Lake, seconds: number): Promise<void> {
  const database = new DatabaseSync(`${lake.folder}/lake/catalog.db`, { timeout: 10_000 });
  database.exec('BEGIN EXCLUSIVE');
  await pause(seconds * 1000);
  database.exec('ROLLBACK');
  database.close();
}

async function soak(stack: Localstack): Promise<boolean> {
  const brokers = stack.env['FRAZIL_BROKERS']!;
  using lake = new Lake(config(brokers));
  const samples: Sample[] = [];
  let produced = 0;
  let locked = false;
  const producing = produceOrders({
    brokers,
    topic,
    partitions: 4,
    count: minutes * 60 * rate,
    format: 'json',
    rate,
    padTo: 1000,
    onProgress: (sent) => {
      produced = sent;
    },
  });
  await pause(1_000);
  const run = lake.start('run');
  await run.logged('committed');
  const beganAt = performance.now();
  const elapsed = (): number => (performance.now() - beganAt) / 1000;
  const sampler = setInterval(() => {
    const status = run.log().findLast(({ msg }) => msg === 'status');
    if (!status) return;
    const sample = {
      second: Math.round(elapsed()),
      rssMiB: Number(mib(rssOf(run.pid))),
      heldMiB: Number(mib(Number(status['heldBytes']))),
      lag: produced - Number(status['rows']),
      rows: Number(status['rows']),
      paused: status['paused'] === true,
      locked,
    };
    samples.push(sample);
    if (samples.length % 10 === 0) console.log(JSON.stringify(sample));
  }, 1_000);
  const outage = pause(outageAtSeconds * 1000).then(async () => {
    locked = true;
    await lockCatalog(lake, outageSeconds);
    locked = false;
  });
  const acknowledged = await producing;
  const producedAt = elapsed();
  await outage;
  const total = acknowledged.reduce((sum, n) => sum + n, 0);
  await run.logged((line) => line.msg === 'status' && line['rows'] === total, 0, 300_000);
  const landedAt = elapsed();
  clearInterval(sampler);
  run.kill('SIGTERM');
  const code = await run.exit;
  const peak = Math.max(...run.log().map((line) => Number(line['heldBytesPeak'] ?? 0)));
  const bound = Number(run.log().findLast(({ msg }) => msg === 'status')?.['heldBytesMax']);
  const found = await countOffsets(lake, 'shop.orders');
  const exact = JSON.stringify(found) === JSON.stringify(everyOffsetOnce(acknowledged));
  report(samples, [
    ['records', thousands(total)],
    ['each offset once (DuckDB)', exact ? 'yes' : 'NO'],
    ['exit code after SIGTERM', String(code)],
    ['held bytes, peak of bound', `${mib(peak)} of ${mib(bound)} MiB`],
    ['seconds paused by the bound', String(samples.filter((sample) => sample.paused).length)],
    ['last row after the last record', `${(landedAt - producedAt).toFixed(1)} s`],
  ]);
  return exact && code === 0 && peak <= bound;
}

function report(samples: readonly Sample[], facts: readonly (readonly string[])[]): void {
  printTable(facts);
  const during = (from: number, to: number): string[] => {
    const rss = samples.filter(({ second }) => second >= from && second < to).map((sample) => sample.rssMiB);
    return [`${from}-${to} s`, rss.length === 0 ? '-' : `${Math.min(...rss)} to ${Math.max(...rss)}`];
  };
  const end = samples.at(-1)!.second + 1;
  const step = Math.max(1, Math.ceil(end / 10));
  console.log('\nRSS in MiB:');
  printTable(
    Array.from({ length: Math.ceil(end / step) }, (_, i) => during(i * step, Math.min(end, (i + 1) * step))),
  );
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('soak.json', folder), JSON.stringify(samples));
  writeFileSync(new URL('soak.svg', folder), plot(samples));
}

/** RSS, held bytes and lag over time; the outage is shaded. */
function plot(samples: readonly Sample[]): string {
  const [width, height, left, bottom] = [900, 320, 60, 40];
  const end = samples.at(-1)!.second;
  const top = Math.max(...samples.map((sample) => sample.rssMiB)) * 1.15;
  const lagTop = Math.max(1, ...samples.map((sample) => sample.lag)) * 1.15;
  const x = (second: number): number => left + (second / end) * (width - left - 70);
  const y = (value: number, of: number): number => height - bottom - (value / of) * (height - bottom - 20);
  const line = (color: string, value: (sample: Sample) => number, of: number): string =>
    `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${samples
      .map((sample) => `${x(sample.second).toFixed(1)},${y(value(sample), of).toFixed(1)}`)
      .join(' ')}"/>`;
  const locked = samples.filter((sample) => sample.locked).map((sample) => sample.second);
  const shade =
    locked.length === 0
      ? ''
      : `<rect x="${x(locked[0]!)}" y="20" width="${x(locked.at(-1)!) - x(locked[0]!)}" height="${height - bottom - 20}" fill="#eee"/>` +
        `<text x="${x(locked[0]!) + 4}" y="34" fill="#777">catalog locked</text>`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const [value, lag] = [(top * part).toFixed(0), thousands(lagTop * part)];
    const at = y(part, 1);
    return (
      `<text x="${left - 6}" y="${at + 4}" text-anchor="end">${value}</text>` +
      `<text x="${width - 64}" y="${at + 4}" fill="#c60">${lag}</text>` +
      `<line x1="${left}" x2="${width - 70}" y1="${at}" y2="${at}" stroke="#ddd"/>`
    );
  });
  const times = Array.from({ length: Math.floor(end / 60) + 1 }, (_, i) => {
    return `<text x="${x(i * 60)}" y="${height - 20}" text-anchor="middle">${i} min</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<rect width="${width}" height="${height}" fill="white"/>${shade}${ticks.join('')}${times.join('')}
${line('#06c', (sample) => sample.rssMiB, top)}
${line('#090', (sample) => sample.heldMiB, top)}
${line('#c60', (sample) => sample.lag, lagTop)}
<text x="${left}" y="14"><tspan fill="#06c">RSS, MiB</tspan>  <tspan fill="#090" dx="12">held, MiB</tspan>  <tspan fill="#c60" dx="12">records not landed (right)</tspan></text>
</svg>
`;
}

const stack = await Localstack.start(['kafka']);
let good = false;
try {
  good = await soak(stack);
} finally {
  await python.close();
  await stack.stop();
}
process.exit(good ? 0 : 1);
