import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  readThrift,
  type ThriftStruct,
  type ThriftValue,
  thriftTypes,
  writeThrift,
} from '../../src/parquet/thrift.ts';

const scalars: [number, fc.Arbitrary<ThriftValue>][] = [
  [thriftTypes.true, fc.boolean()],
  [thriftTypes.i8, fc.integer({ min: -128, max: 127 })],
  [thriftTypes.i16, fc.integer({ min: -32768, max: 32767 })],
  [thriftTypes.i32, fc.integer()],
  [thriftTypes.i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  [thriftTypes.double, fc.uint8Array({ minLength: 8, maxLength: 8 })],
  [thriftTypes.binary, fc.uint8Array({ maxLength: 200 })],
];

function typed(depth: number): fc.Arbitrary<{ type: number; value: ThriftValue }> {
  const plain = fc.oneof(...scalars.map(([type, value]) => value.map((each) => ({ type, value: each }))));
  if (depth === 0) return plain;
  const lists = fc
    .tuple(fc.constantFrom(thriftTypes.list, thriftTypes.set), fc.oneof(...elements(depth)))
    .map(([type, value]) => ({ type, value }));
  const inner = structs(depth - 1).map((value) => ({ type: thriftTypes.struct as number, value }));
  return fc.oneof({ weight: 3, arbitrary: plain }, lists, inner);
}

function elements(depth: number): fc.Arbitrary<{ elementType: number; values: ThriftValue[] }>[] {
  const kinds: [number, fc.Arbitrary<ThriftValue>][] = [...scalars, [thriftTypes.struct, structs(depth - 1)]];
  return kinds.map(([elementType, value]) =>
    fc.array(value, { maxLength: 20 }).map((values) => ({ elementType, values })),
  );
}

/** Fields with ascending ids, some of them far apart. */
function structs(depth: number): fc.Arbitrary<ThriftStruct> {
  return fc
    .array(
      fc.tuple(
        fc.oneof(
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 14, max: 17 }),
          fc.integer({ min: 1, max: 4_000 }),
        ),
        typed(depth),
      ),
      {
        maxLength: 6,
      },
    )
    .map((members) => {
      let id = 0;
      return members.map(([step, { type, value }]) => ({
        id: (id += step),
        // A boolean field carries its value in its type.
        type: type === thriftTypes.true && value === false ? thriftTypes.false : type,
        value,
      }));
    });
}

test('any struct is read back as it was written', () => {
  fc.assert(
    fc.property(structs(3), (struct) => {
      expect(readThrift(writeThrift(struct))).toEqual(struct);
    }),
    { numRuns: 300 },
  );
});
