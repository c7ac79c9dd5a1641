import type { Snapshot, TableMetadata } from '../../src/iceberg/metadata.ts';
import { parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import { type LedgerProperty, ledgerNames, parseLedger, resolveLedger } from '../../src/sink/ledger.ts';
import type { TableOptions } from '../../src/sink/options.ts';
import type { History, PartitionLog } from './partition-log.ts';

/**
 * What a snapshot must hold, by log: the rows of all offsets below `next`, less those that policy has left out. Found from
 * the history of snapshots and their ledgers, step by step; the rows themselves play no part in it.
 */
export interface Contents {
  /** By log: of which history the rows are, each up to an offset. */
  readonly parts: ReadonlyMap<string, readonly Part[]>;
  readonly next: ReadonlyMap<string, number>;
  readonly excused: ReadonlyMap<string, readonly (readonly [from: number, to: number])[]>;
  /** How many rows others have appended. */
  readonly foreign: number;
}

export interface Part {
  readonly to: number;
  readonly of: History;
  /** Leader epoch of the last record, where the ledger says so. */
  readonly epoch: number | undefined;
}

export const emptyContents: Contents = {
  parts: new Map(),
  next: new Map(),
  excused: new Map(),
  foreign: 0,
};

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
  const parts = new Map(before.parts);
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
    const log = judge.logOf(id);
    if (log) parts.set(id, joined(parts.get(id), log, to, skipped!.ledger.epochs.get(key), 'skipped'));
  }
  const cutAt = new Map(
    rangesIn(snapshot, names.truncated).map(([key, from, to]) => {
      const log = judge.logOf(idOf(key));
      if (!log || to !== next.get(log.id) || !log.past.some(({ kinds }) => kinds.length > from))
        throw new Error(`${key} ${from} to ${to} is recorded as cut; it was at ${next.get(idOf(key))}`);
      return [log.id, from];
    }),
  );
  for (const [key, from, to] of rangesIn(snapshot, names.lost)) {
    const log = judge.logOf(idOf(key));
    if (!log || from >= to || to > log.start || from < (before.next.get(log.id) ?? 0))
      throw new Error(`${key} ${from} to ${to} is recorded as lost; the log begins at ${log?.start}`);
    excuse(log.id, from, to);
  }
  const starts = startsIn(now, names.property);
  for (const [key, offset] of ledger.next) {
    const log = judge.logOf(idOf(key));
    if (!log || offset > Math.max(log.end, ...log.past.map(({ kinds }) => kinds.length)))
      throw new Error(`the ledger says ${key} ${offset}, of ${idOf(key)}`);
    const known = next.get(log.id);
    if (known === undefined) {
      const start = starts.get(key);
      if (start === undefined) throw new Error(`where ${key} began is not in the property`);
      const missed = log.rows(judge.beginsAtMost(log), start);
      if (missed.length > 0) throw new Error(`${key} begins at ${start}: ${missed.join()} are left out`);
      excuse(log.id, 0, start);
      parts.set(log.id, joined(undefined, log, start, undefined, 'before'));
    } else if (offset < known) {
      throw new Error(`I2: the ledger of ${key} went back from ${known} to ${offset}`);
    }
    if (offset !== next.get(log.id)) {
      const how = known === undefined || cutAt.has(log.id) ? 'cut' : 'goes on';
      parts.set(log.id, joined(parts.get(log.id), log, offset, ledger.epochs.get(key), how));
    }
    next.set(log.id, offset);
  }
  for (const [id, offset] of before.next) {
    const { topic, partition } = parseKey(id);
    const ofTopic = [...ledger.topicIds].find(([, topicId]) => topicId === topic);
    if (ofTopic && !ledger.next.has(`${ofTopic[0]}-${partition}`))
      throw new Error(`I2: the ledger has forgotten ${id}, which was at ${offset}`);
  }
  return { parts, next, excused, foreign: before.foreign };
}

/** What had landed before the rollback that a snapshot on `base` is the answer to. */
function rolledBackFrom(base: TableMetadata, pipeline: string): LedgerProperty | undefined {
  const resolution = resolveLedger(base, pipeline, 'main');
  return resolution.type === 'rolledBack' ? resolution.property : undefined;
}

function rangesIn(snapshot: Snapshot, name: string): [TopicPartitionKey, number, number][] {
  const text = snapshot.summary[name];
  return text === undefined ? [] : (JSON.parse(text) as [TopicPartitionKey, number, number][]);
}

function startsIn(metadata: TableMetadata, name: string): Map<TopicPartitionKey, number> {
  const { offsets } = JSON.parse(metadata.properties[name] ?? '{"offsets":null}') as { offsets: unknown };
  if (offsets === null) throw new Error('I2: the ledger was not copied into the property');
  return new Map(parseLedger(JSON.stringify(offsets), 'the property').starts);
}

/**
 * The parts with one more, of the history in which the record before `to` is of this epoch. Where it goes on from the
 * last part it must be of the same history: rows of two are what nobody may ever see.
 */
function joined(
  before: readonly Part[] = [],
  log: PartitionLog,
  to: number,
  epoch: number | undefined,
  how: 'goes on' | 'cut' | 'skipped' | 'before',
): Part[] {
  const of = how === 'before' ? log.present : log.historyOf(to, epoch);
  if (!of) throw new Error(`no history of ${log.id} has a record of epoch ${epoch} before ${to}`);
  const last = before.at(-1);
  if (!last || how === 'before') return [{ to, of, epoch }];
  const isSame = isAlike(last.of, of, before.at(-2)?.to ?? 0, last.to);
  if (isSame) return [...before.slice(0, -1), { to, of, epoch }];
  if (how === 'goes on')
    throw new Error(
      `${log.id} goes on at ${last.to} (epoch ${last.epoch}) with rows of another history, up to ${to}`,
    );
  return [...before, { to, of, epoch }];
}

function isAlike(a: History, b: History, from: number, to: number): boolean {
  for (let offset = from; offset < to; offset++)
    if (a.numbers[offset] !== b.numbers[offset] || a.epochs[offset] !== b.epochs[offset]) return false;
  return true;
}

/** The numbers of the records whose rows a table with these contents must hold, sorted. */
export function expectedRows(contents: Contents, log: PartitionLog): number[] {
  const numbers: number[] = [];
  eachRow(contents, log, 0, contents.next.get(log.id) ?? 0, (_, number) => numbers.push(number));
  return numbers.toSorted((a, b) => a - b);
}

/** The rows of `[from, to)` that are not excused: of the histories that the table is of and, further on, of the log now. */
export function eachRow(
  contents: Contents,
  log: PartitionLog,
  from: number,
  to: number,
  take: (offset: number, number: number) => void,
): void {
  const excused = contents.excused.get(log.id) ?? [];
  let at = 0;
  for (const part of [
    ...(contents.parts.get(log.id) ?? []),
    { to: Number.POSITIVE_INFINITY, of: log.present },
  ]) {
    const end = Math.min(part.to, to);
    for (let offset = Math.max(at, from); offset < end && offset < part.of.kinds.length; offset++)
      if (part.of.kinds[offset] === 'row' && !excused.some(([a, b]) => offset >= a && offset < b))
        take(offset, part.of.numbers[offset]!);
    at = part.to;
  }
}
