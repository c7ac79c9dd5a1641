import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';

/** The program with its catalog in PostgreSQL. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
let stack: Localstack;
let url = '';

beforeAll(async () => {
  stack = await Localstack.start(['postgres']);
  url = stack.env['FRAZIL_POSTGRES']!;
  await java.call('configure', { brokers: parts.brokers });
});
afterAll(async () => {
  await java.close();
  await stack.stop();
});

test('rows land in a table that Java reads from the same catalog; two workers share the work', async () => {
  const pipeline = 'in-postgres';
  const acknowledged = await orders(pipeline, parts, 2_000, 4);
  using lake = new Lake({});
  lake.configure(
    ordersConfig(pipeline, parts, {
      catalog: { type: 'postgres', url, name: 'lake', warehouse: './lake' },
    }),
  );
  const summaries = await Promise.all([lake.catchUp(), lake.catchUp()]);
  expect(summaries.reduce((sum, { rows }) => sum + rows!, 0)).toBe(2_000);
  const { rows } = await java.call<{ rows: Record<string, string>[] }>('readTable', {
    name: 'lake',
    table: 'shop.orders',
    catalog: {
      type: 'jdbc',
      uri: `jdbc:postgresql://${new URL(url).host}/postgres?user=postgres`,
      warehouse: `file://${lake.folder}/lake`,
      'jdbc.schema-version': 'V1',
    },
  });
  const landed = new Set(rows.map((row) => `${row['_kafka_partition']}@${row['_kafka_offset']}`));
  expect([rows.length, landed.size]).toEqual([2_000, 2_000]);
  for (const [partition, count] of acknowledged.entries())
    expect([...landed].filter((place) => place.startsWith(`${partition}@`))).toHaveLength(count);

  const inspected = JSON.parse(await lake.call('inspect', 'shop.orders', '--json'));
  expect(inspected).toMatchObject({ ledger: 'known', totals: { rows: 2_000 } });
});

test('a refused login stops the program, which says what to change and shows no password', async () => {
  using lake = new Lake({});
  lake.configure(
    ordersConfig('refused', parts, {
      catalog: {
        type: 'postgres',
        url: url.replace('postgres@', 'nobody:s3cret@'),
        name: 'lake',
        warehouse: './lake',
      },
    }),
  );
  const run = lake.start('inspect', 'shop.orders');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toMatch(
    /^frazil: loading table shop.orders in catalog 127.0.0.1:\d+\/postgres: password authentication failed for user "nobody": correct user and password in catalog.url\n$/,
  );
});
