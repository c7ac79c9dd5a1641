import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import type { Producer } from './producer.ts';
import type { ChaosEvent, Kind, Targets } from './schedule.ts';
import { outage, routes, storm } from './weather.ts';
import type { Worker } from './worker.ts';
import { type Link, table, topic, type World } from './world.ts';

const partitionsMax = 12;

/** What an event needs to be carried out. */
export interface Stage {
  readonly world: World;
  readonly producer: Producer;
  /** Whether tables are compacted by Spark too, which takes its time to start. */
  readonly withSpark: boolean;
  /** Ends what is going on, when the time is up. */
  readonly over: AbortSignal;
}

/** What each kind may befall in a world. */
export function targetsIn({ workers, pipelines, disk, proxies }: World): Targets {
  const names = workers.map(({ name }) => name);
  // Others see nothing of the small disk.
  const shared = pipelines.map(({ name }) => name).filter((name) => name !== 'local' || !disk);
  const brokers = ['1', '2', '3'];
  const links = [...proxies.keys()];
  return {
    kill: names,
    freeze: names,
    stop: names,
    brokerKill: brokers,
    brokerRestart: brokers,
    leaders: [topic, '__consumer_offsets'],
    storm: links,
    outage: links,
    partition: [topic],
    schema: [topic],
    diskFull: disk ? ['local'] : [],
    compact: shared,
    manifests: shared,
    expire: shared,
    member: pipelines.map(({ name }) => name),
  };
}

/** What must not go on at once: events of one lane wait for each other. */
export function laneOf({ kind, target }: ChaosEvent): string {
  switch (kind) {
    case 'kill':
    case 'freeze':
    case 'stop':
    case 'storm':
    case 'outage':
    case 'diskFull':
      return target;
    case 'compact':
    case 'manifests':
    case 'expire':
      return 'keeper';
    case 'member':
      return `member of ${target}`;
    default:
      // With two brokers away nobody could produce.
      return 'kafka';
  }
}

type Act = (event: ChaosEvent, stage: Stage) => Promise<string | undefined>;

/** Carries out an event. @returns what there is to tell of it. */
export function carryOut(event: ChaosEvent, stage: Stage): Promise<string | undefined> {
  return acts[event.kind](event, stage);
}

const acts: Record<Kind, Act> = {
  async kill(event, stage) {
    const worker = workerOf(event, stage);
    await worker.end('SIGKILL');
    await wait(event.forMs, stage);
    worker.start();
    return undefined;
  },

  async freeze(event, stage) {
    const worker = workerOf(event, stage);
    worker.signal('SIGSTOP');
    await wait(event.forMs, stage);
    worker.signal('SIGCONT');
    return undefined;
  },

  async stop(event, stage) {
    const worker = workerOf(event, stage);
    const code = await worker.end('SIGTERM');
    await wait(event.forMs, stage);
    worker.start();
    return code === 0 ? undefined : `SIGTERM: it ended with ${code}`;
  },

  brokerKill: (event, stage) => withBroker('KILL', event, stage),
  brokerRestart: (event, stage) => withBroker('TERM', event, stage),

  async leaders({ target }, { world }) {
    await world.admin.call('moveLeaders', { topic: target });
    return undefined;
  },

  storm: (event, stage) => withRules(event, stage, storm(routes[event.target as Link], event.seed)),
  outage: (event, stage) => withRules(event, stage, outage(event.seed)),

  async partition(_, { world }) {
    const { partitions } = await world.admin.call<{ partitions: object[] }>('describeTopic', { topic });
    if (partitions.length >= partitionsMax) return 'there are enough';
    await world.admin.call('addPartitions', { topic, partitions: partitions.length + 1 });
    return `now ${partitions.length + 1}`;
  },

  schema: (_, { producer }) => producer.addField(),

  async diskFull({ forMs, seed }, stage) {
    const { disk } = stage.world;
    await disk!.fill(seededRandom(seed).below(64 * 1024));
    await wait(forMs, stage);
    await disk!.free();
    return undefined;
  },

  async compact(event, stage) {
    if (stage.withSpark && event.seed % 2 === 0) return compactWithSpark(event, stage);
    const { files } = await keep(event, stage, 'rewriteDataFiles', {});
    return `${(files as string[]).length} files`;
  },

  async manifests(event, stage) {
    await keep(event, stage, 'rewriteManifests', {});
    return undefined;
  },

  async expire(event, stage) {
    const retainLast = 1 + seededRandom(event.seed).below(20);
    await keep(event, stage, 'expireSnapshots', { retainLast });
    return `the last ${retainLast} are kept`;
  },

  async member({ target, forMs }, stage) {
    const { admin, brokers } = stage.world;
    const member = `a consumer in ${target}`;
    await admin.call('runMember', { member, brokers, group: target, topics: [topic] });
    await wait(forMs, stage);
    const { members } = await admin.call<{ members: Record<string, { assignment: string[] }> }>('members');
    await admin.call('stopMember', { member });
    return `it had ${members[member]!.assignment.join(', ') || 'no partitions'}`;
  },
};

function wait(ms: number, { over }: Stage): Promise<void> {
  return sleep(ms, undefined, { signal: over }).catch(() => undefined);
}

function workerOf({ target }: ChaosEvent, { world }: Stage): Worker {
  return world.workers.find(({ name }) => name === target)!;
}

/** One broker is away for a while; the next event of brokers waits until it has all records again. */
async function withBroker(signal: string, { target, forMs }: ChaosEvent, stage: Stage): Promise<undefined> {
  const { kafka, admin } = stage.world;
  await kafka.down('--broker', target, '--signal', signal);
  await wait(forMs, stage);
  await kafka.up('--broker', target);
  for (const name of [topic, '__consumer_offsets']) {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const { partitions } = await admin
        .call<{ partitions: { isr: number[] }[] }>('describeTopic', { topic: name })
        .catch(() => ({ partitions: [{ isr: [] }] }));
      if (partitions.every(({ isr }) => isr.length === 3)) break;
      if (performance.now() > deadline) throw new Error(`${name} is not in sync after a minute`);
      await sleep(200);
    }
  }
}

async function withRules(
  { target, forMs }: ChaosEvent,
  stage: Stage,
  rules: ReturnType<typeof storm>,
): Promise<string> {
  const { faults } = stage.world.proxies.get(target as Link)!;
  const before = faults.done.length;
  faults.set(...rules);
  await wait(forMs, stage);
  faults.set();
  return `${faults.done.length - before} requests went wrong`;
}

async function compactWithSpark({ target }: ChaosEvent, { world }: Stage): Promise<string> {
  const { 'http-client.type': _, ...catalog } = world.pipelines.find(({ name }) => name === target)!.catalog;
  const sql = `CALL lake.system.rewrite_data_files(table => '${table}', options => map('min-input-files', '2'))`;
  const { rows } = await world.spark.call<{ rows: Record<string, string>[] }>(
    'sql',
    { name: 'lake', catalog, sql },
    300_000,
  );
  return `Spark made ${rows[0]!['added_data_files_count']} files of ${rows[0]!['rewritten_data_files_count']}`;
}

/** What keepers of tables do, with Iceberg's own library. */
function keep(
  { target }: ChaosEvent,
  { world }: Stage,
  command: string,
  args: object,
): Promise<Record<string, unknown>> {
  const { catalog } = world.pipelines.find(({ name }) => name === target)!;
  return world.keeper.call(command, { catalog, name: 'lake', table, ...args });
}
