/** Makes the golden files anew: node test/golden/iceberg/make.ts */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { java } from '../../tools/java.ts';
import { python } from '../../tools/python.ts';
import type { Repl } from '../../tools/repl.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const lake = '/tmp/frazil-golden';
await rm(lake, { recursive: true, force: true });
await mkdir(lake, { recursive: true });

const catalogs = new Map<Repl, object>([
  [
    java,
    { type: 'jdbc', uri: `jdbc:sqlite:${lake}/java.db`, warehouse: `file://${lake}/java`, 'jdbc.schema-version': 'V1' },
  ],
  [python, { type: 'sql', uri: `sqlite:///${lake}/python.db`, warehouse: `file://${lake}/python` }],
]);

const types = {
  id: 'long',
  'order id': 'string',
  '1st': 'int',
  größe: 'decimal(20, 3)',
  ratio: 'double',
  day: 'date',
  moment: 'timestamptz',
  token: 'uuid',
  raw: 'binary',
  flag: 'boolean',
  code: 'fixed[3]',
};
const names = Object.keys(types);
const schema = {
  type: 'struct',
  'schema-id': 0,
  fields: Object.entries(types).map(([name, type], i) => ({ id: i + 1, name, required: name === 'id', type })),
};
const spec = (partitionNames: readonly string[]): object => ({
  'spec-id': 0,
  fields: partitionNames.map((name, i) => ({
    'source-id': names.indexOf(name) + 1,
    'field-id': 1000 + i,
    name,
    transform: 'identity',
  })),
});
const row = (id: number, rest: object = {}): object => ({ id: String(id), ...rest });
const full = {
  'order id': 'a b/ü',
  '1st': '-7',
  größe: '-12345678901234567.890',
  ratio: '8000000000000000',
  day: '19782',
  moment: '1510871468000001',
  token: 'f79c3e09-677c-4bbd-a479-3f349cb785e7',
  raw: '00ff',
  flag: true,
  code: '0102ff',
};

async function make(tool: Repl, name: string, version: number, partitionNames: readonly string[]): Promise<void> {
  const at = { name: 'lake', table: `db.${name}`, catalog: catalogs.get(tool) };
  const properties = { 'format-version': String(version), 'commit.manifest-merge.enabled': 'false' };
  await tool.call('createTable', { ...at, schema, spec: spec(partitionNames), properties });
  await tool.call('append', { ...at, rows: [row(1, full), row(2, full), row(3)] });
  await tool.call('append', { ...at, rows: [row(4, { ...full, ratio: '7ff8000000000000' })] });
  const { metadataLocation } = await tool.call<{ metadataLocation: string }>('readTable', at);
  await copyFile(local(metadataLocation), `${here}${name}.metadata.json`);
  const folder = local(metadataLocation).replace(/\/[^/]*$/, '');
  const { snapshots } = await tool.call<{ snapshots: { manifestList: string }[] }>('readTable', at);
  await copyFile(local(snapshots.at(-1)!.manifestList), `${here}${name}.list.avro`);
  const manifests = (await readdir(folder)).filter((file) => /-m\d+\.avro$/.test(file));
  // The first manifest of the first append: that with the null partition.
  const { records } = await python.call<{ records: { manifest_path: string; added_rows_count: string }[] }>(
    'avroHeader',
    { path: snapshots[0]!.manifestList },
  );
  const manifest = local(records[0]!.manifest_path);
  if (!manifests.includes(manifest.split('/').at(-1)!)) throw new Error(`${manifest} is not in ${folder}`);
  await copyFile(manifest, `${here}${name}.manifest.avro`);
  const { files } = await java.call<{ files: object[] }>('planFiles', { metadata: metadataLocation });
  await writeFile(`${here}${name}.plan.json`, `${JSON.stringify(files, null, 1)}\n`);
}

function local(location: string): string {
  return location.replace(/^file:\/*/, '/');
}

await make(java, 'java-v1', 1, ['order id', 'day']);
// Java's library writes fixed values in partitions in a form of its own.
await make(java, 'java-v2', 2, names.slice(1).filter((name) => name !== 'code'));
await make(java, 'java-v2-flat', 2, []);
await make(python, 'pyiceberg-v1', 1, ['day', 'flag']);
await make(python, 'pyiceberg-v2', 2, ['day', 'moment', 'raw', 'flag']);

/** Field ids as Java gives them to a schema that comes without any of account. */
const nested = {
  type: 'struct',
  fields: [
    { id: 100, name: 'a', required: true, type: 'long' },
    {
      id: 101,
      name: 's',
      required: false,
      type: {
        type: 'struct',
        fields: [
          { id: 102, name: 'x', required: false, type: 'int' },
          {
            id: 103,
            name: 'inner',
            required: false,
            type: { type: 'struct', fields: [{ id: 104, name: 'y', required: true, type: 'string' }] },
          },
        ],
      },
    },
    {
      id: 105,
      name: 'l',
      required: false,
      type: {
        type: 'list',
        'element-id': 106,
        'element-required': true,
        element: { type: 'struct', fields: [{ id: 107, name: 'z', required: false, type: 'date' }] },
      },
    },
    {
      id: 108,
      name: 'm',
      required: false,
      type: {
        type: 'map',
        'key-id': 109,
        key: 'string',
        'value-id': 110,
        'value-required': false,
        value: {
          type: 'map',
          'key-id': 111,
          key: 'int',
          'value-id': 112,
          'value-required': true,
          value: { type: 'list', 'element-id': 113, 'element-required': false, element: 'uuid' },
        },
      },
    },
    { id: 114, name: 'last', required: false, type: 'decimal(9, 2)' },
  ],
};
const numbered = await java.call<{ schema: object }>('createTable', {
  name: 'lake',
  table: 'db.numbered',
  catalog: catalogs.get(java),
  schema: { ...nested, 'schema-id': 0 },
});
await writeFile(`${here}java-field-ids.json`, `${JSON.stringify({ given: nested, java: numbered.schema }, null, 1)}\n`);

/** Folders of identity partitions as Java names them. */
const partitioned: [string, string, string | boolean | null][] = [
  ['string', 'plain', 'eu'],
  ['string', 'a b', "a/b c+d%e&f=g?h#i~j!k'l(m)n*o_p-q.r"],
  ['string', 'größe', '日本\u{1f9ca}'],
  ['string', 'e', ''],
  ['string', 'n', null],
  ['string', 'u', 'null'],
  ['int', 'i', '-5'],
  ['long', 'l', '9223372036854775807'],
  ['boolean', 'b', true],
  ['date', 'd', '19782'],
  ['date', 'd1', '-719162'],
  ['time', 't', '81068000001'],
  ['timestamp', 'ts', '1510871468000001'],
  ['timestamptz', 'tz', '1510871468000001'],
  ['decimal(9, 2)', 'de', '-12.30'],
  ['decimal(20, 0)', 'dd', '12345678901234567890'],
  ['uuid', 'uu', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
  ['fixed[3]', 'f', '0102ff'],
  ['binary', 'bi', '00fffefb'],
  ['double', 'do', '3ff8000000000000'],
];
const paths: object[] = [];
for (const [i, [type, name, value]] of partitioned.entries()) {
  const at = { name: 'lake', table: `db.path${i}`, catalog: catalogs.get(java) };
  await java.call('createTable', {
    ...at,
    schema: { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name, required: false, type }] },
    spec: { 'spec-id': 0, fields: [{ 'source-id': 1, 'field-id': 1000, name, transform: 'identity' }] },
  });
  const { files } = await java.call<{ files: string[] }>('append', { ...at, rows: [{ [name]: value }] });
  paths.push({ type, name, value, folder: files[0]!.replace(/^.*\/data\/(.*)\/[^/]*$/, '$1') });
}
await writeFile(`${here}java-partition-paths.json`, `${JSON.stringify(paths, null, 1)}\n`);

await java.close();
await python.close();
await rm(lake, { recursive: true, force: true });
