import { expect, test } from 'vitest';
import { encodingOptions } from '../../../src/parquet/encoder.ts';

test('without properties a file is encoded as Java does it', () => {
  expect(encodingOptions({})).toEqual({
    codec: 'gzip',
    level: undefined,
    rowGroupBytes: 128 * 1024 * 1024,
    pageBytes: 1024 * 1024,
    pageRows: 20_000,
    pageVersion: 1,
    dictionaryBytes: 2 * 1024 * 1024,
    bloomFilters: { bytesMax: 1024 * 1024, falsePositives: new Map() },
  });
});

test('the table’s properties are followed', () => {
  expect(
    encodingOptions({
      'write.parquet.compression-codec': 'ZSTD',
      'write.parquet.row-group-size-bytes': '1048576',
      'write.parquet.page-size-bytes': '65536',
      'write.parquet.dict-size-bytes': '4096',
      'write.parquet.page-row-limit': '500',
      'write.parquet.page-version': 'v2',
      'write.parquet.compression-level': '9',
      'write.parquet.bloom-filter-max-bytes': '65536',
      'write.parquet.bloom-filter-enabled.column.id': 'true',
      'write.parquet.bloom-filter-enabled.column.address.city': 'TRUE',
      'write.parquet.bloom-filter-fpp.column.address.city': '0.05',
      'write.parquet.bloom-filter-enabled.column.note': 'false',
    }),
  ).toEqual({
    codec: 'zstd',
    level: 9,
    rowGroupBytes: 1048576,
    pageBytes: 65536,
    pageRows: 500,
    pageVersion: 2,
    dictionaryBytes: 4096,
    bloomFilters: {
      bytesMax: 65536,
      falsePositives: new Map([
        ['id', 0.01],
        ['address.city', 0.05],
      ]),
    },
  });
  for (const codec of ['zstd', 'gzip', 'snappy', 'lz4', 'uncompressed'])
    expect(encodingOptions({ 'write.parquet.compression-codec': codec }).codec).toBe(codec);
});

test('what makes no sense is as if it were not there', () => {
  const properties = {
    'write.parquet.compression-codec': 'brotli',
    'write.parquet.row-group-size-bytes': '0',
    'write.parquet.page-size-bytes': '-1',
    'write.parquet.dict-size-bytes': 'many',
    'write.parquet.page-row-limit': '-5',
    'write.parquet.page-version': 'v3',
    'write.parquet.compression-level': '99',
  };
  expect(encodingOptions(properties)).toEqual(encodingOptions({}));
});

test.each([
  ['zstd', '22', 22],
  ['zstd', '-7', -7],
  ['zstd', '23', undefined],
  ['gzip', '0', 0],
  ['gzip', '10', undefined],
  ['gzip', '1.5', undefined],
  ['gzip', ' ', undefined],
  ['snappy', '3', undefined],
])('the level of %s that %s asks for is %s', (codec, text, level) => {
  const properties = { 'write.parquet.compression-codec': codec, 'write.parquet.compression-level': text };
  expect(encodingOptions(properties).level).toBe(level);
});
