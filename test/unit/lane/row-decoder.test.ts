import { describe, expect, test } from 'vitest';
import { valueAt } from '../../../src/arrow/values.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { RecordSetReader } from '../../../src/kafka/record-set.ts';
import { RowDecoder } from '../../../src/lane/row-decoder.ts';
import { type Given, lanePorts, long, type PlanSettings, planOf, setOf, text } from './lanes.ts';

/** Rows that records become, as people see them; what is thrown is a row too: `field: reason`. */
async function decode(settings: PlanSettings, given: readonly Given[], registry = {}): Promise<unknown[]> {
  const plan = planOf(settings);
  const decoder = new RowDecoder(plan, new Map(), lanePorts(registry));
  const set = setOf(40, given, {}, 3);
  const reader = new RecordSetReader(Buffer.from(set.records.buffer), set.from, null);
  const seen: unknown[] = [];
  while (reader.read()) {
    await decoder.prepare(reader.columns);
    for (let i = 0; i < reader.columns.count; i++) {
      const before = decoder.rows.rows;
      if (decoder.append(set, reader.columns, i, i + 1) > i) {
        for (const [j, column] of decoder.rows.columns.entries())
          expect(column.length, `column ${plan.schema.fields[j]!.name} has every row`).toBe(before + 1);
        seen.push(
          Object.fromEntries(
            plan.schema.fields.map((f, j) => [
              f.name,
              plainly(valueAt(decoder.rows.columns[j]!, before, f.type)),
            ]),
          ),
        );
      } else {
        for (const column of decoder.rows.columns) expect(column.length).toBe(before);
        seen.push(decoder.failure!.message);
      }
    }
  }
  return seen;
}

const plainly = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const keyed = (key: string | null, n = 1): Given => ({ key, value: { n } });

describe('the key', () => {
  const settings: PlanSettings = { fields: [long('n'), text('k')], keyColumn: 'k', metadataColumns: false };

  test('goes into its column, and is never looked for in the value', async () => {
    const given = [keyed('a'), { key: 'b', value: { n: 2, k: 'of the value' } }];
    expect(await decode(settings, given)).toEqual([
      { n: 1, k: 'a' },
      { n: 2, k: 'b' },
    ]);
  });

  test('that is missing is null', async () => {
    expect(await decode(settings, [keyed(null), keyed('')])).toEqual([
      { n: 1, k: null },
      { n: 1, k: '' },
    ]);
  });

  test('that is missing cannot go into a column that must have a value', async () => {
    const required = { ...settings, fields: [long('n'), text('k', true)] };
    const [missing, present] = await decode(required, [keyed(null), keyed('a')]);
    expect(missing).toBe('key: null in a required column');
    expect(present).toEqual({ n: 1, k: 'a' });
  });

  test('that is no text is told as the key’s fault, and leaves no half row', async () => {
    const bad = { key: Buffer.of(0xff, 0xfe), value: { n: 1 } };
    expect(await decode(settings, [bad, keyed('a', 2)])).toEqual([
      'key: expected text, found bytes that are not UTF-8',
      { n: 2, k: 'a' },
    ]);
  });

  test('of JSON is kept as its text', async () => {
    const json = { ...settings, key: { format: 'json' } } as const;
    const [good, bad] = await decode(json, [keyed('{"id": 7}'), keyed('{"id"')]);
    expect(good).toEqual({ n: 1, k: '{"id": 7}' });
    expect(bad).toMatch(/^key: /);
  });

  test('of Avro is decoded by its own schema, and its fields are named as the key’s', async () => {
    const registry = {
      '/schemas/ids/1': {
        schema: '{"type":"record","name":"K","fields":[{"name":"id","type":["null","int"]}]}',
      },
    };
    const id: Field = { id: 0, name: 'id', required: true, type: { kind: 'int' } };
    const k: Field = { id: 0, name: 'k', required: false, type: { kind: 'struct', fields: [id] } };
    const avro = {
      ...settings,
      fields: [long('n'), k],
      key: { format: 'avro', registry: { url: 'http://registry' } },
    } as const;
    const key = (...body: number[]): Given => ({ key: Buffer.of(0, 0, 0, 0, 1, ...body), value: { n: 1 } });
    const [good, bad] = await decode(avro, [key(2, 14), key(0)], registry);
    expect(good).toEqual({ n: 1, k: { id: 7 } });
    expect(bad).toMatch(/^key k?\.?id: /);
  });
});

describe('the columns that tell where a row came from', () => {
  test('have topic, partition, offset and time, of every record', async () => {
    expect(await decode({ fields: [long('n')] }, [{ n: 1 }, { n: 2 }])).toEqual([
      {
        n: 1,
        _kafka_topic: 'orders',
        _kafka_partition: 3,
        _kafka_offset: 40,
        _kafka_timestamp: '1970-01-01T00:00:01Z',
      },
      {
        n: 2,
        _kafka_topic: 'orders',
        _kafka_partition: 3,
        _kafka_offset: 41,
        _kafka_timestamp: '1970-01-01T00:00:01.001000Z',
      },
    ]);
  });

  test('are never taken from the value', async () => {
    const [row] = await decode({ fields: [long('n')] }, [{ n: 1, _kafka_offset: 7, _kafka_topic: 'x' }]);
    expect(row).toMatchObject({ _kafka_offset: 40, _kafka_topic: 'orders' });
  });

  test('are filled where the table has them, in whatever order', async () => {
    const offset = long('_kafka_offset');
    const settings = { fields: [offset, long('n'), text('_kafka_topic', true)], metadataColumns: false };
    expect(await decode(settings, [{ n: 1 }])).toEqual([{ _kafka_offset: 40, n: 1, _kafka_topic: 'orders' }]);
  });

  test.each<[string, Field]>([
    ['_kafka_partition', long('_kafka_partition', false)],
    ['_kafka_offset', { id: 0, name: '_kafka_offset', required: false, type: { kind: 'int' } }],
    ['_kafka_timestamp', { id: 0, name: '_kafka_timestamp', required: false, type: { kind: 'timestamp' } }],
  ])(
    'that have another type, such as a %s of somebody else, are columns as any other',
    async (name, field) => {
      const settings = { fields: [field, long('n')], metadataColumns: false };
      expect(await decode(settings, [{ n: 1 }, { n: 2 }])).toEqual([
        { [name]: null, n: 1 },
        { [name]: null, n: 2 },
      ]);
    },
  );

  test('may lack the time: records of ancient producers have none', async () => {
    const plan = planOf({ fields: [long('n')] });
    const decoder = new RowDecoder(plan, new Map(), lanePorts());
    const set = setOf(0, [{ n: 1 }], { baseTimestamp: -1 });
    const reader = new RecordSetReader(Buffer.from(set.records.buffer), 0, null);
    reader.read();
    decoder.append(set, reader.columns, 0, 1);
    const time = plan.schema.fields.findIndex((f) => f.name === '_kafka_timestamp');
    expect(decoder.rows.columns[time]!.isNull(0)).toBe(true);
  });

  test('follow the topic from set to set', () => {
    const plan = planOf({ fields: [long('n')] });
    const decoder = new RowDecoder(plan, new Map(), lanePorts());
    const topics = ['orders', 'returns-of-last-year', 'orders'];
    for (const topic of topics) {
      const set = setOf(0, [{ n: 1 }]);
      const reader = new RecordSetReader(Buffer.from(set.records.buffer), 0, null);
      reader.read();
      decoder.append({ topic, partition: 0 }, reader.columns, 0, 1);
    }
    const index = plan.schema.fields.findIndex((f) => f.name === '_kafka_topic');
    const column = decoder.rows.columns[index]!;
    expect(topics.map((_, row) => valueAt(column, row, { kind: 'string' }))).toEqual(topics);
  });
});
