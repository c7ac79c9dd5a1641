/**
 * frazil beside Kafka Connect, and Flink where it is named: the same topics on the same broker, the same kind of catalog, the same tables, one after the
 * other, in turns. What is measured and how: docs/performance.md.
 *
 *   node bench/side-by-side.ts [--cells avro,json,avro-day,latency-1s | all] [--records 2000000] [--rounds 3]
 *     [--contestants frazil,kafka-connect,flink] [--warm-up 500000] [--rate 5000] [--seconds 30]
 *
 * Results are kept in bench/results/bench.json, those of cells that were not run as they were; bench/page.ts puts them
 * into the page. Ends with exit code 1 when a run has failed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Localstack } from '../test/tools/localstack.ts';
import { python } from '../test/tools/python.ts';
import { catchUp, progress, thousands } from './measure.ts';
import { type Cell, chooseCells } from './side/cells.ts';
import { breakOff, type Contest, keepUp, land } from './side/contest.ts';
import type { Contestant } from './side/contestant.ts';
import { flink } from './side/flink.ts';
import { frazil, frazilConfig } from './side/frazil.ts';
import { kafkaConnect } from './side/kafka-connect.ts';
import { othersShareMax, type Usage } from './side/meter.ts';
import { tableColumns } from './side/records.ts';
import { printCell } from './side/report.ts';
import { type CellResult, readResults, type Whole, writeResults } from './side/results.ts';
import {
  type Batches,
  fillTopics,
  makeBatches,
  makeTopics,
  registerSchema,
  removeTopics,
  type Servers,
} from './side/topics.ts';
import { Warehouse } from './side/warehouse.ts';

const { values: options } = parseArgs({
  options: {
    cells: { type: 'string' },
    records: { type: 'string', default: '2000000' },
    rounds: { type: 'string', default: '3' },
    contestants: { type: 'string', default: 'frazil,kafka-connect' },
    'warm-up': { type: 'string', default: '500000' },
    rate: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '30' },
  },
});
const cells = chooseCells(options.cells);
const known = [frazil, kafkaConnect, flink];
const contestants = options.contestants.split(',').map((name): Contestant => {
  const contestant = known.find((one) => one.name === name);
  if (!contestant)
    throw new Error(`choosing contestants: there is no ${name}; known: ${known.map((one) => one.name)}`);
  return contestant;
});
const rounds = Number(options.rounds);

/**
 * Topics get names of their own: the broker is shared by all. Each contestant gets the same bytes in new topics, for it is
 * connected to them before they are filled.
 */
const nameOf = (cell: Cell, what: string): string => `${cell.name}-${what}`.replaceAll('-', '_');

async function compare(cell: Cell, servers: Servers, serverPids: number[]): Promise<CellResult> {
  const count = Math.max(cell.partitions, Math.round((Number(options.records) * cell.share) / cell.tables));
  const warmUpCount = Math.max(cell.partitions, Math.round(Number(options['warm-up']) * cell.share));
  const result: CellResult = {
    cell,
    at: new Date().toISOString(),
    warmUp: warmUpCount,
    landings: [],
    latencies: [],
    cold: [],
    failures: [],
  };
  const warmUp = { topic: nameOf(cell, 'warm'), records: warmUpCount };
  const schemaId = await registerSchema(cell, servers, [warmUp.topic]);
  progress(`${cell.name}: producing`);
  await fillTopics(cell, servers, [warmUp.topic], makeBatches(cell, schemaId, warmUpCount));
  const batches = cell.kind === 'landing' ? makeBatches(cell, schemaId, count) : undefined;
  for (let round = 1; round <= rounds; round++)
    for (const contestant of contestants.filter((one) => one.can(cell))) {
      progress(`${cell.name}: round ${round} of ${rounds}, ${contestant.name}`);
      const topics = Array.from({ length: cell.tables }, (_, i) =>
        nameOf(cell, `${round}-${contestant.name}-${i + 1}`),
      );
      const contest: Contest = { cell, contestant, servers, serverPids, warmUp, topics };
      const { name } = contestant;
      try {
        await registerSchema(cell, servers, topics);
        await makeTopics(cell, servers, topics);
        if (batches) {
          const fill = (): Promise<void> => fillTopics(cell, servers, topics, batches);
          const run = await land(contest, batches, fill);
          result.landings.push({ contestant: name, run });
          told(cell, round, name, `${thousands(run.records / run.cpuSeconds)} records per CPU-second`, run);
          if (contestant === frazil) result.cold.push(await cold(contest, batches));
        } else {
          const run = await keepUp(contest, schemaId, Number(options.rate), Number(options.seconds));
          result.latencies.push({ contestant: name, run });
          told(cell, round, name, `p99 ${run.p99Ms.toFixed(0)} ms`, run);
        }
      } catch (error) {
        result.failures.push({ contestant: name, why: String(error) });
        console.error(`\n${cell.name}, ${name}: ${error}`);
      }
      await removeTopics(servers, topics).catch(() => {}); // they only take room
    }
  return result;
}

/** A line for each run: it takes a while until there are medians. */
function told(cell: Cell, round: number, name: string, what: string, { othersShare }: Usage): void {
  const clean = othersShare <= othersShareMax ? 'clean' : `others took ${(othersShare * 100).toFixed(0)} %`;
  progress('');
  console.log(`${cell.name}, round ${round}: ${name}: ${what}, ${clean}`);
}

/** frazil once more, as a job that begins with nothing and ends at the ends of the topics. */
async function cold(contest: Contest, batches: Batches): Promise<{ whole: Whole; start: Whole }> {
  const start = nameOf(contest.cell, 'start');
  await registerSchema(contest.cell, contest.servers, [start]);
  await makeTopics(contest.cell, contest.servers, [start]);
  return {
    whole: await job(contest, contest.topics, batches.records * contest.topics.length),
    start: await job(contest, [start], 0),
  };
}

async function job({ cell, servers }: Contest, topics: readonly string[], records: number): Promise<Whole> {
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  const warehouse = new Warehouse(folder);
  try {
    for (const table of topics) await warehouse.create(table, tableColumns(cell), cell.partitionBy);
    const config = join(folder, 'frazil.yaml');
    writeFileSync(config, JSON.stringify(frazilConfig({ cell, servers, warehouse }, topics)));
    const { seconds, cpuSeconds, rows } = await catchUp(config);
    if (rows !== records) throw new Error(`frazil landed ${rows} rows of ${records} records`);
    return { seconds, cpuSeconds };
  } finally {
    warehouse.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const results = readResults();
progress('installing what is needed');
for (const contestant of contestants) await contestant.install();
const starting = Localstack.start(['kafka', 'registry']);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, async () => {
    await Promise.allSettled([breakOff(), starting.then((started) => started.stop())]);
    process.exit(130);
  });
const stack = await starting;
let failed = false;
try {
  const servers = { brokers: stack.env['FRAZIL_BROKERS']!, registry: stack.env['FRAZIL_REGISTRY']! };
  const serverPids = (await stack.status()).flatMap(({ pid }) => pid ?? []);
  results.machine = `${cpus().length} x ${cpus()[0]?.model}, Linux`;
  for (const contestant of contestants) results.versions[contestant.name] = contestant.version;
  for (const cell of cells) {
    const result = await compare(cell, servers, serverPids);
    results.cells[cell.name] = result;
    writeResults(results);
    progress('');
    printCell(result);
    failed ||= result.failures.length > 0;
  }
} finally {
  await python.close();
  await stack.stop();
}
process.exit(failed ? 1 : 0);
