import dns from 'node:dns';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { FetchRequest } from '../../../src/kafka/fetch-request.ts';
import { type GroupProtocol, KafkaSource, type KafkaSourceOptions } from '../../../src/kafka/kafka-source.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { Lake } from '../../tools/frazil.ts';
import { Localstack } from '../../tools/localstack.ts';
import { askDuckdb, sqlite } from '../../tools/places.ts';
import { Repl } from '../../tools/repl.ts';
import { openSource, Reading, until } from './reading.ts';

/** Three brokers, of which tests take some away. Every test brings them back. */

/** Tools of its own: the brokers are others than those of the other tests. */
const tools = new Repl('java');
let stack: Localstack;
let brokers: string;

beforeAll(async () => {
  const nearest = 'replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector';
  stack = await Localstack.start(['kafka'], '--brokers', '3', '--kafka-property', nearest);
  brokers = stack.env['FRAZIL_BROKERS']!;
  await tools.call('configure', { brokers });
});
afterAll(async () => {
  await tools.close();
  await stack?.stop();
});

interface Described {
  partitions: { partition: number; leader: number | null; replicas: number[]; isr: number[] }[];
}

async function described(topic: string): Promise<Described['partitions'][number]> {
  return (await tools.call<Described>('describeTopic', { topic })).partitions[0]!;
}

/** `count` records `{"n":...}` for the first partition. */
async function produce(topic: string, count: number): Promise<void> {
  const value = (n: number): string => Buffer.from(`{"n":${n}}`).toString('base64');
  const records = Array.from({ length: count }, (_, n) => ({ key: null, value: value(n) }));
  await tools.call('produce', { topic, partition: 0, records });
}

function landing(topic: string, source: object = {}): object {
  return {
    pipeline: topic,
    source: { brokers: brokers.split(','), topics: [topic], ...source },
    decode: { value: { format: 'json' } },
    tables: [
      {
        table: 'shop.n',
        topics: [topic],
        create: true,
        schema: [{ name: 'n', type: 'long', required: true }],
      },
    ],
    lanes: 1,
  };
}

interface Fetched {
  port: number;
  request: FetchRequest;
  startedAtMs: number;
  endedAtMs: number;
  throttleMs: number;
  sessionId: number;
  bytes: number;
}

/** A reading whose fetches are noted. */
function watched(
  bootstrap: string[],
  options: KafkaSourceOptions,
  clientId = 'watched',
): { reading: Reading; fetches: Fetched[]; wire: Wire } {
  const wire = new Wire({ brokers: bootstrap, clientId }, systemClock);
  const fetches: Fetched[] = [];
  const fetch = wire.fetch.bind(wire);
  wire.fetch = async (broker, request) => {
    const startedAtMs = performance.now();
    const answer = await fetch(broker, request);
    const { throttleMs, sessionId, partitions } = answer;
    const bytes = partitions.reduce((sum, { records }) => sum + records.length, 0);
    const endedAtMs = performance.now();
    fetches.push({ port: broker.port, request, startedAtMs, endedAtMs, throttleMs, sessionId, bytes });
    return answer;
  };
  const ports = { wire, clock: systemClock, random: systemRandom, log: silentLog };
  return { reading: new Reading(new KafkaSource(options, ports)), fetches, wire };
}

const total = (reading: Reading): number => [...reading.offsets.values()].flat().length;
const fixed = (topic: string, partitions: number[] = [0]): KafkaSourceOptions => ({
  group: topic,
  topics: [topic],
  partitions: { [topic]: partitions },
});

/** Nothing is missing, nothing is twice. */
function isWhole(reading: Reading): void {
  expect(reading.of('failed')).toEqual([]);
  for (const [key, offsets] of reading.offsets) expect(offsets, key).toEqual([...offsets.keys()]);
}

test('bootstrap addresses that are dead, and a name whose first address is, are passed over', async () => {
  const topic = 'bootstrap';
  await tools.call('createTopic', { topic });
  await produce(topic, 10);
  const port = brokers.split(',')[1]!.split(':')[1]!;
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((...args: unknown[]) => {
    const answer = args.at(-1) as (error: null, addresses: dns.LookupAddress[]) => void;
    answer(null, [
      { address: '127.0.0.9', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
  }) as never);
  const { reading } = watched(['127.0.0.1:1', 'nobody.invalid:1', `several.test:${port}`], fixed(topic));
  try {
    await reading.start();
    reading.seek([{ topic, partition: 0 }], 0);
    await until(() => total(reading) === 10, 'all is read');
    expect(lookup.mock.calls.map(([name]) => name)).toContain('several.test');
  } finally {
    lookup.mockRestore();
    await reading.source.close();
  }
});

test('what is fetched is kept in sessions: with no news the requests name nothing', async () => {
  const topic = 'sessions';
  const partitions = [...new Array(30).keys()];
  await tools.call('createTopic', { topic, partitions: partitions.length });
  const { reading, fetches } = watched(brokers.split(','), fixed(topic, partitions));
  try {
    await reading.start();
    reading.seek([...reading.owned.values()], 0);
    const quiet = (): Fetched[] => fetches.filter(({ request }) => request.topics.length === 0);
    await until(() => quiet().length >= 6, 'requests have nothing to tell');
    expect(new Set(quiet().map(({ sessionId }) => sessionId)).has(0)).toBe(false);
    await tools.call('produceMany', { topic, count: 3_000 });
    await until(() => total(reading) === 3_000, 'all is read');
    // Given up: the broker is told, and what comes is not fetched.
    reading.release([{ topic, partition: 0 }]);
    await until(
      () => fetches.some(({ request }) => request.forgotten?.some((each) => each.partitions.includes(0))),
      'it is forgotten',
    );
    await tools.call('produceMany', { topic, count: 3_000 });
    await until(() => total(reading) === 5_900, 'all the others are read');
    isWhole(reading);
  } finally {
    await reading.source.close();
  }
});

test('the nearest replica is fetched from, and the leader while that is away', async () => {
  const topic = 'nearest';
  await tools.call('createTopic', { topic, replication: 3 });
  const { leader } = await described(topic);
  const near = (leader! % 3) + 1;
  const port = Number(brokers.split(',')[near - 1]!.split(':')[1]);
  await produce(topic, 100);
  const { reading, fetches } = watched(brokers.split(','), { ...fixed(topic), clientRack: `rack-${near}` });
  try {
    await reading.start();
    reading.seek([{ topic, partition: 0 }], 0);
    await until(() => total(reading) === 100, 'all is read');
    await produce(topic, 50);
    await until(() => total(reading) === 150, 'what is new is read');
    const withRecords = fetches.filter(({ bytes }) => bytes > 0);
    expect(new Set(withRecords.map((fetched) => fetched.port))).toEqual(new Set([port]));
    await stack.down('--broker', `${near}`, '--signal', 'KILL');
    await produce(topic, 50);
    await until(() => total(reading) === 200, 'the leader is read from');
    expect(fetches.at(-1)!.port).not.toBe(port);
    isWhole(reading);
  } finally {
    await reading.source.close();
    await stack.up('--broker', `${near}`);
  }
});

test('a quota is kept to: nothing is asked before the time that the broker has said', async () => {
  const topic = 'quota';
  await tools.call('createTopic', { topic });
  await tools.call('alterClientQuota', { client: 'slow-reader', bytesPerSecond: 300_000 });
  await tools.call('produceMany', { topic, count: 20_000, valueBytes: 200 });
  const { reading, fetches } = watched(brokers.split(','), fixed(topic), 'slow-reader');
  try {
    await reading.start();
    const startedAtMs = performance.now();
    reading.seek([{ topic, partition: 0 }], 0);
    await until(() => total(reading) === 20_000, 'all is read', 60_000);
    const throttled = fetches.filter(({ throttleMs }) => throttleMs > 0);
    expect(throttled.length).toBeGreaterThan(0);
    for (const { endedAtMs, throttleMs } of throttled) {
      const next = fetches.find((each) => each.startedAtMs >= endedAtMs);
      if (next) expect(next.startedAtMs - endedAtMs).toBeGreaterThanOrEqual(throttleMs - 5);
    }
    expect(performance.now() - startedAtMs).toBeLessThan(60_000);
    isWhole(reading);
  } finally {
    await reading.source.close();
  }
});

test.each<GroupProtocol>(['consumer', 'classic'])(
  'a %s group goes on when its coordinator is killed: members stay, offsets are kept',
  async (protocol) => {
    const topic = `coordinator-${protocol}`;
    await tools.call('createTopic', { topic, partitions: 3, replication: 3 });
    await tools.call('produceMany', { topic, count: 300 });
    const { reading, wire } = watched(brokers.split(','), {
      group: topic,
      topics: [topic],
      membership: { protocol },
    });
    reading.onEvent = (event) => {
      if (event.type === 'revoked') reading.release(event.topicPartitions);
      if (event.type === 'assigned')
        for (const each of event.topicPartitions) reading.seek([each], reading.position(each) ?? 0);
    };
    let killed = '';
    try {
      await reading.start();
      await until(() => total(reading) === 300, 'all is read');
      const { port } = await wire.coordinator(topic);
      killed = `${brokers.split(',').findIndex((each) => each.endsWith(`:${port}`)) + 1}`;
      await stack.down('--broker', killed, '--signal', 'KILL');
      const offsets = new Map([[`${topic}-0`, 50]]);
      const isKept = (): Promise<boolean> =>
        reading.source.commitOffsets(offsets, 'kept').then(
          () => true,
          () => false,
        );
      await until(isKept, 'another coordinator keeps offsets');
      await tools.call('produceMany', { topic, count: 300 });
      await until(() => total(reading) === 600, 'what is new is read');
      expect(reading.of('lost')).toEqual([]);
      const known = await reading.source.committedOffsets([{ topic, partition: 0 }]);
      expect(known.get(`${topic}-0`)).toMatchObject({ offset: 50, metadata: 'kept' });
      isWhole(reading);
    } finally {
      await reading.source.close();
      if (killed !== '') await stack.up('--broker', killed);
    }
  },
);

test('a log that was cut by an unclean election: who reads it and who has landed it are told, nothing goes on silently', async () => {
  const topic = 'unclean';
  const configs = { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' };
  await tools.call('createTopic', { topic, replication: 2, configs });
  await produce(topic, 100);
  const { leader, replicas } = await described(topic);
  const other = replicas.find((id) => id !== leader)!;

  // What only the leader has, until it is gone too.
  await stack.down('--broker', `${other}`, '--signal', 'KILL');
  await until(async () => (await described(topic)).isr.length === 1, 'the leader is alone');
  await produce(topic, 50);
  using lake = new Lake(landing(topic));
  expect(await lake.catchUp()).toMatchObject({ rows: 150 });
  const reading = new Reading(
    openSource(brokers, { group: topic, topics: [topic], partitions: { [topic]: [0] } }),
  );
  try {
    await reading.start();
    reading.seek([{ topic, partition: 0 }], 0);
    await until(() => (reading.position({ topic, partition: 0 }) ?? 0) === 150, 'all is read');
    await stack.down('--broker', `${leader}`, '--signal', 'KILL');
    await stack.up('--broker', `${other}`);
    await until(async () => (await described(topic)).leader === other, 'a replica leads that lacks records');
    // Past where the other log had ended: an offset alone tells nothing.
    await produce(topic, 80);
    await until(() => reading.of('truncated').length > 0, 'the cut is told');
    expect(reading.events.at(-1)).toMatchObject({ type: 'truncated', position: 150, end: 100 });
    expect(reading.of('failed')).toEqual([]);
  } finally {
    await reading.source.close();
  }

  const halted = lake.start('run', '--until-caught-up');
  expect(await halted.exit).toBe(1);
  expect(halted.stderr).toContain('unclean-0 offsets 100 to 149 have landed and are in Kafka no more');
  lake.configure(landing(topic, { onTruncation: 'skip' }));
  expect(await lake.catchUp()).toMatchObject({ rows: 30 });
  const { snapshots, totals } = JSON.parse(await lake.call('inspect', 'shop.n', '--json')) as {
    snapshots: { offsets: unknown[] }[];
    totals: { rows: number };
  };
  expect(totals.rows).toBe(180);
  expect(snapshots[0]!.offsets).toEqual([{ topic, partition: 0, from: 150, next: 180 }]);
  // And from now on the new leader's epoch counts.
  lake.configure(landing(topic));
  await stack.up('--broker', `${leader}`);
  await produce(topic, 5);
  expect(await lake.catchUp()).toMatchObject({ rows: 5 });
});

test.each<GroupProtocol>(['consumer', 'classic'])(
  'a topic that grows, and one that is made anew, while two workers of a %s group land it: each offset once',
  async (groupProtocol) => {
    const topic = `changing-${groupProtocol}`;
    let sent = 0;
    /** So many records for each partition, none of which is like any other. */
    const send = async (partitions: number, count: number): Promise<void> => {
      for (let partition = 0; partition < partitions; partition++) {
        const records = Array.from({ length: count }, () => ({
          key: null,
          value: Buffer.from(`{"n":${sent++}}`).toString('base64'),
        }));
        await tools.call('produce', { topic, partition, records });
      }
    };
    const untilLanded = async (expected: number[]): Promise<void> => {
      let last: number[] = [];
      const isLanded = async (): Promise<boolean> => {
        const { offsets } = await tools.call<{ offsets: { partition: number; offset: number }[] }>(
          'groupOffsets',
          { group: topic },
        );
        last = offsets.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
        return last.join() === expected.join();
      };
      await until(isLanded, () => `${expected} have landed: ${last}`, 90_000);
    };
    const configs = { 'consumer.session.timeout.ms': '6000', 'consumer.heartbeat.interval.ms': '500' };
    await tools.call('alterGroupConfig', { group: topic, configs });
    await tools.call('createTopic', { topic, partitions: 3, replication: 3 });
    const source = { groupProtocol, sessionTimeout: '6s', onTopicRecreated: 'restart', startAt: 'latest' };
    using lake = new Lake({ ...landing(topic, source), commit: { interval: '300ms' } });
    const workers = [lake.start('run'), lake.start('run')];
    for (const worker of workers) await worker.logged('table opened');

    await send(3, 20);
    await tools.call('addPartitions', { topic, partitions: 6 });
    await send(6, 20);
    await untilLanded([40, 40, 40, 20, 20, 20]);

    await tools.call('deleteTopic', { topic });
    await tools.call('createTopic', { topic, partitions: 2, replication: 3 });
    await send(2, 50);
    await untilLanded([50, 50]);
    for (const worker of workers) {
      worker.kill('SIGTERM');
      expect(await worker.exit, worker.stderr.slice(-2000)).toBe(0);
    }
    const rows = await askDuckdb(
      sqlite,
      lake,
      'shop.n',
      'select _kafka_partition as p, count(*) as rows_, count(distinct n) as n, max(_kafka_offset) as hi from t group by 1 order by 1',
    );
    expect(rows.map(({ p, rows_, n, hi }) => [p, rows_, n, hi].map(Number))).toEqual([
      [0, 90, 90, 49],
      [1, 90, 90, 49],
      [2, 40, 40, 39],
      [3, 20, 20, 19],
      [4, 20, 20, 19],
      [5, 20, 20, 19],
    ]);
  },
);
