import { messageOf } from '../base/errors.ts';
import { type Json, parseJson, writeJson } from '../base/json.ts';
import type { Snapshot, TableMetadata } from '../iceberg/metadata.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { emptyLedger, type Ledger, ledgerNames, parseLedger } from '../sink/ledger.ts';
import { type Findings, formatRange } from './finding.ts';
import type { Lineage } from './lineage.ts';
import type { OffsetRange } from './offset-set.ts';

/**
 * The chain of claims of one pipeline, read back from the ledgers in the summaries of its snapshots: what each has landed
 * lies between the ledger before it and its own.
 */
export interface Chain {
  readonly pipeline: string;
  /** Oldest first. */
  readonly steps: readonly Step[];
  /** What the history says has landed. */
  readonly ledger: Ledger;
}

export interface Step {
  readonly pipeline: string;
  /** Absent when all snapshots of the pipeline have expired, and only the copy in the property is left. */
  readonly snapshot: Snapshot | undefined;
  readonly links: readonly Link[];
  /** False for the first one behind expired history: its links cover what those landed that are gone, too. */
  readonly isWhole: boolean;
  /** How many rows it says it has added. */
  readonly rows: number;
  /** Ranges that retention took, and that were accepted as lost. */
  readonly lost: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>;
  /** Ranges whose rows are of records that the log has lost since: it was cut, and they were kept. */
  readonly truncated: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>;
  /** Records that policy left out. */
  readonly leftOut: { readonly tombstones: number; readonly undecodable: number };
}

/** A claim: offsets of a topic-partition that one step has landed. */
export interface Link {
  readonly key: TopicPartitionKey;
  /** Counts the topics of this name, where it was made anew: their offsets are not the same records. */
  readonly epoch: number;
  /** Undefined: where the pipeline began with it is not known any more. */
  readonly from: number | undefined;
  readonly next: number;
}

/** From where a chain is to be verified: what was verified before ends there. */
export interface Basis {
  readonly snapshot: bigint;
  readonly sequenceNumber: number;
  /** By pipeline. */
  readonly ledgers: ReadonlyMap<string, Ledger>;
}

/** The copy of a ledger in a table property. */
interface Copy {
  readonly snapshotId: bigint;
  readonly sequenceNumber: number;
  readonly ledger: Ledger;
}

/** The pipelines that have a ledger in a table. */
export function pipelinesOf(metadata: TableMetadata, lineage: Lineage): string[] {
  const names = [
    ...Object.keys(metadata.properties).map((name) => /^frazil\.(.+)\.ledger$/.exec(name)?.[1]),
    ...lineage.snapshots.flatMap(({ summary }) =>
      Object.keys(summary).map((name) => /^frazil\.(.+)\.offsets$/.exec(name)?.[1]),
    ),
  ];
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

/** Reads a pipeline's chain and checks that it joins: no ledger goes back, none forgets, and the copy agrees. */
export function readChain(
  pipeline: string,
  branch: string,
  metadata: TableMetadata,
  lineage: Lineage,
  basis: Basis | undefined,
  findings: Findings,
): Chain {
  const names = ledgerNames(pipeline);
  const copy = readCopy(metadata.properties[names.property], branch, pipeline, findings);
  const starts = copy?.ledger.starts ?? new Map<TopicPartitionKey, number>();
  let before: Ledger | undefined =
    basis?.ledgers.get(pipeline) ?? (lineage.isWhole ? emptyLedger : undefined);
  // A basis that has expired since, and what came after it, are not told apart.
  let joins = basis
    ? lineage.snapshots.some((each) => each['snapshot-id'] === basis.snapshot)
    : lineage.isWhole;
  const epochs = new Map<string, number>();
  const steps: Step[] = [];
  let last: { snapshot: Snapshot; ledger: Ledger } | undefined;
  for (const snapshot of lineage.snapshots) {
    const text = snapshot.summary[names.offsets];
    if (text === undefined || (basis && snapshot['sequence-number'] <= basis.sequenceNumber)) continue;
    const ledger = readLedger(text, snapshot, pipeline, findings);
    if (!ledger) continue;
    if (before) checkStep(before, ledger, snapshot, pipeline, findings);
    for (const topic of ledger.topicIds.keys())
      if (before && isAnother(before, ledger, topic)) {
        epochs.set(topic, (epochs.get(topic) ?? 0) + 1);
        findings.exception(
          'topic-made-anew',
          `topic ${topic} was made anew before snapshot ${snapshot['snapshot-id']}`,
          {
            topic,
            snapshot: snapshot['snapshot-id'],
          },
        );
      }
    steps.push(stepOf(pipeline, snapshot, before, ledger, epochs, joins));
    joins = true;
    last = { snapshot, ledger };
    before = ledger;
  }
  const head = lineage.snapshots.at(-1);
  const isExpired =
    !last && !basis && !lineage.isWhole && (head?.['sequence-number'] ?? 0) >= (copy?.sequenceNumber ?? 0);
  if (!last && copy && isExpired) steps.push(stepOfCopy(pipeline, copy.ledger));
  const known = new Set(lineage.snapshots.map((each) => each['snapshot-id']));
  const isOfBasis = !last && basis && copy && copy.sequenceNumber <= basis.sequenceNumber;
  if (!isExpired && !isOfBasis) checkCopy(copy, last, known, pipeline, names.property, findings);
  return {
    pipeline,
    steps: steps.map((step) => withStarts(step, starts, epochs)),
    ledger:
      last?.ledger ?? basis?.ledgers.get(pipeline) ?? (isExpired ? copy?.ledger : undefined) ?? emptyLedger,
  };
}

function readLedger(
  text: string,
  snapshot: Snapshot,
  pipeline: string,
  findings: Findings,
): Ledger | undefined {
  const id = snapshot['snapshot-id'];
  try {
    return parseLedger(text, `snapshot ${id}`);
  } catch (error) {
    findings.problem('broken-chain', `${messageOf(error)} (pipeline ${pipeline})`, { snapshot: id });
    return undefined;
  }
}

function readCopy(
  text: string | undefined,
  branch: string,
  pipeline: string,
  findings: Findings,
): Copy | undefined {
  if (text === undefined) return undefined;
  try {
    const json = parseJson(text) as { [key: string]: Json };
    if (json['branch'] !== branch) return undefined;
    return {
      snapshotId: BigInt(json['snapshot-id'] as string),
      sequenceNumber: json['sequence-number'] as number,
      ledger: parseLedger(writeJson(json['offsets']), 'the property'),
    };
  } catch (error) {
    findings.problem(
      'ledger-copy',
      `the copy of the ledger of pipeline ${pipeline} is damaged: ${messageOf(error)}`,
    );
    return undefined;
  }
}

/** Whether a topic is another one than the ledger before was about under this name. */
function isAnother(before: Ledger, now: Ledger, topic: string): boolean {
  const id = before.topicIds.get(topic);
  return id !== undefined && (id !== now.topicIds.get(topic) || before.clusterId !== now.clusterId);
}

function checkStep(
  before: Ledger,
  now: Ledger,
  snapshot: Snapshot,
  pipeline: string,
  findings: Findings,
): void {
  const id = snapshot['snapshot-id'];
  for (const [key, offset] of before.next) {
    const { topic, partition } = parseKey(key);
    if (isAnother(before, now, topic)) continue;
    const next = now.next.get(key);
    if (next === undefined)
      findings.problem(
        'broken-chain',
        `snapshot ${id} of pipeline ${pipeline} has forgotten ${key}, which had landed up to ${offset}`,
        {
          topic,
          partition,
          snapshot: id,
        },
      );
    else if (next < offset)
      findings.problem(
        'broken-chain',
        `snapshot ${id} of pipeline ${pipeline} takes ${key} back from ${offset} to ${next}: claims overlap`,
        { topic, partition, from: next, next: offset, snapshot: id },
      );
  }
}

function stepOf(
  pipeline: string,
  snapshot: Snapshot,
  before: Ledger | undefined,
  now: Ledger,
  epochs: ReadonlyMap<string, number>,
  isWhole: boolean,
): Step {
  const links: Link[] = [];
  for (const [key, next] of now.next) {
    const { topic } = parseKey(key);
    const from = before && !isAnother(before, now, topic) ? before.next.get(key) : undefined;
    if (from === undefined || from < next) links.push({ key, epoch: epochs.get(topic) ?? 0, from, next });
  }
  const names = ledgerNames(pipeline);
  return {
    pipeline,
    snapshot,
    links,
    isWhole,
    rows: Number(snapshot.summary['added-records'] ?? 0),
    lost: readRanges(snapshot.summary[names.lost]),
    truncated: readRanges(snapshot.summary[names.truncated]),
    leftOut: readLeftOut(snapshot.summary[names.leftOut]),
  };
}

function stepOfCopy(pipeline: string, ledger: Ledger): Step {
  const links = [...ledger.next].map(([key, next]) => ({ key, epoch: 0, from: undefined, next }));
  const nowhere = { lost: new Map(), truncated: new Map(), leftOut: { tombstones: 0, undecodable: 0 } };
  return { pipeline, snapshot: undefined, links, isWhole: false, rows: 0, ...nowhere };
}

/** Where the pipeline began is in the property only, and about the newest topic of a name. */
function withStarts(
  step: Step,
  starts: ReadonlyMap<TopicPartitionKey, number>,
  epochs: ReadonlyMap<string, number>,
): Step {
  const links = step.links.map((link) => {
    const isNewest = link.epoch === (epochs.get(parseKey(link.key).topic) ?? 0);
    return link.from === undefined && isNewest ? { ...link, from: starts.get(link.key) } : link;
  });
  return { ...step, links };
}

/** Pairs of a topic-partition and a range, as `[["orders-0",5,9]]`. */
function readRanges(text: string | undefined): Map<TopicPartitionKey, OffsetRange[]> {
  const ranges = new Map<TopicPartitionKey, OffsetRange[]>();
  for (const [key, from, next] of (text ? parseJson(text) : []) as [string, number, number][])
    ranges.set(key, [...(ranges.get(key) ?? []), { from, next }]);
  return ranges;
}

/** Counts by topic-partition, as `[["orders-0",tombstones,undecodable]]`. */
function readLeftOut(text: string | undefined): Step['leftOut'] {
  let [tombstones, undecodable] = [0, 0];
  for (const [, without, unreadable] of (text ? parseJson(text) : []) as [string, number, number][]) {
    tombstones += without;
    undecodable += unreadable;
  }
  return { tombstones, undecodable };
}

/** The copy was written with the pipeline's newest snapshot: what else it says tells what somebody has done. */
function checkCopy(
  copy: Copy | undefined,
  last: { snapshot: Snapshot; ledger: Ledger } | undefined,
  known: ReadonlySet<bigint>,
  pipeline: string,
  property: string,
  findings: Findings,
): void {
  if (!copy) {
    if (last)
      findings.problem(
        'ledger-copy',
        `the table property ${property} is gone: a rollback could not be told from expired snapshots`,
      );
    return;
  }
  const id = last?.snapshot['snapshot-id'];
  if (last && copy.snapshotId === id) {
    const differing = differences(last.ledger, copy.ledger);
    if (differing.length > 0)
      findings.problem(
        'ledger-copy',
        `the table property ${property} does not match snapshot ${id}: ${differing.join(', ')}`,
        { snapshot: id! },
      );
    return;
  }
  if (last && (copy.sequenceNumber < last.snapshot['sequence-number'] || known.has(copy.snapshotId))) {
    findings.problem(
      'ledger-copy',
      `the table property ${property} is of snapshot ${copy.snapshotId}, the newest of the pipeline is ${id}`,
      { snapshot: copy.snapshotId },
    );
    return;
  }
  const landed = last?.ledger ?? emptyLedger;
  for (const [key, next] of copy.ledger.next) {
    const from = landed.next.get(key) ?? copy.ledger.starts.get(key) ?? 0;
    if (next > from)
      findings.problem(
        'rolled-back',
        `${key} ${formatRange({ from, next })}: landed by pipeline ${pipeline} up to snapshot ${copy.snapshotId}, which the ` +
          'table has been rolled back from, and not landed again (see onRollback)',
        { ...parseKey(key), from, next, snapshot: copy.snapshotId },
      );
  }
}

function differences(ledger: Ledger, copy: Ledger): string[] {
  const keys = new Set([...ledger.next.keys(), ...copy.next.keys()]);
  const offsets = [...keys]
    .filter((key) => ledger.next.get(key) !== copy.next.get(key))
    .map((key) => `${key} is ${copy.next.get(key) ?? 'unknown'}, not ${ledger.next.get(key) ?? 'unknown'}`);
  const topics = [...ledger.topicIds].filter(([topic, id]) => copy.topicIds.get(topic) !== id);
  return [...offsets, ...topics.map(([topic]) => `another id for topic ${topic}`)];
}

/** Offsets below were verified before. */
export function floorsOf(chains: readonly Chain[], basis: Basis | undefined): Map<TopicPartitionKey, number> {
  const floors = new Map<TopicPartitionKey, number>();
  for (const { pipeline } of chains)
    for (const [key, next] of basis?.ledgers.get(pipeline)?.next ?? []) floors.set(key, next);
  return floors;
}
