import type { Subscription } from './consumer-protocol.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from './topic-partition.ts';

/**
 * Who gets what in a classic group: the member that leads it computes that for all. `range` and `roundrobin` assign as
 * Kafka's own do; `cooperative-sticky` keeps its rules (balanced, as little moved as possible, nothing given to a second
 * member before the first has let go of it), by its own arithmetic.
 */

export const assignorNames = ['cooperative-sticky', 'range', 'roundrobin'] as const;
export type AssignorName = (typeof assignorNames)[number];

export interface Subscriber extends Subscription {
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** Topic-partitions by member id; every member is named. */
export type GroupAssignment = Map<string, TopicPartition[]>;

/** Partition counts of the topics that exist, by name. */
export type PartitionCounts = ReadonlyMap<string, number>;

export function assign(
  assignor: AssignorName,
  subscribers: readonly Subscriber[],
  counts: PartitionCounts,
): GroupAssignment {
  const sorted = [...subscribers].sort(byIdentity);
  switch (assignor) {
    case 'range':
      return assignRanges(sorted, counts);
    case 'roundrobin':
      return assignInTurn(sorted, counts);
    case 'cooperative-sticky':
      return withholdOwned(assignSticky(sorted, counts), sorted);
  }
}

/** Static members first, whose places outlast their restarts. */
function byIdentity(a: Subscriber, b: Subscriber): number {
  if (a.instanceId !== null && b.instanceId !== null) return compare(a.instanceId, b.instanceId);
  if (a.instanceId !== null) return -1;
  if (b.instanceId !== null) return 1;
  return compare(a.memberId, b.memberId);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function nothing(subscribers: readonly Subscriber[]): GroupAssignment {
  return new Map(subscribers.map(({ memberId }) => [memberId, []]));
}

/** Topics that somebody wants and that exist, by name. */
function topicsOf(subscribers: readonly Subscriber[], counts: PartitionCounts): string[] {
  const wanted = new Set(subscribers.flatMap(({ topics }) => topics));
  return [...wanted].filter((topic) => counts.has(topic)).sort(compare);
}

/** Of each topic every subscriber gets a run of partitions, the first ones one more where they do not divide. */
function assignRanges(subscribers: readonly Subscriber[], counts: PartitionCounts): GroupAssignment {
  const assignment = nothing(subscribers);
  for (const topic of topicsOf(subscribers, counts)) {
    const takers = subscribers.filter(({ topics }) => topics.includes(topic));
    const each = Math.floor(counts.get(topic)! / takers.length);
    const more = counts.get(topic)! % takers.length;
    let partition = 0;
    for (const [i, { memberId }] of takers.entries())
      for (const end = partition + each + (i < more ? 1 : 0); partition < end; partition++)
        assignment.get(memberId)!.push({ topic, partition });
  }
  return assignment;
}

/** Partition after partition to one subscriber after the other. */
function assignInTurn(subscribers: readonly Subscriber[], counts: PartitionCounts): GroupAssignment {
  const assignment = nothing(subscribers);
  let turn = 0;
  for (const topic of topicsOf(subscribers, counts))
    for (let partition = 0; partition < counts.get(topic)!; partition++) {
      while (!subscribers[turn % subscribers.length]!.topics.includes(topic)) turn++;
      assignment.get(subscribers[turn++ % subscribers.length]!.memberId)!.push({ topic, partition });
    }
  return assignment;
}

/** Everybody keeps what they own, what is free goes to those that have least, and then those that have too much give. */
function assignSticky(subscribers: readonly Subscriber[], counts: PartitionCounts): GroupAssignment {
  const assignment = nothing(subscribers);
  const takers = new Map(
    topicsOf(subscribers, counts).map((topic) => [
      topic,
      subscribers.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => memberId),
    ]),
  );
  const owners = rightfulOwners(subscribers);
  const load = (memberId: string): number => assignment.get(memberId)!.length;
  const leastLoaded = (topic: string): string =>
    takers.get(topic)!.reduce((least, memberId) => (load(memberId) < load(least) ? memberId : least));
  const free: TopicPartition[] = [];
  for (const [topic, members] of takers)
    for (let partition = 0; partition < counts.get(topic)!; partition++) {
      const owner = owners.get(keyOf({ topic, partition }));
      if (owner !== undefined && members.includes(owner)) assignment.get(owner)!.push({ topic, partition });
      else free.push({ topic, partition });
    }
  // Those that few can take first, while these have little.
  free.sort((a, b) => takers.get(a.topic)!.length - takers.get(b.topic)!.length);
  for (const topicPartition of free) assignment.get(leastLoaded(topicPartition.topic))!.push(topicPartition);
  while (moveOne(assignment, leastLoaded)) {
    // Each move brings two loads nearer to each other: it ends.
  }
  return assignment;
}

/** Moves a partition to a member that has at least two less, from one that has most. @returns whether there was one. */
function moveOne(assignment: GroupAssignment, leastLoaded: (topic: string) => string): boolean {
  const loaded = [...assignment].sort(([, a], [, b]) => b.length - a.length);
  for (const [, partitions] of loaded) {
    const tried = new Map<string, string>();
    // What it was given last it may not own.
    for (let i = partitions.length - 1; i >= 0; i--) {
      const { topic } = partitions[i]!;
      const to = tried.get(topic) ?? leastLoaded(topic);
      tried.set(topic, to);
      if (assignment.get(to)!.length > partitions.length - 2) continue;
      assignment.get(to)!.push(...partitions.splice(i, 1));
      return true;
    }
  }
  return false;
}

/** Of several that claim a partition the one of the latest generation owns it; of the same one nobody. */
function rightfulOwners(subscribers: readonly Subscriber[]): Map<TopicPartitionKey, string | undefined> {
  const claims = new Map<TopicPartitionKey, { memberId: string | undefined; generation: number }>();
  for (const { memberId, owned, generation } of subscribers)
    for (const key of owned.map(keyOf)) {
      const other = claims.get(key);
      if (!other || other.generation < generation) claims.set(key, { memberId, generation });
      else if (other.generation === generation) claims.set(key, { memberId: undefined, generation });
    }
  return new Map([...claims].map(([key, { memberId }]) => [key, memberId]));
}

/** What another member still owns is given to nobody: it sees that, lets go, and joins again. */
function withholdOwned(assignment: GroupAssignment, subscribers: readonly Subscriber[]): GroupAssignment {
  const claimants = new Map<TopicPartitionKey, string[]>();
  for (const { memberId, owned } of subscribers)
    for (const key of owned.map(keyOf)) claimants.set(key, [...(claimants.get(key) ?? []), memberId]);
  return new Map(
    [...assignment].map(([memberId, partitions]) => [
      memberId,
      partitions.filter((each) =>
        (claimants.get(keyOf(each)) ?? []).every((claimant) => claimant === memberId),
      ),
    ]),
  );
}
