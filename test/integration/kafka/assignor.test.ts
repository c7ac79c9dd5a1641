import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import {
  type AssignorName,
  assign,
  type GroupAssignment,
  type Subscriber,
} from '../../../src/kafka/assignor.ts';
import {
  readAssignment,
  readSubscription,
  writeAssignment,
  writeSubscription,
} from '../../../src/kafka/consumer-protocol.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import { java } from '../../tools/java.ts';

const random = seededRandom(7);
const { below } = random;
const some = <T>(values: readonly T[]): T[] => values.filter(() => random.float() < 0.6);

interface Group {
  assignor: AssignorName;
  members: Subscriber[];
  counts: Record<string, number>;
}

/** Members with topics alike or not, names in any order, some of them static. */
function randomGroup(assignor: AssignorName, prefix = 'm'): Group {
  const topics = ['a', 'b-1', 'B', 'c.c'].slice(0, 1 + below(4));
  const alike = random.float() < 0.5;
  const members = Array.from({ length: 1 + below(6) }, (_, i) => ({
    memberId: `${prefix}${below(1000)}-${i}`,
    instanceId: random.float() < 0.4 ? `i${below(1000)}-${i}` : null,
    topics: alike ? topics : [topics[below(topics.length)]!, ...some(topics)],
    owned: [],
    generation: -1,
  })).map((member) => ({ ...member, topics: [...new Set(member.topics)] }));
  // One of the topics may not exist.
  const counts = Object.fromEntries(
    topics.slice(below(topics.length > 1 ? 2 : 1)).map((topic) => [topic, 1 + below(9)]),
  );
  return { assignor, members, counts };
}

const ours = ({ assignor, members, counts }: Group): GroupAssignment =>
  assign(assignor, members, new Map(Object.entries(counts)));

const named = (assignment: GroupAssignment): Record<string, string[]> =>
  Object.fromEntries(
    [...assignment].map(([memberId, partitions]) => [memberId, partitions.map(keyOf).sort()]),
  );

async function theirs(groups: readonly Group[]): Promise<Record<string, string[]>[]> {
  const { assignments } = await java.call<{ assignments: Record<string, string[]>[] }>('assign', { groups });
  return assignments;
}

test.each<AssignorName>(['range', 'roundrobin'])('%s assigns as Java does', async (assignor) => {
  const groups = Array.from({ length: 300 }, () => randomGroup(assignor));
  const expected = await theirs(groups);
  expect(groups.map((group) => named(ours(group)))).toEqual(expected);
});

test('cooperative-sticky moves no more than Java does', async () => {
  const groups = Array.from({ length: 300 }, () => {
    const group = randomGroup('cooperative-sticky');
    // Everybody owns what they were given, then members come and go and topics grow.
    const before = ours(group);
    const stay = group.members.filter(() => random.float() < 0.8);
    const members = [
      ...stay,
      ...randomGroup('range', 'n').members.map((member) => ({
        ...member,
        topics: Object.keys(group.counts),
      })),
    ]
      .filter(({ topics }) => topics.length > 0)
      .map((member) => ({ ...member, owned: before.get(member.memberId) ?? [], generation: 3 }));
    const counts = Object.fromEntries(
      Object.entries(group.counts).map(([topic, count]) => [topic, count + below(2)]),
    );
    return { ...group, members, counts };
  });
  const expected = await theirs(groups);
  for (const [i, group] of groups.entries()) {
    const mine = named(ours(group));
    const alike = new Set(group.members.map(({ topics }) => [...topics].sort().join())).size === 1;
    const kept = (assignment: Record<string, string[]>): number =>
      group.members.flatMap(({ memberId, owned }) =>
        owned.filter((each) => assignment[memberId]?.includes(keyOf(each))),
      ).length;
    // In the first of two rounds what moves is still with nobody: what is kept tells how much moves.
    if (alike) expect(kept(mine), JSON.stringify(group)).toBeGreaterThanOrEqual(kept(expected[i]!));
    expect(Object.keys(mine).sort()).toEqual(group.members.map(({ memberId }) => memberId).sort());
  }
});

test('members understand each other, whichever version they write', async () => {
  const owned = [
    { topic: 'orders', partition: 3 },
    { topic: 'orders', partition: 0 },
    { topic: 'ünï', partition: 7 },
  ];
  const member = { topics: ['orders', 'ünï'], owned, generation: 42 };
  const read = await java.call<Record<string, unknown> & { subscriptions: string[]; assignment: string }>(
    'groupBytes',
    {
      memberId: 'm',
      ...member,
      subscription: writeSubscription(member, null).toString('base64'),
      assignment: writeAssignment(owned).toString('base64'),
    },
  );
  const keys = owned.map(keyOf).sort();
  expect(read).toMatchObject({ topics: member.topics, owned: keys, generation: 42, assigned: keys });
  expect(read['userData']).toBe(Buffer.of(0, 0, 0, 42).toString('base64'));
  const sorted = (partitions: readonly { topic: string; partition: number }[]): string[] =>
    partitions.map(keyOf).sort();
  expect(sorted(readAssignment(Buffer.from(read.assignment, 'base64')))).toEqual(keys);
  const subscriptions = read.subscriptions.map((bytes) =>
    readSubscription('m', Buffer.from(bytes, 'base64')),
  );
  expect(subscriptions.map(({ topics }) => topics)).toEqual(new Array(4).fill(member.topics));
  expect(subscriptions.map((subscription) => sorted(subscription.owned))).toEqual([[], keys, keys, keys]);
  expect(subscriptions.map(({ generation }) => generation)).toEqual([-1, -1, 42, 42]);
});
