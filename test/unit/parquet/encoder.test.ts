import { expect, test } from 'vitest';
import { encodingOptions } from '../../../src/parquet/encoder.ts';

test('without properties a file is encoded as Java does it', () => {
  expect(encodingOptions({})).toEqual({
    codec: 'gzip',
    rowGroupBytes: 128 * 1024 * 1024,
    pageBytes: 1024 * 1024,
    dictionaryBytes: 2 * 1024 * 1024,
  });
});

test('the table’s properties are followed', () => {
  expect(
    encodingOptions({
      'write.parquet.compression-codec': 'ZSTD',
      'write.parquet.row-group-size-bytes': '1048576',
      'write.parquet.page-size-bytes': '65536',
      'write.parquet.dict-size-bytes': '4096',
    }),
  ).toEqual({ codec: 'zstd', rowGroupBytes: 1048576, pageBytes: 65536, dictionaryBytes: 4096 });
  for (const codec of ['zstd', 'gzip', 'snappy', 'lz4', 'uncompressed'])
    expect(encodingOptions({ 'write.parquet.compression-codec': codec }).codec).toBe(codec);
});

test('what makes no sense is as if it were not there', () => {
  const properties = {
    'write.parquet.compression-codec': 'brotli',
    'write.parquet.row-group-size-bytes': '0',
    'write.parquet.page-size-bytes': '-1',
    'write.parquet.dict-size-bytes': 'many',
  };
  expect(encodingOptions(properties)).toEqual(encodingOptions({}));
});
