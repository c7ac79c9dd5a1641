import { expect, test } from 'vitest';
import { TransientError } from '../../../src/base/errors.ts';
import { metadataFields } from '../../../src/lane/metadata-columns.ts';
import { inParallel } from '../../../src/verify/in-parallel.ts';
import type { Report } from '../../../src/verify/report.ts';
import { Landed, range } from './landed.ts';

/** Sound tables, and what is found of tables that somebody has corrupted. */

const k0 = 'orders-0';
const k1 = 'orders-1';

/** Three commits: 30 offsets of partition 0, 20 of partition 1. */
async function thrice(): Promise<Landed> {
  const landed = await new Landed().create();
  await landed.land({ [k0]: range(0, 10), [k1]: range(0, 10) });
  await landed.land({ [k0]: range(10, 25) });
  await landed.land({ [k0]: range(25, 30), [k1]: range(10, 20) });
  return landed;
}

const messages = (report: Report): string[] =>
  report.problems.map(({ kind, message }) => `${kind}: ${message}`);
const kinds = (report: Report): string[] => [...new Set(report.problems.map(({ kind }) => kind))];
const exceptions = (report: Report): string[] => [...new Set(report.exceptions.map(({ kind }) => kind))];

test('a table as it was landed is sound, however closely it is looked at', async () => {
  const landed = await thrice();
  for (const depth of ['quick', 'footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect(messages(report)).toEqual([]);
    expect(report).toMatchObject({
      verdict: 'sound',
      depth,
      rows: 50,
      files: 3,
      exceptions: [],
      partitions: [
        { topic: 'orders', partition: 0, from: 0, next: 30 },
        { topic: 'orders', partition: 1, from: 0, next: 20 },
      ],
    });
    expect(report.partitions.map(({ rows }) => rows)).toEqual(
      depth === 'columns' ? [30, 20] : [undefined, undefined],
    );
  }
});

// ---- corruptions: each is found, and named ----

test('a data file that is gone', async () => {
  const landed = await thrice();
  const [path] = await landed.paths();
  await landed.lake.store.delete(path!);
  const report = await landed.verify();
  expect(report.verdict).toBe('unsound');
  expect(messages(report)).toContainEqual(
    `missing-file: ${path}, added by snapshot ${(await landed.head())['snapshot-id']}, is gone with its 15 rows`,
  );
  expect(messages(report)).toContainEqual(
    'gap: orders-0 offsets [25, 30): no row; every offset should have one here',
  );
  expect(report.summary).toBe('unsound: 2 gaps, 1 missing file in shop.orders');
});

test('a file that was taken out of its manifest', async () => {
  const landed = await new Landed().create();
  const [one, two] = [await landed.file({ [k0]: range(0, 5) }), await landed.file({ [k0]: range(5, 10) })];
  await landed.land({ [k0]: range(0, 10) }, { files: [one, two] });
  await landed.changeManifest([one]);
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['row-count', 'gap']);
  expect(messages(report)[0]).toMatch(
    /^row-count: manifest .* has 1 files with 5 rows \(added\), its manifest list says 2 files with 10 rows$/,
  );
  expect(messages(report)[1]).toBe(
    'gap: orders-0 offsets [5, 10): no row; every offset should have one here',
  );
});

test('a manifest that a commit did not take over', async () => {
  const landed = await thrice();
  await landed.dropManifest(1);
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['lost-rows', 'gap']);
  expect(messages(report)[0]).toMatch(
    /^lost-rows: snapshot \d+ says it has added 15 rows, its manifest list has 0 more$/,
  );
  expect(messages(report)[1]).toBe(
    'gap: orders-0 offsets [10, 25): no row; every offset should have one here',
  );
  expect(kinds(await landed.verify({ depth: 'quick' }))).toEqual(['lost-rows']);
});

test('a manifest that is gone', async () => {
  const landed = await thrice();
  const [manifest] = await landed.manifests();
  await landed.lake.store.delete(manifest!.path);
  const report = await landed.verify();
  expect(messages(report)[0]).toBe(`missing-metadata: manifest ${manifest!.path} cannot be read: it is gone`);
});

test('a file that somebody has added a second time', async () => {
  const landed = await thrice();
  const file = await landed.file({ [k0]: range(30, 40) });
  await landed.land({ [k0]: range(30, 40) }, { files: [file] });
  await landed.append([file]);
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['file-twice', 'duplicate']);
  expect(messages(report)[0]).toContain(`${file.path} is in the table 2 times`);
  expect(messages(report)[1]).toBe(
    `duplicate: orders-0 offsets [30, 40): there before, and again in ${file.path}`,
  );
  expect(exceptions(report)).toEqual(['rows-of-others']);
  expect(report.columnsReadBecause).toContain(
    'others have added rows with offsets that a pipeline has landed',
  );
});

test('rows that somebody has appended again in a file of their own', async () => {
  const landed = await thrice();
  await landed.append([await landed.file({ [k1]: [3, 4, 12] })]);
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['duplicate']);
  expect(report.problems.map(({ partition, from, next }) => [partition, from, next])).toEqual([
    [1, 3, 5],
    [1, 12, 13],
  ]);
  expect(report.summary).toBe('unsound: 2 duplicates in shop.orders');
});

test('a claim with a hole: its files do not have all that the ledger moves on', async () => {
  const landed = await thrice();
  await landed.land({ [k0]: [30, 31, 36, 37] });
  await landed.changeSummary({ 'added-records': '8' });
  const report = await landed.verify();
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^row-count: snapshot \d+ says .*8|^lost-rows: snapshot \d+ says it has added 8 rows, its manifest list has 4 more$/,
    ),
  );
  expect(messages(report)).toContainEqual(
    'gap: orders-0 offsets [32, 36): no row; every offset should have one here',
  );
});

test('claims that overlap: a ledger that goes back', async () => {
  const landed = await thrice();
  await landed.changeSummary({
    'frazil.shop.offsets': '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[20,20]}}}',
  });
  const report = await landed.verify({ depth: 'quick' });
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^broken-chain: snapshot \d+ of pipeline shop takes orders-0 back from 25 to 20: claims overlap$/,
    ),
  );
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^ledger-copy: the table property frazil\.shop\.ledger does not match snapshot \d+: orders-0 is 30, not 20$/,
    ),
  );
});

test('a ledger that forgets a partition', async () => {
  const landed = await thrice();
  await landed.changeSummary({
    'frazil.shop.offsets': '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[30]}}}',
  });
  expect(messages(await landed.verify({ depth: 'quick' }))).toContainEqual(
    expect.stringMatching(
      /^broken-chain: snapshot \d+ of pipeline shop has forgotten orders-1, which had landed up to 10$/,
    ),
  );
});

test('a ledger that moved on without its rows', async () => {
  const landed = await thrice();
  await landed.changeSummary({
    'frazil.shop.offsets': '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[40,20]}}}',
  });
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['ledger-copy']);
  expect(report.exceptions.map(({ message }) => message)).toEqual([
    'orders-0: 10 offsets without a row, aborted, control or compacted away (its snapshot landed as many rows less): offsets [30, 40)',
  ]);
});

test('a ledger that cannot be read', async () => {
  const landed = await thrice();
  await landed.changeSummary({ 'frazil.shop.offsets': '{"v":1' });
  expect(kinds(await landed.verify())).toContain('broken-chain');
});

test('the copy of the ledger is gone, or of another snapshot', async () => {
  const landed = await thrice();
  const { properties } = (await landed.table()).metadata;
  await landed.land({ [k0]: range(30, 31) });
  await landed.changeProperties(properties);
  const stale = await landed.verify();
  expect(messages(stale)).toEqual([
    expect.stringMatching(/^ledger-copy: .* is of snapshot \d+, the newest of the pipeline is \d+$/),
  ]);
  await landed.changeProperties({ 'frazil.shop.ledger': 'x' });
  expect(kinds(await landed.verify({ depth: 'quick' }))).toEqual(['ledger-copy']);
});

test('a manifest that has another row count than its file', async () => {
  const landed = await new Landed().create();
  const file = await landed.file({ [k0]: range(0, 10) });
  await landed.land({ [k0]: range(0, 9) }, { files: [{ ...file, recordCount: 9 }], claims: { [k0]: 10 } });
  const report = await landed.verify();
  expect(messages(report)[0]).toBe(`row-count: ${file.path} has 10 rows, its manifest says 9`);
});

test('a file with offsets outside of its claim, by its bounds', async () => {
  const landed = await thrice();
  await landed.land({ [k0]: range(28, 33) }, { claims: { [k0]: 35 } });
  const report = await landed.verify();
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^outside-claim: .* has offsets \[28, 33\) of topic orders partition 0; snapshot \d+, which added it, claims offsets \[30, 35\)$/,
    ),
  );
  expect(messages(report)).toContainEqual(
    expect.stringMatching(/^duplicate: orders-0 offsets \[28, 30\): there before/),
  );
});

test('more rows than offsets are claimed', async () => {
  const landed = await thrice();
  await landed.land({ [k0]: [30, 31, 31, 32] });
  const report = await landed.verify();
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^row-count: .* has 4 rows of topic orders partition 0; snapshot \d+ claims 3 offsets of them$/,
    ),
  );
  expect(messages(report)).toContainEqual(expect.stringMatching(/^duplicate: orders-0 offset 31: /));
});

test("another table's file", async () => {
  const landed = await thrice();
  const foreign = await landed.file({ 'payments-0': range(30, 40) });
  await landed.land({}, { files: [foreign], claims: { [k0]: 40 } });
  const report = await landed.verify();
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^outside-claim: .* has topic payments partition 0, of which that snapshot claims nothing$/,
    ),
  );
  expect(messages(report)).toContainEqual(
    'gap: orders-0 offsets [30, 40): no row; every offset should have one here',
  );
});

test('bounds that lie, by the footer', async () => {
  const landed = await thrice();
  const file = await landed.file({ [k0]: range(30, 40) });
  const bounds = (await landed.file({ [k0]: range(32, 38) })).lowerBounds;
  await landed.land({}, { files: [{ ...file, lowerBounds: bounds }], claims: { [k0]: 40 } });
  expect(messages(await landed.verify())).toContainEqual(
    `wrong-bounds: ${file.path} has offsets from 30 to 39 by its footer, its manifest says 32 to 39`,
  );
});

test('bytes that are not the file: cut off, or another', async () => {
  const landed = await thrice();
  const [path] = await landed.paths();
  const { objects } = landed.lake.store;
  objects.set(path!, objects.get(path!)!.subarray(0, -3));
  expect(messages(await landed.verify())[0]).toMatch(
    /^damaged-file: reading the footer of .*: it does not end at byte \d+ as a Parquet file does$/,
  );
});

test('a file whose pages are damaged: only who reads them knows, and says so', async () => {
  const landed = await thrice();
  const [path, other] = await landed.paths();
  const { objects } = landed.lake.store;
  const damaged = Buffer.from(objects.get(path!)!);
  damaged.fill(0x7f, 4, damaged.length - 8 - damaged.readUInt32LE(damaged.length - 8));
  objects.set(path!, damaged);
  expect((await landed.verify()).verdict).toBe('sound');
  const report = await landed.verify({ depth: 'columns' });
  expect(kinds(report)).toEqual(['damaged-file', 'gap']);
  expect(messages(report)[0]).toContain(`damaged-file: ${path} cannot be read: `);
  expect(report.problems.filter(({ kind }) => kind === 'gap')).toMatchObject([
    { partition: 0, from: 25, next: 30 },
    { partition: 1, from: 10, next: 20 },
  ]);
  expect(
    JSON.stringify(report.problems, (_, value) => (typeof value === 'bigint' ? 0 : value)),
  ).not.toContain(other!);
});

/** A table with one file, and another file's bytes in the place of that. */
async function withBytesOf(offsets: readonly number[]): Promise<Landed> {
  const landed = await new Landed().create();
  const told = await landed.file({ [k0]: range(0, 10) });
  const real = await landed.file({ [k0]: offsets });
  const { recordCount, lowerBounds, upperBounds } = told;
  await landed.land(
    {},
    { files: [{ ...real, recordCount, lowerBounds, upperBounds }], claims: { [k0]: 10 } },
  );
  return landed;
}

test('a row twice and another missing in a file: only the columns tell', async () => {
  const landed = await withBytesOf([0, 1, 2, 3, 3, 5, 6, 7, 8, 9]);
  expect((await landed.verify()).verdict).toBe('sound');
  const report = await landed.verify({ depth: 'columns' });
  expect(messages(report)).toEqual([
    expect.stringMatching(/^duplicate: orders-0 offset 3: there before, and again in /),
    'gap: orders-0 offset 4: no row; every offset should have one here',
  ]);
  expect(report.summary).toBe('unsound: 1 gap, 1 duplicate in shop.orders');
});

test('rows that are missing in a file', async () => {
  const report = await (await withBytesOf([0, 1, 2, 3, 6, 7, 8, 9])).verify({ depth: 'columns' });
  expect(kinds(report)).toEqual(['row-count', 'gap']);
  expect(report.problems.find(({ kind }) => kind === 'gap')).toMatchObject({
    topic: 'orders',
    partition: 0,
    from: 4,
    next: 6,
    count: 2,
  });
});

test('a file whose rows are others than its footer and its manifest say', async () => {
  const landed = await thrice();
  const told = await landed.file({ [k0]: range(30, 34) });
  const real = await landed.file({ [k0]: [30, 31, 32, 99] });
  const { lowerBounds, upperBounds } = told;
  await landed.land({}, { files: [{ ...real, lowerBounds, upperBounds }], claims: { [k0]: 34 } });
  const report = await landed.verify({ depth: 'columns' });
  expect(messages(report)).toContainEqual(
    expect.stringMatching(/^wrong-bounds: .* has offsets from 30 to 99, its manifest says 30 to 33$/),
  );
  expect(messages(report)).toContainEqual(
    expect.stringMatching(
      /^outside-claim: .* has 1 rows of orders-0 .* outside of the claim .* offsets \[30, 34\)$/,
    ),
  );
  expect(messages(report)).toContainEqual(
    'gap: orders-0 offset 33: no row; every offset should have one here',
  );
});

test('a deletion by others', async () => {
  const landed = await thrice();
  await landed.rewrite([await landed.file({ [k0]: range(0, 28), [k1]: range(0, 20) })], 'overwrite');
  const report = await landed.verify();
  expect(report.verdict).toBe('unsound');
  expect(messages(report)).toEqual([
    expect.stringMatching(/^deleted-rows: snapshot \d+ \(overwrite\) adds 48 rows and removes 50 rows$/),
  ]);
  expect(report.exceptions.map(({ kind, from, next }) => [kind, from, next])).toContainEqual([
    'deleted-rows',
    28,
    30,
  ]);
  const allowed = await landed.verify({ allowDeletes: true });
  expect([allowed.verdict, messages(allowed)]).toEqual(['sound', []]);
});

test('a compaction that lost a row', async () => {
  const landed = await thrice();
  await landed.rewrite([await landed.file({ [k0]: range(0, 30), [k1]: [...range(0, 7), ...range(8, 20)] })]);
  const report = await landed.verify();
  expect(messages(report)[0]).toMatch(/^lost-rows: snapshot \d+ \(replace\) has rewritten 50 rows as 49$/);
});

test('a rollback that nobody has decided on', async () => {
  const landed = await thrice();
  const { snapshots } = (await landed.table()).metadata;
  await landed.rollBackTo(snapshots[1]!['snapshot-id']);
  const report = await landed.verify();
  expect(kinds(report)).toEqual(['rolled-back']);
  expect(report.problems.map(({ partition, from, next }) => [partition, from, next])).toEqual([
    [0, 25, 30],
    [1, 10, 20],
  ]);
  expect(report.summary).toBe('unsound: 2 rollbacks not replayed in shop.orders');
});

// ---- what departs from a row per offset, and is in order ----

test('a compacted table is sound', async () => {
  const landed = await thrice();
  await landed.rewrite([await landed.file({ [k0]: range(0, 30), [k1]: range(0, 20) })]);
  await landed.land({ [k0]: range(30, 40) });
  for (const depth of ['quick', 'footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect([report.verdict, report.exceptions]).toEqual(['sound', []]);
    expect(report.columnsReadBecause).toBeUndefined();
  }
});

test('a table whose manifests were merged is sound, with its history and without; one that a merge has lost is not', async () => {
  const landed = await thrice();
  await landed.changeProperties({ 'commit.manifest.min-count-to-merge': '4' });
  await landed.land({ [k0]: range(30, 40) });
  expect(
    (await landed.manifests()).map(({ addedFiles, existingFiles }) => [addedFiles, existingFiles]),
  ).toEqual([
    [1, 0],
    [0, 3],
  ]);
  for (const depth of ['quick', 'footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect([report.verdict, report.exceptions]).toEqual(['sound', []]);
    expect(report.columnsReadBecause).toBeUndefined();
  }
  const list = (await landed.head())['manifest-list'];
  const bytes = landed.lake.store.objects.get(list)!;
  await landed.dropManifest(1);
  expect(kinds(await landed.verify())).toEqual(['lost-rows', 'gap']);
  landed.lake.store.objects.set(list, bytes);
  await landed.expire();
  const report = await landed.verify();
  expect([report.verdict, exceptions(report)]).toEqual(['sound', ['history-expired']]);
});

test('a table whose history has expired is sound, and says what was not proven by claims', async () => {
  const landed = await thrice();
  await landed.expire();
  for (const depth of ['quick', 'footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect(messages(report)).toEqual([]);
    expect(exceptions(report)).toEqual(['history-expired']);
  }
  await landed.rewrite([await landed.file({ [k0]: range(0, 30), [k1]: range(0, 20) })]);
  await landed.expire();
  const report = await landed.verify();
  expect([report.verdict, exceptions(report)]).toEqual(['sound', ['history-expired']]);
  expect(report.partitions).toMatchObject([{ next: 30 }, { next: 20 }]);
});

test('behind expired history a doubled row shows in the count, and is found', async () => {
  const landed = await thrice();
  await landed.append([await landed.file({ [k0]: [7] })]);
  await landed.land({ [k0]: range(30, 32) });
  await landed.expire();
  const report = await landed.verify();
  expect(messages(report)).toEqual([expect.stringMatching(/^duplicate: orders-0 offset 7: /)]);
  expect(report.columnsReadBecause).toBe('there are 1 more rows than offsets');
  const quick = await landed.verify({ depth: 'quick' });
  expect(messages(quick)).toEqual([
    'duplicate: there are 1 more rows than offsets: some are there twice; which, only the columns tell',
  ]);
});

test('behind expired history nobody knows why an offset has no row: --strict calls it a gap', async () => {
  const landed = await new Landed().create();
  await landed.land({ [k0]: [0, 1, 2, 5] });
  await landed.land({ [k0]: range(6, 9) });
  await landed.expire();
  const report = await landed.verify();
  expect([report.verdict, exceptions(report)]).toEqual(['sound', ['history-expired', 'no-row']]);
  const strict = await landed.verify({ strict: true });
  expect(messages(strict)).toEqual(['gap: orders-0 offsets [3, 5): no row; nothing that is left tells why']);
});

test('offsets that no row was landed of: holes in the log, and what policy has left out', async () => {
  const landed = await new Landed().create();
  await landed.land({ [k0]: [0, 1, 4] }, { leftOut: [[k0, 1, 1]] });
  await landed.land({ [k0]: [6, 7] });
  const report = await landed.verify({ depth: 'columns' });
  expect(report.verdict).toBe('sound');
  expect(report.exceptions.map(({ kind, from, next }) => [kind, from, next])).toEqual([
    ['left-out', 2, 4],
    ['no-row', 5, 6],
  ]);
  const byCounts = await landed.verify();
  expect(byCounts.exceptions.map(({ kind, count }) => [kind, count])).toEqual([
    ['left-out', 2],
    ['no-row', 1],
  ]);
});

test('a range that retention took, and that was accepted', async () => {
  const landed = await thrice();
  await landed.land({ [k0]: range(40, 45) }, { lost: [[k0, 30, 40]] });
  for (const depth of ['footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect([report.verdict, exceptions(report)]).toEqual(['sound', ['lost-by-retention']]);
    expect(report.exceptions[0]).toMatchObject({ from: 30, next: 40, count: 10 });
  }
});

test('a rollback whose rows were landed again', async () => {
  const landed = await thrice();
  const { snapshots } = (await landed.table()).metadata;
  await landed.rollBackTo(snapshots[1]!['snapshot-id']);
  landed.onRollback = 'replay';
  landed.takeUp(k0, 25);
  landed.takeUp(k1, 10);
  await landed.land({ [k0]: range(25, 33), [k1]: range(10, 20) });
  for (const depth of ['footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect(messages(report)).toEqual([]);
    expect(exceptions(report)).toEqual(['landed-again']);
  }
});

test('a rollback whose rows were left out', async () => {
  const landed = await thrice();
  const { snapshots } = (await landed.table()).metadata;
  await landed.rollBackTo(snapshots[1]!['snapshot-id']);
  landed.onRollback = 'skip';
  await landed.land({ [k0]: range(30, 33), [k1]: range(20, 21) });
  const report = await landed.verify();
  expect(messages(report)).toEqual([]);
  expect(report.exceptions.filter(({ kind }) => kind === 'removed-by-rollback')).toMatchObject([
    { partition: 0, from: 25, next: 30 },
    { partition: 1, from: 10, next: 20 },
  ]);
});

test('a topic that was made anew: its offsets are other records', async () => {
  const landed = await thrice();
  landed.makeTopicAnew();
  await landed.land({ [k0]: range(0, 12), [k1]: range(0, 3) });
  for (const depth of ['footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect(messages(report)).toEqual([]);
    expect(exceptions(report)).toEqual(['topic-made-anew']);
  }
});

test('rows of others that are of no record', async () => {
  const landed = await new Landed().create(metadataFields.map((field) => ({ ...field, required: false })));
  await landed.land({ [k0]: range(0, 5) });
  await landed.append([await landed.file({ 'none-0': [0, 1] })]);
  for (const depth of ['footers', 'columns'] as const) {
    const report = await landed.verify({ depth });
    expect(messages(report)).toEqual([]);
    expect(exceptions(report)).toEqual(['rows-of-others']);
  }
});

// ---- from where on ----

test('what was verified before is not looked at again', async () => {
  const landed = await thrice();
  const verified = (await landed.head())['snapshot-id'];
  const [path] = await landed.paths();
  await landed.lake.store.delete(path!);
  await landed.land({ [k0]: range(30, 35) });
  const report = await landed.verify({ from: verified });
  expect(report).toMatchObject({
    verdict: 'sound',
    after: verified,
    files: 1,
    rows: 5,
    problems: [],
    exceptions: [],
  });
  expect((await landed.verify()).verdict).toBe('unsound');
});

test('a row that was verified before and is added again is a duplicate', async () => {
  const landed = await thrice();
  const verified = (await landed.head())['snapshot-id'];
  await landed.append([await landed.file({ [k0]: [3], [k1]: range(4, 6) })]);
  const report = await landed.verify({ from: verified });
  expect(report.problems).toMatchObject([
    { kind: 'duplicate', partition: 0, from: 3, next: 4 },
    { kind: 'duplicate', partition: 1, from: 4, next: 6 },
  ]);
});

test('from a snapshot on, rewritten files hold earlier rows, too', async () => {
  const landed = await thrice();
  const verified = (await landed.head())['snapshot-id'];
  await landed.land({ [k0]: range(30, 35) });
  await landed.rewrite([await landed.file({ [k0]: range(0, 35), [k1]: range(0, 20) })]);
  for (const depth of ['footers', 'columns'] as const)
    expect(await landed.verify({ from: verified, depth })).toMatchObject({ verdict: 'sound', problems: [] });
});

test('a table that was rolled back behind what was verified', async () => {
  const landed = await thrice();
  const verified = (await landed.head())['snapshot-id'];
  const { snapshots } = (await landed.table()).metadata;
  await landed.rollBackTo(snapshots[0]!['snapshot-id']);
  expect(messages(await landed.verify({ from: verified }))).toContainEqual(
    expect.stringMatching(
      /^rolled-back: snapshot \d+, up to which it was verified before, is not in the history any more/,
    ),
  );
});

// ---- tables of other tools ----

const theirs = { topic: 't', partition: 'p', offset: 'o' };
const theirFields = [
  { id: 0, name: 'p', required: true, type: { kind: 'int' as const } },
  { id: 0, name: 'o', required: true, type: { kind: 'long' as const } },
];

test("another tool's table without gap and duplicate", async () => {
  const landed = await new Landed().create(theirFields);
  await landed.append([await landed.file({ [k0]: range(5, 15), [k1]: range(0, 10) })]);
  await landed.append([await landed.file({ [k0]: range(15, 20) })]);
  const report = await landed.verify({ columns: theirs });
  expect(report).toMatchObject({ verdict: 'sound', pipelines: [] });
  expect(report.partitions).toMatchObject([
    { topic: '', partition: 0, from: 5, next: 20, rows: 15 },
    { topic: '', partition: 1, from: 0, next: 10, rows: 10 },
  ]);
  expect(report.summary).toContain('no gap, no duplicate');
});

test("another tool's table with a gap and a duplicate, also inside of a file", async () => {
  const landed = await new Landed().create(theirFields);
  await landed.append([await landed.file({ [k0]: range(0, 10), [k1]: [0, 1, 1, 3] })]);
  await landed.append([await landed.file({ [k0]: range(8, 12) })]);
  await landed.append([await landed.file({ [k0]: range(15, 18) })]);
  const report = await landed.verify({ columns: theirs });
  expect(report.summary).toBe('unsound: 2 gaps, 2 duplicates in shop.orders');
  expect(messages(report).map((message) => message.replace(/ there before.*/, ''))).toEqual([
    'duplicate: partition 0 offsets [8, 10):',
    'duplicate: partition 1 offset 1:',
    'gap: partition 0 offsets [12, 15): no row; every offset should have one here',
    'gap: partition 1 offset 2: no row; every offset should have one here',
  ]);
});

test('by footers alone a gap between files is found, and what they leave open is said', async () => {
  const landed = await new Landed().create(theirFields);
  await landed.append([await landed.file({ [k0]: range(0, 10) })]);
  await landed.append([await landed.file({ [k0]: range(12, 15) })]);
  await landed.append([await landed.file({ [k0]: range(15, 18), [k1]: range(0, 3) })]);
  const report = await landed.verify({ columns: theirs, depth: 'quick' });
  expect(messages(report)).toEqual([
    'gap: partition 0 offsets [10, 12): no row; every offset should have one here',
  ]);
  expect(exceptions(report)).toEqual(['rows-of-others', 'not-looked-at']);
});

test('a table with neither ledger nor offsets cannot be verified', async () => {
  const landed = await new Landed().create([]);
  await expect(landed.verify()).rejects.toThrow(
    'verifying table shop.orders: it has neither a ledger of a pipeline nor a column _kafka_offset; name its columns with --offset-column',
  );
});

test('a table with a ledger but no column of offsets is verified by claims and counts', async () => {
  const landed = await new Landed().create([]);
  await landed.land({ [k0]: range(0, 10) });
  expect((await landed.verify()).verdict).toBe('sound');
  await landed.append([await landed.file({ [k0]: range(0, 3) })]);
  const report = await landed.verify();
  expect(exceptions(report)).toContain('rows-of-others');
});

test('an empty table is sound', async () => {
  const landed = await new Landed().create();
  expect(await landed.verify()).toMatchObject({ verdict: 'sound', snapshot: null, files: 0, partitions: [] });
});

// ---- what the store and delete files do ----

test('rows that delete files mark are a deletion by others', async () => {
  const landed = await thrice();
  await landed.markDeleted(3);
  const report = await landed.verify();
  expect(messages(report)).toEqual([
    expect.stringMatching(/^deleted-rows: snapshot \d+ \(delete\) marks in delete files 3 rows$/),
  ]);
  expect((await landed.verify({ allowDeletes: true })).verdict).toBe('sound');
});

test('reading is tried again, and a store that stays away is no fault of the table', async () => {
  const landed = await thrice();
  let failures = 3;
  const { store } = landed.lake;
  const getRange = store.getRange.bind(store);
  store.getRange = async (...range) => {
    if (failures-- > 0) throw new TransientError('the store is busy');
    return getRange(...range);
  };
  expect(await landed.verify({ depth: 'columns' })).toMatchObject({ verdict: 'sound', rows: 50 });
  // Footers come, columns do not.
  const opened = new Set<string>();
  store.getRange = async (location, start, end) => {
    if (opened.has(location)) throw new TransientError('the store is away');
    opened.add(location);
    return getRange(location, start, end);
  };
  await expect(landed.verify({ depth: 'columns' })).rejects.toThrow('the store is away');
});

test('of more findings than are listed the number is told', async () => {
  const landed = await new Landed().create();
  await landed.append([await landed.file({ [k0]: range(0, 300).filter((offset) => offset % 2 === 0) })]);
  const report = await landed.verify();
  expect(report.problems).toHaveLength(100);
  expect(report.problemCounts).toEqual({ gap: 149 });
  expect(report.summary).toBe('unsound: 149 gaps in shop.orders');
});

test('work is done side by side, and its first failure ends it', async () => {
  async function* numbers(): AsyncGenerator<number> {
    for (let i = 0; i < 50; i++) yield i;
  }
  let [running, most, done] = [0, 0, 0];
  const work = async (i: number): Promise<void> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    done++;
    if (i === 20) throw new Error('number 20');
  };
  await expect(inParallel(numbers(), 4, work)).rejects.toThrow('number 20');
  expect(most).toBe(4);
  expect(done).toBeLessThan(30);
});

test('--deep of a table without a column of offsets is what can be told without', async () => {
  const landed = await new Landed().create([]);
  await landed.land({ [k0]: range(0, 10) });
  expect(await landed.verify({ depth: 'columns' })).toMatchObject({ verdict: 'sound', rows: 10 });
});
