import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import type { Snapshot } from '../../../src/iceberg/metadata.ts';
import {
  decideRollback,
  type Ledger,
  parseLedger,
  type RollbackPolicy,
  resolveLedger,
  writeLedger,
} from '../../../src/sink/ledger.ts';
import { History, ledger, names, pipeline } from './history.ts';

const resolve = (history: History) => resolveLedger(history.metadata, pipeline, 'main');

describe('the text of a ledger', () => {
  test('has one next offset per partition, null where unknown, under topic and cluster', () => {
    const landed: Ledger = {
      clusterId: 'cluster',
      topicIds: new Map([
        ['a-b', 'id of a-b'],
        ['c', 'id of c'],
      ]),
      next: new Map([
        ['a-b-2', 7],
        ['a-b-0', 2 ** 53 - 1],
        ['c-0', 0],
      ]),
      epochs: new Map([['a-b-2', 3]]),
      starts: new Map([['a-b-0', 3]]),
    };
    expect(writeLedger(landed)).toBe(
      '{"v":1,"c":"cluster","t":{"a-b":{"i":"id of a-b","e":[9007199254740991,null,7],"l":[null,null,3]},"c":{"i":"id of c","e":[0]}}}',
    );
  });

  test('reads back as it was, without the starts, which are the property’s alone', () => {
    const landed = { ...ledger([5, 0, 12], [1, 0, 2]), epochs: new Map([['orders-2', 9]]) };
    expect(parseLedger(writeLedger(landed), 'here')).toEqual({ ...landed, starts: new Map() });
    const { metadata } = new History().own(landed);
    expect(resolveLedger(metadata, pipeline, 'main')).toEqual({ type: 'known', ledger: landed });
  });

  test.each(['constructor', '__proto__', 'toString'])('may have a topic named %s', (topic) => {
    const next = new Map([
      [`${topic}-0`, 4],
      [`${topic}-1`, 5],
    ]);
    const landed: Ledger = {
      clusterId: 'c',
      topicIds: new Map([[topic, 'id']]),
      next,
      epochs: new Map([[`${topic}-1`, 6]]),
      starts: new Map(),
    };
    expect(parseLedger(writeLedger(landed), 'here')).toEqual(landed);
  });

  test('may be of a program that knew nothing of leader epochs', () => {
    const text = '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[7]}}}';
    expect(parseLedger(text, 'here')).toEqual({ ...ledger([7]), starts: new Map() });
    expect(writeLedger(parseLedger(text, 'here'))).toBe(text);
  });

  test('of a later version is refused', () => {
    expect(() => parseLedger('{"v":2,"c":"","t":{}}', 'snapshot 7')).toThrow(
      new FatalError('reading the ledger in snapshot 7: version 2 is not known; a newer frazil wrote it'),
    );
  });

  test.each(['', '{"v":1', 'null', '{"v":1,"c":"x"}', '{"v":1,"c":"x","t":{"orders":{}}}'])(
    'that is none is refused with the place where it stands: %s',
    (text) => {
      expect(() => parseLedger(text, 'snapshot 7')).toThrow(FatalError);
      expect(() => parseLedger(text, 'snapshot 7')).toThrow(/^reading the ledger in snapshot 7: /);
    },
  );

  test.each(['', '{}', '{"snapshot-id":"x"}', '{"snapshot-id":"1","sequence-number":1,"branch":"main"}'])(
    'in a property that somebody has damaged stops the pipeline and names the property: %s',
    (text) => {
      const history = new History().own(ledger([5])).properties({ [names.property]: text });
      expect(() => resolve(history)).toThrow(FatalError);
      expect(() => resolve(history)).toThrow(/^reading the ledger in property frazil\.shop\.ledger: /);
    },
  );
});

describe('what a table says about the pipeline', () => {
  test('nothing, when it has neither snapshot nor property of it: it is new', () => {
    expect(resolve(new History())).toEqual({ type: 'new' });
    expect(resolve(new History().foreign().foreign())).toEqual({ type: 'new' });
    expect(resolve(new History().own(ledger([9]), 'another'))).toEqual({ type: 'new' });
  });

  test('the ledger of its newest snapshot, when the property is of that snapshot', () => {
    const history = new History().own(ledger([5])).own(ledger([9]));
    expect(resolve(history)).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('the ledger of its newest snapshot also behind the commits of others', () => {
    const history = new History()
      .own(ledger([5]))
      .foreign()
      .own(ledger([9]))
      .foreign()
      .foreign();
    expect(resolve(history)).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('the ledger of its newest snapshot, when the property is older or gone', () => {
    const older = new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .property(ledger([5]), 1n, 1);
    expect(resolve(older)).toEqual({ type: 'known', ledger: ledger([9]) });
    const gone = new History().own(ledger([9])).without(names.property);
    expect(resolve(gone)).toEqual({ type: 'known', ledger: { ...ledger([9]), starts: new Map() } });
  });

  test('the ledger of the property, when its own snapshots have expired under those of others', () => {
    const history = new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .foreign()
      .foreign()
      .expired(1n, 2n);
    expect(resolve(history)).toEqual({ type: 'known', ledger: ledger([9]) });
    // Also when the head is the very snapshot that the property was written with, without a summary of ours.
    const bare = new History()
      .foreign()
      .foreign()
      .expired(1n)
      .property(ledger([9]), 2n, 2);
    expect(resolve(bare)).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('the ledger of its newest snapshot, when those before it have expired', () => {
    const history = new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .expired(1n);
    expect(resolve(history)).toEqual({ type: 'known', ledger: ledger([9]) });
  });

  test('a rollback, when its newest snapshot in the history is older than the property', () => {
    const history = new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .rollBackTo(1n);
    const property = { snapshotId: 2n, sequenceNumber: 2, branch: 'main', ledger: ledger([9]) };
    expect(resolve(history)).toEqual({ type: 'rolledBack', lineage: ledger([5]), property });
    // However many commits others have put on top since.
    expect(resolve(history.foreign().foreign().foreign())).toEqual({
      type: 'rolledBack',
      lineage: ledger([5]),
      property,
    });
  });

  test('a rollback to before it, when the history ends at its root without a snapshot of its own', () => {
    const history = new History()
      .foreign()
      .own(ledger([9]))
      .rollBackTo(1n);
    const property = { snapshotId: 2n, sequenceNumber: 2, branch: 'main', ledger: ledger([9]) };
    expect(resolve(history)).toEqual({ type: 'rolledBack', lineage: 'none', property });
  });

  test('a rollback to nothing, when the table was replaced', () => {
    const history = new History().own(ledger([9])).replaced();
    const property = { snapshotId: 1n, sequenceNumber: 1, branch: 'main', ledger: ledger([9]) };
    expect(resolve(history)).toEqual({ type: 'rolledBack', lineage: 'none', property });
    // The next snapshot, somebody else's, has no parent.
    expect(resolve(history.foreign())).toEqual({ type: 'rolledBack', lineage: 'none', property });
  });

  test('a rollback that cannot be told any more, when the head is older than the property and the rest expired', () => {
    const history = new History()
      .foreign()
      .foreign()
      .own(ledger([9]))
      .rollBackTo(2n)
      .expired(1n, 3n);
    expect(resolve(history)).toEqual({
      type: 'rolledBack',
      lineage: 'expired',
      property: { snapshotId: 3n, sequenceNumber: 3, branch: 'main', ledger: ledger([9]) },
    });
  });

  test('a rollback that cannot be told any more, when the head itself is not listed', () => {
    const history = new History()
      .foreign()
      .own(ledger([9]))
      .expired(1n, 2n);
    expect(resolve(history)).toMatchObject({ type: 'rolledBack', lineage: 'expired' });
  });

  test('the ledger of the property, when a catalog shows the newest snapshot only and without its parent (Nessie)', () => {
    const history = new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .foreign()
      .expired(1n, 2n);
    const [{ 'parent-snapshot-id': _, ...newest }] = history.metadata.snapshots as [Snapshot];
    history.metadata = { ...history.metadata, snapshots: [newest] };
    // Elsewhere that is a history that begins anew.
    expect(resolve(history).type).toBe('rolledBack');
    history.properties({ 'nessie.commit.id': 'c0ffee' });
    expect(resolve(history)).toEqual({ type: 'known', ledger: ledger([9]) });
    // What stands at the very beginning has lost nothing.
    history.metadata = { ...history.metadata, snapshots: [{ ...newest, 'sequence-number': 1 }] };
    expect(resolve(history).type).toBe('rolledBack');
  });

  test('nothing, when the property is about another branch', () => {
    const history = new History().foreign().property(ledger([9]), 1n, 1, 'audit');
    expect(resolve(history)).toEqual({ type: 'new' });
  });

  test('something, even when the history goes in a circle', () => {
    const { metadata } = new History()
      .foreign()
      .foreign()
      .property(ledger([9]), 2n, 2);
    const snapshots = metadata.snapshots.map((each) => ({ ...each, 'parent-snapshot-id': 2n }));
    expect(resolveLedger({ ...metadata, snapshots }, pipeline, 'main').type).toBe('known');
  });
});

describe('a rollback', () => {
  const table = 'shop.orders';
  const decide = (history: History, policy: RollbackPolicy): Ledger | undefined =>
    decideRollback(resolve(history), history.metadata, pipeline, table, policy);
  const rolledBack = (): History =>
    new History()
      .own(ledger([5]))
      .own(ledger([9]))
      .rollBackTo(1n);
  const landed = '{"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[9]}}}';

  test('is no question, whatever the policy, when there was none', () => {
    for (const policy of ['halt', 'replay', 'skip'] as const) {
      expect(decide(new History(), policy)).toBeUndefined();
      expect(decide(new History().own(ledger([5])), policy)).toEqual(ledger([5]));
    }
  });

  test('halts with both sides and with what to do', () => {
    expect(() => decide(rolledBack(), 'halt')).toThrow(
      new FatalError(
        'table shop.orders has gone back behind what pipeline shop has landed in snapshot 2: ' +
          `landed ${landed}, its history now says {"v":1,"c":"cluster","t":{"orders":{"i":"topic-id","e":[5]}}}. ` +
          'To land the missing offsets again set onRollback: replay; to leave them out: skip. Or, for this once, set the ' +
          'table property frazil.shop.resolution to "2 replay" or "2 skip"',
      ),
    );
  });

  test('of a replaced table halts and says that its history knows nothing', () => {
    const history = new History().own(ledger([9])).replaced();
    expect(() => decide(history, 'halt')).toThrow(`landed ${landed}, its history now says none. To land`);
  });

  test('is skipped: what had landed is not landed again', () => {
    expect(decide(rolledBack(), 'skip')).toEqual(ledger([9]));
    expect(decide(new History().own(ledger([9])).replaced(), 'skip')).toEqual(ledger([9]));
  });

  test('is replayed from where the present history ends', () => {
    const history = new History()
      .own(ledger([5], [2]))
      .own(ledger([9, 30], [2, 20]))
      .rollBackTo(1n);
    // Partition 1 had its first commit in what was rolled back: it starts where the pipeline had begun with it.
    expect(decide(history, 'replay')).toEqual(ledger([5, 20], [2, 20]));
  });

  test('of a replaced table is replayed from where the pipeline had begun', () => {
    const history = new History().own(ledger([9, 30], [2, 20])).replaced();
    expect(decide(history, 'replay')).toEqual(ledger([2, 20], [2, 20]));
  });

  test('to before a topic was made anew is not replayed from offsets of the topic that is gone', () => {
    const old = ledger([900]);
    const anew: Ledger = { ...ledger([9], [0]), topicIds: new Map([['orders', 'topic-id of the new one']]) };
    expect(decide(new History().own(old).own(anew).rollBackTo(1n), 'replay')).toEqual({
      ...anew,
      next: new Map([['orders-0', 0]]),
    });
    const elsewhere: Ledger = { ...ledger([9], [0]), clusterId: 'another cluster' };
    expect(decide(new History().own(old).own(elsewhere).rollBackTo(1n), 'replay')?.next).toEqual(
      new Map([['orders-0', 0]]),
    );
  });

  test('is not replayed blindly when nobody knows where a partition had begun', () => {
    // The property was lost once: the starts are gone, and only group offsets, those of the missing rows, would be left.
    const history = new History()
      .foreign()
      .own(ledger([9], []))
      .rollBackTo(1n);
    expect(() => decide(history, 'replay')).toThrow(FatalError);
    expect(() => decide(history, 'replay')).toThrow(/orders-0/);
  });

  test('that cannot be told any more is never replayed: rows that are there would be doubled', () => {
    const history = new History()
      .foreign()
      .foreign()
      .own(ledger([9]))
      .rollBackTo(2n)
      .expired(1n, 3n);
    expect(() => decide(history, 'replay')).toThrow(
      new FatalError(
        'table shop.orders has gone back behind what pipeline shop has landed in snapshot 3: ' +
          `landed ${landed}, its history now says expired: the snapshots that could tell which offsets the present rows ` +
          'have are gone, so nothing can be landed again safely. Compare max(_kafka_offset) in the table with what had ' +
          'landed; then choose onRollback: skip, or roll the table on to a snapshot of this pipeline',
      ),
    );
    expect(decide(history, 'skip')).toEqual(ledger([9]));
  });

  test.each([
    ['2 replay', [5]],
    ['2 skip', [9]],
    ['  2   skip\n', [9]],
  ])('is decided by the operator’s word in the table, over the policy: "%s"', (word, next) => {
    const history = rolledBack().properties({ [names.resolution]: word });
    for (const policy of ['halt', 'replay', 'skip'] as const)
      expect(decide(history, policy)).toEqual(ledger(next));
  });

  test.each(['1 skip', '3 skip', 'skip', '2 skipped', '2', '', 'skip 2', '02 skip'])(
    'is not decided by a word that is not about it: "%s"',
    (word) => {
      const history = rolledBack().properties({ [names.resolution]: word });
      expect(() => decide(history, 'halt')).toThrow(/^table shop\.orders has gone back behind/);
    },
  );

  test('halts at the operator’s word "halt", whatever the policy', () => {
    const history = rolledBack().properties({ [names.resolution]: '2 halt' });
    expect(() => decide(history, 'replay')).toThrow(FatalError);
  });

  test('is another pipeline’s question, not ours', () => {
    const history = new History()
      .own(ledger([5]), 'other')
      .own(ledger([7]))
      .rollBackTo(2n);
    expect(decide(history, 'halt')).toEqual(ledger([7]));
  });
});
