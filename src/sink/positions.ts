import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type RetryPolicy, retry } from '../base/retry.ts';
import { type Catalog, parseIdentifier, type Table } from '../catalog/catalog.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import type { Field } from '../iceberg/types.ts';
import type { AssignedPartition, CommittedOffset, Source } from '../kafka/source.ts';
import { keyOf, parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { isChosen } from '../kafka/topic-pattern.ts';
import { type Origin, sameTopic, type TopicIdentity, topicIdentity } from './claims.ts';
import { decideRollback, type Ledger, resolveLedger } from './ledger.ts';
import { callTimeoutMs } from './manifests.ts';
import type { SinkOptions, TableOptions } from './options.ts';
import { creationOf } from './plan.ts';
import { loadTable, sameTable } from './table-commit.ts';

/** Where a table takes a topic-partition up. */
export interface Position {
  readonly offset: number;
  /** Leader epoch of the record before, where the table says so: the log must go on from that very record. */
  readonly epoch?: number | undefined;
  /** From here up to `offset` the table holds records that the log has not any more. */
  readonly truncatedAt?: number | undefined;
  /** True when the table itself did not say so. */
  readonly initial: boolean;
  /** The topic that the table's ledger is about under this name, if it is another one. */
  readonly replaces?: TopicIdentity | undefined;
}

export interface OpenedTable {
  /** Undefined while the table does not exist and its columns are not known. */
  readonly table: Table | undefined;
  readonly positions: ReadonlyMap<TopicPartitionKey, Position>;
}

/** What is asked of a table: positions for these, among all partitions of the topics as far as they are known. */
export interface Asked {
  readonly topicPartitions: readonly AssignedPartition[];
  /** Empty for a fixed assignment, which says nothing of the others. */
  readonly siblings: readonly AssignedPartition[];
}

export interface PositionPorts {
  source: Source;
  catalog: Catalog;
  clock: Clock;
  random: Random;
  log: Log;
}

const askPolicy: RetryPolicy = {
  attemptsMax: 10_000,
  totalMs: 15 * 60_000,
  waitMinMs: 100,
  waitMaxMs: 10_000,
};

/**
 * Loads (or creates) a table and finds where it goes on: the ledger's word first, then the group's, then `startAt`
 * (protocol "Start / assignment").
 * @throws {FatalError} when the table is missing, was rolled back, the topic is another one, or its log has lost what has
 * landed, and the policy is to halt.
 */
export async function openTable(
  options: TableOptions,
  sink: Pick<SinkOptions, 'pipeline' | 'topics' | 'startAt' | 'onTopicRecreated' | 'onTruncation'>,
  branch: string,
  origin: Origin,
  { topicPartitions, siblings }: Asked,
  ports: PositionPorts,
): Promise<OpenedTable> {
  const table = await loadOrCreate(options, ports);
  const ledger = table && ledgerOf(table, options, sink.pipeline, branch);
  const positions = new Map<TopicPartitionKey, Position>();
  const recreated: AssignedPartition[] = [];
  const unknown: AssignedPartition[] = [];
  for (const topicPartition of topicPartitions) {
    const key = keyOf(topicPartition);
    if (ledger && !sameTopic(ledger, origin, topicPartition.topic)) {
      if (sink.onTopicRecreated === 'halt')
        throw topicIsAnother(options.table, topicPartition, origin, ledger.clusterId);
      recreated.push(topicPartition);
      continue;
    }
    const next = ledger?.next.get(key);
    if (next === undefined) unknown.push(topicPartition);
    else positions.set(key, { offset: next, initial: false });
  }
  if (recreated.length > 0) {
    const started = await ports.source.listOffsets(recreated, 'earliest');
    await pin(options.table, started, ports);
    for (const [key, offset] of started)
      positions.set(key, { offset, initial: true, replaces: topicIdentity(ledger!, parseKey(key).topic) });
  }
  if (unknown.length > 0) {
    const begun = new Set(ledger?.topicIds.keys());
    const asked = { topicPartitions: unknown, siblings };
    for (const [key, start] of await unknownPositions(options, asked, begun, sink, ports))
      positions.set(key, { ...start, initial: true });
  }
  if (ledger) await checkEpochs(ledger, options.table, sink, positions, ports);
  return { table, positions };
}

/**
 * Whether the logs still hold what the table says has landed (KIP-320): where they do not, its word on where to go on
 * counts all the same, for the rows are there. @throws {FatalError} when the policy is to halt.
 */
async function checkEpochs(
  ledger: Ledger,
  table: string,
  sink: Pick<SinkOptions, 'onTruncation'>,
  positions: Map<TopicPartitionKey, Position>,
  { source, log }: PositionPorts,
): Promise<void> {
  const known = [...positions].flatMap(([key, { initial }]) =>
    initial || !ledger.epochs.has(key) ? [] : [key],
  );
  if (known.length === 0) return;
  const ends = await source.epochEnds(
    known.map((key) => ({ ...parseKey(key), epoch: ledger.epochs.get(key)! })),
  );
  for (const key of known) {
    const position = positions.get(key)!;
    const epoch = ledger.epochs.get(key)!;
    const end = ends.get(key) ?? position.offset;
    if (end >= position.offset) {
      positions.set(key, { ...position, epoch });
      continue;
    }
    if (sink.onTruncation === 'halt') throw wasTruncated(table, key, end, position.offset, epoch);
    log.error('records that have landed are in Kafka no more; their rows are kept', {
      table,
      partition: key,
      from: end,
      to: position.offset,
    });
    positions.set(key, { ...position, truncatedAt: end });
  }
}

/** What the table says, after any rollback has been decided on. @throws {FatalError} when the decision is to halt. */
export function ledgerOf(
  table: Table,
  options: TableOptions,
  pipeline: string,
  branch: string,
): Ledger | undefined {
  const { metadata } = table;
  return decideRollback(
    resolveLedger(metadata, pipeline, branch),
    metadata,
    pipeline,
    options.table,
    options.onRollback,
  );
}

/** The ledger of a table that is being written. @throws {FatalError} when it is gone or another one has its name. */
export async function readLedger(
  known: Table,
  options: TableOptions,
  sink: Pick<SinkOptions, 'pipeline'>,
  ports: PositionPorts,
): Promise<Ledger | undefined> {
  const doing = `looking at table ${options.table}`;
  const table = await asking(doing, ports, () => loadTable(known.identifier, ports));
  return ledgerOf(sameTable(known, table, doing), options, sink.pipeline, mainBranch);
}

async function loadOrCreate(options: TableOptions, ports: PositionPorts): Promise<Table | undefined> {
  const identifier = parseIdentifier(options.table);
  const table = await asking(`loading table ${options.table}`, ports, () => loadTable(identifier, ports));
  if (table) return table;
  if (!options.create)
    throw new FatalError(`opening table ${options.table}: it does not exist; create it or set create: true`);
  return options.fields.length === 0 ? undefined : createTable(options, options.fields, ports);
}

/** Creates a table for `fields`; where another worker was faster, theirs is taken. */
export async function createTable(
  options: TableOptions,
  fields: readonly Field[],
  ports: PositionPorts,
): Promise<Table> {
  const creation = creationOf(fields, options);
  const doing = `creating table ${options.table}`;
  return asking(doing, ports, () =>
    withDeadline(ports.clock, callTimeoutMs, doing, () =>
      ports.catalog.create(parseIdentifier(options.table), creation),
    ),
  );
}

/** A catalog that is away delays, then stops the pipeline. */
function asking<T>(doing: string, ports: PositionPorts, ask: () => Promise<T>): Promise<T> {
  return retry(ports, askPolicy, ask, {
    onRetry: (error, attempt, waitMs) =>
      ports.log.warn(`${doing} failed; trying again`, { attempt, waitMs, error: messageOf(error) }),
  });
}

/**
 * The group's offsets, else `startAt` for what the pipeline begins with: a topic that is named, or all that a pattern finds
 * at first. That is pinned for all of their partitions at once: what comes without a pin afterwards was added since, and
 * all of its records are new.
 */
async function unknownPositions(
  options: TableOptions,
  { topicPartitions, siblings }: Asked,
  begun: ReadonlySet<string>,
  sink: Pick<SinkOptions, 'topics' | 'startAt'>,
  ports: PositionPorts,
): Promise<Map<TopicPartitionKey, Start>> {
  const { source, log } = ports;
  const { table } = options;
  const askedIds = new Map(topicPartitions.map(({ topic, topicId }) => [topic, topicId]));
  const isFound = (topic: string): boolean => !sink.topics.includes(topic);
  const begunTogether = siblings.filter(({ topic, topicId }) =>
    askedIds.has(topic) ? askedIds.get(topic) === topicId : isFound(topic) && isChosen(topic, options),
  );
  const known = new Map([...topicPartitions, ...begunTogether].map((each) => [keyOf(each), each]));
  const committed = await source.committedOffsets([...known.values()]);
  const committedTopics = new Set([...committed.keys()].map((key) => parseKey(key).topic));
  const hasBegun = begun.size > 0 || [...committedTopics].some(isFound);
  const firstIds = new Set(siblings.map(({ topicId }) => topicId));
  const isBegun = ({ topic, topicId }: AssignedPartition): boolean => {
    // A fixed assignment says nothing of other partitions.
    if (siblings.length === 0 && !isFound(topic)) return false;
    if (begun.has(topic) || committedTopics.has(topic) || !firstIds.has(topicId)) return true;
    return isFound(topic) && hasBegun;
  };
  const asked = new Set(topicPartitions.map(keyOf));
  const atGroup = await inTheLog(new Map([...committed].filter(([key]) => asked.has(key))), ports);
  const fresh = [...known.values()].filter((each) => !committed.has(keyOf(each)));
  const added = fresh.filter((each) => isBegun(each) && asked.has(keyOf(each)));
  const first = fresh.filter((each) => !isBegun(each));
  const tell = (what: string, offsets: ReadonlyMap<TopicPartitionKey, number>): void => {
    if (offsets.size > 0) log.info(what, { table, offsets: Object.fromEntries(offsets) });
  };
  tell(
    'the table has no ledger for these partitions; they start at the group offsets',
    new Map([...atGroup].map(([key, { offset }]) => [key, offset])),
  );
  const atStart = added.length > 0 ? await source.listOffsets(added, 'earliest') : new Map<string, number>();
  tell('partitions were added: they are read from their start', atStart);
  const atOption =
    first.length > 0 ? await source.listOffsets(first, sink.startAt) : new Map<string, number>();
  tell(`partitions start where startAt says (${sink.startAt})`, atOption);
  const pins = new Map([...atStart, ...atOption]);
  // Others may have begun with theirs while the logs were asked: a pin over theirs could be past what they have landed.
  const others = first.filter((each) => !asked.has(keyOf(each)));
  if (others.length > 0) for (const key of (await source.committedOffsets(others)).keys()) pins.delete(key);
  if (pins.size > 0) await pin(table, pins, ports);
  const pinned = [...pins].filter(([key]) => asked.has(key));
  return new Map([...atGroup, ...pinned.map(([key, offset]) => [key, { offset }] as const)]);
}

/** A position that the table did not tell. */
type Start = Pick<Position, 'offset' | 'epoch'>;

/**
 * The group's offsets, no further than the logs still are what they were (KIP-320): of the records that a log has lost the
 * table holds none.
 */
async function inTheLog(
  committed: ReadonlyMap<TopicPartitionKey, CommittedOffset>,
  { source, log }: PositionPorts,
): Promise<Map<TopicPartitionKey, Start>> {
  const known = [...committed].flatMap(([key, { epoch }]) =>
    epoch === undefined ? [] : [{ ...parseKey(key), epoch }],
  );
  const ends = known.length > 0 ? await source.epochEnds(known) : new Map<TopicPartitionKey, number>();
  return new Map(
    [...committed].map(([key, { offset, epoch }]) => {
      const end = ends.get(key) ?? offset;
      if (end >= offset) return [key, { offset, epoch }];
      log.warn('the log was cut below the group offset; it is read from there', {
        partition: key,
        offset,
        end,
      });
      return [key, { offset: end }];
    }),
  );
}

/**
 * Keeps a beginning in the group at once: `latest` after a crash before the first commit would be another place, and what
 * lies between lost.
 */
async function pin(
  table: string,
  started: ReadonlyMap<TopicPartitionKey, number>,
  { source, log }: PositionPorts,
): Promise<void> {
  await source
    .commitOffsets(started, startMetadata)
    .catch((error) =>
      log.warn('the start position could not be kept in the group', { table, error: messageOf(error) }),
    );
}

/** Marks group offsets that are a beginning and not a mirror of landed rows. */
const startMetadata = 'frazil start';

function wasTruncated(
  table: string,
  key: TopicPartitionKey,
  end: number,
  next: number,
  epoch: number,
): FatalError {
  const { topic, partition } = parseKey(key);
  return new FatalError(
    `opening table ${table}: ${key} offsets ${end} to ${next - 1} have landed and are in Kafka no more: its log was cut ` +
      `at ${end}, at the latest, by an unclean leader election (the last record landed was of leader epoch ${epoch}), and ` +
      `other records may have these offsets now. The rows are those with _kafka_topic = '${topic}', _kafka_partition = ` +
      `${partition} and _kafka_offset >= ${end}. To land what Kafka has now, roll the table back to a snapshot before ` +
      'them (frazil inspect shows the offsets of each) and set onRollback: replay; to keep these rows and leave out ' +
      'what has their offsets now, set source.onTruncation: skip',
    { context: { topic, partition, from: end, to: next, table } },
  );
}

function topicIsAnother(
  table: string,
  topicPartition: AssignedPartition,
  origin: Origin,
  clusterId: string,
): FatalError {
  const { topic, topicId } = topicPartition;
  const what =
    clusterId === origin.clusterId
      ? `topic ${topic} was deleted and made anew since (its id is ${topicId} now)`
      : `topic ${topic} is read from another cluster now (${origin.clusterId}, before ${clusterId})`;
  return new FatalError(
    `opening table ${table}: its ledger is about other records: ${what}; ` +
      'set source.onTopicRecreated: restart to land the new topic from its start',
  );
}
