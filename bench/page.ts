/**
 * Puts what bench/side-by-side.ts has found (bench/results/bench.json) into docs/performance.md: the tables between its
 * markers, and the pictures beside it.
 *
 *   node bench/page.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mib, thousands } from './measure.ts';
import { blocksOf, fillPage } from './side/page.ts';
import { type BarGroup, plotBars } from './side/plot.ts';
import { contestantTitles, type LandingMedians, landingMedians, latencyMedians } from './side/report.ts';
import { readResults } from './side/results.ts';

const results = readResults();
const all = Object.values(results.cells);
const page = new URL('../docs/performance.md', import.meta.url);
const picture = (name: string): URL => new URL(`performance-${name}.svg`, page);

const landingBars = (value: (its: LandingMedians) => number, shown: (value: number) => string): BarGroup[] =>
  all
    .filter(({ landings }) => landings.length > 0)
    .map((result) => ({
      title: result.cell.title,
      bars: landingMedians(result).map((its) => ({
        label: contestantTitles[its.contestant],
        value: value(its),
        shown: shown(value(its)),
      })),
    }));

const latencyBars = all
  .filter(({ latencies }) => latencies.length > 0)
  .map(
    (result): BarGroup => ({
      title: result.cell.title,
      bars: latencyMedians(result).map(({ contestant, p50Ms, p99Ms, cores }) => ({
        label: contestantTitles[contestant],
        value: p99Ms,
        shown: `${p99Ms.toFixed(0)} ms (p50 ${p50Ms.toFixed(0)}), ${cores.toFixed(2)} cores`,
      })),
    }),
  );

writeFileSync(page, fillPage(readFileSync(page, 'utf8'), blocksOf(results)));
writeFileSync(
  picture('cpu'),
  plotBars(
    'Records per CPU-second',
    landingBars((its) => its.recordsPerCpuSecond, thousands),
  ),
);
writeFileSync(
  picture('memory'),
  plotBars(
    'Peak of resident memory, MiB',
    landingBars((its) => its.peakBytes, mib),
  ),
);
writeFileSync(picture('latency'), plotBars('From record to visible, 99th percentile', latencyBars));
