import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { KafkaSource } from '../../../src/kafka/kafka-source.ts';
import type { SourceEvent } from '../../../src/kafka/source.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { java } from '../../tools/java.ts';
import { createTopic, partitionsOf, Reading, until } from './reading.ts';

const brokers = inject('brokers');
const sessionMs = 3_000;

beforeAll(() => java.call('configure', { brokers }));

/** A worker of a group that gives up at once what it is asked for, unless it is told to hold it. */
class Member extends Reading {
  readonly name: string;
  readonly wire: Wire;
  holds = false;

  constructor(name: string, group: string, topic: string, rebalanceTimeoutMs: number) {
    const wire = new Wire({ brokers: brokers.split(','), clientId: name }, systemClock);
    super(
      new KafkaSource(
        { group, topics: [topic], rebalanceTimeoutMs },
        { wire, clock: systemClock, random: systemRandom, log: silentLog },
      ),
    );
    this.name = name;
    this.wire = wire;
  }

  get keys(): string[] {
    return [...this.owned.keys()].sort();
  }
}

/** Members of one group; notes whenever a partition is owned by two of them. */
class Members {
  readonly group: string;
  readonly topic: string;
  readonly all: Member[] = [];
  readonly overlaps: string[] = [];

  constructor(topic: string) {
    this.topic = topic;
    this.group = `group-${topic}`;
  }

  async create(partitions: number): Promise<void> {
    await createTopic(brokers, this.topic, partitions);
    await java.call('alterGroupConfig', {
      group: this.group,
      configs: { 'consumer.session.timeout.ms': sessionMs, 'consumer.heartbeat.interval.ms': 500 },
    });
  }

  async add(name: string, rebalanceTimeoutMs = 60_000): Promise<Member> {
    const member = new Member(name, this.group, this.topic, rebalanceTimeoutMs);
    this.all.push(member);
    member.onEvent = (event) => this.#onEvent(member, event);
    await member.start();
    return member;
  }

  #onEvent(member: Member, event: SourceEvent): void {
    if (event.type === 'revoked' && !member.holds) member.release(event.topicPartitions);
    if (event.type !== 'assigned') return;
    for (const key of event.topicPartitions.map(keyOf))
      for (const other of this.all)
        if (other !== member && other.owned.has(key))
          this.overlaps.push(`${key}: ${other.name}, ${member.name}`);
  }

  get owned(): string[] {
    return this.all.flatMap((member) => member.keys).sort();
  }

  /** Waits until every partition has its one owner, and each member has about its share. */
  async settled(members: readonly Member[], timeoutMs = 15_000): Promise<void> {
    const partitions = (await partitionsOf(this.topic))
      .map((partition) => `${this.topic}-${partition}`)
      .sort();
    const least = Math.floor(partitions.length / members.length);
    await until(
      () =>
        members.flatMap(({ keys }) => keys).length === partitions.length &&
        members.every(({ keys }) => keys.length >= least),
      () => `each of ${members.length} has its share: ${JSON.stringify(members.map(({ keys }) => keys))}`,
      timeoutMs,
    );
    expect(members.flatMap(({ keys }) => keys).sort()).toEqual(partitions);
    expect(this.overlaps).toEqual([]);
  }

  /** It is gone without a word, as after SIGKILL. */
  async kill(member: Member): Promise<void> {
    await member.wire.close();
    this.all.splice(this.all.indexOf(member), 1);
    member.onEvent = () => {};
    killed.push(member);
  }

  async leave(member: Member): Promise<void> {
    this.all.splice(this.all.indexOf(member), 1);
    await member.source.close();
  }
}

const killed: Member[] = [];
let members: Members;
afterEach(async () => {
  await Promise.all([...members.all, ...killed.splice(0)].map((member) => member.source.close()));
});

async function groupOf(topic: string, partitions: number): Promise<Members> {
  members = new Members(topic);
  await members.create(partitions);
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
  const a = await members.add('a', 3_000);
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
