/**
 * make demo: orders go from a real Kafka into an Iceberg table, a worker is killed on the way, and an engine that is not
 * ours counts what landed. make demo-aws: the same in the shape of AWS, with Glue, S3 and Trino.
 *
 *   node localstack/demo.ts [--lake local|aws] [--folder demo] [--orders 1000000] [--seconds 20] [--stop]
 *
 * Everything lies in the folder: the configuration, the lake, the workers' logs, the data of the parts. A further run
 * begins by removing it. --stop ends the parts afterwards; else they stay, to try more.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv, promisify } from 'node:util';
import { awsLake, localLake, run } from './demo-lakes.ts';
import { produceOrders } from './produce.ts';

const repo = fileURLToPath(new URL('..', import.meta.url));
const program = join(repo, 'dist/cli/main.js');
const partitions = 6;

const { values: options } = parseArgs({
  options: {
    lake: { type: 'string', default: 'local' },
    folder: { type: 'string', default: join(repo, 'demo') },
    orders: { type: 'string', default: '1000000' },
    // Long enough that two workers have come and one can be killed on the way.
    seconds: { type: 'string', default: '20' },
    stop: { type: 'boolean', default: false },
  },
});
const folder = resolve(options.folder);
const count = Number(options.orders);
const producingSeconds = Number(options.seconds);
const config = join(folder, 'frazil.yaml');
const lake = options.lake === 'aws' ? awsLake() : localLake(folder);
const environment = { ...process.env, ...lake.environment };
const shown = (path: string): string => relative(process.cwd(), path) || '.';
const number = (n: number): string => n.toLocaleString('en-US');
const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));

const beganAt = performance.now();
const seconds = (): string => `${((performance.now() - beganAt) / 1000).toFixed(0).padStart(3)} s`;
const live = process.stdout.isTTY;
const clearLine = live ? '\r\x1b[2K' : '';

function say(text: string): void {
  process.stdout.write(`${clearLine}${seconds()}  ${text}\n`);
}

/** Shows how far something is: on a terminal one line that changes, else a line every two seconds. */
function watch(line: () => string): () => void {
  const show = (): void => {
    if (live) process.stdout.write(`${clearLine}${seconds()}  ${line()}`);
    else say(line());
  };
  const timer = setInterval(show, live ? 200 : 2000);
  return () => {
    clearInterval(timer);
    process.stdout.write(clearLine);
  };
}

/** A frazil process, its log in a file. */
class Worker {
  readonly name: string;
  readonly #logFile: string;
  readonly #process: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(name: string) {
    this.name = name;
    this.#logFile = join(folder, `${name}.log`);
    const log = openSync(this.#logFile, 'w');
    this.#process = spawn(process.execPath, [program, 'run', '-c', config], {
      stdio: ['ignore', 'ignore', log],
      env: environment,
    });
    closeSync(log);
    this.ended = new Promise((end) => this.#process.once('close', end));
    started.push(this);
  }

  /** The lines of its log with this message so far. */
  logged(message: string): { rows: number }[] {
    return readFileSync(this.#logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"msg":"${message}"`) && line.endsWith('}'))
      .map((line) => JSON.parse(line) as { rows: number });
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get pid(): number {
    return this.#process.pid!;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  fail(): never {
    throw new Error(
      `${this.name} ended; its last words:\n${readFileSync(this.#logFile, 'utf8').slice(-2000)}`,
    );
  }
}

const started: Worker[] = [];
const landed = (): number =>
  started.flatMap((worker) => worker.logged('committed')).reduce((sum, { rows }) => sum + rows, 0);

/** Waits until something is so; a worker that ends before that is a failure. */
async function until(isSo: () => boolean | Promise<boolean>, workers: readonly Worker[]): Promise<void> {
  while (!(await isSo())) {
    for (const worker of workers) if (!worker.running) worker.fail();
    await pause(100);
  }
}

/** Records that are in Kafka and not in the table, as `frazil inspect` sees it. */
async function lag(): Promise<number> {
  const inspect = [program, 'inspect', 'shop.orders', '-c', config, '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, inspect, {
    maxBuffer: 1 << 28,
    env: environment,
  });
  const report = JSON.parse(stdout) as { partitions: { lag: number }[] };
  return report.partitions.length < partitions ? count : report.partitions.reduce((sum, p) => sum + p.lag, 0);
}

function configText(env: NodeJS.Dict<string>): string {
  return `# What the demo lands: shop's orders, from Kafka into an Iceberg table.
pipeline: orders                # names the consumer group, and the ledger in the table
source:
  brokers: ["${env['FRAZIL_BROKERS']}"]
  topics: ["orders"]
decode:
  value: { format: avro, registry: { url: "${env['FRAZIL_REGISTRY']}" } }
${lake.settings(env)}
tables:
  - table: shop.orders
    topics: ["orders"]
    create: true                # from the Avro schema
commit: { interval: 1s }        # 60s when it is not a demo: larger files, fewer snapshots
`;
}

async function bringUpParts(): Promise<{ brokers: string; registry: string }> {
  say(`${['Kafka', 'a schema registry', ...lake.parts].join(', ')} come up, on free ports of 127.0.0.1`);
  const data = join(folder, 'parts');
  // A worker that is killed is missed after 6 seconds, not after 45.
  const sessions = ['group.consumer.min.session.timeout.ms=1000', 'group.consumer.session.timeout.ms=6000'];
  const properties = sessions.flatMap((property) => ['--kafka-property', property]);
  const parts = ['kafka', 'registry', ...lake.parts];
  const freePorts = parts.flatMap((part) => [`--${part}-port`, '0']);
  await run(join(repo, 'localstack/up'), ['--data', data, ...freePorts, ...properties, ...parts]);
  const env = parseEnv(readFileSync(join(data, 'env'), 'utf8'));
  await lake.ready(env);
  writeFileSync(config, configText(env));
  return { brokers: env['FRAZIL_BROKERS']!, registry: env['FRAZIL_REGISTRY']! };
}

async function removeLastDemo(): Promise<void> {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return;
  if (!existsSync(config) && !existsSync(join(folder, 'parts')))
    throw new Error(`${folder} is not a demo's: name another --folder`);
  await run(join(repo, 'localstack/down'), ['--data', join(folder, 'parts'), '--wipe']);
  rmSync(folder, { recursive: true, force: true });
}

/** Lands the orders while they are produced; one of two workers is killed at 40 % and another one comes. */
async function land(parts: { brokers: string; registry: string }): Promise<number[]> {
  let produced = 0;
  const unwatch = watch(
    () => `produced ${number(produced)}   landed ${number(landed())}   of ${number(count)} orders`,
  );
  try {
    say(`${number(count)} Avro orders are produced to ${partitions} partitions; two workers land them`);
    const producing = produceOrders({
      ...parts,
      topic: 'orders',
      partitions,
      count,
      format: 'avro',
      rate: count / producingSeconds,
      onProgress: (sent) => {
        produced = sent;
      },
    });
    await Promise.race([producing, until(() => produced > 0, [])]);
    const first = new Worker('worker-1');
    const second = new Worker('worker-2');
    const bothLand = (): boolean => [first, second].every((worker) => worker.logged('committed').length > 0);
    // On a busy machine the second may come when there is nothing left to land.
    const isTime = (): boolean => landed() >= count || (landed() >= count * 0.4 && bothLand());
    await until(isTime, [first, second]);
    first.kill('SIGKILL');
    say(
      `SIGKILL: worker-1 (pid ${first.pid}) is gone, with all that it held; ${number(landed())} orders have landed`,
    );
    const third = new Worker('worker-3');
    say(
      `worker-3 (pid ${third.pid}) joins; the group gives worker-1's partitions away when its session ends, after 6 s`,
    );
    const acknowledged = await producing;
    await until(() => third.logged('partitions assigned').length > 0, [second, third]);
    await until(async () => landed() >= count * 0.8 && (await lag()) === 0, [second, third]);
    unwatch();
    for (const worker of [second, third]) worker.kill('SIGTERM');
    for (const worker of [second, third]) if ((await worker.ended) !== 0) worker.fail();
    return acknowledged;
  } finally {
    unwatch();
  }
}

interface Counted {
  partition: number;
  rows: number;
  offsets: number;
  first: number;
  last: number;
}

/** What the engine finds in the table against what Kafka acknowledged. */
async function prove(acknowledged: readonly number[]): Promise<void> {
  say(`${lake.engine} reads the table:`);
  await lake.show(
    'SELECT status, count(*) AS orders, sum(amount) AS amount, max(updated_at) AS last_update FROM shop.orders GROUP BY 1 ORDER BY 2 DESC',
  );
  const count =
    'SELECT _kafka_partition AS partition, count(*) AS rows, count(DISTINCT _kafka_offset) AS offsets, ' +
    'min(_kafka_offset) AS first, max(_kafka_offset) AS last FROM shop.orders GROUP BY 1 ORDER BY 1';
  const found = (await lake.rows(count)) as unknown as Counted[];
  say(`every offset that Kafka acknowledged, as ${lake.engine} counts them in the table:`);
  console.log('\n  partition   acknowledged         rows   distinct offsets   first       last');
  let wrong = found.length === acknowledged.length ? 0 : 1;
  for (const [partition, records] of acknowledged.entries()) {
    const p = found.find((counted) => counted.partition === partition);
    const once = p?.rows === records && p.offsets === records && p.first === 0 && p.last === records - 1;
    if (!once) wrong++;
    const cells = [
      String(partition).padStart(11),
      number(records).padStart(15),
      number(p?.rows ?? 0).padStart(13),
      number(p?.offsets ?? 0).padStart(19),
      number(p?.first ?? -1).padStart(8),
      number(p?.last ?? -1).padStart(11),
    ];
    console.log(`${cells.join('')}   ${once ? 'each once' : 'WRONG'}`);
  }
  if (wrong > 0) throw new Error('the table does not hold each offset exactly once');
  const total = acknowledged.reduce((sum, n) => sum + n, 0);
  console.log(`\n  ${number(total)} orders, every offset once: no gap, no duplicate.\n`);
}

function nextCommands(): void {
  const c = shown(config);
  const credentials = Object.entries(lake.environment).map(([name, value]) => `${name}=${value}`);
  const first = credentials.length > 0 ? `\n  export ${credentials.join(' ')}` : '';
  console.log(`${options.stop ? `With the parts up again (localstack/up --data ${shown(join(folder, 'parts'))}), try` : 'Try'}:${first}
  ./frazil inspect shop.orders -c ${c}          snapshots with their offsets, files, schema, lag
  ./frazil peek -c ${c} -n 5                    records as they would land; nothing is written
  ./frazil run -c ${c}                          a worker, with a live line; Ctrl-C lands what it holds
  localstack/produce -c ${c} --count 100000     more orders
  ${lake.queryCommand('SELECT count(*) FROM shop.orders')}
  localstack/down --data ${shown(join(folder, 'parts'))} --wipe      ends the parts`);
}

async function demo(): Promise<void> {
  await removeLastDemo();
  mkdirSync(folder, { recursive: true });
  // The engine is brought while the rest goes on.
  const engine = lake.begin();
  engine.catch(() => {}); // awaited below
  const parts = await bringUpParts();
  const acknowledged = await land(parts);
  await engine;
  await prove(acknowledged);
  if (options.stop) await run(join(repo, 'localstack/down'), ['--data', join(folder, 'parts')]);
  nextCommands();
}

const endWorkers = (): void => {
  for (const worker of started) if (worker.running) worker.kill('SIGKILL');
};
process.once('SIGINT', () => {
  endWorkers();
  process.exit(130);
});
try {
  await demo();
} catch (error) {
  endWorkers();
  console.error(`${clearLine}demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
