import type { Snapshot, TableMetadata } from '../../src/iceberg/metadata.ts';
import { parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import { type LedgerProperty, ledgerNames, parseLedger, resolveLedger } from '../../src/sink/ledger.ts';
import type { TableOptions } from '../../src/sink/options.ts';
import type { PartitionLog } from './partition-log.ts';

/**
 * What a snapshot must hold, by log: the rows of all offsets below `next`, less those that policy has left out. Found from
 * the history of snapshots and their ledgers, step by step; the rows themselves play no part in it.
 */
export interface Contents {
  readonly next: ReadonlyMap<string, number>;
  readonly excused: ReadonlyMap<string, readonly (readonly [from: number, to: number])[]>;
  /** How many rows others have appended. */
  readonly foreign: number;
}

export const emptyContents: Contents = { next: new Map(), excused: new Map(), foreign: 0 };

/** What must be known of the world to judge a snapshot. */
export interface Judge {
  readonly pipeline: string;
  logOf(id: string): PartitionLog | undefined;
  /** Records below this may have been passed over by a table that begins with the log. */
  beginsAtMost(log: PartitionLog): number;
}

/** The contents after a snapshot of ours that was made on `base`, whose contents were `before`. */
export function contentsAfter(
  before: Contents,
  base: TableMetadata,
  now: TableMetadata,
  snapshot: Snapshot,
  options: TableOptions,
  judge: Judge,
): Contents {
  const names = ledgerNames(judge.pipeline);
  const ledger = parseLedger(snapshot.summary[names.offsets]!, 'the snapshot');
  const next = new Map(before.next);
  const excused = new Map(before.excused);
  const excuse = (id: string, from: number, to: number): void => {
    if (to > from) excused.set(id, [...(excused.get(id) ?? []), [from, to]]);
  };
  const idOf = (key: TopicPartitionKey, { topicIds } = ledger): string => {
    const { topic, partition } = parseKey(key);
    return `${topicIds.get(topic)}-${partition}`;
  };

  const skipped = options.onRollback === 'skip' ? rolledBackFrom(base, judge.pipeline) : undefined;
  for (const [key, to] of skipped?.ledger.next ?? []) {
    const id = idOf(key, skipped!.ledger);
    excuse(id, next.get(id) ?? 0, to);
    next.set(id, to);
  }
  for (const [key, from, to] of lostIn(snapshot, names.lost)) {
    const log = judge.logOf(idOf(key));
    if (!log || from >= to || to > log.start || from < (before.next.get(log.id) ?? 0))
      throw new Error(`${key} ${from} to ${to} is recorded as lost; the log begins at ${log?.start}`);
    excuse(log.id, from, to);
  }
  const starts = startsIn(now, names.property);
  for (const [key, offset] of ledger.next) {
    const log = judge.logOf(idOf(key));
    if (!log || offset > log.end) throw new Error(`the ledger says ${key} ${offset}, of ${idOf(key)}`);
    const known = next.get(log.id);
    if (known === undefined) {
      const start = starts.get(key);
      if (start === undefined) throw new Error(`where ${key} began is not in the property`);
      const missed = log.rows(judge.beginsAtMost(log), start);
      if (missed.length > 0) throw new Error(`${key} begins at ${start}: ${missed.join()} are left out`);
      excuse(log.id, 0, start);
    } else if (offset < known) {
      throw new Error(`I2: the ledger of ${key} went back from ${known} to ${offset}`);
    }
    next.set(log.id, offset);
  }
  for (const [id, offset] of before.next) {
    const { topic, partition } = parseKey(id);
    const ofTopic = [...ledger.topicIds].find(([, topicId]) => topicId === topic);
    if (ofTopic && !ledger.next.has(`${ofTopic[0]}-${partition}`))
      throw new Error(`I2: the ledger has forgotten ${id}, which was at ${offset}`);
  }
  return { next, excused, foreign: before.foreign };
}

/** What had landed before the rollback that a snapshot on `base` is the answer to. */
function rolledBackFrom(base: TableMetadata, pipeline: string): LedgerProperty | undefined {
  const resolution = resolveLedger(base, pipeline, 'main');
  return resolution.type === 'rolledBack' ? resolution.property : undefined;
}

function lostIn(snapshot: Snapshot, name: string): [TopicPartitionKey, number, number][] {
  const text = snapshot.summary[name];
  return text === undefined ? [] : (JSON.parse(text) as [TopicPartitionKey, number, number][]);
}

function startsIn(metadata: TableMetadata, name: string): Map<TopicPartitionKey, number> {
  const { offsets } = JSON.parse(metadata.properties[name] ?? '{"offsets":null}') as { offsets: unknown };
  if (offsets === null) throw new Error('I2: the ledger was not copied into the property');
  return new Map(parseLedger(JSON.stringify(offsets), 'the property').starts);
}

/** Offsets whose rows a table with these contents must hold, sorted. */
export function expectedRows(contents: Contents, log: PartitionLog): number[] {
  const excused = contents.excused.get(log.id);
  const rows = log.rows(0, contents.next.get(log.id) ?? 0);
  return excused
    ? rows.filter((offset) => !excused.some(([from, to]) => offset >= from && offset < to))
    : rows;
}
