import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lake } from '../../tools/frazil.ts';
import { Localstack } from '../../tools/localstack.ts';
import { Repl } from '../../tools/repl.ts';
import { openSource, Reading, until } from './reading.ts';

/** Three brokers, of which tests take some away. Every test brings them back. */

/** Tools of its own: the brokers are others than those of the other tests. */
const tools = new Repl('java');
let stack: Localstack;
let brokers: string;

beforeAll(async () => {
  stack = await Localstack.start(['kafka'], '--brokers', '3');
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
