import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pause } from '../../test/tools/pipeline.ts';
import type { Cell } from './cells.ts';
import type { Contestant, Job, Running } from './contestant.ts';
import { checkTable, sentTimes } from './landed.ts';
import { Meter, type Usage } from './meter.ts';
import { cpuSecondsOf } from './processes.ts';
import { tableColumns } from './records.ts';
import type { Landing, Latency, Whole } from './results.ts';
import { percentile, type Weighted } from './statistics.ts';
import { type Batches, produceSteadily, type Servers } from './topics.ts';
import { Warehouse } from './warehouse.ts';

/** One run of one contestant. */
export interface Contest {
  readonly cell: Cell;
  readonly contestant: Contestant;
  readonly servers: Servers;
  /** Processes of Kafka and the registry. */
  readonly serverPids: readonly number[];
  readonly warmUp: { readonly topic: string; readonly records: number };
  readonly topics: readonly string[];
}

const landingTimeoutMs = 1_200_000;
const lookEveryMs = 25;
/** Between filling and measuring: what the broker has left to do. */
const settleMs = 2_000;
const idleMs = 5_000;

/**
 * How long, and with how much, a contestant that is warm and connected lands topics that are full. `fill` fills them while
 * it does not read.
 */
export function land(
  contest: Contest,
  { records, valueBytes }: Batches,
  fill: () => Promise<void>,
): Promise<Landing> {
  return withRunning(contest, async (running, warehouse) => {
    const { topics, serverPids } = contest;
    await running.hold();
    await fill();
    await pause(settleMs);
    warehouse.look();
    if (warehouse.rows(topics) > 0) throw new Error('it has landed records before it was to begin');
    const total = records * topics.length;
    const usage = await measure(running, serverPids, () => running.begin(), warehouse, topics, total);
    const idle = new Meter(running.pids, serverPids);
    await pause(idleMs);
    const { cpuSeconds, seconds } = idle.end(cpus().length);
    const files = topics.flatMap((topic) => warehouse.files(topic));
    const codecs = new Set<string>();
    for (const topic of topics)
      for (const codec of await checkTable(topic, warehouse.files(topic), records)) codecs.add(codec);
    return {
      ...usage,
      records: total,
      valueBytes: valueBytes * topics.length,
      files: files.length,
      fileBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      snapshots: warehouse.snapshots(topics),
      codecs: [...codecs],
      idleCores: cpuSeconds / seconds,
    };
  });
}

/** Records come for a while before they count: what happens at the beginning is not the rule. */
const leadSeconds = 10;

/** How soon records are visible that come at `rate` a second, counted over so many seconds, and what that takes. */
export function keepUp(contest: Contest, schemaId: number, rate: number, seconds: number): Promise<Latency> {
  return withRunning(contest, async (running, warehouse, first) => {
    const { cell, servers, serverPids, topics } = contest;
    const [topic] = topics as [string];
    await running.hold();
    await running.begin();
    const producing = produceSteadily(cell, servers, topic, schemaId, rate, leadSeconds + seconds);
    let produced: number | undefined;
    void producing.then((records) => {
      produced = records;
    });
    producing.catch(() => {}); // awaited below
    const countedFromMs = Date.now() + leadSeconds * 1000;
    let meter: Meter | undefined;
    let usage: Usage | undefined;
    await watch(running, warehouse, () => {
      if (Date.now() >= countedFromMs) meter ??= new Meter(running.pids, serverPids);
      if (produced !== undefined) usage ??= meter?.end(cpus().length);
      return produced !== undefined && warehouse.rows(topics) >= produced;
    });
    const records = await producing;
    const files = warehouse.files(topic);
    await checkTable(topic, files, records);
    const seenAtMs = new Map(files.map((file) => [file.path, file.seenAtMs]));
    const latencies = (await sentTimes(files))
      .filter(({ sentAtMs }) => sentAtMs >= countedFromMs)
      .map((sent): Weighted => [seenAtMs.get(sent.path)! - sent.sentAtMs, sent.records]);
    return {
      ...usage!,
      records,
      recordsPerSecond: rate,
      first,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      maxMs: percentile(latencies, 1),
      snapshots: warehouse.snapshots(topics),
    };
  });
}

/** What must be ended of a run under way. */
const underWay = new Set<() => Promise<void>>();

/** Ends what runs, for a bench that is broken off: a process that is stopped would stay for ever. */
export async function breakOff(): Promise<void> {
  for (const end of underWay) await end();
}

/** Starts the contestant on new tables, warms it up, and ends it afterwards, whatever happens. */
async function withRunning<T>(
  contest: Contest,
  run: (running: Running, warehouse: Warehouse, first: Whole) => Promise<T>,
): Promise<T> {
  const { cell, contestant, servers, topics, warmUp } = contest;
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  const warehouse = new Warehouse(folder);
  let running: Running | undefined;
  const end = async (): Promise<void> => {
    underWay.delete(end);
    await running?.stop();
    warehouse.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  underWay.add(end);
  try {
    for (const table of [warmUp.topic, ...topics])
      await warehouse.create(table, tableColumns(cell), cell.partitionBy);
    const job: Job = { cell, servers, warmUp: warmUp.topic, topics, warehouse, folder };
    const startedAt = performance.now();
    running = await contestant.start(job);
    await watch(running, warehouse, () => warehouse.rows([warmUp.topic]) > 0);
    const first = {
      seconds: (performance.now() - startedAt) / 1000,
      cpuSeconds: cpuSecondsOf(running.pids),
    };
    await watch(running, warehouse, () => warehouse.rows([warmUp.topic]) >= warmUp.records);
    return await run(running, warehouse, first);
  } finally {
    await end();
  }
}

async function measure(
  running: Running,
  serverPids: readonly number[],
  begin: () => Promise<void>,
  warehouse: Warehouse,
  topics: readonly string[],
  records: number,
): Promise<Usage> {
  const meter = new Meter(running.pids, serverPids);
  await begin();
  await watch(running, warehouse, () => {
    meter.look();
    return warehouse.rows(topics) >= records;
  });
  return meter.end(cpus().length);
}

/** Looks into the catalog until it is done. @throws when the contestant has failed, or takes too long. */
async function watch(running: Running, warehouse: Warehouse, isDone: () => boolean): Promise<void> {
  const deadline = Date.now() + landingTimeoutMs;
  for (let looks = 0; ; looks++) {
    warehouse.look();
    if (isDone()) return;
    if (looks % 100 === 99) await running.check();
    if (Date.now() > deadline) throw new Error(`not done in ${landingTimeoutMs / 1000} s`);
    await pause(lookEveryMs);
  }
}
