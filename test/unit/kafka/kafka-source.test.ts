import { beforeEach, describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { JoinAnswer, JoinRequest } from '../../../src/kafka/classic-group.ts';
import { KafkaError, UnsupportedRequestError } from '../../../src/kafka/errors.ts';
import type { GroupMember } from '../../../src/kafka/group.ts';
import type { GroupHeartbeat, GroupHeartbeatAnswer } from '../../../src/kafka/group-requests.ts';
import { KafkaSource, type KafkaSourceOptions } from '../../../src/kafka/kafka-source.ts';
import type { SourceEvent } from '../../../src/kafka/source.ts';
import { keyOf, parseKey } from '../../../src/kafka/topic-partition.ts';
import type { ClusterMetadata, Wire } from '../../../src/kafka/wire.ts';
import { ManualClock, settle } from '../base/clock.ts';

function refusal(id: string): KafkaError {
  return new KafkaError('asking', id, id, undefined);
}

/** A wire that notes what is asked of whom, and answers or refuses as the test says. */
class FakeWire {
  readonly asked: string[] = [];
  /** Errors that the next requests of a kind end with. */
  readonly refusals = new Map<string, Error[]>();
  leaders = [1, 2, 1];
  epochs = [0, 0, 0];
  readonly topicIds = new Map<string, string>();
  /** Topics that are not named, and may be found. */
  others: string[] = [];
  /** What heartbeats of KIP-848 have named. */
  readonly subscriptions: (readonly string[])[] = [];
  coordinatorNode = 1;
  offsets: Record<string, number> = {};
  committed: unknown[] = [];

  refuse(what: string, error: Error, times = 1): void {
    this.refusals.set(what, [...(this.refusals.get(what) ?? []), ...new Array<Error>(times).fill(error)]);
  }

  async #ask(what: string, of: string): Promise<void> {
    this.asked.push(`${what} ${of}`);
    const error = this.refusals.get(what)?.shift();
    if (error) throw error;
  }

  async metadata(named: readonly string[], isFound?: (topic: string) => boolean): Promise<ClusterMetadata> {
    await this.#ask('metadata', named.join());
    const topics = [...named, ...this.others.filter((topic) => isFound?.(topic))];
    return {
      clusterId: 'cluster-1',
      brokers: new Map([1, 2].map((node) => [node, { host: `b${node}`, port: 9092 }])),
      topics: new Map(
        topics.map((topic) => {
          const [leaders, epochs] = [[...this.leaders], [...this.epochs]];
          return [topic, { topic, topicId: this.topicIds.get(topic) ?? `id-${topic}`, leaders, epochs }];
        }),
      ),
    };
  }

  async coordinator(group: string): Promise<{ host: string; port: number }> {
    await this.#ask('coordinator', group);
    return { host: `b${this.coordinatorNode}`, port: 9092 };
  }

  async listOffsets(
    { host }: { host: string },
    topics: { topic: string; partitions: number[] }[],
    timestamp: number,
  ): Promise<{ topic: string; partition: number; offset: number }[]> {
    await this.#ask('listOffsets', `${host} ${timestamp}`);
    return topics.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({
        topic,
        partition,
        offset: this.offsets[`${topic}-${partition} ${timestamp}`] ?? -1,
      })),
    );
  }

  async offsetForLeaderEpoch(
    { host }: { host: string },
    topics: { topic: string; partitions: { partition: number; epoch: number; leaderEpoch: number }[] }[],
  ): Promise<{ topic: string; partition: number; end: number }[]> {
    await this.#ask('offsetForLeaderEpoch', `${host} ${JSON.stringify(topics[0]!.partitions)}`);
    return topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, epoch }) => ({
        topic,
        partition,
        end: partition === 2 ? -1 : epoch * 10,
      })),
    );
  }

  async offsetFetch({ host }: { host: string }, group: string): Promise<unknown[]> {
    await this.#ask('offsetFetch', `${host} ${group}`);
    return this.committed;
  }

  async offsetCommit({ host }: { host: string }, ...args: unknown[]): Promise<void> {
    await this.#ask('offsetCommit', `${host} ${JSON.stringify(args)}`);
  }

  // ---- membership: of either protocol, as the only member ----

  async groupHeartbeat(_: unknown, group: string, beat: GroupHeartbeat): Promise<GroupHeartbeatAnswer> {
    await this.#ask('groupHeartbeat', `${group} ${beat.memberEpoch} ${beat.instanceId}`);
    if (beat.topics) this.subscriptions.push(beat.topics);
    const assignment = beat.memberEpoch === 0 ? [{ topicId: 'id-orders', partitions: [0, 1, 2] }] : null;
    return { memberEpoch: 1, heartbeatIntervalMs: 5_000, assignment };
  }

  async joinGroup(_: unknown, group: string, request: JoinRequest): Promise<JoinAnswer> {
    const { memberId, instanceId, sessionTimeoutMs, protocols } = request;
    await this.#ask(
      'joinGroup',
      [group, memberId, instanceId, sessionTimeoutMs, ...protocols.map(({ name }) => name)].join(' '),
    );
    const members = [{ memberId: 'me', instanceId, metadata: protocols[0]!.metadata }];
    const assignor = protocols[0]!.name;
    return { memberId: 'me', generation: 7, assignor, leader: 'me', skipAssignment: false, members };
  }

  async syncGroup(...[, , , , assignments]: Parameters<Wire['syncGroup']>): Promise<Buffer> {
    await this.#ask('syncGroup', '');
    return assignments[0]!.assignment;
  }

  async heartbeat(): Promise<void> {
    await this.#ask('heartbeat', '');
  }

  async leaveGroup(_: unknown, group: string, member: GroupMember): Promise<void> {
    await this.#ask('leaveGroup', `${group} ${member.id}`);
  }

  async existingTopics(topics: readonly string[]): Promise<Map<string, object>> {
    return new Map(
      topics.map((topic) => [
        topic,
        { topicId: this.topicIds.get(topic) ?? `id-${topic}`, partitions: this.leaders.length },
      ]),
    );
  }

  async close(): Promise<void> {
    await this.#ask('close', '');
  }
}

let wire: FakeWire;
let clock: ManualClock;
beforeEach(() => {
  wire = new FakeWire();
  clock = new ManualClock();
});

function sourceOf(options: Partial<KafkaSourceOptions> = {}): KafkaSource {
  return new KafkaSource(
    { group: 'g', topics: ['orders'], partitions: { orders: [0, 1, 2] }, ...options },
    { wire: wire as unknown as Wire, clock, random: seededRandom(1), log: silentLog },
  );
}

async function started(options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
  const source = sourceOf(options);
  await source.start(() => {});
  wire.asked.length = 0;
  return source;
}

/** Lets time pass until it is done. */
async function finished<T>(pending: Promise<T>): Promise<T> {
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  pending.then(done, done);
  for (let i = 0; !isDone && i < 1000; i++) await clock.pass(500);
  return pending;
}

const all = [0, 1, 2].map((partition) => ({ topic: 'orders', partition }));

describe('start', () => {
  test('answers with the cluster, and assigns what is fixed', async () => {
    const events: SourceEvent[] = [];
    const cluster = await sourceOf({ partitions: { orders: [2, 0] } }).start((event) => events.push(event));
    const assigned = [2, 0].map((partition) => ({ topic: 'orders', partition, topicId: 'id-orders' }));
    expect(cluster).toEqual({ clusterId: 'cluster-1', topicPartitions: assigned, isFixed: true });
    expect(events).toEqual([{ type: 'assigned', topicPartitions: assigned }]);
  });

  test('waits a minute for the cluster and no longer', async () => {
    wire.refuse('metadata', refusal('NETWORK'), 1000);
    const startMs = clock.nowMs();
    await expect(finished(sourceOf().start(() => {}))).rejects.toThrow('asking: NETWORK');
    expect(clock.nowMs() - startMs).toBeLessThan(62_000);
    wire.refusals.clear();
    wire.refuse('metadata', refusal('NETWORK'), 5);
    await finished(sourceOf().start(() => {}));
  });
});

describe('positions', () => {
  test('are only for what is ours: another is fetched by nobody', async () => {
    const source = await started({ partitions: { orders: [0] } });
    expect(source.seek({ topic: 'orders', partition: 0 }, 5)).toBeGreaterThan(0);
    expect(source.seek({ topic: 'orders', partition: 1 }, 5)).toBeLessThan(0);
    source.released([{ topic: 'orders', partition: 0 }]);
    expect(source.seek({ topic: 'orders', partition: 0 }, 5)).toBeLessThan(0);
  });
});

describe('the coordinator', () => {
  test('is looked up once', async () => {
    const source = await started();
    await source.committedOffsets(all);
    await source.commitOffsets(new Map([['orders-0', 1]]), 'm');
    await source.committedOffsets(all);
    expect(wire.asked.map((asked) => asked.split(' ').slice(0, 2).join(' '))).toEqual([
      'coordinator g',
      'offsetFetch b1',
      'offsetCommit b1',
      'offsetFetch b1',
    ]);
  });

  test.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NETWORK'])(
    'is looked up anew after %s',
    async (id) => {
      const source = await started();
      await source.committedOffsets(all);
      wire.coordinatorNode = 2;
      wire.refuse('offsetFetch', refusal(id));
      await finished(source.committedOffsets(all));
      expect(wire.asked.slice(2)).toEqual(['offsetFetch b1 g', 'coordinator g', 'offsetFetch b2 g']);
    },
  );

  test('stays who it is after an error that is not about it', async () => {
    const source = await started();
    await source.committedOffsets(all);
    wire.refuse('offsetCommit', refusal('UNKNOWN_MEMBER_ID'));
    await expect(source.commitOffsets(new Map([['orders-0', 1]]), '')).rejects.toThrow('UNKNOWN_MEMBER_ID');
    await source.committedOffsets(all);
    expect(wire.asked.filter((asked) => asked.startsWith('coordinator'))).toEqual(['coordinator g']);
  });
});

describe('offsets of the group', () => {
  test('are asked for until they are told, or until a person must look', async () => {
    const source = await started();
    wire.committed = [{ topic: 'orders', partition: 1, offset: 9, metadata: 'm' }];
    wire.refuse('offsetFetch', refusal('UNSTABLE_OFFSET_COMMIT'), 3);
    expect(await finished(source.committedOffsets(all))).toEqual(
      new Map([['orders-1', { offset: 9, metadata: 'm' }]]),
    );
    wire.refuse('offsetFetch', refusal('GROUP_AUTHORIZATION_FAILED'));
    await expect(source.committedOffsets(all)).rejects.toThrow('GROUP_AUTHORIZATION_FAILED');
  });

  test('are committed by topic, with dashes in their names or not', async () => {
    const source = await started();
    const offsets = new Map([
      ['orders-0', 1],
      ['a-b-12', 3],
      ['orders-2', 2],
    ]);
    await source.commitOffsets(offsets, 'meta');
    const topics = [
      {
        topic: 'orders',
        partitions: [
          { partition: 0, offset: 1 },
          { partition: 2, offset: 2 },
        ],
      },
      { topic: 'a-b', partitions: [{ partition: 12, offset: 3 }] },
    ];
    expect(wire.asked.at(-1)).toBe(
      `offsetCommit b1 ${JSON.stringify(['g', { id: '', epoch: -1, instanceId: null }, topics, 'meta'])}`,
    );
  });
});

describe('offsets of logs', () => {
  test('are asked of each leader once', async () => {
    const source = await started();
    wire.offsets = { 'orders-0 -2': 1, 'orders-1 -2': 2, 'orders-2 -2': 3 };
    expect(await source.listOffsets(all, 'earliest')).toEqual(
      new Map([
        ['orders-0', 1],
        ['orders-2', 3],
        ['orders-1', 2],
      ]),
    );
    expect(wire.asked).toEqual(['listOffsets b1 -2', 'listOffsets b2 -2']);
  });

  test('are asked of the new leader when it has moved, or when there is one again', async () => {
    const source = await started();
    wire.offsets = { 'orders-0 -1': 7 };
    wire.leaders = [2, 2, 2];
    wire.refuse('listOffsets', refusal('NOT_LEADER_OR_FOLLOWER'));
    const [first] = all;
    expect(await finished(source.listOffsets([first!], 'latest'))).toEqual(new Map([['orders-0', 7]]));
    expect(wire.asked).toEqual(['listOffsets b1 -1', 'metadata orders', 'listOffsets b2 -1']);
    wire.leaders = [-1, 2, 2];
    wire.refuse('listOffsets', refusal('NOT_LEADER_OR_FOLLOWER'));
    const found = source.listOffsets([first!], 'latest');
    await clock.pass(5_000);
    wire.leaders = [1, 2, 2];
    expect(await finished(found)).toEqual(new Map([['orders-0', 7]]));
    expect(wire.asked.at(-1)).toBe('listOffsets b1 -1');
  });

  test('by a time that no record is as late as are the end', async () => {
    const source = await started();
    wire.offsets = { 'orders-0 5000': 3, 'orders-1 -1': 20, 'orders-2 -1': 30 };
    expect(await source.listOffsets(all, 5000)).toEqual(
      new Map([
        ['orders-0', 3],
        ['orders-2', 30],
        ['orders-1', 20],
      ]),
    );
  });

  test('end with an error when no leader comes within a minute', async () => {
    wire.leaders = [-1];
    const source = await started({ partitions: { orders: [0] } });
    const startMs = clock.nowMs();
    await expect(finished(source.listOffsets([all[0]!], 'latest'))).rejects.toThrow(
      'asking for offsets of orders-0: it has no leader',
    );
    expect(clock.nowMs() - startMs).toBeLessThan(62_000);
  });
});

describe('membership', () => {
  /** What a member was told and asked while it joined. */
  async function member(
    membership: NonNullable<KafkaSourceOptions['membership']>,
  ): Promise<{ source: KafkaSource; events: SourceEvent[] }> {
    const events: SourceEvent[] = [];
    const source = sourceOf({ partitions: undefined, membership });
    await source.start((event) => events.push(event));
    await settle();
    return { source, events };
  }
  const assigned = {
    type: 'assigned',
    cause: 'joined',
    topicPartitions: all.map((topicPartition) => ({ ...topicPartition, topicId: 'id-orders' })),
  };
  const kinds = (): string[] => [...new Set(wire.asked.map((text) => text.split(' ')[0]!))];

  test('is by the newer protocol where the brokers have it', async () => {
    const { events, source } = await member({});
    expect(events).toEqual([assigned]);
    expect(kinds()).toEqual(['metadata', 'coordinator', 'groupHeartbeat']);
    await source.close();
  });

  test.each([
    ['the brokers do not know it', new KafkaError('heartbeat', 'UNSUPPORTED_VERSION', 'no', undefined)],
    ['the group stays a classic one', new KafkaError('heartbeat', 'GROUP_ID_NOT_FOUND', 'no', undefined)],
    [
      'there is no version of it',
      new FatalError('heartbeat', { cause: new UnsupportedRequestError('no version') }),
    ],
  ])('is by the classic protocol when %s, unless that was ruled out', async (_, error) => {
    wire.refuse('groupHeartbeat', error);
    const { events, source } = await member({ protocol: 'auto', sessionTimeoutMs: 9_000 });
    expect(events).toEqual([assigned]);
    expect(wire.asked).toContain('joinGroup g   9000 cooperative-sticky');
    await source.close();
    expect(wire.asked.slice(-2)).toEqual(['leaveGroup g me', 'close ']);
    wire.asked.length = 0;
    wire.refuse('groupHeartbeat', error);
    const insisting = await member({ protocol: 'consumer' });
    expect(insisting.events).toEqual([{ type: 'failed', error }]);
    expect(kinds()).not.toContain('joinGroup');
    await insisting.source.close();
  });

  test('by the classic protocol is not asked twice', async () => {
    const { events, source } = await member({
      protocol: 'classic',
      instanceId: 'one',
      assignors: ['range', 'roundrobin'],
    });
    expect(events).toEqual([assigned]);
    expect(kinds()).not.toContain('groupHeartbeat');
    expect(wire.asked).toContain('joinGroup g  one 45000 range roundrobin');
    await source.commitOffsets(new Map([['orders-0', 4]]), 'm');
    expect(wire.asked.at(-1)).toContain('{"id":"me","epoch":7,"instanceId":"one"}');
    await source.close();
    expect(kinds()).not.toContain('leaveGroup');
  });

  test('joins again only when the offsets are committed that it had to commit', async () => {
    const { source } = await member({ protocol: 'classic', assignors: ['range'] });
    const { promise, resolve } = Promise.withResolvers<void>();
    const commit = wire.offsetCommit.bind(wire);
    wire.offsetCommit = async (...args) => {
      await promise;
      return commit(...args);
    };
    wire.refuse('heartbeat', refusal('REBALANCE_IN_PROGRESS'));
    await clock.pass(3_000);
    wire.asked.length = 0;
    const committed = source.commitOffsets(new Map([['orders-0', 4]]), 'm');
    source.released(all);
    await settle();
    expect(kinds()).toEqual([]);
    resolve();
    await committed;
    await settle();
    expect(kinds().slice(0, 2)).toEqual(['offsetCommit', 'joinGroup']);
    await source.close();
  });
});

test('close ends everything, and closes the connections last', async () => {
  const source = await started();
  source.seek(all[0]!, 0);
  await source.close();
  await settle();
  expect(wire.asked.at(-1)).toBe('close ');
  expect(clock.sleeping).toBe(0);
});

test('a topic-partition is named as Kafka names it', () => {
  expect(keyOf({ topic: 'a-b.c', partition: 12 })).toBe('a-b.c-12');
  expect(parseKey('a-b.c-12')).toEqual({ topic: 'a-b.c', partition: 12 });
});

describe('leader epochs', () => {
  test('are asked of each leader, as the leader that it is; what it cannot tell is absent', async () => {
    wire.epochs = [4, 5, 6];
    const source = await started();
    const ends = await source.epochEnds(all.map((each) => ({ ...each, epoch: 3 })));
    expect([...ends]).toEqual([
      ['orders-0', 30],
      ['orders-1', 30],
    ]);
    expect(wire.asked).toEqual([
      'offsetForLeaderEpoch b1 [{"partition":0,"epoch":3,"leaderEpoch":4},{"partition":2,"epoch":3,"leaderEpoch":6}]',
      'offsetForLeaderEpoch b2 [{"partition":1,"epoch":3,"leaderEpoch":5}]',
    ]);
  });

  test('of the metadata move forward only: a broker that lags behind does not bring back an old leader', async () => {
    wire.leaders = [1, 1, 1];
    wire.epochs = [4, 4, 4];
    for (const key of ['orders-0', 'orders-1', 'orders-2']) wire.offsets[`${key} -2`] = 0;
    const source = await started();
    wire.leaders = [2, 2, 1];
    wire.epochs = [3, 5, 4];
    wire.refuse('listOffsets', refusal('NOT_LEADER_OR_FOLLOWER'));
    await finished(source.listOffsets(all, 'earliest'));
    expect(wire.asked.slice(-2)).toEqual(['listOffsets b1 -2', 'listOffsets b2 -2']);
    wire.asked.length = 0;
    await source.epochEnds(all.slice(0, 2).map((each) => ({ ...each, epoch: 3 })));
    expect(wire.asked).toEqual([
      'offsetForLeaderEpoch b1 [{"partition":0,"epoch":3,"leaderEpoch":4}]',
      'offsetForLeaderEpoch b2 [{"partition":1,"epoch":3,"leaderEpoch":5}]',
    ]);
  });
});

test('a broker that still knows a topic that was deleted does not bring it back over the one made anew', async () => {
  wire.leaders = [1, 1, 1];
  for (const key of ['orders-0', 'orders-1', 'orders-2']) wire.offsets[`${key} -2`] = 0;
  const source = await started();
  const asksAgain = async (): Promise<string | undefined> => {
    wire.refuse('listOffsets', refusal('NOT_LEADER_OR_FOLLOWER'));
    await finished(source.listOffsets(all, 'earliest'));
    return wire.asked.at(-1);
  };
  wire.topicIds.set('orders', 'anew');
  wire.leaders = [2, 2, 2];
  expect(await asksAgain()).toBe('listOffsets b2 -2');
  wire.topicIds.delete('orders');
  wire.leaders = [1, 1, 1];
  wire.epochs = [9, 9, 9];
  expect(await asksAgain()).toBe('listOffsets b2 -2');
});

test('offsets of a topic in whose place there is another one are not committed: they would be that one’s', async () => {
  for (const key of ['orders-0', 'orders-1', 'orders-2']) wire.offsets[`${key} -2`] = 0;
  const source = await started();
  wire.topicIds.set('orders', 'anew');
  wire.refuse('listOffsets', refusal('NOT_LEADER_OR_FOLLOWER'));
  await finished(source.listOffsets(all, 'earliest'));
  wire.asked.length = 0;
  await source.commitOffsets(new Map([['orders-0', 9]]), 'm');
  expect(wire.asked).toEqual([]);
});

test('a classic group that tells of a topic made anew has the metadata looked at', async () => {
  const source = sourceOf({ partitions: undefined, membership: { protocol: 'classic' } });
  await source.start(() => {});
  await settle();
  wire.asked.length = 0;
  wire.topicIds.set('orders', 'anew');
  await clock.pass(14_000);
  expect(wire.asked.filter((asked) => asked.startsWith('metadata'))).not.toEqual([]);
  await source.close();
});

describe('topics that a pattern finds', () => {
  const isFound = (topic: string): boolean => topic.startsWith('shop.');
  const events: SourceEvent[] = [];
  const found = async (): Promise<KafkaSource> => {
    wire.others = ['shop.a', 'other'];
    const source = sourceOf({ partitions: undefined, isFound, metadataAgeMaxMs: 30_000 });
    events.length = 0;
    const { topicPartitions } = await source.start((event) => events.push(event));
    expect([...new Set(topicPartitions.map(({ topic }) => topic))]).toEqual(['orders', 'shop.a']);
    await settle();
    return source;
  };
  const told = (): SourceEvent[] => events.filter(({ type }) => type === 'topics');

  test('are asked for beside those that are named, from when they come until they are gone', async () => {
    const source = await found();
    wire.others = ['shop.b'];
    await clock.pass(31_000);
    await clock.pass(5_000);
    expect(told()).toEqual([
      { type: 'topics', appeared: ['shop.b'], vanished: [] },
      { type: 'topics', appeared: [], vanished: ['shop.a'] },
    ]);
    expect(wire.subscriptions).toEqual([
      ['orders', 'shop.a'],
      ['orders', 'shop.a', 'shop.b'],
      ['orders', 'shop.b'],
    ]);
    await source.close();
  });

  test('and are gone are asked for no offsets, and none are committed', async () => {
    const source = await found();
    wire.others = [];
    wire.offsets['shop.a-0 -2'] = 7;
    wire.offsets['orders-0 -2'] = 3;
    const both = ['orders', 'shop.a'].map((topic) => ({ topic, partition: 0 }));
    expect([...(await finished(source.listOffsets(both, 'earliest')))]).toEqual([
      ['orders-0', 3],
      ['shop.a-0', 7],
    ]);
    await clock.pass(40_000);
    expect([...(await finished(source.listOffsets(both, 'earliest')))]).toEqual([['orders-0', 3]]);
    wire.asked.length = 0;
    await source.commitOffsets(new Map([['shop.a-0', 9]]), 'm');
    expect(wire.asked.filter((asked) => asked.startsWith('offsetCommit'))).toEqual([]);
    await source.close();
  });
});
