import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { murmur3, murmur3Long } from '../../../src/iceberg/murmur3.ts';
import {
  formatTransform,
  parseTransform,
  partitionText,
  resultType,
  type Transform,
} from '../../../src/iceberg/transforms.ts';
import { type PrimitiveType, parsePrimitiveType, typeName } from '../../../src/iceberg/types.ts';

const every: Transform[] = [
  { kind: 'identity' },
  { kind: 'bucket', width: 16 },
  { kind: 'truncate', width: 2147483647 },
  { kind: 'year' },
  { kind: 'month' },
  { kind: 'day' },
  { kind: 'hour' },
  { kind: 'void' },
];

describe('the text of a transform', () => {
  test.each(every.map((transform) => [formatTransform(transform), transform] as const))(
    '%s is read as it is written, and in capitals, as Java does',
    (text, transform) => {
      expect(parseTransform(text)).toEqual(transform);
      expect(parseTransform(text.toUpperCase())).toEqual(transform);
    },
  );

  test.each([
    ['zorder', 'transform zorder is not known to Iceberg format version 2'],
    ['bucket', 'transform bucket is not known to Iceberg format version 2'],
    ['day[2]', 'transform day[2] is not known to Iceberg format version 2'],
    ['bucket[16', 'transform bucket[16 is not known to Iceberg format version 2'],
    ['bucket[0]', 'transform bucket[0]: the number must be between 1 and 2147483647'],
    ['truncate[2147483648]', 'transform truncate[2147483648]: the number must be between 1 and 2147483647'],
  ])('%s is refused', (text, message) => {
    expect(() => parseTransform(text)).toThrow(new FatalError(message));
  });
});

describe('the type of a partition value', () => {
  const types = [
    ...['boolean', 'int', 'long', 'float', 'double', 'decimal(9, 2)', 'date', 'time', 'timestamp'],
    ...['timestamptz', 'string', 'uuid', 'fixed[3]', 'binary'],
  ].map(parsePrimitiveType);
  const taken = (transform: Transform): string =>
    types
      .filter((type) => {
        try {
          resultType(transform, type);
          return true;
        } catch {
          return false;
        }
      })
      .map(typeName)
      .join(' ');

  test.each<[string, string]>([
    [
      'identity',
      'boolean int long float double decimal(9, 2) date time timestamp timestamptz string uuid binary',
    ],
    ['bucket[4]', 'int long decimal(9, 2) date time timestamp timestamptz string uuid fixed[3] binary'],
    ['truncate[4]', 'int long decimal(9, 2) string binary'],
    ['year', 'date timestamp timestamptz'],
    ['month', 'date timestamp timestamptz'],
    ['day', 'date timestamp timestamptz'],
    ['hour', 'timestamp timestamptz'],
    ['void', types.map(typeName).join(' ')],
  ])('%s takes %s, and no others', (text, expected) => {
    expect(taken(parseTransform(text))).toBe(expected);
  });

  test('a day is a date, other counts are ints, and the rest are as their source', () => {
    const timestamp: PrimitiveType = { kind: 'timestamp' };
    expect(resultType({ kind: 'day' }, timestamp)).toEqual({ kind: 'date' });
    for (const kind of ['year', 'month', 'hour'] as const)
      expect(resultType({ kind }, timestamp)).toEqual({ kind: 'int' });
    expect(resultType({ kind: 'bucket', width: 9 }, { kind: 'string' })).toEqual({ kind: 'int' });
    const decimal: PrimitiveType = { kind: 'decimal', precision: 9, scale: 2 };
    for (const text of ['identity', 'truncate[9]', 'void'])
      expect(resultType(parseTransform(text), decimal)).toEqual(decimal);
  });

  test('what is refused says what would be taken', () => {
    expect(() => resultType({ kind: 'day' }, { kind: 'string' })).toThrow(
      new FatalError('day takes date, timestamp or timestamptz, and the column is a string'),
    );
  });
});

// Spec appendix B.
describe('hashes', () => {
  const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

  test.each<[string, Buffer, number]>([
    ['the text iceberg', Buffer.from('iceberg'), 1210000089],
    ['no bytes', Buffer.alloc(0), 0],
    ['the text 34', Buffer.from('34'), -427558391],
    ['a uuid', bytes('f79c3e09677c4bbda4793f349cb785e7'), 1488055340],
    ['four bytes', bytes('00010203'), -188683207],
    ['a decimal 14.20', bytes('058c'), -500754589],
  ])('of %s', (_name, given, hash) => {
    expect(murmur3(given)).toBe(hash);
    expect(murmur3(Buffer.concat([Buffer.of(9, 9, 9), given, Buffer.of(9)]), 3, 3 + given.length)).toBe(hash);
  });

  test.each<[string, bigint, number]>([
    ['34', 34n, 2017239379],
    ['-1', -1n, 1651860712],
    ['the date 2017-11-16', 17486n, -653330422],
    ['the time 22:31:08', 81068000000n, -662762989],
    ['the timestamp 2017-11-16T22:31:08', 1510871468000000n, -2047944441],
    ['the timestamp 2017-11-16T22:31:08.000001', 1510871468000001n, -1207196810],
  ])('of %s', (_name, given, hash) => {
    const le = Buffer.alloc(8);
    le.writeBigInt64LE(given);
    expect(murmur3(le)).toBe(hash);
    expect(murmur3Long(le.readInt32LE(0), le.readInt32LE(4))).toBe(hash);
  });
});

test.each<[string, number, string]>([
  ['year', -1971, '-001'],
  ['year', 8030, '10000'],
  ['month', -1, '1969-12'],
  ['day', -719529, '-001-12-31'],
  ['day', 2147483647, '5881580-07-11'],
  ['hour', -1, '1969-12-31-23'],
])('the %s %d is written %s, with years as Java writes them', (text, value, expected) => {
  const transform = parseTransform(text);
  expect(partitionText(transform, resultType(transform, { kind: 'timestamp' }), value)).toBe(expected);
});
