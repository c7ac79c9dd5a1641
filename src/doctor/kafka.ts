import { withDeadline } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { type RetryPolicy, type RetryPorts, retry } from '../base/retry.ts';
import type { Config } from '../config/config.ts';
import { KafkaError, partitionError } from '../kafka/errors.ts';
import type { ClusterMetadata, TopicMetadata, Wire } from '../kafka/wire.ts';
import { foundBy } from '../worker/topics.ts';
import { type Check, failed, type Outcome, ok, once, skipped, succeeds, warning } from './check.ts';

export type Cluster = Pick<
  Wire,
  'metadata' | 'coordinator' | 'config' | 'listOffsets' | 'offsetFetch' | 'fetch' | 'mayRead' | 'access'
>;

type Source = Config['source'];

const latest = -1;
/** Shorter than the bound of a check, so that those that wait for it tell why they were skipped. */
const knownTimeoutMs = 12_000;
const hourMs = 3_600_000;
/** Of the topics that a pattern finds so many are looked at: each takes some requests. */
const lookedMax = 10;
/** A cluster that has never had a group makes the topic for their offsets when it is first asked. */
const coordinatorPolicy: RetryPolicy = { attemptsMax: 20, totalMs: 15_000, waitMinMs: 200, waitMaxMs: 2_000 };

/** Brokers, topics, and the group: whether they can be reached, and whether we may do what a worker does. */
export function kafkaChecks(
  config: Pick<Config, 'pipeline' | 'source' | 'commit' | 'tables'>,
  cluster: Cluster,
  ports: RetryPorts,
): Check[] {
  const { source } = config;
  const doing = `asking ${source.brokers.join(', ')} for the brokers`;
  const known = once(() => withDeadline(ports.clock, knownTimeoutMs, doing, () => cluster.metadata([])));
  const found = findTopics(config, cluster);
  const whenKnown = (run: (metadata: ClusterMetadata) => Promise<Outcome>) => async (): Promise<Outcome> =>
    (await succeeds(known())) ? run(await known()) : skipped('the brokers do not answer');
  return [
    { what: 'brokers', run: () => checkBrokers(known, source, cluster) },
    ...source.topics.map((topic) => ({
      what: `topic ${topic}`,
      run: whenKnown((metadata) => checkTopic(topic, metadata, config, cluster)),
    })),
    ...(source.topicsPattern
      ? [
          {
            what: `topics ${source.topicsPattern.text}`,
            run: whenKnown(async (metadata) => checkFound(await found(), metadata, config, cluster)),
          },
        ]
      : []),
    {
      what: 'group',
      run: whenKnown(async () => checkGroup(config.pipeline, await topicsOf(source, found), cluster, ports)),
    },
  ];
}

/** Of the bootstrap brokers one must answer, and then all that it names. */
async function checkBrokers(
  known: () => Promise<ClusterMetadata>,
  source: Source,
  cluster: Cluster,
): Promise<Outcome> {
  let metadata: ClusterMetadata;
  try {
    metadata = await known();
  } catch (error) {
    if (error instanceof KafkaError && error.id === 'NETWORK')
      return failed(
        `${source.brokers.join(', ')}: ${error.message}`,
        'check source.brokers, and that they can be reached from here',
      );
    throw error;
  }
  const brokers = [...metadata.brokers.values()];
  const names = brokers.map(({ host, port }) => `${host}:${port}`);
  const answers = await Promise.allSettled(brokers.map((broker) => cluster.listOffsets(broker, [], latest)));
  const silent = names.filter((_, i) => answers[i]!.status === 'rejected');
  if (silent.length === 0) {
    const { principal } = cluster.access;
    const found = `cluster ${metadata.clusterId}: ${names.join(', ')} answer`;
    return checkLogin(`${found}${principal === undefined ? '' : `; to them we are ${principal}`}`, source);
  }
  const reason = answers.find((answer) => answer.status === 'rejected')!.reason as unknown;
  return failed(
    `${source.brokers.join(', ')} name ${silent.join(', ')}, which cannot be reached: ${messageOf(reason)}`,
    'the addresses in advertised.listeners must be reachable from here',
  );
}

/** What is said in a login that others could repeat must not be heard. */
function checkLogin(found: string, { tls, sasl }: Source): Outcome {
  const isHeard = !tls && (sasl?.mechanism === 'PLAIN' || sasl?.mechanism === 'OAUTHBEARER');
  if (!isHeard) return ok(found);
  return warning(`${found}; without TLS the secret of the login can be read on its way`, 'set source.tls');
}

async function checkTopic(
  topic: string,
  { brokers }: ClusterMetadata,
  { source, commit }: Pick<Config, 'source' | 'commit'>,
  cluster: Cluster,
): Promise<Outcome> {
  let metadata: TopicMetadata;
  try {
    metadata = (await cluster.metadata([topic])).topics.get(topic)!;
  } catch (error) {
    if (error instanceof KafkaError && error.id === 'UNKNOWN_TOPIC_OR_PARTITION')
      return failed(error.message, 'make the topic, or correct source.topics');
    throw error;
  }
  const { leaders } = metadata;
  const found = `${leaders.length} partition${leaders.length === 1 ? '' : 's'}`;
  const missing = source.partitions?.[topic]?.filter((partition) => partition >= leaders.length) ?? [];
  if (missing.length > 0)
    return failed(`${found}, none with number ${missing.join(', ')}`, 'correct source.partitions');
  const orphans = [...leaders.keys()].filter((partition) => !brokers.has(leaders[partition]!));
  if (orphans.length > 0)
    return warning(`${found}, ${orphans.join(', ')} without a leader`, 'bring their brokers back');
  await readOne(metadata, brokers, cluster);
  return checkRetention(topic, found, commit.interval, cluster);
}

interface Found {
  /** Those that are read. */
  readonly topics: readonly string[];
  /** Those that match and go into no table. */
  readonly homeless: readonly string[];
}

/** What a pattern finds, asked once. */
function findTopics(config: Pick<Config, 'source' | 'tables'>, cluster: Cluster): () => Promise<Found> {
  return once(async () => {
    const homeless: string[] = [];
    const isFound = foundBy(config, (topic) => homeless.push(topic));
    const { topics } = isFound ? await cluster.metadata([], isFound) : { topics: new Map() };
    const named = config.source.topics;
    return { topics: [...topics.keys()].filter((topic) => !named.includes(topic)).sort(), homeless };
  });
}

/** Those that can be asked about the group: what is wrong with the others is told by their checks. */
async function topicsOf(source: Source, found: () => Promise<Found>): Promise<readonly string[]> {
  return (await succeeds(found())) ? [...source.topics, ...(await found()).topics] : source.topics;
}

/** Each of them is looked at; what is told is what is wrong, or which they are. */
async function checkFound(
  { topics, homeless }: Found,
  metadata: ClusterMetadata,
  config: Pick<Config, 'source' | 'commit'>,
  cluster: Cluster,
): Promise<Outcome> {
  if (topics.length === 0 && homeless.length === 0)
    return warning(
      'none is there, or this principal may DESCRIBE none',
      'nothing, if they come later; else correct source.topicsPattern',
    );
  const looked: [string, Outcome][] = [];
  for (const topic of topics.slice(0, lookedMax))
    looked.push([topic, await checkTopic(topic, metadata, config, cluster).catch(asFailure)]);
  const named = topics.slice(0, lookedMax).join(', ');
  const more = topics.length > lookedMax ? ` and ${topics.length - lookedMax} more` : '';
  const found = `${topics.length} found: ${named}${more}`;
  for (const status of ['failed', 'warning'] as const) {
    const [topic, outcome] = looked.find(([, each]) => each.status === status) ?? [];
    if (outcome) return { ...outcome, found: `${found}; topic ${topic}: ${outcome.found}` };
  }
  if (homeless.length === 0) return ok(found);
  return warning(
    `${found}; without a table, and not read: ${homeless.slice(0, lookedMax).join(', ')}`,
    'add them to a table (topicsPattern: .* takes all), or narrow source.topicsPattern',
  );
}

function asFailure(error: unknown): Outcome {
  return { status: 'failed', found: messageOf(error) };
}

/** Fetches at the end of the first partition: nothing comes, but for a refusal. */
async function readOne(
  { topic, topicId, leaders }: TopicMetadata,
  brokers: ClusterMetadata['brokers'],
  cluster: Cluster,
): Promise<void> {
  const leader = brokers.get(leaders[0]!)!;
  const [end] = await cluster.listOffsets(leader, [{ topic, partitions: [0] }], latest);
  if (!end) return;
  const { partitions } = await cluster.fetch(leader, {
    waitMs: 0,
    bytesMin: 0,
    bytesMax: 1,
    partitionBytesMax: 1,
    topics: [{ topic, topicId, partitions: [{ partition: 0, offset: end.offset }] }],
  });
  const code = partitions[0]?.errorCode ?? 0;
  if (code === 0) return;
  throw partitionError(`reading topic ${topic}`, code, cluster.access, topic);
}

/** Records must stay for longer than it takes to notice that a pipeline stands still, and to mend that. */
async function checkRetention(
  topic: string,
  found: string,
  intervalMs: number,
  cluster: Cluster,
): Promise<Outcome> {
  const retentionMs = await cluster.config('topic', topic, 'retention.ms').then(
    (text) => (text === undefined ? undefined : Number(text)),
    () => undefined,
  );
  if (retentionMs === undefined)
    return ok(`${found}, readable; retention.ms is not told (DESCRIBE_CONFIGS on the topic would show it)`);
  const kept = `${found}, readable; retention.ms ${retentionMs}`;
  const fix = 'raise retention.ms, or lower commit.interval';
  if (retentionMs < 0) return ok(`${found}, readable; kept for ever`);
  if (retentionMs <= intervalMs) return failed(`${kept} is not above commit.interval`, fix);
  if (retentionMs < Math.max(hourMs, 10 * intervalMs))
    return warning(`${kept}: after a short outage records are gone before they have landed`, fix);
  return ok(kept);
}

async function checkGroup(
  group: string,
  topics: readonly string[],
  cluster: Cluster,
  ports: RetryPorts,
): Promise<Outcome> {
  const asked = topics.map((topic) => ({ topic, partitions: [0] }));
  const { coordinator, offsets } = await retry(ports, coordinatorPolicy, async () => {
    const coordinator = await cluster.coordinator(group);
    return { coordinator, offsets: await cluster.offsetFetch(coordinator, group, asked) };
  });
  await cluster.mayRead(coordinator, group);
  const place = `coordinator ${coordinator.host}:${coordinator.port}`;
  return ok(
    `${place}; group ${group} ${offsets.length > 0 ? 'has committed offsets' : 'has not committed yet'}`,
  );
}
