import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gatherRows } from '../../../src/arrow/gather.ts';
import type { PartitionField } from '../../../src/iceberg/partition-spec.ts';
import { assignFieldIds, singleFields } from '../../../src/iceberg/schema.ts';
import { type PartitionValue, parseTransform, resultType } from '../../../src/iceberg/transforms.ts';
import { type Field, type PrimitiveType, parsePrimitiveType } from '../../../src/iceberg/types.ts';
import { inlineLane } from '../../../src/lane/inline.ts';
import { PartitionRouter } from '../../../src/lane/partition-router.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';
import { bytesText, columnsOf, decimalText } from '../arrow/rows.ts';
import { goldenJson } from '../iceberg/golden.ts';
import { lanePorts, long, type PlanSettings, planOf, rowsIn, setOf, text } from './lanes.ts';

const field = (name: string, type: PrimitiveType): Field => ({ id: 0, name, required: false, type });

/** Groups of rows with the given values in the partition columns. */
function groupsOf(
  fields: readonly Field[],
  rows: readonly Record<string, unknown>[],
  by = fields.map((f) => f.name),
) {
  const { schema } = planOf({ fields, metadataColumns: false });
  // Not by newSpec: tables of others may be divided by more types than new ones are.
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
      'uuid',
      { kind: 'uuid' },
      ['80c30000-0000-0000-0000-000000000000', 'c3800000-0000-0000-0000-000000000000'],
      [
        Uint8Array.of(0x80, 0xc3, ...new Array(14).fill(0)),
        Uint8Array.of(0xc3, 0x80, ...new Array(14).fill(0)),
      ],
    ],
    [
      'a long long',
      { kind: 'long' },
      ['9223372036854775807', '-1', '4294967296'],
      [2n ** 63n - 1n, -1n, 2n ** 32n],
    ],
    [
      'a long decimal',
      { kind: 'decimal', precision: 38, scale: 0 },
      ['18446744073709551616', '-18446744073709551616', '1', '-1'],
      [2n ** 64n, -(2n ** 64n), 1n, -1n],
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
    gatherRows(columns, other, Int32Array.of(0));
    expect(group!.partition).toEqual([Uint8Array.of(0xaa)]);
  });
});

const at = (name: string, transform: string): Pick<PartitionField, 'name' | 'transform'> => ({
  name,
  transform,
});

/** Groups of rows divided by transforms of columns, `name` being the column's path. */
function transformedGroups(
  fields: readonly Field[],
  rows: readonly Row[],
  by: readonly Pick<PartitionField, 'name' | 'transform'>[],
): { partition: readonly PartitionValue[]; rows: number[] }[] {
  const schema = { schemaId: 0, fields: assignFieldIds(fields).fields };
  const columns = columnsOf(schema, rows);
  const sources = new Map(singleFields(schema.fields).map((place) => [place.name, place.field.id]));
  const spec = {
    specId: 0,
    fields: by.map(({ name, transform }, i) => ({
      sourceId: sources.get(name) ?? 99,
      fieldId: 1000 + i,
      name: `p${i}`,
      transform,
    })),
  };
  return new PartitionRouter(spec, schema, columns)
    .group()
    .map(({ partition, rows: numbers }) => ({ partition, rows: [...numbers] }));
}

interface Transformed {
  type: string;
  transform: string;
  value: Canonical;
  partition: Canonical;
}

describe('rows are divided by what Java makes of their values', () => {
  const byField = new Map<string, Transformed[]>();
  for (const each of goldenJson<Transformed[]>('java-transforms.json')) {
    const key = `${each.transform} of ${each.type}`;
    byField.set(key, [...(byField.get(key) ?? []), each]);
  }

  test.each([...byField])('by %s', (_name, cases) => {
    const { type, transform } = cases[0]!;
    const source = parsePrimitiveType(type);
    const result = resultType(parseTransform(transform), source);
    const groups = transformedGroups(
      [field('c', source)],
      cases.map(({ value }) => ({ c: value })),
      [at('c', transform)],
    );
    const found = groups.flatMap(({ partition, rows }) =>
      rows.map((row) => [row, canonicalPartition(result, partition[0]!)] as const),
    );
    expect(new Map(found)).toEqual(new Map(cases.map(({ partition }, row) => [row, partition])));
    // Equal values share a group.
    expect(groups).toHaveLength(new Set(cases.map(({ partition }) => partition)).size);
  });
});

function canonicalPartition(type: PrimitiveType, value: PartitionValue): Canonical {
  if (value === null || typeof value === 'boolean') return value;
  if (value instanceof Uint8Array) return bytesText(type, value);
  return type.kind === 'decimal' ? decimalText(value as bigint, type.scale) : String(value);
}

describe('partitions by transforms', () => {
  test('of several columns, and of one several times', () => {
    const fields = [field('t', { kind: 'timestamptz' }), field('s', { kind: 'string' })];
    const day = 86_400_000_000n;
    const rows: Row[] = [
      { t: String(day - 1n), s: 'abc' },
      { t: String(day), s: 'abd' },
      { t: '0', s: 'abx' },
      { t: null, s: 'b' },
      { t: null, s: null },
    ];
    expect(
      transformedGroups(fields, rows, [at('t', 'day'), at('s', 'truncate[2]'), at('t', 'year')]),
    ).toEqual([
      { partition: [0, 'ab', 0], rows: [0, 2] },
      { partition: [1, 'ab', 0], rows: [1] },
      { partition: [null, 'b', null], rows: [3] },
      { partition: [null, null, null], rows: [4] },
    ]);
  });

  test('of a column inside structs, where what is in a null struct is null', () => {
    const inner = field('inner', { kind: 'struct', fields: [field('n', { kind: 'int' })] } as never);
    const outer = field('outer', {
      kind: 'struct',
      fields: [field('x', { kind: 'string' }), inner],
    } as never);
    const rows: Row[] = [
      { outer: { x: 'a', inner: { n: '15' } } },
      { outer: null },
      { outer: { x: 'b', inner: null } },
      { outer: { x: 'c', inner: { n: '12' } } },
    ];
    expect(transformedGroups([outer], rows, [at('outer.inner.n', 'truncate[10]')])).toEqual([
      { partition: [10], rows: [0, 3] },
      { partition: [null], rows: [1, 2] },
    ]);
  });

  test('that are always null, also of a column that is gone', () => {
    const rows: Row[] = [{ n: '1' }, { n: '2' }];
    expect(transformedGroups([long('n')], rows, [at('n', 'void'), at('gone', 'void')])).toEqual([
      { partition: [null, null], rows: [0, 1] },
    ]);
  });

  test('are as defined for any number, however large', () => {
    const whole = fc.bigInt({ min: -(2n ** 63n) + 2n ** 31n, max: 2n ** 63n - 1n });
    const near = fc.constantFrom(2n ** 53n, -(2n ** 53n), 0n, 2n ** 32n, -(2n ** 32n), 2n ** 31n);
    const values = fc.oneof(
      whole,
      fc.tuple(near, fc.integer({ min: -3, max: 3 })).map(([n, by]) => n + BigInt(by)),
    );
    const floored = (value: bigint, by: bigint): bigint => value - (((value % by) + by) % by);
    const types: PrimitiveType[] = [{ kind: 'long' }, { kind: 'decimal', precision: 38, scale: 0 }];
    fc.assert(
      fc.property(
        fc.array(values, { minLength: 1 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        (given, width) => {
          for (const type of types) {
            const rows = given.map((n) => ({ n: String(n) }));
            const groups = transformedGroups([field('n', type)], rows, [at('n', `truncate[${width}]`)]);
            const expected = new Set(given.map((n) => floored(n, BigInt(width))));
            expect(groups.map(({ partition }) => partition[0])).toEqual([...expected]);
          }
          const micros = given.map((n) => ({ n: String(n) }));
          const days = transformedGroups([field('n', { kind: 'timestamp' })], micros, [at('n', 'day')]);
          const day = 86_400_000_000n;
          expect(days.map(({ partition }) => partition[0])).toEqual([
            ...new Set(given.map((n) => Number(floored(n, day) / day))),
          ]);
        },
      ),
    );
  });

  test('by time are those of the calendar', () => {
    const moments = fc.array(
      fc.date({ min: new Date(-8.64e15), max: new Date(8.64e15), noInvalidDate: true }),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(moments, (given) => {
        const rows = given.map((moment) => ({ t: String(BigInt(moment.getTime()) * 1000n + 999n) }));
        const groups = transformedGroups([field('t', { kind: 'timestamptz' })], rows, [
          at('t', 'month'),
          at('t', 'year'),
        ]);
        for (const { partition, rows: numbers } of groups)
          for (const row of numbers) {
            const years = given[row]!.getUTCFullYear() - 1970;
            expect(partition).toEqual([years * 12 + given[row]!.getUTCMonth(), years]);
          }
      }),
    );
  });
});

describe('a row that has no partition', () => {
  const settings = (type: PrimitiveType, term: string): PlanSettings => ({
    fields: [long('n'), field('c', type)],
    partitionBy: [term],
    metadataColumns: false,
    onError: 'skip',
  });
  const decimal: PrimitiveType = { kind: 'decimal', precision: 2, scale: 0 };

  test.each<[string, PlanSettings, unknown, string]>([
    [
      'a decimal cut to more digits than its type has',
      settings(decimal, 'truncate(10, c)'),
      -99,
      'the partition value truncate[10] -100 does not fit into decimal(2, 0)',
    ],
    [
      'an hour beyond the integers',
      {
        ...settings({ kind: 'timestamptz' }, 'hour(c)'),
        value: { format: 'json', envelope: 'none', epoch: 'us' },
      },
      7_730_941_132_800_000_000n,
      'the partition value hour 2147483648 does not fit into int',
    ],
  ])('is as good as undecodable: %s', async (_what, plan, c, reason) => {
    const ports = lanePorts();
    const lane = inlineLane(ports);
    await lane.open(planOf(plan));
    await lane.seek('shop.orders', { topic: 'orders', partition: 0 }, 0);
    const { tables } = await lane.append(setOf(0, ['{"n":1,"c":1}', `{"n":2,"c":${c}}`, '{"n":3,"c":null}']));
    expect(tables['shop.orders']).toMatchObject({ rows: 2, undecodable: 1, records: 3, next: 3 });
    expect(ports.log.fields[0]).toMatchObject({ offset: 1, reason });
    const { files } = await lane.flush('shop.orders');
    const rows = files.flatMap((file) => rowsIn(ports.store, file.path).map((row) => row['n']));
    expect(rows.sort()).toEqual([1, 3]);
  });
});

test('files of a table with hashed folders are spread over them', async () => {
  const ports = lanePorts();
  const lane = inlineLane(ports);
  await lane.open(planOf({ partitionBy: ['region'], hashed: { context: undefined, byPartition: true } }));
  await lane.seek('shop.orders', { topic: 'orders', partition: 0 }, 0);
  await lane.append(setOf(0, [{ n: 1, region: 'eu' }]));
  const { files } = await lane.flush('shop.orders');
  expect(files[0]!.path).toMatch(/^memory:\/\/data\/[01]{4}\/[01]{4}\/[01]{4}\/[01]{8}\/region=eu\/frazil-/);
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
