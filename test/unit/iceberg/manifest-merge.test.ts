import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type AvroRecord,
  readAvroBlocks,
  readAvroFile,
  writeAvroFile,
} from '../../../src/iceberg/avro-file.ts';
import { readManifest, writeManifest } from '../../../src/iceberg/manifest.ts';
import { addedManifest, type ManifestFile, readManifestList } from '../../../src/iceberg/manifest-list.ts';
import { ManifestMerger, mergeSettings, planMerge } from '../../../src/iceberg/manifest-merge.ts';
import { currentSchema, defaultSpec, parseMetadata } from '../../../src/iceberg/metadata.ts';
import type { PartitionSpec } from '../../../src/iceberg/partition-spec.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import { imaginaryFile } from '../../contract/appends.ts';
import { goldenBytes, goldenText } from './golden.ts';

const sync = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const schema: Schema = {
  schemaId: 3,
  fields: [{ id: 1, name: 'region', required: false, type: { kind: 'string' } }],
};
const spec: PartitionSpec = {
  specId: 5,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'region', transform: 'identity' }],
};

/** A manifest of files of regions, added by the snapshot of this number. */
function added(number: number, regions: readonly (string | null)[]): [ManifestFile, Uint8Array] {
  const files = regions.map((region, i) => ({
    ...imaginaryFile(`${number}-${i}`, 10 * number + i),
    partition: [region],
    lowerBounds: new Map([[1, Buffer.from(region ?? '')]]),
  }));
  const bytes = writeManifest(schema, spec, [{ kind: 'string' }], files, sync);
  const at = { snapshotId: 100n + BigInt(number), sequenceNumber: number };
  const location = { path: `${number}.avro`, length: bytes.length };
  return [addedManifest(location, at, spec, [{ kind: 'string' }], files), bytes];
}

const listed = (facts: object, bytes: Uint8Array): ManifestFile => ({
  ...added(9, [])[0],
  path: 'merged.avro',
  length: bytes.length,
  ...facts,
});

function merged(...inputs: readonly [ManifestFile, Uint8Array][]): ReturnType<ManifestMerger['finish']> {
  const merger = new ManifestMerger(schema, spec, sync);
  for (const input of inputs) merger.add(...input);
  return merger.finish();
}

describe('a merged manifest', () => {
  const inputs = [added(3, ['eu', 'us']), added(2, [null]), added(1, ['asia'])] as const;

  test('has the files of all, existing now, with the numbers that they had from the list', () => {
    const { bytes, facts } = merged(...inputs);
    const entry = (path: string, number: number, recordCount: number): object => ({
      status: 'existing',
      path: `memory://data/${path}.parquet`,
      snapshotId: BigInt(100 + number),
      sequenceNumber: number,
      fileSequenceNumber: number,
      recordCount,
    });
    expect(readManifest(bytes, 'merged')).toMatchObject([
      entry('3-0', 3, 30),
      entry('3-1', 3, 31),
      entry('2-0', 2, 20),
      entry('1-0', 1, 10),
    ]);
    expect(facts).toEqual({
      specId: 5,
      minSequenceNumber: 1,
      existingFiles: 4,
      existingRows: 91,
      partitions: [
        {
          containsNull: true,
          containsNan: false,
          lowerBound: Buffer.from('asia'),
          upperBound: Buffer.from('us'),
        },
      ],
    });
  });

  test('is taken over whole by the next one, block by block', () => {
    const { bytes, facts } = merged(...inputs);
    const again = merged(added(4, ['za']), [listed(facts, bytes), bytes]);
    expect(readManifest(again.bytes, 'again').slice(1)).toEqual(readManifest(bytes, 'merged'));
    expect(again.facts).toMatchObject({ minSequenceNumber: 1, existingFiles: 5, existingRows: 131 });
    const { schemaText } = readAvroFile(bytes, 'merged');
    const [block] = readAvroBlocks(bytes, schemaText, 'merged')!;
    expect(
      readAvroBlocks(again.bytes, schemaText, 'again')!.map(({ body }) => Buffer.from(body)),
    ).toContainEqual(Buffer.from(block!.body));
  });

  test('leaves out what was deleted before, and does not count it', () => {
    const [row, bytes] = added(3, ['eu', 'us']);
    const { schema: avro, records, metadata } = readAvroFile(bytes, 'it');
    const deleted = records.map((record, i) => ({
      ...record,
      status: i === 0 ? 2 : 0,
      sequence_number: 2n,
      file_sequence_number: 1n,
    }));
    const { 'avro.schema': _, 'avro.codec': __, ...header } = metadata;
    const changed = writeAvroFile(avro, deleted, header, sync);
    const { bytes: result, facts } = merged([
      { ...row, addedFiles: 0, existingFiles: 1, deletedFiles: 1 },
      changed,
    ]);
    expect(readManifest(result, 'it')).toMatchObject([
      { status: 'existing', sequenceNumber: 2, fileSequenceNumber: 1 },
    ]);
    expect(facts).toMatchObject({ existingFiles: 1, existingRows: 31, minSequenceNumber: 2 });
  });

  test.each([
    [
      'has fewer files than its list says',
      { addedFiles: 3 },
      /has 2 files \(added\), its manifest list says 3/,
    ],
    ['does not say what partitions it has', { partitions: null }, /what partitions .* is not said/],
  ])('is not made of one that %s; nothing of it is in', (_, change, message) => {
    const merger = new ManifestMerger(schema, spec, sync);
    const [row, bytes] = inputs[0];
    expect(() => merger.add({ ...row, ...change }, bytes)).toThrow(message);
    merger.add(...inputs[1]);
    expect(merger.count).toBe(1);
    expect(readManifest(merger.finish().bytes, 'it')).toHaveLength(1);
  });

  test('is not made of one with a field that it has no place for', () => {
    const [row, bytes] = inputs[0];
    const { schemaText, records, metadata } = readAvroFile(bytes, 'it');
    const extra = '{"name":"later","type":["null","string"],"default":null,"field-id":199}';
    const wider = JSON.parse(schemaText.replace('"name":"r2","fields":[', `"name":"r2","fields":[${extra},`));
    const { 'avro.schema': _, 'avro.codec': __, ...header } = metadata;
    const file = (later: string | null): Uint8Array => {
      const changed = records.map((record) => ({
        ...record,
        data_file: { ...(record['data_file'] as object), later },
      }));
      return writeAvroFile(wider, changed, header, sync);
    };
    expect(readManifest(merged([row, file(null)]).bytes, 'it')).toHaveLength(2);
    expect(() => merged([row, file('x')])).toThrow('there is no place for later');
  });

  test('is not made of a large one that would have to be decoded, but of one that was merged before', () => {
    const regions = Array.from({ length: 2_000 }, () => randomBytes(600).toString('base64'));
    const large = added(1, regions);
    expect(large[1].length).toBeGreaterThan(1_048_576);
    expect(() => merged(large)).toThrow('manifest 1.avro is large');
    const parts = [0, 500, 1_000, 1_500].map((from) => added(1, regions.slice(from, from + 500)));
    const { bytes, facts } = merged(...parts);
    expect(bytes.length).toBeGreaterThan(1_048_576);
    expect(merged(added(2, ['eu']), [listed(facts, bytes), bytes]).facts.existingFiles).toBe(2_001);
  });

  test('cannot be made for a spec whose column is gone', () => {
    expect(() => new ManifestMerger({ ...schema, fields: [] }, spec, sync)).toThrow(
      'its source column 1 is gone',
    );
  });
});

/** Everything that a manifest says of its files, by field id: the names are the writer's. */
function byId(bytes: Uint8Array): unknown[] {
  const { schema: avro, records } = readAvroFile(bytes, 'it');
  const value = (type: unknown, of: unknown): unknown => {
    const node = (Array.isArray(type) ? type.find((branch) => branch !== 'null') : type) as {
      fields?: { name: string; type: unknown; 'field-id': number }[];
      items?: unknown;
    };
    if (of === null || of === undefined) return null;
    if (node.items !== undefined) return (of as unknown[]).map((item) => value(node.items, item));
    if (!node.fields) return of;
    return Object.fromEntries(
      node.fields.map((field) => [field['field-id'], value(field.type, (of as AvroRecord)[field.name])]),
    );
  };
  return records.map((record) => value(avro, record));
}

test.each(['java-v1', 'java-v2', 'java-v2-flat', 'pyiceberg-v1', 'pyiceberg-v2'])(
  'a manifest of %s is taken over with everything it says',
  (name) => {
    const metadata = parseMetadata(goldenText(`${name}.metadata.json`), name);
    const row = readManifestList(goldenBytes(`${name}.list.avro`), name).at(-1)!;
    const bytes = goldenBytes(`${name}.manifest.avro`);
    const merger = new ManifestMerger(currentSchema(metadata), defaultSpec(metadata), sync);
    merger.add(row, bytes);
    const { bytes: result, facts } = merger.finish();
    const before = byId(bytes) as { [id: number]: object }[];
    for (const [i, entry] of byId(result).entries()) {
      const { 2: data, ...rest } = entry as { [id: number]: object };
      const { 105: _, ...told } = before[i]![2] as { [id: number]: unknown };
      expect(data).toMatchObject({ ...told, 134: 0 });
      expect(
        Object.entries(data!).filter(([id, value]) => value !== null && !(id in told) && id !== '134'),
      ).toEqual([]);
      const number = BigInt(row.sequenceNumber);
      expect(rest).toEqual({ 0: 0, 1: before[i]![1] ?? row.addedSnapshotId, 3: number, 4: number });
    }
    expect(facts).toMatchObject({
      existingFiles: row.addedFiles,
      existingRows: row.addedRows,
      minSequenceNumber: row.sequenceNumber,
      partitions: row.partitions ?? [],
    });
    expect(readManifest(result, name).map(({ path }) => path)).toEqual(
      readManifest(bytes, name).map(({ path }) => path),
    );
  },
);

describe('what is merged', () => {
  const row = (path: string, length = 100, change: Partial<ManifestFile> = {}): ManifestFile => ({
    ...added(1, [])[0],
    path,
    length,
    ...change,
  });
  const first = row('new');
  const many = (count: number, length = 100, change: Partial<ManifestFile> = {}): ManifestFile[] =>
    Array.from({ length: count }, (_, i) => row(`${change.specId ?? ''}${count - i}`, length, change));
  const settings = { isEnabled: true, minCount: 5, targetSizeBytes: 1_000 };
  const plan = (kept: readonly ManifestFile[], change = {}, leftAlone: string[] = []): string[] =>
    planMerge(kept, first, { ...settings, ...change }, new Set(leftAlone)).map(({ path }) => path);

  test('is nothing before there are enough with the new one', () => {
    expect(plan(many(3))).toEqual([]);
    expect(plan(many(4))).toEqual(['4', '3', '2', '1']);
    expect(plan(many(4), { isEnabled: false })).toEqual([]);
    expect(plan([])).toEqual([]);
  });

  test('is the oldest that together have the target size, however few', () => {
    expect(plan(many(3, 400))).toEqual(['2', '1']);
    expect(plan(many(3, 600))).toEqual([]);
    expect(plan([...many(3), row('big', 5_000)], { minCount: 4 })).toEqual(['3', '2', '1']);
  });

  test('are manifests of one partition spec', () => {
    expect(plan([...many(3), ...many(3, 100, { specId: 2 })])).toEqual(['23', '22', '21']);
    expect(plan([...many(4), ...many(1, 100, { specId: 2 })])).toEqual(['4', '3', '2', '1']);
  });

  test('are not manifests of deletes, encrypted ones, and those that could not be merged before', () => {
    const others = [row('deletes', 1, { content: 1 }), row('secret', 1, { keyMetadata: Buffer.alloc(1) })];
    expect(plan([...others, ...many(3)])).toEqual([]);
    expect(plan([...others, ...many(4)])).toEqual(['4', '3', '2', '1']);
    expect(plan(many(4), {}, ['2'])).toEqual([]);
  });

  test('is so much that one commit can bear it', () => {
    const inputs = plan(many(1_000, 1), { targetSizeBytes: 8_000 });
    expect(inputs).toHaveLength(256);
    expect(inputs.at(-1)).toBe('1');
  });

  test('is told by the properties of the table, with the defaults of Java', () => {
    expect(mergeSettings({})).toEqual({ isEnabled: true, minCount: 100, targetSizeBytes: 8_388_608 });
    expect(
      mergeSettings({
        'commit.manifest-merge.enabled': 'false',
        'commit.manifest.min-count-to-merge': '7',
        'commit.manifest.target-size-bytes': '2048',
      }),
    ).toEqual({ isEnabled: false, minCount: 7, targetSizeBytes: 2_048 });
    expect(mergeSettings({ 'commit.manifest.min-count-to-merge': 'x' }).minCount).toBe(100);
    expect(mergeSettings({ 'commit.manifest.target-size-bytes': '1e12' }).targetSizeBytes).toBe(33_554_432);
  });
});
