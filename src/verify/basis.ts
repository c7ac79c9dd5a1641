import { FatalError } from '../base/errors.ts';
import { formatIdentifier, type Table } from '../catalog/catalog.ts';
import { mainBranch, type Snapshot, type TableMetadata } from '../iceberg/metadata.ts';
import { type Ledger, ledgerNames, parseLedger, writeLedger } from '../sink/ledger.ts';
import { type Basis, pipelinesOf } from './chain.ts';
import { lineageOf } from './lineage.ts';

/** The ledger that a snapshot, or the nearest of the pipeline's before it, has in its summary. */
export function ledgerAt(pipeline: string, snapshot: Snapshot, metadata: TableMetadata): Ledger | undefined {
  const { offsets } = ledgerNames(pipeline);
  const byId = new Map(metadata.snapshots.map((each) => [each['snapshot-id'], each]));
  let at: Snapshot | undefined = snapshot;
  for (let steps = 0; at && steps < metadata.snapshots.length; steps++) {
    const text = at.summary[offsets];
    if (text !== undefined) return parseLedger(text, `snapshot ${at['snapshot-id']}`);
    at = byId.get(at['parent-snapshot-id'] ?? -1n);
  }
  return undefined;
}

/** What is verified from a snapshot on. @throws {FatalError} when the table does not have that snapshot. */
export function basisAt(table: Table, snapshot: bigint): Basis {
  const { metadata } = table;
  const found = metadata.snapshots.find((each) => each['snapshot-id'] === snapshot);
  if (!found)
    throw new FatalError(
      `verifying table ${formatIdentifier(table.identifier)} from snapshot ${snapshot}: it is not in the table, or has expired`,
    );
  const ledgers = new Map<string, Ledger>();
  for (const pipeline of pipelinesOf(metadata, lineageOf(metadata, mainBranch))) {
    const ledger = ledgerAt(pipeline, found, metadata);
    if (ledger) ledgers.set(pipeline, ledger);
  }
  return { snapshot, sequenceNumber: found['sequence-number'], ledgers };
}

/** What a file remembers of a table that was found sound: also when its snapshots have expired it can be gone on from. */
export interface Remembered {
  readonly uuid: string;
  readonly snapshot: string;
  readonly sequenceNumber: number;
  readonly at: string;
  /** By pipeline, in the form of the summaries. */
  readonly ledgers: Readonly<Record<string, string>>;
}

/** The head of a table, to be remembered; undefined when it has no snapshot. */
export function remember({ metadata }: Table, at: string): Remembered | undefined {
  const lineage = lineageOf(metadata, mainBranch);
  const head = lineage.snapshots.at(-1);
  if (!head) return undefined;
  const ledgers = pipelinesOf(metadata, lineage).flatMap((pipeline) => {
    const ledger = ledgerAt(pipeline, head, metadata);
    return ledger ? [[pipeline, writeLedger(ledger)] as const] : [];
  });
  return {
    uuid: metadata['table-uuid'],
    snapshot: String(head['snapshot-id']),
    sequenceNumber: head['sequence-number'],
    at,
    ledgers: Object.fromEntries(ledgers),
  };
}

/** @throws {FatalError} when it is about another table. */
export function basisOf(remembered: Remembered, table: Table, file: string): Basis {
  const { uuid, snapshot, sequenceNumber, ledgers } = remembered;
  const doing = `verifying table ${formatIdentifier(table.identifier)}`;
  if (uuid !== table.metadata['table-uuid'])
    throw new FatalError(
      `${doing}: ${file} is about another table of this name (uuid ${uuid}); delete it to begin anew`,
    );
  return {
    snapshot: BigInt(snapshot),
    sequenceNumber,
    ledgers: new Map(Object.entries(ledgers).map(([pipeline, text]) => [pipeline, parseLedger(text, file)])),
  };
}
