import type { Snapshot, TableMetadata } from '../../../src/iceberg/metadata.ts';
import { applyUpdates } from '../../../src/iceberg/update.ts';
import { type Ledger, ledgerNames, writeLedger, writeLedgerProperty } from '../../../src/sink/ledger.ts';
import { createdAtMs, newTable, snapshot } from '../iceberg/tables.ts';

export const pipeline = 'shop';
export const names = ledgerNames(pipeline);

/** A ledger of topic `orders`: next offsets (and starts, 0 if not given) by partition. */
export function ledger(next: readonly number[], starts: readonly number[] = next.map(() => 0)): Ledger {
  const byKey = (offsets: readonly number[]): Map<string, number> =>
    new Map(offsets.map((offset, partition) => [`orders-${partition}`, offset]));
  return {
    clusterId: 'cluster',
    topicIds: new Map([['orders', 'topic-id']]),
    next: byKey(next),
    epochs: new Map(),
    starts: byKey(starts),
  };
}

/** A table's metadata as others and we have changed it. Snapshots are numbered 1, 2, 3, ... in the order they are made. */
export class History {
  metadata: TableMetadata = newTable();
  #lastId = 0n;

  /** A commit of the pipeline: the ledger in the summary and, in the same commit, in the property. */
  own(landed: Ledger, by = pipeline): this {
    const added = this.#append({ [ledgerNames(by).offsets]: writeLedger(landed) });
    return this.property(landed, added['snapshot-id'], added['sequence-number'], 'main', by);
  }

  /** Somebody else's commit: a compaction, an append. Nobody copies summaries. */
  foreign(): this {
    this.#append({});
    return this;
  }

  property(landed: Ledger, snapshotId: bigint, sequenceNumber: number, branch = 'main', by = pipeline): this {
    return this.properties({
      [ledgerNames(by).property]: writeLedgerProperty({ snapshotId, sequenceNumber, branch, ledger: landed }),
    });
  }

  properties(updates: Record<string, string>): this {
    this.metadata = { ...this.metadata, properties: { ...this.metadata.properties, ...updates } };
    return this;
  }

  without(property: string): this {
    const { [property]: _, ...properties } = this.metadata.properties;
    this.metadata = { ...this.metadata, properties };
    return this;
  }

  /** As Java's rollback and set-current-snapshot: the branch moves, no snapshot is made. */
  rollBackTo(id: bigint): this {
    const { refs } = this.metadata;
    this.metadata = {
      ...this.metadata,
      'current-snapshot-id': id,
      refs: { ...refs, main: { 'snapshot-id': id, type: 'branch' } },
    };
    return this;
  }

  /** CREATE OR REPLACE TABLE: uuid and properties stay, the branch is gone. */
  replaced(): this {
    this.metadata = { ...this.metadata, 'current-snapshot-id': null, refs: {} };
    return this;
  }

  expired(...ids: bigint[]): this {
    const snapshots = this.metadata.snapshots.filter((each) => !ids.includes(each['snapshot-id']));
    this.metadata = { ...this.metadata, snapshots };
    return this;
  }

  #append(summary: Record<string, string>): Snapshot {
    const id = ++this.#lastId;
    const sequenceNumber = this.metadata['last-sequence-number'] + 1;
    const made = snapshot(id, sequenceNumber, createdAtMs, this.metadata.refs['main']?.['snapshot-id']);
    const added = { ...made, summary: { ...made.summary, ...summary } };
    const updates = [
      { action: 'add-snapshot', snapshot: added },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': id },
    ] as const;
    this.metadata = applyUpdates(this.metadata, 'before', updates, createdAtMs);
    return added;
  }
}
