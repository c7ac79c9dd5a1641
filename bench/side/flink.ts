import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pause } from '../../test/tools/pipeline.ts';
import type { Contestant, Job, Running } from './contestant.ts';
import { tableColumns } from './records.ts';
import { catalogName, namespace } from './warehouse.ts';

const program = fileURLToPath(new URL('../rivals/flink/run', import.meta.url));

/** Flink SQL with Apache Iceberg's sink: one process, a job for the warm-up and one for the topics, planned beforehand. */
export const flink: Contestant = {
  name: 'flink',
  version: 'Flink 2.1.0 with Iceberg 1.11.0',
  can: () => true,
  async install() {
    await promisify(execFile)(program, ['install']);
  },
  async start(job) {
    const jobs = new Jobs(job);
    try {
      await jobs.start();
    } catch (error) {
      await jobs.stop();
      throw error;
    }
    return jobs;
  },
};

const answerTimeoutMs = 300_000;
/** A job that runs has yet to open its tasks and to find its partitions. */
const openMs = 5_000;

class Jobs implements Running {
  readonly #job: Job;
  readonly #log: string;
  readonly #answers: string[] = [];
  #process: ChildProcess | undefined;

  constructor(job: Job) {
    this.#job = job;
    this.#log = join(job.folder, 'flink.log');
  }

  get pids(): readonly number[] {
    return [this.#process!.pid!];
  }

  async start(): Promise<void> {
    const flink = spawn(program, { stdio: ['pipe', 'pipe', openSync(this.#log, 'a')] });
    process.once('exit', () => flink.kill('SIGKILL'));
    this.#process = flink;
    createInterface({ input: flink.stdout! }).on('line', (line) => this.#answers.push(line));
    await this.#answered('ready');
    await this.#run([this.#job.warmUp], 1_000);
  }

  /** As frazil: its job runs on empty topics, and the process is stopped while they are filled. */
  async hold(): Promise<void> {
    this.#process!.stdin!.write('cancel\n');
    await this.#answered('cancelled');
    await this.#run(this.#job.topics, this.#job.cell.commitMs);
    await pause(openMs);
    this.#process!.kill('SIGSTOP');
  }

  async begin(): Promise<void> {
    this.#process!.kill('SIGCONT');
  }

  async check(): Promise<void> {
    if (this.#process!.exitCode !== null) throw this.#failed('Flink has ended');
    const failure = this.#answers.find((answer) => answer.startsWith('failed'));
    if (failure !== undefined) throw this.#failed(failure);
  }

  async stop(): Promise<void> {
    const process = this.#process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await new Promise((ended) => process.once('exit', ended));
  }

  /** Starts a job that lands these topics, and goes on. */
  async #run(topics: readonly string[], commitMs: number): Promise<void> {
    const { cell, folder } = this.#job;
    const settings = {
      'parallelism.default': cell.threads,
      'taskmanager.numberOfTaskSlots': cell.threads * topics.length,
      'execution.checkpointing.interval': `${commitMs}ms`,
      'execution.checkpointing.dir': `file://${folder}/checkpoints`,
      'heartbeat.timeout': '600000', // the process is stopped for a while
    };
    const lines = [
      ...Object.entries(settings).map(([key, value]) => `set ${key} ${value}`),
      ...statements(this.#job, topics).map((statement) => `sql ${statement}`),
      'run',
    ];
    this.#process!.stdin!.write(`${lines.join('\n')}\n`);
    await this.#answered('running');
  }

  /** Waits for an answer, once. */
  async #answered(answer: string): Promise<void> {
    const deadline = Date.now() + answerTimeoutMs;
    while (!this.#answers.includes(answer)) {
      await this.check();
      if (Date.now() > deadline) throw this.#failed(`not ${answer} in ${answerTimeoutMs} ms`);
      await pause(50);
    }
    this.#answers.splice(this.#answers.indexOf(answer), 1);
  }

  #failed(what: string): Error {
    return new Error(`${what}:\n${readFileSync(this.#log, 'utf8').slice(-4000)}`);
  }
}

/** What SQL calls the types. Times are numbers in the records, and become times in the query. */
const sqlTypes: Record<string, string> = {
  boolean: 'BOOLEAN',
  int: 'INT',
  long: 'BIGINT',
  double: 'DOUBLE',
  string: 'STRING',
  decimal: 'DECIMAL(12, 2)',
  timestamptz: 'BIGINT',
};

function statements({ cell, servers, warehouse }: Job, topics: readonly string[]): string[] {
  const columns = tableColumns(cell);
  const declared = columns
    .map(({ name, type, required }) => `\`${name}\` ${sqlTypes[type.kind]}${required ? ' NOT NULL' : ''}`)
    .join(', ');
  const selected = columns
    .map(({ name, type }) =>
      type.kind === 'timestamptz' ? `TO_TIMESTAMP_LTZ(\`${name}\`, 3)` : `\`${name}\``,
    )
    .join(', ');
  const format =
    cell.format === 'json'
      ? "'format' = 'json'"
      : `'format' = 'avro-confluent', 'avro-confluent.url' = '${servers.registry}'`;
  const catalog =
    `CREATE CATALOG ${catalogName} WITH ('type' = 'iceberg', 'catalog-impl' = 'org.apache.iceberg.jdbc.JdbcCatalog', ` +
    `'uri' = 'jdbc:sqlite:file:${warehouse.database}', 'warehouse' = '${warehouse.location}', 'jdbc.schema-version' = 'V1')`;
  return [
    catalog,
    ...topics.flatMap((topic) => [
      `CREATE TEMPORARY TABLE \`${topic}\` (${declared}) WITH ('connector' = 'kafka', 'topic' = '${topic}', ` +
        `'properties.bootstrap.servers' = '${servers.brokers}', 'properties.group.id' = '${topic}', ` +
        `'scan.startup.mode' = 'earliest-offset', ${format})`,
      `INSERT INTO ${catalogName}.${namespace}.\`${topic}\` SELECT ${selected} FROM \`${topic}\``,
    ]),
  ];
}
