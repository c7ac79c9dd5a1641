import avsc from 'avsc';
import { describe, expect, test } from 'vitest';
import { type Cell, cells, chooseCells } from '../../../bench/side/cells.ts';
import { avroSchema, tableColumns, ValueWriter } from '../../../bench/side/records.ts';

const shapes = [...new Map(cells.map((cell) => [`${cell.columns}, ${cell.padTo}`, cell])).values()].map(
  (cell): [string, Cell] => [cell.title, cell],
);

/** Times and decimals as they are in JSON. */
function plain(order: Record<string, unknown>): Record<string, unknown> {
  const cents = BigInt(`0x${(order['amount'] as Buffer).toString('hex')}`);
  const amount = `${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`;
  const unwrapped = Object.entries(order).map(([name, value]) => [
    name,
    value !== null && typeof value === 'object' && 'string' in value ? value.string : value,
  ]);
  return { ...Object.fromEntries(unwrapped), amount };
}

describe.each(shapes)('%s', (_, cell) => {
  test('Avro and JSON hold the same records, with the columns of the table', () => {
    const type = avsc.Type.forSchema(avroSchema(cell) as avsc.Schema);
    const avro = new ValueWriter({ ...cell, format: 'avro' }, 7);
    const json = new ValueWriter({ ...cell, format: 'json' }, 0);
    const names = tableColumns(cell).map(({ name }) => name);
    expect(names).toHaveLength(cell.columns + (cell.padTo === undefined ? 0 : 1));
    for (let i = 0; i < 50; i++) {
      const bytes = avro.next();
      expect(bytes.readUIntBE(0, 5)).toBe(7);
      const fromAvro = plain(type.fromBuffer(bytes.subarray(5)));
      const fromJson = JSON.parse(json.next().toString());
      expect(Object.keys(fromAvro)).toEqual(names);
      expect(Object.keys(fromJson)).toEqual(names);
      // Padding fills up to a size, of which the formats need different parts.
      expect({ ...fromAvro, pad: '' }).toEqual({ ...fromJson, pad: '' });
    }
  });
});

test('values are padded to the size asked for, within a few bytes', () => {
  for (const format of ['avro', 'json'] as const) {
    const values = new ValueWriter({ format, columns: 10, padTo: 1_000 }, 1);
    for (let i = 0; i < 50; i++) expect(Math.abs(values.next().length - 1_000)).toBeLessThan(8);
  }
});

test('with a clock, updated_at is when the value was written', () => {
  const values = new ValueWriter({ format: 'json', columns: 10, padTo: undefined }, 0, {
    now: () => 1_800_000_000_123,
  });
  expect(JSON.parse(values.next().toString())).toMatchObject({ updated_at: 1_800_000_000_123 });
});

test('cells are chosen by name, in the order of the table', () => {
  expect(chooseCells(undefined).map(({ name }) => name)).toEqual(['avro', 'json', 'avro-day', 'latency-1s']);
  expect(chooseCells('json,avro').map(({ name }) => name)).toEqual(['avro', 'json']);
  expect(chooseCells('all')).toEqual(cells);
  expect(new Set(cells.map(({ name }) => name)).size).toBe(cells.length);
  expect(() => chooseCells('avro,protobuf')).toThrow(
    'choosing cells: there is no protobuf; known: all, avro, json',
  );
});
