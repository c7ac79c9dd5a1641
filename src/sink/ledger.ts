import { FatalError } from '../base/errors.ts';
import { type Json, parseJson, writeJson } from '../base/json.ts';
import { branchHead, lineageOf, type Snapshot, type TableMetadata } from '../iceberg/metadata.ts';
import { keyOf, parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';

/**
 * The ledger of one pipeline in one table: which Kafka offsets have landed, written in the very snapshot that lands them
 * and, in the same commit, into a table property. The pair tells expiry, rollback and replacement apart.
 */
export interface Ledger {
  readonly clusterId: string;
  /** Tells a topic from a later one of the same name. */
  readonly topicIds: ReadonlyMap<string, string>;
  /** The next offset to land, per topic-partition: everything from its start below it has landed. */
  readonly next: ReadonlyMap<TopicPartitionKey, number>;
  /**
   * The leader epoch of the last record below `next`, where it is known: whether the log still goes on from that record
   * can be asked (KIP-320).
   */
  readonly epochs: ReadonlyMap<TopicPartitionKey, number>;
  /**
   * Where the pipeline began with each topic-partition. Kept in the property only: after a rollback to before a
   * topic-partition's first commit it is from here that its rows are missing.
   */
  readonly starts: ReadonlyMap<TopicPartitionKey, number>;
}

/** The names under which a pipeline writes into summaries and properties. */
export function ledgerNames(pipeline: string): {
  offsets: string;
  flush: string;
  worker: string;
  watermark: string;
  lost: string;
  leftOut: string;
  truncated: string;
  property: string;
  resolution: string;
} {
  const name = (what: string): string => `frazil.${pipeline}.${what}`;
  return {
    offsets: name('offsets'),
    flush: name('flush'),
    worker: name('worker'),
    watermark: name('watermark-ms'),
    lost: name('lost'),
    leftOut: name('left-out'),
    truncated: name('truncated'),
    property: name('ledger'),
    resolution: name('resolution'),
  };
}

export const emptyLedger: Ledger = {
  clusterId: '',
  topicIds: new Map(),
  next: new Map(),
  epochs: new Map(),
  starts: new Map(),
};

/**
 * `{"v":1,"c":"<cluster>","t":{"<topic>":{"i":"<topic id>","e":[next of partition 0, ...],"l":[leader epoch, ...]}}}`,
 * null where unknown. Without any leader epoch there is no `l`; programs that do not know it leave it out.
 */
export function writeLedger(ledger: Ledger): string {
  return writeJson(ledgerToJson(ledger, false));
}

interface TopicLedger {
  /** Topic id. */
  i: string;
  /** Next offset (end) by partition. */
  e: (number | null)[];
  /** Leader epoch by partition. */
  l?: (number | null)[];
  /** Start by partition. */
  s?: (number | null)[];
}

function ledgerToJson(ledger: Ledger, withStarts: boolean): Json {
  // Without a prototype: a topic may be named `constructor`.
  const topics: { [topic: string]: TopicLedger } = Object.create(null);
  for (const [key, next] of ledger.next) {
    const { topic, partition } = parseKey(key);
    const entry = (topics[topic] ??= {
      i: ledger.topicIds.get(topic) ?? '',
      e: [],
      ...(withStarts ? { s: [] } : {}),
    });
    entry.e[partition] = next;
    const epoch = ledger.epochs.get(key);
    if (epoch !== undefined) (entry.l ??= [])[partition] = epoch;
    if (entry.s) entry.s[partition] = ledger.starts.get(key) ?? null;
  }
  // JSON has no holes.
  for (const entry of Object.values(topics)) {
    entry.e = Array.from(entry.e, (next) => next ?? null);
    if (entry.l) entry.l = Array.from(entry.l, (epoch) => epoch ?? null);
    if (entry.s) entry.s = Array.from(entry.s, (start) => start ?? null);
  }
  return { v: 1, c: ledger.clusterId, t: topics as unknown as Json };
}

/** The inverse of {@link writeLedger}. @throws {FatalError} when it is not one, or of a later version. */
export function parseLedger(text: string, where: string): Ledger {
  return reading(where, () => ledgerFromJson(parseJson(text), where));
}

/** @throws {FatalError} with the place, whatever is wrong with what stands there. */
function reading<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`reading the ledger in ${where}: it is damaged`, { cause: error });
  }
}

function ledgerFromJson(json: Json, where: string): Ledger {
  const { v, c, t } = json as unknown as { v: number; c: string; t: Record<string, TopicLedger> };
  if (v !== 1)
    throw new FatalError(
      `reading the ledger in ${where}: version ${v} is not known; a newer frazil wrote it`,
    );
  const topicIds = new Map<string, string>();
  const next = new Map<TopicPartitionKey, number>();
  const epochs = new Map<TopicPartitionKey, number>();
  const starts = new Map<TopicPartitionKey, number>();
  for (const [topic, { i, e, l = [], s = [] }] of Object.entries(t)) {
    topicIds.set(topic, i);
    for (const [into, numbers] of [[next, e] as const, [epochs, l] as const, [starts, s] as const])
      for (const [partition, number] of numbers.entries())
        if (number !== null) into.set(keyOf({ topic, partition }), number);
  }
  return { clusterId: c, topicIds, next, epochs, starts };
}

/** The copy of the ledger in a table property, with the snapshot it was written with. */
export interface LedgerProperty {
  snapshotId: bigint;
  sequenceNumber: number;
  branch: string;
  ledger: Ledger;
}

export function writeLedgerProperty(property: LedgerProperty): string {
  return writeJson({
    'snapshot-id': String(property.snapshotId),
    'sequence-number': property.sequenceNumber,
    branch: property.branch,
    offsets: ledgerToJson(property.ledger, true),
  });
}

function parseLedgerProperty(text: string, where: string): LedgerProperty {
  return reading(where, () => {
    const json = parseJson(text) as { [key: string]: Json };
    return {
      snapshotId: BigInt(json['snapshot-id'] as string),
      sequenceNumber: json['sequence-number'] as number,
      branch: json['branch'] as string,
      ledger: ledgerFromJson(json['offsets'] as Json, where),
    };
  });
}

/** What the table says about this pipeline's progress (protocol "Resolving E"). */
export type Resolution =
  /** The table has never heard of this pipeline. */
  | { type: 'new' }
  | { type: 'known'; ledger: Ledger }
  /**
   * The table has gone back behind what this pipeline has landed: a rollback, a replaced table, an overwritten branch.
   * `lineage` is what its present history says: a ledger, `none` (the pipeline is not in it at all), or `expired` (the
   * snapshots that could tell are gone). `property` is what had landed.
   */
  | { type: 'rolledBack'; lineage: Ledger | 'none' | 'expired'; property: LedgerProperty };

/** A pure function of metadata: every worker that sees the same table comes to the same result. */
export function resolveLedger(metadata: TableMetadata, pipeline: string, branch: string): Resolution {
  const names = ledgerNames(pipeline);
  const text = metadata.properties[names.property];
  const stored = text === undefined ? undefined : parseLedgerProperty(text, `property ${names.property}`);
  const property = stored?.branch === branch ? stored : undefined;
  const { snapshot, broken } = nearestOwn(metadata, branch, names.offsets);
  if (snapshot) {
    const summary = parseLedger(snapshot.summary[names.offsets]!, `snapshot ${snapshot['snapshot-id']}`);
    const lineage = { ...summary, starts: property?.ledger.starts ?? summary.starts };
    const current =
      !property ||
      property.snapshotId === snapshot['snapshot-id'] ||
      snapshot['sequence-number'] > property.sequenceNumber;
    return current ? { type: 'known', ledger: lineage } : { type: 'rolledBack', lineage, property };
  }
  if (!property) return { type: 'new' };
  const head = branchHead(metadata, branch);
  // Our snapshots have expired, and nothing says that the branch went back behind them.
  if (broken && head && head['sequence-number'] >= property.sequenceNumber)
    return { type: 'known', ledger: property.ledger };
  return { type: 'rolledBack', lineage: broken ? 'expired' : 'none', property };
}

/**
 * Walks from the branch's head to the first snapshot that this pipeline made. `broken` tells that the walk ended at a
 * parent that is no longer listed (expired) and not at the root of the history.
 */
function nearestOwn(
  metadata: TableMetadata,
  branch: string,
  summaryName: string,
): { snapshot: Snapshot | undefined; broken: boolean } {
  let oldest: Snapshot | undefined;
  for (const snapshot of lineageOf(metadata, branchHead(metadata, branch))) {
    if (snapshot.summary[summaryName] !== undefined) return { snapshot, broken: false };
    oldest = snapshot;
  }
  if (oldest && oldest['parent-snapshot-id'] === undefined)
    return { snapshot: undefined, broken: isCut(metadata, oldest) };
  return { snapshot: undefined, broken: metadata.refs[branch] !== undefined };
}

/** Nessie shows the newest snapshot only, and without its parent: as if all before it had expired. */
function isCut(metadata: TableMetadata, oldest: Snapshot): boolean {
  const isOfNessie = metadata.properties['nessie.commit.id'] !== undefined;
  return isOfNessie && metadata.snapshots.length === 1 && oldest['sequence-number'] > 1;
}

export type RollbackPolicy = 'halt' | 'replay' | 'skip';

/**
 * Decides on a rollback: by the operator's word in the table if there is one for it, else by the configured policy.
 * @returns the ledger to go on from; undefined when the table has never heard of this pipeline.
 * @throws {FatalError} when the policy is to halt, with both sides and what to do.
 */
export function decideRollback(
  resolution: Resolution,
  metadata: TableMetadata,
  pipeline: string,
  table: string,
  policy: RollbackPolicy,
): Ledger | undefined {
  if (resolution.type === 'new') return undefined;
  if (resolution.type === 'known') return resolution.ledger;
  const { lineage, property } = resolution;
  const what =
    `table ${table} has gone back behind what pipeline ${pipeline} has landed in snapshot ${property.snapshotId}: ` +
    `landed ${writeLedger(property.ledger)}, its history now says ${typeof lineage === 'string' ? lineage : writeLedger(lineage)}`;
  switch (wordOnRollback(metadata, pipeline, property.snapshotId) ?? policy) {
    case 'skip':
      return property.ledger;
    case 'replay':
      if (lineage !== 'expired')
        return replayFrom(lineage === 'none' ? emptyLedger : lineage, property.ledger, what);
      // The rows that are there now may be the pipeline's own: landing them again would double them.
      throw new FatalError(
        `${what}: the snapshots that could tell which offsets the present rows have are gone, so nothing can be landed ` +
          'again safely. Compare max(_kafka_offset) in the table with what had landed; then choose onRollback: skip, or ' +
          'roll the table on to a snapshot of this pipeline',
      );
    case 'halt':
      throw new FatalError(
        `${what}. To land the missing offsets again set onRollback: replay; to leave them out: skip. Or, for this once, set ` +
          `the table property ${ledgerNames(pipeline).resolution} to "${property.snapshotId} replay" or "${property.snapshotId} skip"`,
      );
  }
}

/**
 * What had landed before a rollback and is not in the table any more is landed again: from where the present history
 * ends, or from the very start for topic-partitions that it does not know yet. The group's offsets do not count: they are
 * those of the rows that are gone.
 */
function replayFrom(history: Ledger, landed: Ledger, what: string): Ledger {
  const next = new Map([...landed.starts, ...ofTheSameTopics(history.next, history, landed)]);
  const epochs = ofTheSameTopics(history.epochs, history, landed);
  const unknown = [...landed.next.keys()].filter((key) => !next.has(key));
  if (unknown.length > 0)
    throw new FatalError(
      `${what}: where the pipeline had begun with ${unknown.join(', ')} is not known any more (its property was lost ` +
        'once), so it cannot be told which offsets are missing; choose onRollback: skip',
    );
  return { ...landed, next, epochs };
}

/** Offsets of topics that were made anew since, or are read from another cluster now, say nothing about the present ones. */
function ofTheSameTopics(
  numbers: ReadonlyMap<TopicPartitionKey, number>,
  history: Ledger,
  landed: Ledger,
): Map<TopicPartitionKey, number> {
  const isSame = (topic: string): boolean =>
    history.clusterId === landed.clusterId && history.topicIds.get(topic) === landed.topicIds.get(topic);
  return new Map([...numbers].filter(([key]) => isSame(parseKey(key).topic)));
}

/** The operator's decision in the table property: `<snapshot id> <verb>`; it counts for that snapshot only. */
function wordOnRollback(
  metadata: TableMetadata,
  pipeline: string,
  snapshotId: bigint,
): RollbackPolicy | undefined {
  const [id, verb] = (metadata.properties[ledgerNames(pipeline).resolution] ?? '').trim().split(/\s+/);
  if (id !== String(snapshotId)) return undefined;
  return verb === 'replay' || verb === 'skip' || verb === 'halt' ? verb : undefined;
}
