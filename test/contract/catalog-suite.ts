import { describe, expect, test } from 'vitest';
import { branchHead, currentSchema, defaultSpec, mainBranch } from '../../src/iceberg/metadata.ts';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import { applied, benchFor, type CatalogUnderTest, creation, pathsOf } from './catalog-bench.ts';
import { commitSnapshot } from './committer.ts';
import { liveFiles } from './watched-store.ts';

/** What every catalog must do, whatever is behind it. */
export function catalogSuite(name: string, open: () => Promise<CatalogUnderTest>): void {
  describe(`a catalog of ${name}`, () => {
    const bench = benchFor(open);

    describe('making tables', () => {
      test('a table is not there before it is made, nor is its namespace', async () => {
        expect(await bench.catalog.load(bench.orders)).toBeUndefined();
        await bench.catalog.create(bench.orders, creation);
        expect(await bench.catalog.load({ ...bench.orders, name: 'other' })).toBeUndefined();
      });

      test('a table comes back as it was made', async () => {
        const made = await bench.catalog.create(bench.orders, {
          ...creation,
          spec: (schema) => newSpec(schema, ['region']),
        });
        expect(made.identifier).toEqual(bench.orders);
        expect(made.metadata.properties).toMatchObject(creation.properties);
        expect(made.metadata['format-version']).toBe(2);
        expect(made.metadata['current-snapshot-id']).toBeNull();
        expect(made.metadata.snapshots).toEqual([]);
        expect(currentSchema(made.metadata).fields).toMatchObject([
          { name: 'id', required: true, type: { kind: 'long' } },
          { name: 'region', required: false, type: { kind: 'string' } },
        ]);
        const region = currentSchema(made.metadata).fields[1]!;
        expect(defaultSpec(made.metadata).fields).toMatchObject([
          { name: 'region', sourceId: region.id, fieldId: 1000, transform: 'identity' },
        ]);
        expect(await bench.load()).toEqual(made);
        expect(await (await bench.client()).load(bench.orders)).toEqual(made);
      });

      test('whoever makes a table again is given the one that is there, and no other metadata is kept', async () => {
        const first = await bench.catalog.create(bench.orders, creation);
        const before = bench.metadataFiles();
        const second = await (await bench.client()).create(bench.orders, { ...creation, properties: {} });
        expect(second).toEqual(first);
        expect(bench.metadataFiles()).toEqual(before);
      });

      test('many that make a table at the same time have one', async () => {
        const others = await Promise.all(Array.from({ length: 8 }, () => bench.client()));
        const made = await Promise.all(others.map((other) => other.create(bench.orders, creation)));
        const table = await bench.load();
        if (bench.under.capabilities.lastCreatorWins)
          expect(
            made.filter((one) => one.metadata['table-uuid'] === table.metadata['table-uuid']),
          ).not.toEqual([]);
        else for (const one of made) expect(one).toEqual(table);
        expect(await bench.catalog.create(bench.orders, creation)).toEqual(table);
        if (!bench.under.capabilities.serverWritesMetadata)
          expect(bench.metadataFiles()).toEqual([table.metadataLocation]);
      });

      test('a table that was made to try something out is dropped again', async () => {
        const table = await bench.catalog.create(bench.orders, creation);
        expect(await bench.catalog.drop!(bench.orders)).toBe(true);
        expect(await bench.catalog.load(bench.orders)).toBeUndefined();
        expect(await bench.catalog.drop!(bench.orders)).toBe(true);
        // What we have written stays; SeaweedFS takes its files with it.
        if (!bench.under.capabilities.serverWritesMetadata)
          expect(await bench.under.store.get(table.metadataLocation)).toBeDefined();
      });

      test('tables are kept apart', async () => {
        const names = [
          bench.orders,
          { ...bench.orders, name: 'refunds' },
          { namespace: bench.under.namespace(), name: 'orders' },
          ...(bench.orders.namespace.length > 1
            ? [{ ...bench.orders, namespace: bench.orders.namespace.slice(0, 1) }]
            : []),
        ];
        for (const [i, each] of names.entries())
          expect((await bench.append(await bench.catalog.create(each, creation), `file-${i}`)).type).toBe(
            'applied',
          );
        for (const [i, each] of names.entries())
          expect(await liveFiles(await bench.load(each), bench.under.store)).toEqual(pathsOf([`file-${i}`]));
      });
    });

    describe('a commit', () => {
      test('that is applied makes the table what it says', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        const outcome = await bench.append(base, 'a');
        const table = applied(outcome);
        expect(table.metadataLocation).not.toBe(base.metadataLocation);
        expect(table.metadata['table-uuid']).toBe(base.metadata['table-uuid']);
        expect(await (await bench.client()).load(bench.orders)).toEqual(bench.asLoaded(table));
        await bench.check(['a']);
        expect(branchHead(table.metadata, mainBranch)).toMatchObject({
          'sequence-number': 1,
          summary: { operation: 'append', 'total-data-files': '1' },
          'schema-id': table.metadata['current-schema-id'],
        });
        if (bench.under.capabilities.serverWritesMetadata) return;
        expect(table.metadata['metadata-log']).toEqual([
          { 'timestamp-ms': base.metadata['last-updated-ms'], 'metadata-file': base.metadataLocation },
        ]);
        expect(bench.metadataFiles()).toEqual([base.metadataLocation, table.metadataLocation]);
      });

      test('has an outcome that is the base of the next', async () => {
        let table = await bench.catalog.create(bench.orders, creation);
        const files = Array.from({ length: 12 }, (_, i) => `file-${i}`);
        for (const file of files) table = applied(await bench.append(table, file));
        expect(await bench.check(files)).toEqual(bench.asLoaded(table));
      });

      test('keeps snapshot ids of 63 bits and long texts of any script', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        const id = 2n ** 63n - 25n;
        const text = `größe 日本 🧊 "\\ ${'x'.repeat(100_000)}`;
        const table = applied(
          await bench.catalog.commit(
            base,
            [{ type: 'assert-table-uuid', uuid: base.metadata['table-uuid'] }],
            [{ action: 'set-properties', updates: { text } }],
          ),
        );
        expect((await commitSnapshot(bench.catalog, table, id)).type).toBe('applied');
        const { metadata } = await bench.load();
        expect(metadata.properties['text']).toBe(text);
        expect(metadata['current-snapshot-id']).toBe(id);
        expect(branchHead(metadata, mainBranch)!['snapshot-id']).toBe(id);
      });

      test('sets and removes properties with the snapshot or without one', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        const same = [{ type: 'assert-table-uuid', uuid: base.metadata['table-uuid'] }] as const;
        const set = await bench.catalog.commit(base, same, [
          { action: 'set-properties', updates: { a: '1', b: '2' } },
        ]);
        const removed = await bench.catalog.commit(applied(set), same, [
          { action: 'set-properties', updates: { b: '3' } },
          { action: 'remove-properties', removals: ['a', 'owner'] },
        ]);
        const { properties } = applied(removed).metadata;
        expect(properties).toMatchObject({ b: '3' });
        expect(properties).not.toHaveProperty('a');
        expect(properties).not.toHaveProperty('owner');
        expect((await bench.load()).metadata.properties).toEqual(properties);
        await bench.check([], 0);
      });

      test('onto a branch that has moved is rejected, and leaves nothing of itself', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        await bench.append(base, 'a');
        const before = bench.metadataFiles();
        const table = await bench.load();
        expect(await bench.append(base, 'b', await bench.client())).toMatchObject({
          type: 'rejected',
          reason: expect.stringMatching(/./),
        });
        expect(await bench.check(['a'])).toEqual(table);
        expect(bench.metadataFiles()).toEqual(before);
      });

      test.each([
        ['another head', { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 5n }],
        ['another table', { type: 'assert-table-uuid', uuid: '11111111-2222-4333-8444-555555555555' }],
      ] as const)('that requires %s is rejected', async (_what, requirement) => {
        const base = await bench.catalog.create(bench.orders, creation);
        const before = bench.metadataFiles();
        const outcome = await bench.catalog.commit(
          base,
          [requirement],
          [{ action: 'set-properties', updates: { a: '1' } }],
        );
        expect(outcome).toMatchObject({ type: 'rejected', reason: expect.stringMatching(/./) });
        expect(await bench.load()).toEqual(base);
        expect(bench.metadataFiles()).toEqual(before);
      });

      test('onto a table that was dropped is rejected, and so is one onto its successor', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        const table = applied(await bench.append(base, 'a'));
        await bench.under.drop(bench.orders);
        expect(await bench.catalog.load(bench.orders)).toBeUndefined();
        // To append to a table with snapshots their files are needed.
        const stales = bench.under.capabilities.dropPurges ? [base] : [base, table];
        for (const stale of stales) expect((await bench.append(stale, 'b')).type).toBe('rejected');
        expect(await bench.catalog.load(bench.orders)).toBeUndefined();
        const anew = await bench.catalog.create(bench.orders, creation);
        expect(anew.metadata['table-uuid']).not.toBe(base.metadata['table-uuid']);
        for (const stale of stales) expect((await bench.append(stale, 'c')).type).toBe('rejected');
        expect(await bench.check([], 0)).toEqual(anew);
        expect((await bench.append(anew, 'd')).type).toBe('applied');
        await bench.check(['d']);
      });
    });

    describe('what others do in between', () => {
      test('to properties stays, and what was staged before it lands at once or is refused', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        const other = await bench.client();
        const requirement = { type: 'assert-table-uuid', uuid: base.metadata['table-uuid'] } as const;
        await other.commit(base, [requirement], [{ action: 'set-properties', updates: { theirs: '1' } }]);
        const outcome = await bench.append(base, 'a');
        expect(outcome.type).toBe(bench.firstIsFree ? 'applied' : 'rejected');
        if (outcome.type === 'rejected') applied(await bench.append(await bench.load(), 'a'));
        const table = await bench.check(['a']);
        expect(table.metadata.properties).toMatchObject({ theirs: '1', owner: 'me' });
      });

      test('to the schema stays, with new files of the old schema beside it', async () => {
        const base = await bench.catalog.create(bench.orders, creation);
        await bench.under.addColumn(bench.orders, 'added');
        const seen = await bench.load();
        expect(currentSchema(seen.metadata).fields.map((field) => field.name)).toEqual([
          'id',
          'region',
          'added',
        ]);
        const outcome = await bench.append(base, 'a');
        expect(outcome.type).toBe(bench.firstIsFree ? 'applied' : 'rejected');
        if (outcome.type === 'rejected') applied(await bench.append(seen, 'a'));
        const { metadata } = await bench.check(['a']);
        expect(metadata['current-schema-id']).toBe(seen.metadata['current-schema-id']);
        expect(metadata.schemas).toEqual(seen.metadata.schemas);
      });
    });

    test('committers that race lose nothing, and nothing is in the table twice', async () => {
      const [committers, each] = [4, 10];
      await bench.catalog.create(bench.orders, creation);
      const races = await Promise.all(
        Array.from({ length: committers }, async (_, committer) => {
          const by = await bench.client();
          let rejected = 0;
          for (let i = 0; i < each; ) {
            const outcome = await bench.append((await by.load(bench.orders))!, `file-${committer}-${i}`, by);
            expect(outcome.type).not.toBe('unknown');
            if (outcome.type === 'applied') i++;
            else rejected++;
          }
          return rejected;
        }),
      );
      const files = Array.from(
        { length: committers * each },
        (_, i) => `file-${i % committers}-${Math.floor(i / committers)}`,
      );
      await bench.check(files);
      // It was a race.
      expect(races.reduce((sum, rejected) => sum + rejected, 0)).toBeGreaterThan(0);
      // Those of rejected attempts are gone: the log of the table tells that others came in their place.
      if (!bench.under.capabilities.serverWritesMetadata)
        expect(bench.metadataFiles()).toHaveLength(files.length + 1);
    });
  });
}
