import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { runChaos } from '../chaos/chaos.ts';
import { isSound, verifyTable } from '../chaos/verify.ts';
import { python } from '../tools/python.ts';

/** The short form of `make chaos`, and its judge. */

const folder = mkdtempSync(join(tmpdir(), 'frazil-chaos-'));

afterAll(async () => {
  await python.close();
  rmSync(folder, { recursive: true, force: true });
});

test('half a minute of chaos on real parts: each offset is in each table exactly once', {
  timeout: 600_000,
}, async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));
  console.log(`SEED=${seed}`);
  const lines: string[] = [];
  const report = await runChaos({
    seed,
    minutes: 0.5,
    folder,
    registry: inject('registry'),
    onLine: (line) => lines.push(line),
  });
  const told = `${lines.join('\n')}\n${JSON.stringify(report, null, 2)}`;
  expect(report.sound, told).toBe(true);
  expect(report.tables).toHaveLength(3);
  expect(report.records.acknowledged, told).toBeGreaterThan(1_000);
  expect(Object.values(report.events).length, told).toBeGreaterThan(0);
});

test('the judge tells gaps from duplicates, strangers, records in the wrong place and records sent twice', async () => {
  const lake = join(folder, 'judged');
  mkdirSync(lake);
  const at = {
    catalog: { type: 'sql', uri: `sqlite:///${lake}/catalog.db`, warehouse: `file://${lake}` },
    name: 'lake',
    table: 'shop.orders',
  };
  const field = (id: number, name: string, type: string): object => ({ id, name, type, required: false });
  const schema = {
    type: 'struct',
    'schema-id': 0,
    fields: [
      field(1, 'order_id', 'long'),
      field(2, '_kafka_partition', 'int'),
      field(3, '_kafka_offset', 'long'),
    ],
  };
  await python.call('createTable', { ...at, schema });
  const row = (partition: number, offset: number, id: number): object => ({
    order_id: String(id),
    _kafka_partition: String(partition),
    _kafka_offset: String(offset),
  });
  const acknowledged = join(lake, 'acknowledged.csv');
  const acknowledge = (...lines: string[]): void =>
    writeFileSync(acknowledged, ['partition,offset,order_id', ...lines, ''].join('\n'));
  const judge = async (): ReturnType<typeof verifyTable> => {
    const { location } = await python.call<{ location: string }>('loadMetadata', at);
    return verifyTable(python, 'shop.orders', location, { ends: [4, 2, 0], acknowledged });
  };
  const whole = [row(0, 0, 10), row(0, 1, 11), row(0, 2, 12), row(0, 3, 13), row(1, 0, 20), row(1, 1, 21)];
  acknowledge('0,0,10', '0,1,11', '0,2,12', '0,3,13', '1,0,20', '1,1,21');
  await python.call('append', { ...at, rows: whole.toSpliced(1, 2) });
  const gap = await judge();
  expect(gap).toMatchObject({ gaps: 2, duplicates: 0, strangers: 0, missing: 2, sentTwice: 0 });
  expect(gap.examples).toEqual(['partition 0: missing 1 to 2 (2 offsets)']);
  await python.call('append', { ...at, rows: whole.slice(1, 3) });
  expect(isSound(await judge())).toBe(true);
  await python.call('append', { ...at, rows: whole.slice(4) });
  const doubled = await judge();
  expect(doubled).toMatchObject({ gaps: 0, duplicates: 2, strangers: 0, missing: 0, sentTwice: 0 });
  expect(doubled.examples).toEqual(['partition 1: more than once 0 to 1 (2 offsets)']);
  expect(doubled.partitions.map(({ duplicates }) => duplicates)).toEqual([0, 2, 0]);
  await python.call('append', { ...at, rows: [row(1, 2, 22), row(3, 0, 30)] });
  acknowledge('0,0,10', '0,1,99');
  expect(await judge()).toMatchObject({ gaps: 0, duplicates: 2, strangers: 2, missing: 1, sentTwice: 0 });
  await python.call('append', { ...at, rows: [row(1, 3, 13)] });
  expect(await judge()).toMatchObject({ strangers: 3, sentTwice: 1 });
});
