import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import type { Wire } from '../../../src/kafka/wire.ts';
import { java } from '../../tools/java.ts';
import { Members } from './members.ts';
import { until } from './reading.ts';

const brokers = inject('brokers');
const sessionMs = 3_000;

beforeAll(() => java.call('configure', { brokers }));

let members: Members;
afterEach(() => members.close());

async function groupOf(topic: string, partitions: number): Promise<Members> {
  members = new Members(brokers, topic, { protocol: 'consumer' });
  await members.create(partitions);
  await members.configure(sessionMs);
  return members;
}

test('every partition has one owner, whoever comes and goes', async () => {
  await groupOf('come-and-go', 12);
  const a = await members.add('a');
  await members.settled([a]);
  const b = await members.add('b');
  await members.settled([a, b]);
  const c = await members.add('c');
  await members.settled([a, b, c]);
  await members.leave(b);
  await members.settled([a, c]);
  const d = await members.add('d');
  await members.leave(a);
  await members.settled([c, d]);
  for (const member of [a, b, c, d]) {
    expect(member.of('lost')).toEqual([]);
    expect(member.of('failed')).toEqual([]);
  }
  expect(a.of('assigned')[0]!.topicPartitions[0]!.topicId).toMatch(
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  );
});

test('what is revoked goes to another only when it was released, and then soon', async () => {
  await groupOf('release', 4);
  const a = await members.add('a');
  await members.settled([a]);
  a.holds = true;
  const b = await members.add('b');
  await until(() => a.of('revoked').length > 0, 'a is asked to give something up');
  const [{ topicPartitions, withinMs }] = a.of('revoked') as [
    (typeof a.events)[number] & { type: 'revoked' },
  ];
  expect(topicPartitions.length).toBe(2);
  expect(withinMs).toBe(45_000);
  await systemClock.sleep(2 * sessionMs); // it goes on with its heartbeats meanwhile
  expect(b.keys).toEqual([]);
  expect(a.of('lost')).toEqual([]);
  a.release(topicPartitions);
  await until(() => b.keys.length === 2, 'b has them', 2_000);
  expect(b.keys).toEqual(topicPartitions.map(keyOf).sort());
  expect(members.overlaps).toEqual([]);
});

test('a member that never releases is fenced in the end, and joins again', async () => {
  await groupOf('stubborn', 4);
  const a = await members.add('a', { rebalanceTimeoutMs: 3_000 });
  await members.settled([a]);
  a.holds = true;
  const b = await members.add('b');
  await until(() => a.of('revoked').length > 0, 'a is asked to give something up');
  expect(a.of('revoked')[0]!.withinMs).toBe(2_250);
  await until(() => a.of('lost').length > 0, 'a has lost what it held', 10_000);
  expect(a.of('lost')[0]!.topicPartitions.map(keyOf).sort()).toEqual(
    [0, 1, 2, 3].map((partition) => `stubborn-${partition}`),
  );
  a.holds = false;
  members.overlaps.length = 0; // until it hears of that, a takes for its own what b has: the table's fence is for that
  await members.settled([a, b]);
  expect(a.of('failed')).toEqual([]);
});

test('a killed member is replaced within its session time', async () => {
  await groupOf('killed', 6);
  const a = await members.add('a');
  const b = await members.add('b');
  await members.settled([a, b]);
  const killedAtMs = Date.now();
  await members.kill(a);
  await members.settled([b], sessionMs + 2_000);
  expect(Date.now() - killedAtMs).toBeLessThan(sessionMs + 2_000);
});

test('a member that was away for longer than its session has lost its partitions, and comes back', async () => {
  await groupOf('away', 4);
  const a = await members.add('a');
  await members.settled([a]);
  // Blocked as by a long computation: no heartbeat gets out.
  const { heartbeat } = blockHeartbeats(a.wire);
  await systemClock.sleep(sessionMs + 1_500);
  await expect(a.source.commitOffsets(new Map([['away-0', 5]]), '')).rejects.toThrow(
    /UNKNOWN_MEMBER_ID|STALE/,
  );
  heartbeat.resume();
  await until(() => a.of('lost').length === 1, 'it is told that they are lost');
  await members.settled([a]);
  expect(await a.source.committedOffsets([{ topic: 'away', partition: 0 }])).toEqual(new Map());
  await a.source.commitOffsets(new Map([['away-0', 7]]), 'back');
  expect((await a.source.committedOffsets([{ topic: 'away', partition: 0 }])).get('away-0')).toEqual({
    offset: 7,
    metadata: 'back',
  });

  function blockHeartbeats(wire: Wire): { heartbeat: { resume: () => void } } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const send = wire.groupHeartbeat.bind(wire);
    wire.groupHeartbeat = async (...args) => {
      await promise;
      return send(...args);
    };
    return { heartbeat: { resume: resolve } };
  }
});

test('members of other kinds come and go', async () => {
  await groupOf('with-java', 6);
  const ours = await members.add('ours');
  await members.settled([ours]);
  const { group, topic } = members;
  await java.call('runMember', { member: 'theirs', group, topics: [topic], protocol: 'consumer' });
  const theirs = async (): Promise<string[]> =>
    (await java.call<{ members: Record<string, { assignment: string[] }> }>('members')).members['theirs']!
      .assignment;
  await until(async () => (await theirs()).length === 3 && ours.keys.length === 3, 'they share');
  expect([...(await theirs()), ...ours.keys].sort()).toEqual([0, 1, 2, 3, 4, 5].map((p) => `with-java-${p}`));
  const { members: described } = await java.call<{ members: { clientId: string; assignment: string[] }[] }>(
    'describeGroup',
    { group },
  );
  expect(described.find(({ clientId }) => clientId === 'ours')!.assignment).toEqual(ours.keys);
  await java.call('stopMember', { member: 'theirs' });
  await members.settled([ours]);
  expect(ours.of('lost')).toEqual([]);
});

describe('partitions', () => {
  test('that are added are assigned and read', async () => {
    await groupOf('growing', 2);
    const a = await members.add('a');
    await members.settled([a]);
    const { topic } = members;
    await java.call('addPartitions', { topic, partitions: 5 });
    await members.settled([a]);
    a.seek(
      [2, 3, 4].map((partition) => ({ topic, partition })),
      0,
    );
    for (const partition of [2, 3, 4])
      await java.call('produce', { topic, partition, records: [{ key: null, value: 'AA==' }] });
    await until(() => a.offsets.size === 3, 'the new partitions are read');
    expect(a.of('revoked')).toEqual([]);
  });

  test('of a topic that was made anew are given up, and never read by their old positions', async () => {
    await groupOf('anew-in-group', 1);
    const a = await members.add('a');
    await members.settled([a]);
    const { topic } = members;
    const record = { key: null, value: 'AA==' };
    await java.call('produce', { topic, partition: 0, records: [record, record] });
    a.seek([{ topic, partition: 0 }], 0);
    await until(() => a.position({ topic, partition: 0 }) === 2, 'it is read');
    await java.call('deleteTopic', { topic });
    await java.call('createTopic', { topic });
    await java.call('produce', { topic, partition: 0, records: new Array(5).fill(record) });
    // Whichever is noticed first: that the position is of another topic, or what the group says.
    await until(() => a.of('failed').length > 0 || a.of('assigned').length > 1, 'it is noticed');
    const ids = a.of('assigned').map(({ topicPartitions }) => topicPartitions[0]!.topicId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(a.offsets.get('anew-in-group-0')).toEqual([0, 1]);
  });
});

describe('a static member', () => {
  test('gets its partitions back after a restart, which the others do not notice', async () => {
    await groupOf('static-consumer', 6);
    const a = await members.add('a', { instanceId: 'one' });
    const b = await members.add('b', { instanceId: 'two' });
    await members.settled([a, b]);
    const before = [...b.keys];
    const noticed = a.events.length;
    await members.leave(b);
    const again = await members.add('b again', { instanceId: 'two' });
    await until(() => again.keys.length > 0, 'it has its partitions', sessionMs);
    expect(again.keys).toEqual(before);
    expect(a.events.slice(noticed)).toEqual([]);
  });

  test('that was killed waits for the end of its own session', async () => {
    await groupOf('static-killed', 2);
    const a = await members.add('a', { instanceId: 'one' });
    await members.settled([a]);
    await members.kill(a);
    const again = await members.add('a again', { instanceId: 'one' });
    await members.settled([again], sessionMs + 3_000);
    expect(again.of('failed')).toEqual([]);
  });
});
