import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pause } from '../../test/tools/pipeline.ts';
import type { Contestant, Job, Running } from './contestant.ts';
import { makeTopics } from './topics.ts';
import { catalogName, namespace } from './warehouse.ts';

const program = fileURLToPath(new URL('../rivals/kafka-connect/run', import.meta.url));

/** Kafka Connect with Apache Iceberg's sink: one distributed worker, one connector for the warm-up and one for the topics. */
export const kafkaConnect: Contestant = {
  name: 'kafka-connect',
  version: 'Iceberg 1.12.0 sink on Kafka Connect 4.3.1, Apicurio 2.6.13 Avro converter',
  can: () => true,
  async install() {
    await promisify(execFile)(program, ['install']);
  },
  async start(job) {
    const worker = new Worker(job);
    try {
      await worker.start();
    } catch (error) {
      await worker.stop();
      throw error;
    }
    return worker;
  },
};

const startTimeoutMs = 300_000;
/** Tasks that run have yet to join their group, and to begin their first commit interval. */
const joinMs = 5_000;

/** The connector with the topics is paused while they are filled: its tasks have joined and been assigned, and do not read. */
class Worker implements Running {
  readonly #job: Job;
  readonly #name: string = `bench-${randomUUID()}`;
  readonly #log: string;
  #url = '';
  #process: ChildProcess | undefined;

  constructor(job: Job) {
    this.#job = job;
    this.#log = join(job.folder, 'worker.log');
  }

  get pids(): readonly number[] {
    return [this.#process!.pid!];
  }

  async start(): Promise<void> {
    this.#url = `http://127.0.0.1:${await freePort()}`;
    const properties = join(this.#job.folder, 'worker.properties');
    const lines = Object.entries(this.#properties()).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(properties, lines.join(''));
    const log = openSync(this.#log, 'a');
    const worker = spawn(program, [properties], { stdio: ['ignore', log, log] });
    process.once('exit', () => worker.kill('SIGKILL'));
    this.#process = worker;
    await this.#until(
      'starting Kafka Connect',
      async () => (await this.#ask('GET', '/connectors')) !== undefined,
    );
    await this.#create('warm-up', [this.#job.warmUp], 1_000);
  }

  async hold(): Promise<void> {
    await this.#ask('DELETE', `/connectors/${this.#name}-warm-up`);
    await this.#create('main', this.#job.topics, this.#job.cell.commitMs);
    await pause(joinMs);
    await this.#ask('PUT', `/connectors/${this.#name}-main/pause`);
    await this.#until('pausing the connector', async () =>
      (await this.#states('main')).every((state) => state === 'PAUSED'),
    );
  }

  async begin(): Promise<void> {
    await this.#ask('PUT', `/connectors/${this.#name}-main/resume`);
  }

  async check(): Promise<void> {
    if (this.#process!.exitCode !== null) throw this.#failed('Kafka Connect has ended');
    for (const connector of ['warm-up', 'main'])
      if ((await this.#states(connector)).includes('FAILED')) throw this.#failed('a task has failed');
  }

  async stop(): Promise<void> {
    const process = this.#process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await new Promise((ended) => process.once('exit', ended));
  }

  #properties(): Record<string, string> {
    const storage = ['config', 'offset', 'status'].flatMap((what) => [
      [`${what}.storage.topic`, `${this.#name}-${what}`],
      [`${what}.storage.replication.factor`, '1'],
    ]);
    return {
      'bootstrap.servers': this.#job.servers.brokers,
      'group.id': this.#name,
      'key.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'value.converter.schemas.enable': 'false',
      ...Object.fromEntries(storage),
      'offset.storage.partitions': '1',
      'status.storage.partitions': '1',
      listeners: this.#url,
      // The sink answers its coordinator only when the worker calls it: with the default of a minute the last records
      // of a burst may wait for as long (apache/iceberg#11796).
      'offset.flush.interval.ms': '1000',
    };
  }

  async #create(name: string, topics: readonly string[], commitMs: number): Promise<void> {
    const control = `${this.#name}-${name}-control`;
    await makeTopics({ ...this.#job.cell, partitions: 1 }, this.#job.servers, [control]);
    await this.#until(`creating the connector ${name}`, async () => {
      const config = connectorConfig(this.#job, topics, control, commitMs);
      return (await this.#ask('PUT', `/connectors/${this.#name}-${name}/config`, config)) !== undefined;
    });
    const tasks = this.#job.cell.threads;
    await this.#until(`starting the connector ${name}`, async () => {
      const states = await this.#states(name);
      return states.length === tasks && states.every((state) => state === 'RUNNING');
    });
  }

  /** Of its tasks. */
  async #states(name: string): Promise<string[]> {
    const answer = await this.#ask('GET', `/connectors/${this.#name}-${name}/status`);
    return ((answer?.['tasks'] ?? []) as { state: string }[]).map(({ state }) => state);
  }

  /** @returns the answer; undefined when there is no such thing, or not yet. */
  async #ask(method: string, path: string, body?: object): Promise<Record<string, unknown> | undefined> {
    const headers = { 'content-type': 'application/json' };
    const request = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    const response = await fetch(this.#url + path, request).catch(() => undefined);
    if (!response || [404, 409, 500, 503].includes(response.status)) return undefined; // not there, or rebalancing
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status} ${text.slice(0, 1000)}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async #until(doing: string, isDone: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + startTimeoutMs;
    while (!(await isDone())) {
      if (this.#process!.exitCode !== null) throw this.#failed(`${doing}: it has ended`);
      if (Date.now() > deadline) throw this.#failed(`${doing}: not done in ${startTimeoutMs} ms`);
      await pause(100);
    }
  }

  #failed(what: string): Error {
    return new Error(`${what}:\n${readFileSync(this.#log, 'utf8').slice(-4000)}`);
  }
}

function connectorConfig(
  { cell, servers, warehouse }: Job,
  topics: readonly string[],
  control: string,
  commitMs: number,
): Record<string, string> {
  return {
    'connector.class': 'org.apache.iceberg.connect.IcebergSinkConnector',
    'tasks.max': String(cell.threads),
    topics: topics.join(','),
    'consumer.override.auto.offset.reset': 'earliest',
    'iceberg.catalog': catalogName,
    'iceberg.catalog.catalog-impl': 'org.apache.iceberg.jdbc.JdbcCatalog',
    'iceberg.catalog.uri': `jdbc:sqlite:file:${warehouse.database}`,
    'iceberg.catalog.warehouse': warehouse.location,
    'iceberg.catalog.jdbc.schema-version': 'V1',
    'iceberg.control.topic': control,
    'iceberg.control.commit.interval-ms': String(commitMs),
    ...routing(topics),
    ...converter(cell.format, servers.registry),
  };
}

/** One table is named. Of several each record must say its own, in a field: its topic's name is put there. */
function routing(topics: readonly string[]): Record<string, string> {
  if (topics.length === 1) return { 'iceberg.tables': `${namespace}.${topics[0]}` };
  const field = '_topic';
  const regexes = topics.map((topic) => [`iceberg.table.${namespace}.${topic}.route-regex`, topic]);
  return {
    'iceberg.tables': topics.map((topic) => `${namespace}.${topic}`).join(','),
    'iceberg.tables.route-field': field,
    ...Object.fromEntries(regexes),
    transforms: 'topic',
    'transforms.topic.type': 'org.apache.kafka.connect.transforms.InsertField$Value',
    'transforms.topic.topic.field': field,
  };
}

function converter(format: 'avro' | 'json', registry: string): Record<string, string> {
  if (format === 'json')
    return {
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'value.converter.schemas.enable': 'false',
    };
  return {
    'value.converter': 'io.apicurio.registry.utils.converter.AvroConverter',
    'value.converter.apicurio.registry.url': registry.replace(/ccompat\/v\d+$/, 'registry/v2'),
    'value.converter.apicurio.registry.as-confluent': 'true',
    'value.converter.apicurio.registry.use-id': 'contentId',
    'value.converter.apicurio.registry.headers.enabled': 'false',
    'value.converter.apicurio.registry.check-period-ms': '3600000',
  };
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
