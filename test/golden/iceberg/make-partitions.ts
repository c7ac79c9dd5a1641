/** Makes anew what Java makes of values and paths: node test/golden/iceberg/make-partitions.ts */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { java } from '../../tools/java.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

const whole = ['0', '1', '-1', '9', '10', '-10', '-11', '34', '2147483647', '-2147483648'];
const micros = [
  ...['0', '-1', '1', '3600000000', '3599999999', '-3600000000', '-3600000001', '86399999999', '86400000000'],
  ...['-86400000000', '-86400000001', '1510871468000000', '1510871468000001', '-62135596800000001'],
  ...['253402300799999999', '-67968182400000001', '7730941132799999999', '1510871468500000', '1510871468000100', '1510871460000000'],
];
const days = ['0', '-1', '1', '17486', '30', '31', '-365', '-366', '-719162', '-719529', '2932897', '11016'];
const moments = ['year', 'month', 'day', 'hour', 'bucket[16]', 'bucket[7]', 'identity'];
const values: [string, string[], string[]][] = [
  ['int', ['bucket[16]', 'bucket[2147483647]', 'truncate[10]', 'truncate[7]', 'truncate[1]', 'void'], whole],
  [
    'long',
    ['bucket[16]', 'bucket[1000]', 'truncate[10]', 'truncate[1000000007]'],
    [...whole, '9007199254740993', '-9007199254740993', '9007199254740992', '-9007199254740992', '9223372036854775807', '-9223372036854775808'],
  ],
  ['date', moments.filter((transform) => transform !== 'hour'), days],
  ['time', ['bucket[16]', 'identity'], ['0', '81068000000', '86399999999', '81060000000', '81068500000', '81060500100', '3600000000']],
  ['timestamp', moments, micros],
  ['timestamptz', moments, micros],
  ['string', ['bucket[16]', 'truncate[3]', 'truncate[1]'], ['', 'iceberg', '34', 'a', 'abcd', 'größe', '\u{1f9ca}日本語', 'e\u0301e\u0301', 'a/b c']],
  ['binary', ['bucket[16]', 'truncate[3]', 'truncate[1]'], ['', '00', '00010203', 'ff'.repeat(9), 'fbff']],
  ['uuid', ['bucket[16]', 'identity'], ['f79c3e09-677c-4bbd-a479-3f349cb785e7', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000']],
  ['fixed[4]', ['bucket[16]'], ['00010203', 'ffffffff']],
  ['decimal(4, 2)', ['bucket[16]', 'truncate[10]', 'truncate[50]'], ['14.20', '-14.20', '0.00', '0.05', '-0.05', '10.65', '-99.90', '99.99', '1.27', '1.28', '-1.28', '-1.29']],
  ['decimal(18, 0)', ['bucket[16]', 'truncate[1000]'], ['999999999999999999', '-999999999999999000', '9007199254740993', '32767', '32768', '-32768', '-32769']],
  ['decimal(38, 10)', ['bucket[16]', 'truncate[1000]'], [`${'9'.repeat(28)}.9999999999`, `-${'9'.repeat(28)}.9999999000`, '-0.0100000001', '922337203685477580.7000000000', '-18446744073709551616.0000000000']],
];

const schemaOf = (type: string): object => ({
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'c', required: false, type }],
});
const specOf = (transform: string): object => ({
  'spec-id': 0,
  fields: [{ 'source-id': 1, 'field-id': 1000, name: 'p', transform }],
});
interface Partitioned {
  partition: { p: unknown };
  folder: string;
  location: string;
}

const transformed: object[] = [];
for (const [type, transforms, given] of values)
  for (const transform of transforms) {
    const rows = [...given.map((c) => ({ c })), { c: null }];
    const { partitions } = await java.call<{ partitions: Partitioned[] }>('partition', {
      schema: schemaOf(type),
      spec: specOf(transform),
      rows,
    });
    for (const [i, { partition, folder }] of partitions.entries())
      transformed.push({ type, transform, value: rows[i]!.c, partition: partition.p, folder: folder.slice(2) });
  }
await writeFile(`${here}java-transforms.json`, `[\n${transformed.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`);

const hashed = { 'write.object-storage.enabled': 'true' };
const bare = { 'write.object-storage.partitioned-paths': 'false' };
const tables: [string, Record<string, string>][] = [
  ['s3://lake/wh/shop/orders', {}],
  ['s3://lake/wh/shop/orders/', { 'write.data.path': 's3://other/data//' }],
  ['s3://lake/wh/shop/orders', hashed],
  ['s3://lake/wh/shop/orders', { 'write.object-storage.enabled': 'TRUE' }],
  ['s3://lake/wh/shop/orders', { ...hashed, ...bare }],
  ['s3://lake/wh/shop/orders', { ...hashed, 'write.data.path': 's3://lake/wh/shop/orders/files' }],
  ['s3://lake/wh/shop/orders', { ...hashed, 'write.data.path': 's3://other/data/' }],
  ['s3://lake/wh/shop/orders', { ...hashed, ...bare, 'write.data.path': 's3://other/data' }],
  ['file:///wh/größe/orders', { ...hashed, 'write.data.path': 'file:///other' }],
];
const located: object[] = [];
for (const [location, properties] of tables)
  for (const transform of ['identity', undefined])
    for (const fileName of ['frazil-shop-w1-00001-9c12d441-03fe-4693-9a96-a0705ddf69c1.parquet', 'a.parquet', 'größe.parquet']) {
      const { partitions } = await java.call<{ partitions: Partitioned[] }>('partition', {
        schema: schemaOf('string'),
        spec: transform === undefined ? { 'spec-id': 0, fields: [] } : specOf(transform),
        rows: [{ c: 'a/b' }],
        location,
        properties,
        fileName,
      });
      const { folder, location: file } = partitions[0]!;
      located.push({ location, properties, folder, fileName, file });
    }
await writeFile(`${here}java-data-locations.json`, `[\n${located.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`);
await java.close();
