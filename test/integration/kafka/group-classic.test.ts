import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { AssignorName } from '../../../src/kafka/assignor.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import { java } from '../../tools/java.ts';
import { type Member, Members } from './members.ts';
import { partitionsOf, until } from './reading.ts';

const brokers = inject('brokers');
const sessionMs = 3_000;

beforeAll(() => java.call('configure', { brokers }));

let members: Members;
const theirs = new Set<string>();
afterEach(async () => {
  for (const member of theirs) await java.call('stopMember', { member });
  theirs.clear();
  await members.close();
});

async function groupOf(
  topic: string,
  partitions: number,
  ...assignors: readonly AssignorName[]
): Promise<Members> {
  members = new Members(brokers, topic, {
    protocol: 'classic',
    sessionTimeoutMs: sessionMs,
    ...(assignors.length > 0 && { assignors }),
  });
  await members.create(partitions);
  return members;
}

// ---- Java members ----

const javaAssignors: Record<AssignorName, string> = {
  'cooperative-sticky': 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor',
  range: 'org.apache.kafka.clients.consumer.RangeAssignor',
  roundrobin: 'org.apache.kafka.clients.consumer.RoundRobinAssignor',
};

async function addJava(member: string, ...assignors: readonly AssignorName[]): Promise<void> {
  theirs.add(member);
  await java.call('runMember', {
    member,
    group: members.group,
    topics: [members.topic],
    protocol: 'classic',
    configs: {
      'session.timeout.ms': String(sessionMs),
      'heartbeat.interval.ms': '500',
      'partition.assignment.strategy': assignors.map((name) => javaAssignors[name]).join(),
    },
  });
}

async function stopJava(member: string): Promise<void> {
  theirs.delete(member);
  await java.call('stopMember', { member });
}

async function javaKeys(): Promise<string[][]> {
  const { members: states } = await java.call<{
    members: Record<string, { assignment: string[]; failure: string }>;
  }>('members');
  for (const { failure } of Object.values(states)) expect(failure).toBe('');
  return Object.values(states).map(({ assignment }) => assignment);
}

/** Waits until every partition has its one owner, ours or theirs, and each has about its share. */
async function shared(ours: readonly Member[]): Promise<void> {
  const partitions = (await partitionsOf(members.topic)).map((partition) => `${members.topic}-${partition}`);
  let seen: string[][] = [];
  await until(
    async () => {
      seen = [...ours.map(({ keys }) => keys), ...(await javaKeys())];
      const least = Math.floor(partitions.length / seen.length);
      return (
        seen.flat().length === partitions.length &&
        new Set(seen.flat()).size === partitions.length &&
        seen.every((keys) => keys.length >= least)
      );
    },
    () => `all share: ${JSON.stringify(seen)}`,
    20_000,
  );
  expect(members.overlaps).toEqual([]);
}

describe.each<AssignorName>(['cooperative-sticky', 'range', 'roundrobin'])('with %s', (assignor) => {
  test('every partition has one owner, whoever comes and goes', async () => {
    await groupOf(`classic-${assignor}`, 12, assignor);
    const a = await members.add('a');
    await members.settled([a]);
    const b = await members.add('b');
    await members.settled([a, b]);
    const c = await members.add('c');
    await members.settled([a, b, c]);
    await members.leave(b);
    await members.settled([a, c]);
    for (const member of [a, b, c]) {
      expect(member.of('lost')).toEqual([]);
      expect(member.of('failed')).toEqual([]);
    }
  });

  test('Java members share the partitions, whoever leads', async () => {
    await groupOf(`java-${assignor}`, 8, assignor);
    await addJava('first', assignor); // leads
    await shared([]);
    const a = await members.add('a');
    await shared([a]);
    await addJava('second', assignor);
    await shared([a]);
    await stopJava('first'); // a leads, or the second does
    await shared([a]);
    await stopJava('second');
    await shared([a]);
    await addJava('third', assignor); // a leads
    await shared([a]);
    const { assignor: chosen, type } = await java.call<{ assignor: string; type: string }>('describeGroup', {
      group: members.group,
    });
    expect([chosen, type]).toEqual([assignor, 'Classic']);
    expect(a.of('lost')).toEqual([]);
    expect(a.of('failed')).toEqual([]);
  });
});

test.each<AssignorName>(['cooperative-sticky', 'range'])(
  'members of both kinds come, go and are killed at random moments, with %s',
  async (assignor) => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
    console.log(`SEED=${seed}`);
    const random = seededRandom(seed);
    await groupOf(`churn-${assignor}`, 12, assignor);
    const ours = [await members.add('0')];
    for (let step = 1; step <= 12; step++) {
      await systemClock.sleep(random.below(1_200));
      const choice = random.below(5);
      const [victim] = ours.slice(random.below(Math.max(1, ours.length)));
      const [stranger] = theirs;
      if (choice === 0 && stranger) await stopJava(stranger);
      else if (choice === 1 && theirs.size < 3) await addJava(`j${step}`, assignor);
      else if (choice >= 3 && victim && ours.length > 1) {
        ours.splice(ours.indexOf(victim), 1);
        await (choice === 3 ? members.leave(victim) : members.kill(victim));
      } else ours.push(await members.add(`${step}`));
    }
    await shared(ours);
    for (const member of ours) expect(member.of('failed')).toEqual([]);
  },
);

test('members with the assignors that Java has by default find one in common', async () => {
  await groupOf('defaults', 6);
  await addJava('first', 'range', 'cooperative-sticky');
  await shared([]);
  const a = await members.add('a');
  await shared([a]);
  const b = await members.add('b', { assignors: ['range', 'cooperative-sticky'] });
  await shared([a, b]);
  await members.leave(a);
  await shared([b]);
  expect([...a.of('lost'), ...b.of('lost')]).toEqual([]);
});

test('a member that shares no assignor with the others is told so', async () => {
  await groupOf('strangers', 2, 'range');
  const a = await members.add('a');
  await members.settled([a]);
  const b = await members.add('b', { assignors: ['roundrobin'] });
  await until(() => b.of('failed').length > 0, 'b is refused');
  expect(b.of('failed')[0]!.error.message).toMatch(
    /^joining group group-strangers: INCONSISTENT_GROUP_PROTOCOL: all members of a group must be consumers and share an assignor/,
  );
});

describe('cooperative members', () => {
  test('keep what they own through a rebalance', async () => {
    await groupOf('kept', 6);
    const a = await members.add('a');
    await members.settled([a]);
    const b = await members.add('b');
    await members.settled([a, b]);
    const revoked = a.of('revoked').flatMap(({ topicPartitions }) => topicPartitions.map(keyOf));
    expect(revoked.sort()).toEqual(b.keys);
    await members.leave(b);
    await members.settled([a]);
    expect(a.of('revoked').length).toBe(1);
  });

  test('give away what is revoked only when it was released, and then soon', async () => {
    await groupOf('classic-release', 4);
    const a = await members.add('a');
    await members.settled([a]);
    a.holds = true;
    const b = await members.add('b');
    await until(() => a.of('revoked').length > 0, 'a is asked to give something up');
    const { topicPartitions, withinMs } = a.of('revoked')[0]!;
    expect([topicPartitions.length, withinMs]).toEqual([2, 45_000]);
    await systemClock.sleep(2 * sessionMs); // it goes on with its heartbeats meanwhile
    expect(b.keys).toEqual([]);
    expect(a.of('lost')).toEqual([]);
    a.release(topicPartitions);
    await members.settled([a, b], 5_000);
  });
});

test('an eager member joins again only when all was released', async () => {
  await groupOf('eager-release', 4, 'range');
  const a = await members.add('a');
  await members.settled([a]);
  a.holds = true;
  const b = await members.add('b');
  await until(() => a.of('revoked').length > 0, 'a is asked to give everything up');
  const { topicPartitions } = a.of('revoked')[0]!;
  expect(topicPartitions.length).toBe(4);
  await systemClock.sleep(2 * sessionMs);
  expect(b.keys).toEqual([]);
  a.release(topicPartitions);
  await members.settled([a, b], 5_000);
  expect(a.of('lost')).toEqual([]);
});

test('a member that never releases has lost all in the end, and joins again', async () => {
  await groupOf('classic-stubborn', 4, 'range');
  const a = await members.add('a', { rebalanceTimeoutMs: 3_000 });
  await members.settled([a]);
  a.holds = true;
  // The group waits for as long as the most patient of its members asks for.
  const b = await members.add('b', { rebalanceTimeoutMs: 3_000 });
  await until(() => a.of('lost').length > 0, 'a has lost what it held', 15_000);
  a.holds = false;
  members.overlaps.length = 0; // until it hears of that, a takes for its own what b has: the table's fence is for that
  await members.settled([a, b]);
  expect(a.of('failed')).toEqual([]);
});

test('a killed member is replaced within its session time', async () => {
  await groupOf('classic-killed', 6);
  const a = await members.add('a');
  const b = await members.add('b');
  await members.settled([a, b]);
  const killedAtMs = Date.now();
  await members.kill(a); // the leader
  await members.settled([b], sessionMs + 2_000);
  expect(Date.now() - killedAtMs).toBeLessThan(sessionMs + 2_000);
});

test('a member that was away for longer than its session has lost its partitions, and comes back', async () => {
  await groupOf('classic-away', 4);
  const a = await members.add('a');
  await members.settled([a]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const send = a.wire.heartbeat.bind(a.wire);
  a.wire.heartbeat = async (...args) => {
    await promise;
    return send(...args);
  };
  await systemClock.sleep(sessionMs + 1_500);
  await expect(a.source.commitOffsets(new Map([['classic-away-0', 5]]), '')).rejects.toThrow(
    'UNKNOWN_MEMBER_ID',
  );
  resolve();
  await until(() => a.of('lost').length === 1, 'it is told that they are lost');
  await members.settled([a]);
  await a.source.commitOffsets(new Map([['classic-away-0', 7]]), 'back');
  expect(
    (await a.source.committedOffsets([{ topic: 'classic-away', partition: 0 }])).get('classic-away-0'),
  ).toEqual({ offset: 7, metadata: 'back' });
});

describe('a static member', () => {
  test('gets its partitions back after a restart, which the others do not notice', async () => {
    await groupOf('static', 6);
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

  test('that leads finds new partitions that came while it was away', async () => {
    await groupOf('static-alone', 2);
    const a = await members.add('a', { instanceId: 'one' });
    await members.settled([a]);
    await members.leave(a);
    await java.call('addPartitions', { topic: members.topic, partitions: 3 });
    const again = await members.add('a again', { instanceId: 'one' });
    await members.settled([again], 5_000);
  });

  test('is replaced when it does not come back within its session', async () => {
    await groupOf('static-gone', 4);
    const a = await members.add('a', { instanceId: 'one' });
    const b = await members.add('b', { instanceId: 'two' });
    await members.settled([a, b]);
    await members.leave(a);
    await members.settled([b], sessionMs + 2_000);
  });

  test('whose instance id another takes is told so', async () => {
    await groupOf('static-doubled', 2);
    const a = await members.add('a', { instanceId: 'one' });
    await members.settled([a]);
    await members.add('b', { instanceId: 'one' });
    await until(() => a.of('failed').length > 0, 'a is fenced');
    expect(a.of('failed')[0]!.error.message).toBe(
      'heartbeat of group group-static-doubled: FENCED_INSTANCE_ID: another worker runs with the same source.groupInstanceId: give each its own',
    );
  });
});

test('partitions that are added are assigned by the leader', async () => {
  await groupOf('classic-growing', 2);
  const a = await members.add('a');
  const b = await members.add('b');
  await members.settled([a, b]);
  await java.call('addPartitions', { topic: members.topic, partitions: 5 });
  await members.settled([a, b], 20_000);
  expect([...a.of('revoked'), ...b.of('revoked')].length).toBeLessThanOrEqual(1);
});

describe('groups move to the newer protocol', () => {
  const describeGroup = (): Promise<{ type: string }> =>
    java.call<{ type: string }>('describeGroup', { group: members.group });

  test('worker by worker', async () => {
    await groupOf('upgrade', 6);
    await members.configure(sessionMs);
    let [a, b] = [await members.add('a'), await members.add('b')];
    await members.settled([a, b]);
    expect((await describeGroup()).type).toBe('Classic');
    await members.leave(a);
    a = await members.add('a', { protocol: 'consumer' });
    await members.settled([a, b], 20_000);
    expect((await describeGroup()).type).toBe('Consumer');
    await members.leave(b);
    b = await members.add('b', { protocol: 'consumer' });
    await members.settled([a, b], 20_000);
    for (const member of [a, b]) expect([...member.of('lost'), ...member.of('failed')]).toEqual([]);
  });

  test('and back', async () => {
    await groupOf('downgrade', 6);
    await members.configure(sessionMs);
    let [a, b] = [
      await members.add('a', { protocol: 'consumer' }),
      await members.add('b', { protocol: 'auto' }),
    ];
    await members.settled([a, b]);
    expect((await describeGroup()).type).toBe('Consumer');
    await members.leave(a);
    a = await members.add('a');
    await members.settled([a, b], 20_000);
    await members.leave(b);
    b = await members.add('b');
    await members.settled([a, b], 20_000);
    expect((await describeGroup()).type).toBe('Classic');
    for (const member of [a, b]) expect([...member.of('lost'), ...member.of('failed')]).toEqual([]);
  });

  test('with Java members of the classic one, which go on', async () => {
    await groupOf('mixed-protocols', 6);
    await addJava('first', 'range', 'cooperative-sticky');
    await shared([]);
    const a = await members.add('a', { protocol: 'auto' });
    await shared([a]);
    expect((await describeGroup()).type).toBe('Consumer');
    expect(a.of('failed')).toEqual([]);
  });
});
