import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { type AssignorName, assign, assignorNames, type Subscriber } from '../../src/kafka/assignor.ts';
import { keyOf, type TopicPartition } from '../../src/kafka/topic-partition.ts';

/** Members of a group with what each owns, and its topics. */
interface Group {
  members: Subscriber[];
  counts: Map<string, number>;
}

const topics = ['a', 'b', 'c'];
const random = seededRandom(11);

function member(memberId: string, wanted: readonly string[], owned: TopicPartition[] = []): Subscriber {
  return { memberId, instanceId: null, topics: wanted, owned, generation: owned.length > 0 ? 1 : -1 };
}

function randomGroup(isAlike: boolean): Group {
  const members = Array.from({ length: 1 + random.below(7) }, (_, i) =>
    member(`m${i}`, isAlike ? topics : topics.filter((_, topic) => topic === i % 3 || random.float() < 0.5)),
  );
  return { members, counts: new Map(topics.map((topic) => [topic, random.below(12)])) };
}

/** Somebody comes or goes, or a topic grows. */
function changed({ members, counts }: Group, isAlike: boolean, step: number): Group {
  const stay = members.filter(() => random.float() < 0.85);
  const come = random.float() < 0.5 || stay.length === 0;
  const wanted = isAlike ? topics : [topics[random.below(3)]!];
  return {
    members: come ? [...stay, member(`n${step}`, wanted)] : stay,
    counts: new Map([...counts].map(([topic, count]) => [topic, count + random.below(2)])),
  };
}

/** One rebalance of cooperative members: what is not theirs any more is given up, then the rest is taken. */
function rebalanced({ members, counts }: Group, generation: number): { group: Group; isSettled: boolean } {
  const assignment = assign('cooperative-sticky', members, counts);
  let isSettled = true;
  const next = members.map((each) => {
    const owned = assignment.get(each.memberId)!;
    const keys = new Set(owned.map(keyOf));
    if (each.owned.some((topicPartition) => !keys.has(keyOf(topicPartition)))) isSettled = false;
    return { ...each, owned, generation };
  });
  return { group: { members: next, counts }, isSettled };
}

function expectOneOwnerEach({ members, counts }: Group, isAll: boolean): void {
  const owned = members.flatMap((each) => each.owned.map(keyOf));
  expect(new Set(owned).size).toBe(owned.length);
  expect(members.flatMap((each) => each.owned.filter(({ topic }) => !each.topics.includes(topic)))).toEqual(
    [],
  );
  if (!isAll) return;
  const wanted = topics.filter((topic) => members.some((each) => each.topics.includes(topic)));
  expect(owned.length).toBe(wanted.reduce((sum, topic) => sum + counts.get(topic)!, 0));
}

/** No partition could move to somebody who has at least two less. */
function expectBalance({ members }: Group): void {
  const better = members.flatMap((from) =>
    members.filter(
      (to) =>
        from.owned.length - to.owned.length > 1 && from.owned.some(({ topic }) => to.topics.includes(topic)),
    ),
  );
  expect(better).toEqual([]);
}

describe.each([true, false])('cooperative-sticky, subscriptions alike: %s', (isAlike) => {
  // Where not all may take everything, what is free in the second round may find another place than in the first.
  test('comes to rest soon, balanced, with one owner for each partition at any time', () => {
    for (let i = 0; i < 25; i++) {
      let group = randomGroup(isAlike);
      for (let step = 0; step < 8; step++) {
        let isSettled = false;
        for (let round = 0; !isSettled; round++) {
          expect(round, JSON.stringify(group.members)).toBeLessThan(isAlike ? 2 : 4);
          ({ group, isSettled } = rebalanced(group, step * 9 + round));
          expectOneOwnerEach(group, false);
        }
        expectOneOwnerEach(group, true);
        expectBalance(group);
        const again = rebalanced(group, step * 9 + 8).group;
        expect(again.members.map(({ owned }) => owned.map(keyOf).sort())).toEqual(
          group.members.map(({ owned }) => owned.map(keyOf).sort()),
        );
        group = changed(group, isAlike, step);
      }
    }
  });
});

test('a member that comes gets its share, and nobody else gets anything', () => {
  const partitions = Array.from({ length: 20 }, (_, partition) => ({ topic: 'a', partition }));
  const members = [0, 1, 2].map((i) =>
    member(
      `m${i}`,
      ['a'],
      partitions.filter(({ partition }) => partition % 3 === i),
    ),
  );
  const assignment = assign('cooperative-sticky', [...members, member('new', ['a'])], new Map([['a', 20]]));
  expect(assignment.get('new')).toEqual([]);
  expect(members.map(({ memberId }) => assignment.get(memberId)!.length)).toEqual([5, 5, 5]);
  for (const { memberId, owned } of members)
    for (const key of assignment.get(memberId)!.map(keyOf)) expect(owned.map(keyOf)).toContain(key);
});

test('of two that claim a partition the one of the later generation keeps it; of the same one none', () => {
  const claim = (memberId: string, generation: number): Subscriber => ({
    ...member(memberId, ['a'], [{ topic: 'a', partition: 0 }]),
    generation,
  });
  const counts = new Map([['a', 1]]);
  // It is withheld until the other has seen that it is not its own.
  const first = assign('cooperative-sticky', [claim('x', 4), claim('y', 5)], counts);
  expect([first.get('x'), first.get('y')]).toEqual([[], []]);
  const second = assign('cooperative-sticky', [member('x', ['a']), claim('y', 5)], counts);
  expect(second.get('y')!.map(keyOf)).toEqual(['a-0']);
  const doubled = assign('cooperative-sticky', [claim('x', 5), claim('y', 5)], counts);
  expect([doubled.get('x'), doubled.get('y')]).toEqual([[], []]);
});

test.each<AssignorName>(assignorNames)(
  '%s gives what does not exist to nobody, and names every member',
  (name) => {
    const gone = { topic: 'gone', partition: 0 };
    const members = [member('x', ['a', 'gone'], [gone]), member('y', ['gone'])];
    const assignment = assign(name, members, new Map([['a', 1]]));
    expect([...assignment].map(([memberId, partitions]) => [memberId, partitions.map(keyOf)])).toEqual([
      ['x', ['a-0']],
      ['y', []],
    ]);
  },
);

test('thousands of partitions are divided soon', () => {
  const counts = new Map([['a', 10_000]]);
  const first = Array.from({ length: 50 }, (_, i) => member(`m${i}`, ['a']));
  const assignment = assign('cooperative-sticky', first, counts);
  const grown = [
    ...first.map((each) => ({ ...each, owned: assignment.get(each.memberId)! })),
    member('new', ['a']),
  ];
  const left = [...assign('cooperative-sticky', grown, counts).values()].map(({ length }) => length);
  expect([left.pop(), Math.min(...left), Math.max(...left)]).toEqual([0, 196, 197]);
});
