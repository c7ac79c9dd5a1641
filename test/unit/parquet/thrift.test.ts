import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { readThrift, type ThriftStruct, thriftTypes, writeThrift } from '../../../src/parquet/thrift.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

// Bytes worked out by hand from doc/specs/thrift-compact-protocol.md.
test.each([
  ['00', []],
  ['11 00', [{ id: 1, type: thriftTypes.true, value: true }]],
  ['12 00', [{ id: 1, type: thriftTypes.false, value: false }]],
  ['15 01 00', [{ id: 1, type: thriftTypes.i32, value: -1 }]],
  [
    '15 02 15 ac02 00',
    [
      { id: 1, type: thriftTypes.i32, value: 1 },
      { id: 2, type: thriftTypes.i32, value: 150 },
    ],
  ],
  ['f5 feffffff0f 00', [{ id: 15, type: thriftTypes.i32, value: 2147483647 }]],
  ['05 20 00 00', [{ id: 16, type: thriftTypes.i32, value: 0 }]],
  ['16 ffffffffffffffffff01 00', [{ id: 1, type: thriftTypes.i64, value: -(2n ** 63n) }]],
  ['13 80 00', [{ id: 1, type: thriftTypes.i8, value: -128 }]],
  ['18 03 616263 00', [{ id: 1, type: thriftTypes.binary, value: Buffer.from('abc') }]],
  ['17 0000000000000840 00', [{ id: 1, type: thriftTypes.double, value: hex('0000000000000840') }]],
  [
    '19 25 02 04 00',
    [{ id: 1, type: thriftTypes.list, value: { elementType: thriftTypes.i32, values: [1, 2] } }],
  ],
  [
    '1a 21 01 02 00',
    [{ id: 1, type: thriftTypes.set, value: { elementType: thriftTypes.true, values: [true, false] } }],
  ],
  [
    '2c 11 00 00',
    [{ id: 2, type: thriftTypes.struct, value: [{ id: 1, type: thriftTypes.true, value: true }] }],
  ],
] as [string, ThriftStruct][])('the bytes %s are read and written back', (text, struct) => {
  expect(readThrift(hex(text))).toEqual(struct);
  expect(Buffer.from(writeThrift(struct)).toString('hex')).toBe(text.replaceAll(' ', ''));
});

test('a long list has its length behind its head', () => {
  const list = { elementType: thriftTypes.i8, values: Array.from({ length: 300 }, (_, i) => i % 100) };
  const bytes = writeThrift([{ id: 1, type: thriftTypes.list, value: list }]);
  expect(Buffer.from(bytes.subarray(0, 4)).toString('hex')).toBe('19f3ac02');
  expect(readThrift(bytes)).toEqual([{ id: 1, type: thriftTypes.list, value: list }]);
});

test('a struct that is cut off or holds what no footer holds is refused', () => {
  for (const text of ['', '15', '15 80', '2c 11', '19 25 02', '1b 00']) {
    const reading = (): ThriftStruct => readThrift(hex(text));
    expect(reading).toThrow(FatalError);
    expect(reading).toThrow(/^reading Parquet footer: /);
  }
});
