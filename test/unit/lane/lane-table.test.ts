import { beforeEach, describe, expect, test, vi } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { inlineLane } from '../../../src/lane/inline.ts';
import type { Lane } from '../../../src/lane/lane.ts';
import {
  type Given,
  lanePorts,
  long,
  type PlanSettings,
  planOf,
  rowsIn,
  setOf,
  type TestPorts,
  text,
} from './lanes.ts';

const p0 = { topic: 'orders', partition: 0 };
const p1 = { topic: 'orders', partition: 1 };
const table = 'shop.orders';

let ports: TestPorts;
let lane: Lane;
beforeEach(() => {
  ports = lanePorts();
  lane = inlineLane(ports);
});

/** A lane with a table that takes both partitions from offset 0. */
async function opened(settings: PlanSettings = {}): Promise<void> {
  await lane.open(planOf(settings));
  for (const each of [p0, p1]) await lane.seek(settings.table ?? table, each, 0);
}

const orders = (...ns: number[]) => ns.map((n) => ({ n, region: 'eu' }));

/** Flushes and gives `partition:offset` of the rows in all files. */
async function landed(name = table): Promise<string[]> {
  const { files } = await lane.flush(name);
  return files.flatMap((file) =>
    rowsIn(ports.store, file.path).map((row) => `${row['_kafka_partition']}:${row['_kafka_offset']}`),
  );
}

describe('a record set', () => {
  test('becomes rows, and the answer accounts for every record', async () => {
    await opened();
    const { tables, heldBytes } = await lane.append(setOf(0, orders(1, 2, 3)));
    expect(tables).toEqual({
      [table]: {
        next: 3,
        records: 3,
        rows: 3,
        tombstones: 0,
        undecodable: 0,
        bytes: 63,
        timestampMaxMs: 1_002,
      },
    });
    expect(heldBytes).toBeGreaterThan(63);
    const { files } = await lane.flush(table);
    expect(rowsIn(ports.store, files[0]!.path)[1]).toEqual({
      n: 2,
      region: 'eu',
      _kafka_topic: 'orders',
      _kafka_partition: 0,
      _kafka_offset: 1,
      _kafka_timestamp: '1970-01-01T00:00:01.001000Z',
    });
    expect(files).toHaveLength(1);
    expect(files[0]).toMatchObject({ format: 'PARQUET', partition: [], recordCount: 3 });
    expect(files[0]!.path).toMatch(/^memory:\/\/data\/frazil-shop-w1-00001-[0-9a-f-]{36}\.parquet$/);
  });

  test('is taken from the table’s own position on: what is below has landed already', async () => {
    await opened();
    await lane.seek(table, p0, 2);
    const { tables } = await lane.append(setOf(0, orders(1, 2, 3, 4)));
    expect(tables[table]).toMatchObject({ next: 4, records: 2, rows: 2 });
    expect(await landed()).toEqual(['0:2', '0:3']);
  });

  test('that lies below the position altogether makes nothing and moves nothing back', async () => {
    await opened();
    await lane.seek(table, p0, 9);
    const { tables } = await lane.append(setOf(0, orders(1, 2)));
    expect(tables[table]).toMatchObject({ next: 9, records: 0, rows: 0 });
    expect(await landed()).toEqual([]);
  });

  test('that comes twice makes its rows once', async () => {
    await opened();
    await lane.append(setOf(0, orders(1, 2)));
    await lane.append(setOf(0, orders(1, 2)));
    expect(await landed()).toEqual(['0:0', '0:1']);
  });

  test('behind a gap is refused: records are missing', async () => {
    await opened();
    const { tables } = await lane.append(setOf(5, orders(1)));
    expect(tables[table]).toMatchObject({
      next: 0,
      rows: 0,
      failure: {
        topic: 'orders',
        partition: 0,
        offset: 0,
        field: '',
        reason: 'it was not handed over: the next record set begins at offset 5',
      },
    });
    expect(await landed()).toEqual([]);
  });

  test('moves the position over holes that no record fills', async () => {
    await opened();
    const { tables } = await lane.append(setOf(0, orders(1), { lastOffsetDelta: 9 }));
    expect(tables[table]).toMatchObject({ next: 10, records: 1 });
  });

  test('of a partition that no table takes is for nobody', async () => {
    await opened();
    await lane.release(p0);
    expect((await lane.append(setOf(0, orders(1)))).tables).toEqual({});
  });

  test('goes into every table that takes its partition, each from its own position', async () => {
    await opened();
    await opened({ table: 'shop.copy' });
    await lane.seek('shop.copy', p0, 1);
    const { tables } = await lane.append(setOf(0, orders(1, 2)));
    expect(tables).toMatchObject({ [table]: { next: 2, rows: 2 }, 'shop.copy': { next: 2, rows: 1 } });
    expect([await landed(), await landed('shop.copy')]).toEqual([['0:0', '0:1'], ['0:1']]);
  });

  test('that is damaged fails with its place, and nothing of it is taken', async () => {
    await opened();
    const set = setOf(7, orders(1));
    set.records[set.records.length - 1]! ^= 0xff;
    await lane.seek(table, p0, 7);
    await expect(lane.append(set)).rejects.toThrow(/^reading orders-0 from offset 7: /);
    expect(await landed()).toEqual([]);
  });
});

describe('a record that cannot be decoded', () => {
  const values = [{ n: 1 }, { n: 'x' }, { n: 3 }];

  test('stops the table there with onError: halt: rows before it stay, none behind it is taken', async () => {
    await opened();
    await lane.seek(table, p0, 4);
    const halted = (await lane.append(setOf(4, values))).tables[table]!;
    expect(halted).toMatchObject({ next: 5, records: 1, rows: 1, undecodable: 0 });
    expect(halted.failure).toEqual({
      topic: 'orders',
      partition: 0,
      offset: 5,
      field: 'n',
      reason: 'expected a long, found "x": not a plain integer',
    });
    const behind = (await lane.append(setOf(7, [{ n: 4 }]))).tables[table]!;
    expect(behind).toMatchObject({ next: 5, rows: 0, failure: { offset: 5 } });
    expect(await landed()).toEqual(['0:4']);
  });

  test('does not stop another table of the same set', async () => {
    await opened();
    await opened({ table: 'shop.lax', onError: 'skip' });
    const { tables } = await lane.append(setOf(0, values));
    expect(tables[table]).toMatchObject({ next: 1, rows: 1 });
    expect(tables['shop.lax']).toMatchObject({ next: 3, records: 3, rows: 2, undecodable: 1 });
  });

  test('is left out with onError: skip, and told with topic, partition, offset, field and reason', async () => {
    await opened({ onError: 'skip' });
    const { tables } = await lane.append(setOf(0, [...values, '{"n":']));
    expect(tables[table]).toMatchObject({ next: 4, records: 4, rows: 2, undecodable: 2 });
    expect(tables[table]).not.toHaveProperty('failure');
    expect(await landed()).toEqual(['0:0', '0:2']);
    expect(ports.log.lines[0]).toBe('warn record skipped: it cannot be decoded');
    expect(ports.log.fields[0]).toEqual({
      table,
      topic: 'orders',
      partition: 0,
      offset: 1,
      field: 'n',
      reason: 'expected a long, found "x": not a plain integer',
    });
  });

  test('leaves nothing of itself behind, whichever of its columns had been filled', async () => {
    await opened({ onError: 'skip', fields: [text('a'), text('b'), long('n')] });
    await lane.append(setOf(0, [{ a: 'x', b: 'y', n: 'no' }, { n: 1 }, { a: 'u', b: 'v', n: 2 }]));
    const { files } = await lane.flush(table);
    expect(rowsIn(ports.store, files[0]!.path)).toMatchObject([
      { a: null, b: null, n: 1, _kafka_offset: 1 },
      { a: 'u', b: 'v', n: 2, _kafka_offset: 2 },
    ]);
  });

  test('is left out wherever it stands and whatever is wrong with it: value, key, partition or all of them', async () => {
    const moment: Field = { id: 0, name: 't', required: true, type: { kind: 'timestamptz' } };
    const settings: PlanSettings = {
      fields: [long('n'), text('k', true), moment],
      keyColumn: 'k',
      partitionBy: ['hour(t)'],
    };
    const random = seededRandom(11);
    const given: Given[] = [];
    const expected: unknown[] = [];
    for (let n = 0; n < 600; n++) {
      // Runs of good and of bad ones, of all lengths.
      const fault = Math.floor(n / 40) % 3 === 0 ? random.below(4) : random.below(40);
      const key = fault === 1 ? null : fault === 2 ? Buffer.of(0xff) : `k${n}`;
      const t = fault === 3 ? 9_000_000_000_000_000 : n;
      given.push(n % 97 === 5 ? null : { key, value: fault === 0 ? '{"n":1,' : { n, t } });
      if (n % 97 !== 5 && fault > 3) expected.push([n, `k${n}`, n]);
    }
    await opened({ ...settings, onError: 'skip', onTombstone: 'skip' });
    const { tables } = await lane.append(setOf(0, given));
    const { records, rows, undecodable, tombstones, next } = tables[table]!;
    expect({ records, rows, tombstones, next }).toEqual({
      records: 600,
      rows: expected.length,
      tombstones: 7,
      next: 600,
    });
    expect(undecodable).toBe(600 - expected.length - 7);
    const { files } = await lane.flush(table);
    const all = files.flatMap((file) => rowsIn(ports.store, file.path));
    expect(all.map((row) => [row['n'], row['k'], row['_kafka_offset']])).toEqual(expected);
  });

  test('has no part in the table’s watermark when it stops the table', async () => {
    await opened();
    const { tables } = await lane.append(setOf(0, values));
    expect(tables[table]).toMatchObject({ next: 1, rows: 1, timestampMaxMs: 1_000 });
    await opened({ table: 'shop.copy', onError: 'skip' });
    const { tables: others } = await lane.append(setOf(0, values.slice(0, 2)));
    expect(others['shop.copy']).toMatchObject({ next: 2, rows: 1, timestampMaxMs: 1_001 });
  });

  test('floods no log: twenty of a set are told one by one, the rest in one line', async () => {
    await opened({ onError: 'skip' });
    const many = Array.from({ length: 50 }, () => 'x');
    await lane.append(setOf(0, many));
    expect(ports.log.lines).toHaveLength(21);
    expect(ports.log.lines.at(-1)).toBe('warn more undecodable records skipped');
    expect(ports.log.fields.at(-1)).toEqual({ table, key: 'orders-0', count: 30 });
  });
});

describe('a record without a value', () => {
  test('stops the table with onTombstone: halt', async () => {
    await opened({ onError: 'skip' });
    const { tables } = await lane.append(setOf(0, [{ n: 1 }, null, { n: 2 }]));
    expect(tables[table]).toMatchObject({ next: 1, records: 1, rows: 1, tombstones: 0, undecodable: 0 });
    expect(tables[table]!.failure).toEqual({
      ...p0,
      offset: 1,
      field: '',
      reason: 'the record has no value (a tombstone)',
    });
  });

  test('is left out and counted with onTombstone: skip', async () => {
    await opened({ onTombstone: 'skip' });
    const { tables } = await lane.append(setOf(0, [null, { n: 1 }, null]));
    expect(tables[table]).toMatchObject({
      next: 3,
      records: 3,
      rows: 1,
      tombstones: 2,
      timestampMaxMs: 1_002,
    });
    expect(await landed()).toEqual(['0:1']);
  });

  test('is not one that is empty', async () => {
    await opened({ onTombstone: 'skip', onError: 'skip' });
    const { tables } = await lane.append(setOf(0, ['']));
    expect(tables[table]).toMatchObject({ tombstones: 0, undecodable: 1 });
  });
});

describe('a flush', () => {
  test('has what was appended before it and nothing that is appended behind it', async () => {
    await opened();
    const answers = [
      lane.append(setOf(0, orders(1, 2))),
      lane.flush(table),
      lane.append(setOf(2, orders(3))),
    ];
    await Promise.all(answers);
    const { files } = (await answers[1]) as Awaited<ReturnType<Lane['flush']>>;
    expect(files.map((file) => file.recordCount)).toEqual([2]);
    expect(await landed()).toEqual(['0:2']);
  });

  test('of nothing has no files', async () => {
    await opened();
    expect(await lane.flush(table)).toMatchObject({ files: [] });
    expect(ports.encoder.opened).toBe(0);
  });

  test('frees what was held', async () => {
    await opened();
    const empty = (await lane.flush(table)).heldBytes;
    const { heldBytes } = await lane.append(setOf(0, orders(...Array.from({ length: 500 }, (_, i) => i))));
    expect(heldBytes).toBeGreaterThan(10_000);
    expect((await lane.flush(table)).heldBytes).toBe(empty);
  });

  test('numbers files through, also after another flush', async () => {
    await opened({ partitionBy: ['region'] });
    await lane.append(
      setOf(0, [
        { n: 1, region: 'eu' },
        { n: 2, region: 'us' },
      ]),
    );
    const first = await lane.flush(table);
    await lane.append(setOf(2, [{ n: 3, region: 'eu' }]));
    const paths = [...first.files, ...(await lane.flush(table)).files].map((file) => file.path);
    expect(paths.map((path) => /data\/(region=..)\/.*-w1-(\d+)-/.exec(path)?.slice(1))).toEqual([
      ['region=eu', '00001'],
      ['region=us', '00002'],
      ['region=eu', '00003'],
    ]);
  });

  test('counts and bounds of a file are those of all its rows, over all chunks that were encoded', async () => {
    await opened({ fields: [long('n'), text('region'), text('pad')] });
    const pad = 'x'.repeat(3 * 1024 * 1024);
    for (const [i, n] of [7, -3, 90].entries())
      await lane.append(setOf(i, [{ n, region: i === 1 ? null : 'eu', pad }]));
    expect(ports.encoder.writes.length).toBeGreaterThan(0);
    const { files } = await lane.flush(table);
    expect(ports.encoder.writes.length).toBeGreaterThan(1);
    const [file] = files;
    const bound = (bytes: Uint8Array | undefined): bigint => Buffer.from(bytes!).readBigInt64LE();
    expect([file!.valueCounts.get(1), file!.nullValueCounts.get(2)]).toEqual([3, 1]);
    expect([bound(file!.lowerBounds.get(1)), bound(file!.upperBounds.get(1))]).toEqual([-3n, 90n]);
  });

  test('closes a file that has reached its target size and goes on in another', async () => {
    await opened({ properties: { 'write.target-file-size-bytes': '100000' } });
    const big = 'x'.repeat(60_000);
    for (let i = 0; i < 100; i++) await lane.append(setOf(i, [{ n: i, region: big }]));
    const { files } = await lane.flush(table);
    expect(files.length).toBeGreaterThan(1);
    expect(files.reduce((sum, file) => sum + file.recordCount, 0)).toBe(100);
    const offsets = files.flatMap((file) =>
      rowsIn(ports.store, file.path).map((row) => row['_kafka_offset']),
    );
    expect(offsets).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('waits until every file is stored, however often that has to be tried', async () => {
    await opened();
    let failures = 3;
    const put = ports.store.put.bind(ports.store);
    ports.store.put = async (location, parts) => {
      if (failures-- > 0) throw new TransientError('slow down');
      return put(location, parts);
    };
    await lane.append(setOf(0, orders(1)));
    const { files } = await lane.flush(table);
    expect(ports.store.objects.has(files[0]!.path)).toBe(true);
    expect(ports.log.lines).toEqual(new Array(3).fill('warn uploading a data file failed; trying again'));
  });

  test('fails when a file cannot be stored: nothing that is not there is ever committed', async () => {
    await opened();
    ports.store.put = async () => {
      throw new Error('no right to write');
    };
    await lane.append(setOf(0, orders(1)));
    await expect(lane.flush(table)).rejects.toThrow('no right to write');
  });

  test('of a table that was never opened fails, and says so', async () => {
    await expect(lane.flush('shop.nowhere')).rejects.toThrow('lane: table shop.nowhere was never opened');
  });
});

describe('uploading', () => {
  test('goes on while the next files are filled, of two files at most at once', async () => {
    await opened({ properties: { 'write.target-file-size-bytes': '1' } });
    const uploads: (() => void)[] = [];
    const put = ports.store.put.bind(ports.store);
    ports.store.put = async (location, parts) => {
      await new Promise<void>((done) => uploads.push(done));
      return put(location, parts);
    };
    const file = (n: number): ReturnType<Lane['append']> =>
      lane.append(setOf(n, [{ n, region: 'x'.repeat(5 * 1024 * 1024) }]));
    await file(0);
    await file(1);
    expect(uploads).toHaveLength(2);

    const third = file(2);
    await vi.waitFor(() => expect([ports.encoder.opened, ports.encoder.open_]).toEqual([3, 0]));
    expect(uploads).toHaveLength(2);
    uploads[0]!();
    await third;
    expect([uploads.length, ports.store.objects.size]).toEqual([3, 1]);

    const flushed = lane.flush(table);
    for (const done of uploads) done();
    const { files } = await flushed;
    expect(files.map(({ path }) => ports.store.objects.has(path))).toEqual([true, true, true]);
  });
});

describe('dropping a table', () => {
  test('forgets rows, files and positions, and deletes what was stored', async () => {
    await opened({ partitionBy: ['region'], properties: { 'write.target-file-size-bytes': '1' } });
    const chunk = 'x'.repeat(5 * 1024 * 1024);
    await lane.append(setOf(0, [{ n: 1, region: chunk }])); // a file of its own, stored at once
    await lane.append(setOf(1, [{ n: 2, region: 'eu' }]));
    await lane.drop(table);
    expect([...ports.store.objects.keys()]).toEqual([]);
    expect(ports.encoder.open_).toBe(0);
    expect((await lane.append(setOf(2, orders(3)))).tables).toEqual({});
    await lane.seek(table, p0, 0);
    await lane.append(setOf(0, orders(4)));
    expect(await landed()).toEqual(['0:0']);
  });

  test('leaves other tables alone', async () => {
    await opened();
    await opened({ table: 'shop.other' });
    await lane.append(setOf(0, orders(1)));
    await lane.drop(table);
    expect(await landed('shop.other')).toEqual(['0:0']);
  });

  test('that was never opened is no error, and a closed lane holds nothing', async () => {
    await lane.drop('shop.nowhere');
    await opened();
    await lane.append(setOf(0, orders(1)));
    await lane.close();
    expect([...ports.store.objects.keys()]).toEqual([]);
  });
});

test('rows of a released partition stay: a flush that was promised has them', async () => {
  await opened();
  await lane.append(setOf(0, orders(1, 2)));
  await lane.release(p0);
  expect(await landed()).toEqual(['0:0', '0:1']);
});

test('a command that fails does not hold up the next', async () => {
  await opened();
  const failing = lane.seek('shop.nowhere', p0, 0);
  const next = lane.append(setOf(0, orders(1)));
  await expect(failing).rejects.toThrow('was never opened');
  expect((await next).tables[table]).toMatchObject({ rows: 1 });
});
