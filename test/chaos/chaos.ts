import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { carryOut, laneOf, type Stage, targetsIn } from './events.ts';
import { Producer } from './producer.ts';
import { type ChaosEvent, describeEvent, drawSchedule, type Schedule, seconds } from './schedule.ts';
import { isSound, type Log, type Verdict, verifyTable } from './verify.ts';
import { type Pipeline, table, topic, World } from './world.ts';

export interface ChaosOptions {
  seed: number;
  minutes: number;
  /** Gets configurations, logs, the schedule, the verdict. */
  folder: string;
  /** Records a second. */
  rate?: number;
  /** A registry that runs already. */
  registry?: string | undefined;
  /** Ends it early, without a verdict. */
  signal?: AbortSignal;
  onLine?: (line: string) => void;
}

export interface Report {
  seed: number;
  minutes: number;
  events: Record<string, number>;
  /** Events that could not be carried out: their reasons. */
  failedEvents: string[];
  faults: Record<string, number>;
  records: { inLog: number; acknowledged: number; unanswered: number };
  /** How workers ended that nobody had ended. */
  endings: string[];
  /** Why it is not known that everything has landed. */
  notLanded: string[];
  tables: (Verdict & { pipeline: string })[];
  sound: boolean;
}

/** How long everything that is in the log may take to land when nothing goes wrong any more. */
const landingMs = 180_000;

/** One run: chaos, then peace until everything has landed, then the verdict. */
export async function runChaos(options: ChaosOptions): Promise<Report> {
  const log = createWriteStream(join(options.folder, 'chaos.log'));
  const beganAt = performance.now();
  const say = (text: string): void => {
    const line = `${seconds(performance.now() - beganAt)}  ${text}`;
    log.write(`${line}\n`);
    options.onLine?.(line);
  };
  await using world = await World.open({ ...options, say });
  await using producer = new Producer({
    brokers: world.brokers,
    registry: world.registry,
    topic,
    rate: options.rate ?? 1_000,
    seed: options.seed,
    file: join(options.folder, 'acknowledged.csv'),
  });
  await producer.start();
  const schedule = drawSchedule(options.seed, options.minutes * 60_000, targetsIn(world));
  tell(schedule, options, world, say);
  for (const worker of world.workers) worker.start();
  const { done, failed } = await unleash(schedule, options, { world, producer }, say);
  options.signal?.throwIfAborted();
  say('peace: nothing goes wrong any more');
  await heal(world);
  await producer.end();
  const ends = await endsOf(world);
  const notLanded = await landed(world, ends, say);
  notLanded.push(...(await endWorkers(world)));
  await world.disk?.save();
  const tables = await verify(
    world,
    { ends, acknowledged: join(options.folder, 'acknowledged.csv') },
    options,
  );
  const report: Report = {
    seed: options.seed,
    minutes: options.minutes,
    events: countBy(done),
    failedEvents: failed,
    faults: Object.fromEntries([...world.proxies].map(([link, { faults }]) => [link, faults.done.length])),
    records: {
      inLog: ends.reduce((sum, end) => sum + end, 0),
      acknowledged: producer.acknowledged,
      unanswered: producer.unanswered,
    },
    endings: world.workers.flatMap(({ endings }) => endings),
    notLanded,
    tables,
    sound: notLanded.length === 0 && tables.every(isSound),
  };
  writeFileSync(join(options.folder, 'verdict.json'), `${JSON.stringify(report, null, 2)}\n`);
  log.end();
  return report;
}

function tell(
  { events, weights }: Schedule,
  { folder, seed, minutes }: ChaosOptions,
  world: World,
  say: (text: string) => void,
): void {
  writeFileSync(join(folder, 'schedule.txt'), events.map((event) => `${describeEvent(event)}\n`).join(''));
  const drawn = [...weights].map(([kind, weight]) => `${kind} ${weight.toFixed(1)}`);
  say(`seed ${seed}, ${minutes} minutes, ${events.length} events: ${drawn.join(', ')}`);
  if (!world.disk) say('no disk is filled: this machine lets nobody mount one (unshare --user --mount)');
}

/** Carries out the events at their times, those of a lane one after the other, until the time is up. */
async function unleash(
  { events }: Schedule,
  { minutes, signal }: ChaosOptions,
  { world, producer }: Pick<Stage, 'world' | 'producer'>,
  say: (text: string) => void,
): Promise<{ done: ChaosEvent[]; failed: string[] }> {
  const [beganAt, done, failed] = [performance.now(), [] as ChaosEvent[], [] as string[]];
  const timeIsUp = AbortSignal.timeout(minutes * 60_000);
  const over = signal ? AbortSignal.any([timeIsUp, signal]) : timeIsUp;
  const lanes = new Map<string, Promise<void>>();
  const pause = (ms: number): Promise<void> => sleep(Math.max(0, ms), undefined, { signal: over });
  const carry = async (event: ChaosEvent): Promise<void> => {
    if (over.aborted) return;
    const what = describeEvent(event).trimStart();
    say(what);
    try {
      const result = await carryOut(event, { world, producer, withSpark: minutes >= 2, over });
      done.push(event);
      if (result !== undefined) say(`  ${event.kind} ${event.target}: ${result}`);
    } catch (error) {
      // Java's and Spark's go on with all that was called.
      failed.push(`${what}: ${String((error as Error).message).split('\n')[0]}`);
      say(`  ${failed.at(-1)}`);
    }
  };
  for (const event of events) {
    await pause(event.atMs - (performance.now() - beganAt)).catch(() => undefined);
    const lane = laneOf(event);
    lanes.set(
      lane,
      (lanes.get(lane) ?? Promise.resolve()).then(() => carry(event)),
    );
  }
  await pause(minutes * 60_000 - (performance.now() - beganAt)).catch(() => undefined);
  await Promise.all(lanes.values());
  return { done, failed };
}

async function heal(world: World): Promise<void> {
  for (const proxy of world.proxies.values()) {
    proxy.faults.set();
    await proxy.release().catch(() => undefined);
  }
  await world.disk?.free();
  await world.kafka.up('kafka');
  for (const worker of world.workers) {
    worker.signal('SIGCONT');
    worker.start();
  }
}

async function endsOf({ admin }: World): Promise<number[]> {
  const { offsets } = await admin.call<{ offsets: Record<string, string | number> }>('listOffsets', {
    topic,
  });
  return Object.keys(offsets)
    .map(Number)
    .sort((a, b) => a - b)
    .map((partition) => Number(offsets[partition]));
}

/** Waits until each group says that it has everything. @returns who does not say so in time. */
async function landed(
  { admin, pipelines }: World,
  ends: readonly number[],
  say: (text: string) => void,
): Promise<string[]> {
  const deadline = performance.now() + landingMs;
  const lag = async ({ name }: Pipeline): Promise<number> => {
    const { offsets } = await admin.call<{ offsets: { partition: number; offset: number }[] }>(
      'groupOffsets',
      { group: name },
    );
    const at = new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]));
    return ends.reduce((sum, end, partition) => sum + end - (at.get(partition) ?? 0), 0);
  };
  for (;;) {
    const behind: string[] = [];
    for (const pipeline of pipelines) {
      const records = await lag(pipeline);
      if (records > 0) behind.push(`${pipeline.name} has ${records} records still to land`);
    }
    if (behind.length === 0) say('every group says that all has landed');
    if (behind.length === 0 || performance.now() > deadline) return behind;
    await sleep(500);
  }
}

/** @returns which workers did not end as they should. */
async function endWorkers({ workers }: World): Promise<string[]> {
  const ended = workers.map(async (worker) => {
    const code = await worker.end('SIGTERM');
    return code === 0 ? [] : [`${worker.name}, told to stop, ended with ${code}`];
  });
  return (await Promise.all(ended)).flat();
}

async function verify(world: World, log: Log, { folder }: ChaosOptions): Promise<Report['tables']> {
  const tables: Report['tables'] = [];
  for (const { name, catalog } of world.pipelines) {
    const { location, json } = await world.keeper.call<{ location: string; json: string }>('loadMetadata', {
      catalog,
      name: 'lake',
      table,
    });
    // With the ledgers of its snapshots: what one needs when something is wrong.
    writeFileSync(join(folder, `${name}.metadata.json`), json);
    const verdict = await verifyTable(world.python, table, location, log);
    tables.push({ pipeline: name, ...verdict });
  }
  return tables;
}

function countBy(events: readonly ChaosEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of events) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
