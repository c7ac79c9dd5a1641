import { withDeadline } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import { writeJson } from '../base/json.ts';
import { backoffMs, type RetryPolicy } from '../base/retry.ts';
import { type Catalog, type CommitOutcome, formatIdentifier, type Table } from '../catalog/catalog.ts';
import { branchHead, lineageOf, type Snapshot, type TableMetadata } from '../iceberg/metadata.ts';
import { appendSummary, newSnapshotId } from '../iceberg/snapshot.ts';
import { appendRequirements, nextTimestampMs, type Update } from '../iceberg/update.ts';
import type { TopicPartitionKey } from '../kafka/topic-partition.ts';
import { type Claim, checkClaims, type Origin } from './claims.ts';
import {
  decideRollback,
  type Ledger,
  ledgerNames,
  type RollbackPolicy,
  resolveLedger,
  writeLedger,
  writeLedgerProperty,
} from './ledger.ts';
import { ManifestMerge } from './manifest-merge.ts';
import {
  callTimeoutMs,
  deleteAll,
  type FlushFiles,
  type ManifestPorts,
  readSnapshotManifests,
  rowOfFlush,
  type Written,
  writeAttemptManifestList,
  writeFlushManifest,
} from './manifests.ts';

/**
 * Lands one flush in one table (protocol "Commit algorithm" and "Check on every attempt").
 *
 * Data files and manifest are written once (I7). Each attempt loads the table anew, asks the ledger, writes a manifest
 * list and asks the catalog to swap. What the catalog was asked to land may still appear, so its files stay (I4).
 */

/** Offsets `from` up to, not including, `to`. */
export type OffsetRange = readonly [key: TopicPartitionKey, from: number, to: number];

/** Closed and uploaded files of one table, with the offsets they stand for. */
export interface Flush extends FlushFiles {
  /** Unique; found again in the table, it proves that the flush has landed. */
  readonly id: string;
  readonly claims: readonly Claim[];
  /** Ranges that retention has taken before they could be read. */
  readonly lost: readonly OffsetRange[];
  /** Records of the claims that policy left out: `[key, tombstones, undecodable]`. */
  readonly leftOut: readonly (readonly [TopicPartitionKey, number, number])[];
  /** Ranges whose records had landed before the log was cut: what has these offsets now is left out. */
  readonly truncated: readonly OffsetRange[];
  /** Least of the topic-partitions' greatest record timestamps, for those who wait for completeness; advisory. */
  readonly watermarkMs: number | undefined;
  readonly createdAtMs: number;
}

export type Landing =
  | { type: 'landed'; table: Table; ledger: Ledger; snapshotId: bigint; attempts: number }
  /** Others have landed offsets of these topic-partitions: nothing was committed. */
  | { type: 'fenced'; keys: readonly TopicPartitionKey[]; attempts: number }
  /** The files are so old that somebody's orphan cleaner may be about to take them: nothing was committed. */
  | { type: 'expired'; attempts: number };

export interface CommitPorts extends ManifestPorts {
  catalog: Catalog;
}

export interface CommitOptions {
  readonly pipeline: string;
  readonly worker: string;
  readonly branch: string;
  readonly origin: Origin;
  readonly onRollback: RollbackPolicy;
  readonly engineVersion: string;
  /** How long and how often to go on trying before the pipeline stops. */
  readonly policy: RetryPolicy;
  /** Manifests that could not be merged with others: those that are found are added, for the commits that follow. */
  readonly leftAlone?: Set<string>;
}

/** Files older than this are read again from Kafka: well below the 3 days after which cleaners take orphans. */
const pendingAgeMaxMs = 12 * 3_600_000;

/**
 * Commits a flush. @throws {FatalError} when the table is gone, is another one, or has lost what had been landed and the
 * policy is to halt; @throws {TransientError} when the retry budget is spent. Either way group offsets have not moved.
 */
export async function commitFlush(
  flush: Flush,
  options: CommitOptions,
  ports: CommitPorts,
): Promise<Landing> {
  const name = formatIdentifier(flush.table.identifier);
  const manifest = flush.files.length > 0 ? await writeFlushManifest(flush, ports) : undefined;
  const merge = new ManifestMerge(flush.id, options.leftAlone ?? new Set(), ports);
  const startedAtMs = ports.clock.monotonicMs();
  let snapshotId: bigint | undefined;
  let isAsked = false;
  let refused: readonly Refused[] = [];
  for (let attempt = 1; ; attempt++) {
    let reason: string;
    try {
      const table = await loadSame(flush, name, ports);
      refused = await settleRefused(refused, table.metadata, merge, ports);
      // One id for all attempts, unless one was applied and then rolled back: no two snapshots of a table have one id.
      if (snapshotId === undefined || hasSnapshot(table.metadata, snapshotId))
        snapshotId = newSnapshotId(ports.random, table.metadata);
      const prepared = await stageAttempt(
        { flush, manifest, merge, snapshotId, attempt, table, isAsked },
        options,
        ports,
      );
      // Asked last: on a machine that sleeps, what was just written may have taken days.
      const stage: Stage =
        prepared.type === 'staged' && isTooOld(flush, ports) ? { type: 'expired' } : prepared;
      if (stage.type !== 'staged') {
        if (stage.type !== 'landed' && !isAsked) await deleteAll(filesOf(flush, manifest), ports);
        if (stage.type !== 'landed') await merge.discard();
        return { ...stage, attempts: attempt };
      }
      isAsked = true;
      merge.asked(stage.manifestList);
      const outcome = await swap(table, stage, ports);
      if (outcome.type === 'applied') {
        await settleRefused(refused, outcome.table.metadata, merge, ports);
        return { type: 'landed', table: outcome.table, ledger: stage.ledger, snapshotId, attempts: attempt };
      }
      if (outcome.type === 'rejected') refused = [...refused, stage];
      reason = `${outcome.type}: ${outcome.reason}`;
    } catch (error) {
      if (!isRetryable(error)) throw error;
      reason = messageOf(error);
    }
    const waitMs = backoffMs(options.policy, attempt, ports.random);
    const spentMs = ports.clock.monotonicMs() - startedAtMs;
    if (attempt >= options.policy.attemptsMax || spentMs + waitMs > options.policy.totalMs)
      throw new TransientError(
        `committing table ${name}: gave up after ${attempt} attempts in ${spentMs} ms: ${reason}`,
      );
    ports.log.warn('a commit did not succeed; trying again', { table: name, attempt, waitMs, reason });
    await ports.clock.sleep(waitMs);
  }
}

/** Whether a cleaner of orphans may be about to take the flush's files. */
function isTooOld(flush: Flush, { clock }: CommitPorts): boolean {
  return clock.nowMs() - flush.createdAtMs > pendingAgeMaxMs;
}

/** The table as it is now. I9: it must be the very table the files were written for. */
async function loadSame(flush: Flush, name: string, ports: CommitPorts): Promise<Table> {
  return sameTable(flush.table, await loadTable(flush.table.identifier, ports), `committing table ${name}`);
}

/** @throws {FatalError} unless `now` is the table that was `known`. */
export function sameTable(known: Table, now: Table | undefined, doing: string): Table {
  if (!now) throw new FatalError(`${doing}: it was dropped; what has not landed is still in Kafka`);
  const [before, after] = [known.metadata['table-uuid'], now.metadata['table-uuid']];
  if (before === after) return now;
  throw new FatalError(`${doing}: it was dropped and made anew (uuid ${before} is now ${after})`);
}

/** Loads a table within the deadline. */
export function loadTable(
  identifier: Table['identifier'],
  ports: Pick<CommitPorts, 'catalog' | 'clock'>,
): Promise<Table | undefined> {
  return withDeadline(ports.clock, callTimeoutMs, `loading table ${formatIdentifier(identifier)}`, () =>
    ports.catalog.load(identifier),
  );
}

interface Attempt {
  flush: Flush;
  manifest: Written | undefined;
  merge: ManifestMerge;
  snapshotId: bigint;
  attempt: number;
  table: Table;
  /** Whether the catalog was asked before: only then the flush may be in the table. */
  isAsked: boolean;
}

type Stage =
  | {
      type: 'staged';
      manifestList: string;
      sequenceNumber: number;
      ledger: Ledger;
      updates: Update[];
      branch: string;
    }
  | { type: 'landed'; table: Table; ledger: Ledger; snapshotId: bigint }
  | { type: 'fenced'; keys: readonly TopicPartitionKey[] }
  | { type: 'expired' };

/** Asks the ledger of this very metadata and, if the claims join, prepares the snapshot that lands them. */
async function stageAttempt(now: Attempt, options: CommitOptions, ports: CommitPorts): Promise<Stage> {
  const { flush, table, snapshotId } = now;
  const { metadata } = table;
  const name = formatIdentifier(table.identifier);
  const names = ledgerNames(options.pipeline);
  const resolution = resolveLedger(metadata, options.pipeline, options.branch);
  const landed = now.isAsked ? findFlush(metadata, options.branch, names.flush, flush.id) : undefined;
  if (landed && resolution.type === 'known')
    return { type: 'landed', table, ledger: resolution.ledger, snapshotId: landed['snapshot-id'] };
  const ledger = decideRollback(resolution, metadata, options.pipeline, name, options.onRollback);
  const verdict = checkClaims(ledger, flush.claims, options.origin);
  if (verdict.type === 'fenced') return verdict;
  if (verdict.type === 'behind') {
    // Whoever moved the table back, its ledger is right about what it holds: with replay that is where to go on.
    if (options.onRollback === 'replay' || resolution.type === 'rolledBack')
      return { type: 'fenced', keys: verdict.keys };
    throw new FatalError(
      `committing table ${name}: its ledger is behind what has been landed for ${verdict.keys.join(', ')}: somebody ` +
        'rolled the table back or overwrote commits; set onRollback: replay to land the missing offsets again',
    );
  }

  const head = branchHead(metadata, options.branch);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const manifestList = await writeManifests(now, head, sequenceNumber, ports);
  const property = { snapshotId, sequenceNumber, branch: options.branch, ledger: verdict.ledger };
  const snapshot: Snapshot = {
    'snapshot-id': snapshotId,
    ...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),
    'sequence-number': sequenceNumber,
    'timestamp-ms': nextTimestampMs(metadata, ports.clock.nowMs()),
    'manifest-list': manifestList.path,
    summary: appendSummary(head, flush.files, manifestList, {
      [names.offsets]: writeLedger(verdict.ledger),
      [names.flush]: flush.id,
      [names.worker]: options.worker,
      ...(flush.watermarkMs === undefined ? {} : { [names.watermark]: String(flush.watermarkMs) }),
      ...(flush.lost.length === 0 ? {} : { [names.lost]: writeRanges(flush.lost) }),
      ...(flush.leftOut.length === 0 ? {} : { [names.leftOut]: writeJson(flush.leftOut) }),
      ...(flush.truncated.length === 0 ? {} : { [names.truncated]: writeRanges(flush.truncated) }),
      'engine-name': 'frazil',
      'engine-version': options.engineVersion,
    }),
    'schema-id': metadata['current-schema-id'],
  };
  const updates: Update[] = [
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', 'ref-name': options.branch, type: 'branch', 'snapshot-id': snapshotId },
    // I2: the copy of the ledger moves in the same commit as the files.
    { action: 'set-properties', updates: { [names.property]: writeLedgerProperty(property) } },
  ];
  // The operator's word on a rollback counts once.
  if (metadata.properties[names.resolution] !== undefined)
    updates.push({ action: 'remove-properties', removals: [names.resolution] });
  return {
    type: 'staged',
    manifestList: manifestList.path,
    sequenceNumber,
    ledger: verdict.ledger,
    updates,
    branch: options.branch,
  };
}

/** The manifest list of this attempt, and what it has of manifests. */
async function writeManifests(
  { flush, manifest, merge, snapshotId, attempt, table }: Attempt,
  head: Snapshot | undefined,
  sequenceNumber: number,
  ports: CommitPorts,
): Promise<{ path: string; created: number; kept: number; replaced: number }> {
  const snapshot = { snapshotId, sequenceNumber };
  const before = head ? await readSnapshotManifests(head, ports) : [];
  const added = manifest && rowOfFlush(flush, manifest, snapshot, table);
  const { manifests, created, replaced } = await merge.of(before, added, table, snapshot);
  const header = { ...snapshot, parentSnapshotId: head?.['snapshot-id'] ?? null };
  // Newest first, as Java writes it: planners read recent data first.
  const rows = [...(added ? [added] : []), ...manifests];
  const path = await writeAttemptManifestList(header, rows, attempt, table.metadata, ports);
  return { path, created: created + (added ? 1 : 0), kept: before.length - replaced, replaced };
}

function writeRanges(ranges: readonly OffsetRange[]): string {
  return writeJson(ranges.map((range) => [...range]));
}

/** An attempt that the catalog says it has refused. */
interface Refused {
  readonly manifestList: string;
  readonly sequenceNumber: number;
}

/**
 * Deletes the manifest lists of refused attempts in whose place the table has another snapshot. A refusal alone proves
 * nothing: where a proxy sends requests again, it may be about the second of two, and the first has come through (I4).
 * @returns those of which the table does not tell yet
 */
async function settleRefused(
  refused: readonly Refused[],
  metadata: TableMetadata,
  merge: ManifestMerge,
  ports: CommitPorts,
): Promise<Refused[]> {
  const open: Refused[] = [];
  for (const attempt of refused) {
    const inPlace = metadata.snapshots.find(
      (snapshot) => snapshot['sequence-number'] === attempt.sequenceNumber,
    );
    if (inPlace && inPlace['manifest-list'] !== attempt.manifestList) {
      merge.refused(attempt.manifestList);
      await deleteAll([attempt.manifestList], ports);
    } else if (metadata['last-sequence-number'] < attempt.sequenceNumber) open.push(attempt);
  }
  return open;
}

function hasSnapshot(metadata: TableMetadata, id: bigint): boolean {
  return metadata.snapshots.some((snapshot) => snapshot['snapshot-id'] === id);
}

/** The snapshot that landed a flush, if one on the branch's lineage did. */
function findFlush(
  metadata: TableMetadata,
  branch: string,
  summaryName: string,
  id: string,
): Snapshot | undefined {
  for (const snapshot of lineageOf(metadata, branchHead(metadata, branch)))
    if (snapshot.summary[summaryName] === id) return snapshot;
  return undefined;
}

async function swap(
  table: Table,
  stage: Extract<Stage, { type: 'staged' }>,
  ports: CommitPorts,
): Promise<CommitOutcome> {
  const doing = `committing table ${formatIdentifier(table.identifier)}`;
  try {
    return await withDeadline(ports.clock, callTimeoutMs, doing, () =>
      ports.catalog.commit(table, appendRequirements(table.metadata, stage.branch), stage.updates),
    );
  } catch (error) {
    // No answer, or an error nobody has classified: it may have been applied.
    if (isRetryable(error)) return { type: 'unknown', reason: messageOf(error) };
    throw error;
  }
}

function filesOf(flush: Flush, manifest: Written | undefined): string[] {
  return [...flush.files.map((file) => file.path), ...(manifest ? [manifest.path] : [])];
}
