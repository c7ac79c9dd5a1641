import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cells } from '../../../bench/side/cells.ts';
import { blocksOf, fillPage } from '../../../bench/side/page.ts';
import { plotBars } from '../../../bench/side/plot.ts';
import { landingMedians, landingRows } from '../../../bench/side/report.ts';
import type { CellResult, Landing, Latency, Results } from '../../../bench/side/results.ts';

const landing = (cpuSeconds: number, othersShare = 0): Landing => ({
  seconds: 10,
  waitingSeconds: 6,
  cpuSeconds,
  serversCpuSeconds: 1,
  peakBytes: 200 * 1024 * 1024,
  othersShare,
  records: 2_000_000,
  valueBytes: 160e6,
  files: 2,
  fileBytes: 60e6,
  snapshots: 1,
  codecs: ['zstd'],
  idleCores: 0.01,
});

const result: CellResult = {
  cell: cells[0]!,
  at: '2026-11-23T18:00:00.000Z',
  warmUp: 500_000,
  landings: [
    { contestant: 'kafka-connect', run: landing(16) },
    { contestant: 'frazil', run: landing(1) },
    { contestant: 'frazil', run: landing(4, 0.2) },
    { contestant: 'frazil', run: landing(2) },
  ],
  latencies: [],
  cold: [{ whole: { seconds: 4, cpuSeconds: 3 }, start: { seconds: 1, cpuSeconds: 1 } }],
  failures: [],
};
const latency = (p99Ms: number, cpuSeconds: number): Latency => ({
  ...landing(cpuSeconds),
  recordsPerSecond: 5_000,
  p50Ms: 500,
  p99Ms,
  maxMs: 2_000,
  first: { seconds: 3, cpuSeconds: 2 },
});
const steady: CellResult = {
  ...result,
  cell: cells.find(({ kind }) => kind === 'latency')!,
  landings: [],
  latencies: [
    { contestant: 'kafka-connect', run: latency(1_200, 4) },
    { contestant: 'frazil', run: latency(900, 0.5) },
  ],
  cold: [],
};
const results: Results = {
  machine: 'a machine',
  versions: { frazil: 'frazil 0' },
  cells: { avro: result, 'latency-1s': steady },
};

test('medians of each contestant, frazil first; time spent waiting is no work; a run beside others is not clean', () => {
  const [ours, theirs] = landingMedians(result);
  expect(ours).toMatchObject({
    contestant: 'frazil',
    recordsPerCpuSecond: 1_000_000,
    visiblePerSecond: 200_000,
    workedPerSecond: 500_000,
    valueMbPerSecond: 40,
    bytesPerRecord: 30,
    runs: 3,
    clean: 2,
  });
  expect(theirs).toMatchObject({ contestant: 'kafka-connect', recordsPerCpuSecond: 125_000, clean: 1 });
  const [ourRow, theirRow] = landingRows(result);
  expect([ourRow![0], ourRow![2], ourRow!.at(-1)]).toEqual(['frazil', '', '2 of 3']);
  expect([theirRow![0], theirRow![2], theirRow!.at(-1)]).toEqual(['Kafka Connect', '8.0x', 'yes']);
});

test('a page is filled between its markers and nowhere else, again and again', () => {
  const page =
    'before\n<!-- bench: a -->\nold\n<!-- bench end -->\nbetween\n<!-- bench: b -->\n<!-- bench end -->\n';
  const filled = fillPage(page, { a: '| new |', b: '$1' });
  expect(filled).toBe(
    'before\n<!-- bench: a -->\n\n| new |\n\n<!-- bench end -->\nbetween\n<!-- bench: b -->\n\n$1\n\n<!-- bench end -->\n',
  );
  expect(fillPage(filled, { a: '| new |', b: '$1' })).toBe(filled);
});

test('a block that the page lacks, or that nobody fills, is an error', () => {
  const page = '<!-- bench: a -->\n<!-- bench end -->\n';
  expect(() => fillPage(page, { a: '', b: '' })).toThrow('filling the page: it has no block b');
  expect(() => fillPage(page, {})).toThrow('filling the page: nothing is known of its block a');
});

test('docs/performance.md has a place for everything that is measured', () => {
  const page = readFileSync(new URL('../../../docs/performance.md', import.meta.url), 'utf8');
  const filled = fillPage(page, blocksOf(results));
  expect(filled).toContain('| **Avro**: frazil | 1,000,000 |');
  expect(filled).toContain(
    '| **JSON, 1 s commits**: frazil | 500 | 900 | 2000 | 0.050 |  | 200 | 3.0 s | 2.0 s | yes |',
  );
  expect(filled).toContain('| Kafka Connect | 500 | 1200 | 2000 | 0.400 | 8.0x |');
  expect(filled).toContain(
    '- JSON, 1 s commits (`latency-1s`): 5,000 records/s, after 500,000 to warm up, 2026-11-23 18:00 UTC',
  );
  expect(filled).toContain('| Avro | 666,667 | 1,000,000 | 500,000 | 1.0 s | 1.0 s |');
  expect(filled).toContain(
    '- Avro (`avro`): 2,000,000 records of 80 bytes, after 500,000 to warm up, 2026-11-23 18:00 UTC, others took up to 20 %',
  );
});

test('bars are as long as their values, and texts cannot break the picture', () => {
  const bars = [
    { label: 'frazil', value: 100, shown: '100' },
    { label: 'Kafka Connect', value: 25, shown: '<25>' },
  ];
  const svg = plotBars('a & b', [{ title: 'c', bars }]);
  const widths = [...svg.matchAll(/<rect x="270" y="\d+" width="([\d.]+)"/g)].map(([, long]) => Number(long));
  expect(widths).toEqual([520, 130]);
  expect(svg).toContain('a &amp; b');
  expect(svg).toContain('&lt;25&gt;');
});
