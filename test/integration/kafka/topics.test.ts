import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake, type Run } from '../../tools/frazil.ts';
import { java } from '../../tools/java.ts';
import { shortSessions } from '../../tools/pipeline.ts';
import { askDuckdb, sqlite } from '../../tools/places.ts';
import { until } from './reading.ts';

/** Topics that a pattern finds, with two workers and real brokers. */

const brokers = inject('brokers');
const table = 'shop.n';

beforeAll(() => java.call('configure', { brokers }));
afterAll(() => java.close());

function configOf(pipeline: string, groupProtocol: string): object {
  return {
    pipeline,
    source: {
      brokers,
      topicsPattern: `${pipeline}\\.[a-c].*`,
      metadataMaxAge: '1s',
      groupProtocol,
      sessionTimeout: '6s',
      // It never counts here: all topics come when the pipeline runs already.
      startAt: 'latest',
      onTopicRecreated: 'restart',
    },
    decode: { value: { format: 'json' } },
    tables: [
      {
        table,
        topicsPattern: '.*\\.[ab].*',
        create: true,
        schema: [{ name: 'n', type: 'long', required: true }],
      },
    ],
    commit: { interval: '300ms' },
    lanes: 1,
  };
}

let sent = 0;

/** So many records for each partition, none of which is like any other. */
async function produce(topic: string, partitions: number, count: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const records = Array.from({ length: count }, () => {
      const value = Buffer.from(`{"n":${sent++}}`).toString('base64');
      return { key: null, value };
    });
    await java.call('produce', { topic, partition, records });
  }
}

/** The group's offsets, which follow what has landed. */
async function landed(group: string): Promise<Record<string, number>> {
  const { offsets } = await java.call<{ offsets: { topic: string; partition: number; offset: number }[] }>(
    'groupOffsets',
    { group },
  );
  return Object.fromEntries(
    offsets.map(({ topic, partition, offset }) => [`${topic}-${partition}`, Number(offset)]),
  );
}

async function untilLanded(group: string, expected: Record<string, number>): Promise<void> {
  let last: Record<string, number> = {};
  const isLanded = async (): Promise<boolean> => {
    last = await landed(group);
    return Object.entries(expected).every(([key, offset]) => last[key] === offset);
  };
  await until(isLanded, () => `${JSON.stringify(expected)} has landed: ${JSON.stringify(last)}`, 60_000);
}

const lines = (worker: Run, text: string): number =>
  worker.log().filter(({ msg }) => msg.includes(text)).length;

test.each(['consumer', 'classic'])(
  'topics come, go and are made anew while two workers of a %s group land them: each offset once, from the first on',
  async (protocol) => {
    const pipeline = `found-${protocol}`;
    const [a, b, homeless, other] = ['a', 'b', 'c', 'x'].map((name) => `${pipeline}.${name}`) as [
      string,
      string,
      string,
      string,
    ];
    await shortSessions(pipeline);
    using lake = new Lake(configOf(pipeline, protocol));
    const workers = [lake.start('run'), lake.start('run')];
    for (const worker of workers) await worker.logged('reading topics');

    // With nothing to read at first; what is written before a topic is found is landed too.
    await java.call('createTopic', { topic: a, partitions: 4 });
    await produce(a, 4, 50);
    await untilLanded(pipeline, { [`${a}-0`]: 50, [`${a}-3`]: 50 });
    for (const topic of [b, homeless, other]) {
      await java.call('createTopic', { topic, partitions: 2 });
      await produce(topic, 2, 30);
    }
    await produce(a, 4, 10);
    await untilLanded(pipeline, { [`${a}-0`]: 60, [`${b}-0`]: 30, [`${b}-1`]: 30 });
    for (const worker of workers) await worker.logged('goes into no table');

    // It is gone, and the others are read on.
    await untilLanded(pipeline, { [`${a}-1`]: 60, [`${a}-2`]: 60, [`${a}-3`]: 60 });
    await java.call('deleteTopic', { topic: a });
    await produce(b, 2, 20);
    for (const worker of workers) await worker.logged('topics are gone');
    await untilLanded(pipeline, { [`${b}-0`]: 50, [`${b}-1`]: 50 });
    const warned = workers.map((worker) => lines(worker, 'cannot be fetched'));
    // A table with rows of a topic that is gone is as sound as before.
    expect(JSON.parse(await lake.call('verify', table, '--json'))).toMatchObject({ rows: 340, problems: [] });

    // Another one of its name.
    await java.call('createTopic', { topic: a, partitions: 2 });
    await produce(a, 2, 5);
    await untilLanded(pipeline, { [`${a}-0`]: 5, [`${a}-1`]: 5 });

    const { findings } = JSON.parse(await lake.call('doctor', '--json')) as {
      findings: { what: string; found: string }[];
    };
    expect(findings.find(({ what }) => what.startsWith('topics '))?.found).toBe(
      `2 found: ${a}, ${b}; without a table, and not read: ${homeless}`,
    );
    const peeked = (await lake.call('peek', '-n', '200', '--json')).trim().split('\n');
    expect(new Set(peeked.map((line) => (JSON.parse(line) as { topic: string }).topic))).toEqual(
      new Set([a, b]),
    );
    const inspected = JSON.parse(await lake.call('inspect', table, '--json')) as {
      partitions: { topic: string; partition: number; next: number; lag: number }[];
    };
    const told = inspected.partitions.map(({ topic, partition, next, lag }) => [topic, partition, next, lag]);
    expect(told.toSorted()).toEqual([
      [a, 0, 5, 0],
      [a, 1, 5, 0],
      [b, 0, 50, 0],
      [b, 1, 50, 0],
    ]);

    for (const worker of workers) {
      worker.kill('SIGTERM');
      expect(await worker.exit, worker.stderr.slice(-2000)).toBe(0);
      expect(lines(worker, 'topics are gone')).toBe(1);
      expect(lines(worker, 'goes into no table')).toBe(1);
    }
    expect(Math.max(...warned), 'warnings of a topic that is gone').toBeLessThanOrEqual(8);
    expect(await lake.catchUp()).toMatchObject({ rows: 0, caughtUp: true });
    const [counted] = await askDuckdb(
      sqlite,
      lake,
      table,
      'select count(*) as total, count(distinct n) as n from t',
    );
    expect([Number(counted!['total']), Number(counted!['n'])]).toEqual([350, 350]);
    const byTopic = await askDuckdb(
      sqlite,
      lake,
      table,
      'select _kafka_topic as t, _kafka_partition as p, count(*) as n, max(_kafka_offset) as hi from t group by 1, 2 order by 1, 2',
    );
    expect(byTopic.map(({ t, p, n, hi }) => [t, Number(p), Number(n), Number(hi)])).toEqual([
      [a, 0, 65, 59],
      [a, 1, 65, 59],
      [a, 2, 60, 59],
      [a, 3, 60, 59],
      [b, 0, 50, 49],
      [b, 1, 50, 49],
    ]);
  },
);
