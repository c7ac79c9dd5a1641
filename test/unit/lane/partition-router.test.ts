import { describe, expect, test } from 'vitest';
import type { Field, PrimitiveType } from '../../../src/iceberg/types.ts';
import { inlineLane } from '../../../src/lane/inline.ts';
import { PartitionRouter } from '../../../src/lane/partition-router.ts';
import { columnsOf } from '../arrow/rows.ts';
import { lanePorts, long, planOf, rowsIn, setOf, text } from './lanes.ts';

const field = (name: string, type: PrimitiveType): Field => ({ id: 0, name, required: false, type });

/** Groups of rows with the given values in the partition columns. */
function groupsOf(
  fields: readonly Field[],
  rows: readonly Record<string, unknown>[],
  by = fields.map((f) => f.name),
) {
  const { schema } = planOf({ fields, metadataColumns: false });
  // Not by identitySpec: tables of others may be divided by more types than new ones are.
  const sources = schema.fields.filter(({ name }) => by.includes(name));
  const spec = {
    specId: 0,
    fields: sources.map(({ id, name }, i) => ({
      sourceId: id,
      fieldId: 1000 + i,
      name,
      transform: 'identity',
    })),
  };
  const columns = columnsOf(schema, rows as never);
  return new PartitionRouter(spec, schema, columns)
    .group()
    .map(({ partition, rows: numbers }) => ({ partition, rows: [...numbers] }));
}

describe('rows are divided by the values of the partition columns', () => {
  test('into one group where the table has no partitions', () => {
    expect(groupsOf([long('n')], [{ n: '1' }, { n: '2' }], [])).toEqual([{ partition: [], rows: [0, 1] }]);
  });

  test('each group in row order, whatever lies between', () => {
    const rows = ['a', 'b', 'a', 'a', 'b', 'c'].map((a) => ({ a }));
    expect(groupsOf([text('a')], rows)).toEqual([
      { partition: ['a'], rows: [0, 2, 3] },
      { partition: ['b'], rows: [1, 4] },
      { partition: ['c'], rows: [5] },
    ]);
  });

  test('null is a partition of its own: not the empty text, not zero', () => {
    expect(
      groupsOf([text('a')], [{ a: null }, { a: '' }, { a: 'null' }, { a: '-;' }]).map((g) => g.partition),
    ).toEqual([[null], [''], ['null'], ['-;']]);
    expect(groupsOf([long('n', false)], [{ n: null }, { n: '0' }]).map((g) => g.partition)).toEqual([
      [null],
      [0n],
    ]);
  });

  test('values of several columns are not run together', () => {
    const rows = [
      { a: 'a', b: 'bc' },
      { a: 'ab', b: 'c' },
      { a: '1:a;', b: '' },
      { a: '1', b: 'a;' },
      { a: null, b: 'x' },
      { a: 'x', b: null },
    ];
    expect(groupsOf([text('a'), text('b')], rows).map((group) => group.rows)).toEqual([
      [0],
      [1],
      [2],
      [3],
      [4],
      [5],
    ]);
  });

  test('text by its bytes: letters that look alike are not the same', () => {
    const rows = ['é', 'e\u0301', '\u{1f600}', 'é'].map((a) => ({ a }));
    expect(groupsOf([text('a')], rows).map((group) => [group.partition[0], group.rows])).toEqual([
      ['é', [0, 3]],
      ['e\u0301', [1]],
      ['\u{1f600}', [2]],
    ]);
  });

  test.each<[string, PrimitiveType, unknown[], unknown[]]>([
    [
      'long',
      { kind: 'long' },
      ['9007199254740993', '9007199254740992'],
      [9007199254740993n, 9007199254740992n],
    ],
    ['int', { kind: 'int' }, ['-1', '1'], [-1, 1]],
    ['boolean', { kind: 'boolean' }, [true, false], [true, false]],
    ['date', { kind: 'date' }, ['-1', '19000'], [-1, 19000]],
    ['timestamptz', { kind: 'timestamptz' }, ['-1', '1700000000000000'], [-1n, 1700000000000000n]],
    ['decimal', { kind: 'decimal', precision: 38, scale: 2 }, ['0.10', '-0.10'], [10n, -10n]],
    ['binary', { kind: 'binary' }, ['00ff', '00fe'], [Uint8Array.of(0, 255), Uint8Array.of(0, 254)]],
    [
      'fixed',
      { kind: 'fixed', length: 2 },
      ['80c3', 'c380'],
      [Uint8Array.of(0x80, 0xc3), Uint8Array.of(0xc3, 0x80)],
    ],
    ['double', { kind: 'double' }, ['3ff0000000000000', '8000000000000000', '0000000000000000'], [1, -0, 0]],
    ['float', { kind: 'float' }, ['7fc00000', '3f800000'], [Number.NaN, 1]],
  ])('%s: equal values share a partition, others do not', (_name, type, given, expected) => {
    const rows = [...given, ...given].map((a) => ({ a }));
    const groups = groupsOf([field('a', type)], rows);
    expect(groups.map((group) => group.partition[0])).toEqual(expected);
    expect(groups.map((group) => group.rows)).toEqual(expected.map((_, i) => [i, i + expected.length]));
  });

  test('a partition’s value does not change when the columns are filled again', () => {
    const { schema, spec } = planOf({
      fields: [field('a', { kind: 'binary' })],
      partitionBy: ['a'],
      metadataColumns: false,
    });
    const columns = columnsOf(schema, [{ a: 'aa' }] as never);
    const [group] = new PartitionRouter(spec, schema, columns).group();
    columns.truncate(0);
    const other = columnsOf(schema, [{ a: 'bb' }] as never);
    columns.appendRows(other, Int32Array.of(0));
    expect(group!.partition).toEqual([Uint8Array.of(0xaa)]);
  });
});

describe('many partitions at once', () => {
  const count = 2_000;

  test('have a file each with just their rows, and no encoder is opened before they are closed', async () => {
    const ports = lanePorts();
    const lane = inlineLane(ports);
    await lane.open(planOf({ partitionBy: ['region'] }));
    await lane.seek('shop.orders', { topic: 'orders', partition: 0 }, 0);
    const values = Array.from({ length: count * 2 }, (_, n) => ({ n, region: `r${n % count}` }));
    await lane.append(setOf(0, values));
    expect(ports.encoder.opened).toBe(0);
    const { files } = await lane.flush('shop.orders');
    expect(files).toHaveLength(count);
    expect(ports.encoder.open_).toBe(0);
    for (const [i, file] of files.entries()) {
      expect(file.partition).toEqual([`r${i}`]);
      expect(rowsIn(ports.store, file.path).map((row) => row['n'])).toEqual([i, i + count].map(shown));
    }
  });

  test('are counted for what they cost, not for their few rows only (I6)', async () => {
    const held = async (partitions: number): Promise<number> => {
      const lane = inlineLane(lanePorts());
      await lane.open(planOf({ partitionBy: ['region'] }));
      await lane.seek('shop.orders', { topic: 'orders', partition: 0 }, 0);
      const values = Array.from({ length: 200 }, (_, n) => ({ n, region: `r${100 + (n % partitions)}` }));
      // Rows go to their files when there is a chunk of them; a row of 4 MiB makes one.
      const chunk = { n: 0, region: 'x'.repeat(4 * 1024 * 1024) };
      return (await lane.append(setOf(0, [...values, chunk]))).heldBytes;
    };
    const [columns, buffers] = [6, 64 * 8]; // each column begins with room for 64 values
    expect((await held(200)) - (await held(1))).toBeGreaterThan(199 * columns * buffers);
  });

  const shown = (n: number) => expect.toSatisfy((seen) => Number(seen) === n, `is ${n}`);

  test('that fill in turns keep their rows apart over many chunks', async () => {
    const ports = lanePorts();
    const lane = inlineLane(ports);
    await lane.open(planOf({ partitionBy: ['region'], fields: [long('n'), text('region'), text('pad')] }));
    await lane.seek('shop.orders', { topic: 'orders', partition: 0 }, 0);
    const pad = 'x'.repeat(200_000);
    for (let set = 0; set < 12; set++) {
      const values = Array.from({ length: 10 }, (_, i) => ({ n: set * 10 + i, region: `r${i % 3}`, pad }));
      await lane.append(setOf(set * 10, values));
    }
    expect(ports.encoder.opened).toBeGreaterThan(0); // chunks went to encoders on the way
    const { files } = await lane.flush('shop.orders');
    const seen = files.flatMap((file) =>
      rowsIn(ports.store, file.path).map((row) => {
        expect([row['region']]).toEqual(file.partition);
        return Number(row['_kafka_offset']);
      }),
    );
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => i));
  });
});
