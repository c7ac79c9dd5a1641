import { unreachable } from '../base/assert.ts';
import { branchHead, mainBranch, type Snapshot, type TableMetadata } from './metadata.ts';

/**
 * Changes to table metadata and the conditions they are made under, in the words of the REST catalog protocol
 * (open-api `TableUpdate`, `TableRequirement`). Catalogs that keep metadata files apply them here; a REST catalog sends
 * them. Only what this program asks for is listed.
 */
export type Update =
  | { action: 'add-snapshot'; snapshot: Snapshot }
  | { action: 'set-snapshot-ref'; 'ref-name': string; type: 'branch'; 'snapshot-id': bigint }
  | { action: 'set-properties'; updates: Readonly<Record<string, string>> }
  | { action: 'remove-properties'; removals: readonly string[] };

export type Requirement =
  | { type: 'assert-table-uuid'; uuid: string }
  | { type: 'assert-ref-snapshot-id'; ref: string; 'snapshot-id': bigint | null };

/** Why `metadata` does not meet `requirements`; undefined when it does. */
export function unmetRequirement(
  metadata: TableMetadata,
  requirements: readonly Requirement[],
): string | undefined {
  for (const requirement of requirements) {
    switch (requirement.type) {
      case 'assert-table-uuid':
        if (metadata['table-uuid'] !== requirement.uuid)
          return `table uuid is ${metadata['table-uuid']}, expected ${requirement.uuid}`;
        break;
      case 'assert-ref-snapshot-id': {
        const actual = metadata.refs[requirement.ref]?.['snapshot-id'] ?? null;
        if (actual !== requirement['snapshot-id'])
          return `branch ${requirement.ref} is at snapshot ${actual}, expected ${requirement['snapshot-id']}`;
        break;
      }
      default:
        unreachable(requirement, 'requirement');
    }
  }
  return undefined;
}

/**
 * The metadata after `updates`, without touching `base`. `baseLocation` goes to the metadata log.
 *
 * Clocks of many workers differ, and Java refuses metadata whose times run backwards by more than a minute, so time
 * never stands still nor runs back here: it is `max(now, base + 1)`.
 */
export function applyUpdates(
  base: TableMetadata,
  baseLocation: string,
  updates: readonly Update[],
  nowMs: number,
): TableMetadata {
  // A snapshot may have been staged before this clock was set back.
  const stagedMs = updates.map((update) =>
    update.action === 'add-snapshot' ? update.snapshot['timestamp-ms'] : nowMs,
  );
  const updatedMs = nextTimestampMs(base, Math.max(nowMs, ...stagedMs));
  let next: TableMetadata = {
    ...base,
    'last-updated-ms': updatedMs,
    'metadata-log': [
      ...base['metadata-log'],
      { 'timestamp-ms': base['last-updated-ms'], 'metadata-file': baseLocation },
    ].slice(-previousVersionsMax(base)),
  };
  for (const update of updates) next = apply(next, update, updatedMs);
  return next;
}

/** A time for the next change of `base` that keeps its logs sorted whatever this machine's clock says. */
export function nextTimestampMs(base: TableMetadata, nowMs: number): number {
  return Math.max(nowMs, base['last-updated-ms'] + 1);
}

function apply(metadata: TableMetadata, update: Update, updatedMs: number): TableMetadata {
  switch (update.action) {
    case 'add-snapshot':
      return {
        ...metadata,
        snapshots: [...metadata.snapshots, update.snapshot],
        'last-sequence-number': update.snapshot['sequence-number'],
      };
    case 'set-snapshot-ref': {
      const id = update['snapshot-id'];
      const refs = {
        ...metadata.refs,
        [update['ref-name']]: { ...metadata.refs[update['ref-name']], 'snapshot-id': id, type: update.type },
      };
      if (update['ref-name'] !== mainBranch) return { ...metadata, refs };
      return {
        ...metadata,
        refs,
        'current-snapshot-id': id,
        'snapshot-log': [...metadata['snapshot-log'], { 'timestamp-ms': updatedMs, 'snapshot-id': id }],
      };
    }
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } };
    case 'remove-properties': {
      const properties = { ...metadata.properties };
      for (const name of update.removals) delete properties[name];
      return { ...metadata, properties };
    }
    default:
      return unreachable(update, 'update');
  }
}

function previousVersionsMax(metadata: TableMetadata): number {
  const setting = Number(metadata.properties['write.metadata.previous-versions-max']);
  return Number.isInteger(setting) && setting >= 1 ? setting : 100;
}

/** What a branch must still be for an append staged against `base` (I9). */
export function appendRequirements(base: TableMetadata, branch: string): Requirement[] {
  return [
    { type: 'assert-table-uuid', uuid: base['table-uuid'] },
    {
      type: 'assert-ref-snapshot-id',
      ref: branch,
      'snapshot-id': branchHead(base, branch)?.['snapshot-id'] ?? null,
    },
  ];
}
