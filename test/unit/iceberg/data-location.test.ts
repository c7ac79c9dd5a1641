import { expect, test } from 'vitest';
import { dataFileLocation, dataLocation } from '../../../src/iceberg/data-location.ts';
import { goldenJson } from './golden.ts';

interface Located {
  location: string;
  properties: Record<string, string>;
  folder: string;
  fileName: string;
  file: string;
}

test.each(goldenJson<Located[]>('java-data-locations.json'))(
  '$fileName of $location, partition "$folder", $properties, is put where Java puts it',
  ({ location, properties, folder, fileName, file }) => {
    expect(dataFileLocation(dataLocation(location, properties), folder, fileName)).toBe(file);
  },
);

// Java 1.11 refuses to write into tables with these; older versions put files there.
test.each<[Record<string, string>, string]>([
  [{ 'write.folder-storage.path': 's3://old/data/' }, 's3://old/data'],
  [{ 'write.folder-storage.path': 's3://old/data', 'write.data.path': 's3://new' }, 's3://new'],
  [{ 'write.object-storage.path': 's3://objects' }, 's3://lake/orders/data'],
  [
    {
      'write.object-storage.enabled': 'true',
      'write.object-storage.path': 's3://objects',
      'write.folder-storage.path': 's3://old',
    },
    's3://objects',
  ],
])('the names of old are heeded: %o', (properties, folder) => {
  expect(dataLocation('s3://lake/orders', properties).folder).toBe(folder);
});

test('a table right below its bucket makes no folder without a name, as Java would', () => {
  const properties = { 'write.object-storage.enabled': 'true', 'write.data.path': 's3://other/data' };
  expect(dataFileLocation(dataLocation('s3://lake/orders', properties), '', 'a.parquet')).toBe(
    's3://other/data/0111/0000/0111/10110101/orders/a.parquet',
  );
});
