import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import { Localstack } from '../tools/localstack.ts';
import { Repl } from '../tools/repl.ts';
import { GlueDouble } from '../unit/catalog/glue-double.ts';
import { sessionMs } from './schedule.ts';
import { SmallDisk } from './small-disk.ts';
import type { routes } from './weather.ts';
import { Worker } from './worker.ts';

export const topic = 'orders';
export const table = 'shop.orders';
const firstPartitions = 4;
const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };

/** What is between workers and servers. */
export type Link = keyof typeof routes;

/** Workers of one configuration, and the table that they fill. */
export interface Pipeline {
  readonly name: string;
  readonly workers: readonly Worker[];
  /** What Java's library needs to open the catalog, past the proxies. */
  readonly catalog: Readonly<Record<string, string>>;
}

/** The real parts of a run, with proxies between them and the workers. */
export class World implements AsyncDisposable {
  readonly kafka: Localstack;
  readonly registry: string;
  readonly proxies: ReadonlyMap<Link, HttpProxy>;
  readonly pipelines: readonly Pipeline[];
  /** Kafka's administrator; who compacts tables, and who else does; DuckDB. */
  readonly admin: Repl = new Repl('java');
  readonly keeper: Repl = new Repl('java');
  readonly spark: Repl = new Repl('spark');
  readonly python: Repl = new Repl('python');
  readonly disk: SmallDisk | undefined;
  readonly #s3: string;
  readonly #close: AsyncDisposableStack;

  private constructor(
    parts: { kafka: Localstack; registry: string; aws: string; disk: SmallDisk | undefined },
    proxies: ReadonlyMap<Link, HttpProxy>,
    pipelines: readonly Pipeline[],
    close: AsyncDisposableStack,
  ) {
    ({ kafka: this.kafka, registry: this.registry, aws: this.#s3, disk: this.disk } = parts);
    this.proxies = proxies;
    this.pipelines = pipelines;
    this.#close = close;
    for (const tool of [this.admin, this.keeper, this.spark, this.python]) close.defer(() => tool.close());
  }

  /** Starts everything but the workers. `registry` is one that runs already. */
  static async open(options: {
    folder: string;
    registry?: string | undefined;
    say: (text: string) => void;
  }): Promise<World> {
    // For the tools too, which have none of their own.
    Object.assign(process.env, credentials);
    await using stack = new AsyncDisposableStack();
    const kafka = stack.use(
      await Localstack.start(
        ['kafka', 'ministack', ...(options.registry ? [] : ['registry'])],
        ...['--brokers', '3'],
      ),
    );
    const registry = options.registry ?? kafka.env['FRAZIL_REGISTRY']!;
    const aws = kafka.env['FRAZIL_AWS']!;
    const warehouse = ['--iceberg-rest-warehouse', 's3://lake/rest', '--iceberg-rest-endpoint', aws];
    const keys = ['--iceberg-rest-key', 'test', '--iceberg-rest-secret', 'test'];
    await kafka.up('--iceberg-rest-port', '0', ...warehouse, ...keys, 'iceberg-rest');
    const glue = stack.use(await GlueDouble.start());
    const rest = kafka.env['FRAZIL_ICEBERG_REST']!;
    const proxies = await openProxies(
      { glue: glue.endpoint, rest, s3: aws, registry },
      options.folder,
      stack,
    );
    const disk = await SmallDisk.mount(join(options.folder, 'local'));
    if (disk) stack.defer(() => disk.unmount());
    const direct = { glue: glue.endpoint, rest, aws, registry };
    const pipelines = makePipelines(options, kafka.env['FRAZIL_BROKERS']!, direct, proxies, disk);
    const world = new World({ kafka, registry, aws, disk }, proxies, pipelines, stack.move());
    await world.#prepare();
    return world;
  }

  get brokers(): string {
    return this.kafka.env['FRAZIL_BROKERS']!;
  }

  get workers(): Worker[] {
    return this.pipelines.flatMap(({ workers }) => [...workers]);
  }

  async #prepare(): Promise<void> {
    await this.admin.call('configure', { brokers: this.brokers });
    const configs = { 'min.insync.replicas': '2' };
    await this.admin.call('createTopic', { topic, partitions: firstPartitions, configs });
    const session = {
      'consumer.session.timeout.ms': String(sessionMs),
      'consumer.heartbeat.interval.ms': '500',
    };
    for (const { name } of this.pipelines)
      await this.admin.call('alterGroupConfig', { group: name, configs: session });
    const host = new URL(this.#s3).host;
    await this.python.call('duckdb', {
      sql:
        "CREATE OR REPLACE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1', " +
        `ENDPOINT '${host}', URL_STYLE 'path', USE_SSL false)`,
    });
  }

  /** Ends the workers at once, and everything else. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.end('SIGKILL')));
    await this.#close.disposeAsync();
  }
}

async function openProxies(
  targets: Record<Link, string>,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<Map<Link, HttpProxy>> {
  const proxies = new Map<Link, HttpProxy>();
  const log = createWriteStream(join(folder, 'faults.log'));
  for (const [link, target] of Object.entries(targets) as [Link, string][]) {
    const onFault = (what: string): void => {
      log.write(`${new Date().toISOString()} ${link} ${what}\n`);
    };
    proxies.set(link, stack.use(await HttpProxy.start({ target: new URL(target).origin, onFault })));
  }
  return proxies;
}

function makePipelines(
  { folder, say }: { folder: string; say: (text: string) => void },
  brokers: string,
  direct: { glue: string; rest: string; aws: string; registry: string },
  proxies: ReadonlyMap<Link, HttpProxy>,
  disk: SmallDisk | undefined,
): Pipeline[] {
  const url = (link: Link): string => proxies.get(link)!.url;
  const store = { type: 's3', endpoint: url('s3'), region: 'us-east-1' };
  const registry = url('registry') + new URL(direct.registry).pathname;
  const make = (name: string, count: number, places: object, catalog: Record<string, string>): Pipeline => {
    const config = join(folder, `${name}.json`);
    writeFileSync(config, JSON.stringify(configOf(name, brokers, registry, places), null, 2));
    const workers = Array.from(
      { length: count },
      (_, i) =>
        new Worker({
          name: `${name}-${i + 1}`,
          config,
          logFile: join(folder, `${name}-${i + 1}.log`),
          environment: process.env,
          ...(name === 'local' && disk ? { command: (...args) => disk.command(...args) } : {}),
          onEnd: say,
        }),
    );
    return { name, workers, catalog };
  };
  const local = join(folder, 'local');
  mkdirSync(local, { recursive: true });
  const s3 = {
    'io-impl': 'org.apache.iceberg.aws.s3.S3FileIO',
    's3.endpoint': direct.aws,
    's3.access-key-id': 'test',
    's3.secret-access-key': 'test',
    's3.path-style-access': 'true',
    'client.region': 'us-east-1',
    'http-client.type': 'urlconnection',
  };
  return [
    make(
      'glue',
      3,
      {
        catalog: {
          type: 'glue',
          region: 'us-east-1',
          warehouse: 's3://lake/glue',
          endpoint: url('glue'),
          createDatabase: true,
        },
        store,
      },
      { ...s3, type: 'glue', warehouse: 's3://lake/glue', 'glue.endpoint': direct.glue },
    ),
    make(
      'rest',
      3,
      { catalog: { type: 'rest', uri: url('rest') }, store },
      { ...s3, type: 'rest', uri: direct.rest },
    ),
    make(
      'local',
      1,
      { catalog: { type: 'sqlite', path: `${local}/catalog.db`, name: 'lake', warehouse: local } },
      {
        type: 'jdbc',
        uri: `jdbc:sqlite:${local}/catalog.db`,
        warehouse: `file://${local}`,
        'jdbc.schema-version': 'V1',
      },
    ),
  ];
}

function configOf(name: string, brokers: string, registry: string, places: object): object {
  return {
    pipeline: name,
    source: { brokers: brokers.split(','), topics: [topic] },
    decode: { value: { format: 'avro', registry: { url: registry } } },
    ...places,
    tables: [
      {
        table,
        topics: [topic],
        create: true,
        // As people set it for tables into which somebody writes all the time.
        properties: { 'commit.retry.num-retries': '20' },
      },
    ],
    commit: { interval: '1s' },
    memory: { held: '64MiB' },
    lanes: 1,
  };
}
