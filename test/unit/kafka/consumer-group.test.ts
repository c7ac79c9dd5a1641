import { beforeEach, describe, expect, test } from 'vitest';
import { DeadlineError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { joinConsumerGroup } from '../../../src/kafka/consumer-group.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import type { GroupMembership } from '../../../src/kafka/group.ts';
import type { GroupHeartbeat, GroupHeartbeatAnswer } from '../../../src/kafka/group-requests.ts';
import { keyOf, type TopicPartition } from '../../../src/kafka/topic-partition.ts';
import { ManualClock, settle } from '../base/clock.ts';

const intervalMs = 5_000;
const rebalanceTimeoutMs = 60_000;

function refusal(id: string): KafkaError {
  return new KafkaError('heartbeat', id, id, undefined);
}

/**
 * A group coordinator with one member, after `GroupMetadataManager.consumerGroupHeartbeat`. Partitions are `id-0` with the
 * topic's id.
 */
class Coordinator {
  readonly beats: (GroupHeartbeat & { atMs: number })[] = [];
  intervalMs = intervalMs;
  /** What the member is to own. */
  target: string[] = [];
  /** What it owns, as the coordinator sees it. */
  assigned: string[] = [];
  /** What it has not given up yet. */
  revoking: string[] = [];
  epoch = 0;
  previousEpoch = 0;
  joined = false;
  /** The target that the member has come to. */
  #reached = '';
  readonly #clock: ManualClock;
  /** How the next heartbeats go wrong: without arriving, or with their answers lost. */
  readonly #trouble: { error: Error; arrives: boolean }[] = [];
  /** Heartbeats that wait until it is opened. */
  gate: Promise<void> | undefined;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  fail(error: Error, times = 1): void {
    for (let i = 0; i < times; i++) this.#trouble.push({ error, arrives: false });
  }

  loseAnswer(): void {
    this.#trouble.push({ error: refusal('NETWORK'), arrives: true });
  }

  async heartbeat(beat: GroupHeartbeat): Promise<GroupHeartbeatAnswer> {
    this.beats.push({ ...beat, atMs: this.#clock.nowMs() });
    await this.gate;
    const trouble = this.#trouble.shift();
    if (trouble && !trouble.arrives) throw trouble.error;
    const answer = this.#handle(beat);
    if (trouble) throw trouble.error;
    return answer;
  }

  #handle(beat: GroupHeartbeat): GroupHeartbeatAnswer {
    if (beat.memberEpoch === -1) {
      this.joined = false;
      this.assigned = [];
      return { memberEpoch: -1, heartbeatIntervalMs: this.intervalMs, assignment: null };
    }
    const owned = beat.owned?.flatMap(({ topicId, partitions }) => partitions.map((p) => `${topicId}-${p}`));
    const before = this.assigned.join();
    if (beat.memberEpoch === 0) {
      this.joined = true;
      this.assigned = [];
      this.revoking = [];
      this.#reached = '';
      this.previousEpoch = 0;
      this.epoch++;
    } else this.#check(beat.memberEpoch, owned);
    this.#reconcile(owned);
    const isFull = beat.memberEpoch === 0 || (beat.topics !== null && owned !== undefined);
    const assignment = isFull || this.assigned.join() !== before ? byTopic(this.assigned) : null;
    return { memberEpoch: this.epoch, heartbeatIntervalMs: this.intervalMs, assignment };
  }

  #check(epoch: number, owned: string[] | undefined): void {
    if (!this.joined) throw refusal('UNKNOWN_MEMBER_ID');
    if (epoch === this.epoch) return;
    const answerWasLost = epoch === this.previousEpoch && owned?.every((key) => this.assigned.includes(key));
    if (!answerWasLost) throw refusal('FENCED_MEMBER_EPOCH');
  }

  #reconcile(owned: string[] | undefined): void {
    if (owned) this.revoking = this.revoking.filter((key) => owned.includes(key));
    if (this.revoking.length > 0 || this.#reached === this.target.join()) return;
    this.revoking = this.assigned.filter((key) => !this.target.includes(key));
    if (this.revoking.length > 0) {
      this.assigned = this.assigned.filter((key) => this.target.includes(key));
      return;
    }
    this.assigned = [...this.target];
    this.#reached = this.target.join();
    this.previousEpoch = this.epoch++;
  }
}

function byTopic(keys: readonly string[]): { topicId: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const key of keys) {
    const [topicId, partition] = key.split('-');
    topics.set(topicId!, [...(topics.get(topicId!) ?? []), Number(partition)]);
  }
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }));
}

/** A member with its coordinator, and what it told. */
class Group {
  readonly clock = new ManualClock();
  readonly coordinator = new Coordinator(this.clock);
  readonly told: string[] = [];
  /** Why, of each assignment and revocation. */
  readonly causes: (string | undefined)[] = [];
  readonly topicNames = new Map([
    ['o', 'orders'],
    ['o2', 'orders'],
    ['u', 'users'],
  ]);
  #membership: GroupMembership | undefined;

  get member(): GroupMembership {
    return this.#membership!;
  }

  async join(instanceId: string | null = null): Promise<void> {
    const tell =
      (what: string) =>
      (topicPartitions: readonly TopicPartition[], ...more: unknown[]): void => {
        this.told.push([what, ...topicPartitions.map(keyOf), ...more].join(' '));
      };
    this.#membership = joinConsumerGroup(
      { topics: ['orders', 'users'], memberId: 'me', instanceId, rackId: 'zone-a', rebalanceTimeoutMs },
      {
        clock: this.clock,
        log: silentLog,
        heartbeat: (beat) => this.coordinator.heartbeat(beat),
        topicName: async (topicId) => {
          const name = this.topicNames.get(topicId);
          if (name === undefined) throw refusal('UNKNOWN_TOPIC_ID');
          return name;
        },
        onAssigned: (topicPartitions, cause) => {
          this.causes.push(cause);

          this.told.push(
            ['assigned', ...topicPartitions.map((tp) => `${keyOf(tp)}(${tp.topicId})`)].join(' '),
          );
        },
        onRevoked: (topicPartitions, withinMs, cause) => {
          this.causes.push(cause);
          tell('revoked')(topicPartitions, withinMs);
        },
        onLost: tell('lost'),
        onFailed: (error) => this.told.push(`failed ${error.message}`),
      },
    );
    await settle();
  }

  released(...keys: string[]): Promise<void> {
    this.member.released(
      keys.map((key) => {
        const [topic, partition] = key.split('-');
        return { topic: topic!, partition: Number(partition) };
      }),
    );
    return settle();
  }

  /** Heartbeats since the last call: epoch, and what they say is owned. */
  beats(): string[] {
    return this.coordinator.beats.splice(0).map(({ memberEpoch, topics, owned }) => {
      const named = owned?.flatMap(({ topicId, partitions }) => partitions.map((p) => `${topicId}-${p}`));
      return `${memberEpoch}${topics ? ` ${topics}` : ''}${named ? ` [${named}]` : ''}`;
    });
  }

  /** What was told since the last call. */
  tidings(): string[] {
    return this.told.splice(0);
  }
}

let group: Group;
beforeEach(() => {
  group = new Group();
});

/** A member that has joined and owns what the coordinator wants. */
async function joined(...target: string[]): Promise<void> {
  group.coordinator.target = target;
  await group.join();
  group.beats();
  group.tidings();
}

describe('joining', () => {
  test('names the topics, owns nothing, and tells what it has taken', async () => {
    group.coordinator.target = ['o-0', 'o-3', 'u-0'];
    await group.join();
    expect(group.coordinator.beats.map(({ rackId }) => rackId)).toEqual(['zone-a', null]);
    expect(group.beats()).toEqual(['0 orders,users []', '2 [o-0,o-3,u-0]']);
    expect(group.tidings()).toEqual(['assigned orders-0(o) orders-3(o) users-0(u)']);
    expect(group.member.member).toEqual({ id: 'me', epoch: 2, instanceId: null });
  });

  test('without getting anything yet goes on until it does', async () => {
    await group.join();
    await group.clock.pass(12_000);
    expect(group.tidings()).toEqual([]);
    group.coordinator.target = ['o-1'];
    await group.clock.pass(5_000);
    expect(group.tidings()).toEqual(['assigned orders-1(o)']);
    expect(group.coordinator.assigned).toEqual(['o-1']);
  });

  test('survives a coordinator that is away at first', async () => {
    group.coordinator.target = ['o-0'];
    group.coordinator.fail(refusal('COORDINATOR_NOT_AVAILABLE'), 3);
    await group.join();
    await group.clock.pass(1_500);
    expect(group.beats()).toEqual([...new Array(4).fill('0 orders,users []'), '2 [o-0]']);
    expect(group.tidings()).toEqual(['assigned orders-0(o)']);
  });
});

describe('heartbeats', () => {
  test('keep the interval that the coordinator asks for, and say nothing new', async () => {
    await joined('o-0');
    await group.clock.pass(60_000);
    expect(group.coordinator.beats.map(({ atMs }) => atMs - 1_000_000)).toEqual(
      Array.from({ length: 12 }, (_, i) => (i + 1) * intervalMs),
    );
    expect(new Set(group.beats())).toEqual(new Set(['2']));
    group.coordinator.intervalMs = 1_000;
    await group.clock.pass(15_000);
    expect(group.beats().length).toBe(11); // one at the old interval, then one each second
    expect(group.tidings()).toEqual([]);
  });

  test('go on while a revocation is under way', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-0'];
    await group.clock.pass(30_000);
    expect(group.beats()).toEqual(new Array(6).fill('2'));
    expect(group.tidings()).toEqual(['revoked orders-1 45000']);
  });
});

describe('a revocation', () => {
  test('is acknowledged when it is released, at once and not before', async () => {
    await joined('o-0', 'o-1', 'o-2');
    group.coordinator.target = ['o-1'];
    await group.clock.pass(20_000);
    expect(group.tidings()).toEqual(['revoked orders-0 orders-2 45000']);
    expect(group.coordinator.revoking).toEqual(['o-0', 'o-2']);
    group.beats();
    await group.released('orders-0', 'orders-2');
    expect(group.beats()).toEqual(['2 [o-1]']);
    expect(group.coordinator.revoking).toEqual([]);
    expect(group.coordinator.epoch).toBe(3);
    await group.clock.pass(20_000);
    expect(new Set(group.beats())).toEqual(new Set(['3']));
    expect(group.tidings()).toEqual([]);
  });

  test('is acknowledged as a whole', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = [];
    await group.clock.pass(5_000);
    group.beats();
    await group.released('orders-0');
    await group.clock.pass(5_000);
    expect(group.beats()).toEqual(['2']);
    await group.released('orders-1');
    expect(group.beats()).toEqual(['2 []']);
  });

  test('that is released during a heartbeat is told with the next, without waiting', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-0'];
    await group.clock.pass(5_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    group.coordinator.gate = promise;
    await group.clock.pass(5_000);
    group.beats();
    await group.released('orders-1');
    expect(group.beats()).toEqual([]);
    resolve();
    await settle();
    expect(group.beats()).toEqual(['2 [o-0]']);
  });

  test('comes before what is assigned with it', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-1', 'o-2'];
    await group.clock.pass(5_000);
    expect(group.tidings()).toEqual(['revoked orders-0 45000']);
    await group.released('orders-0');
    expect(group.tidings()).toEqual(['assigned orders-2(o)']);
    expect(group.beats().slice(-2)).toEqual(['2 [o-1]', '3 [o-1,o-2]']);
  });

  test('holds back what is assigned and revoked while it is under way', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-1'];
    await group.clock.pass(5_000);
    // Not what a broker does today, but the protocol allows it.
    Object.assign(group.coordinator, { target: ['o-2'], assigned: ['o-2'], revoking: [] });
    group.coordinator.fail(refusal('NETWORK')); // so that it asks for everything
    await group.clock.pass(5_500);
    expect(group.tidings()).toEqual(['revoked orders-0 45000']);
    await group.released('orders-0');
    expect(group.tidings()).toEqual(['revoked orders-1 45000']);
    await group.released('orders-1');
    expect(group.tidings()).toEqual(['assigned orders-2(o)']);
  });
});

describe('a member that the coordinator has dropped', () => {
  test.each(['FENCED_MEMBER_EPOCH', 'UNKNOWN_MEMBER_ID', 'STALE_MEMBER_EPOCH'])(
    '%s: has lost everything, and joins anew',
    async (id) => {
      await joined('o-0', 'o-1');
      group.coordinator.fail(refusal(id));
      await group.clock.pass(5_500);
      expect(group.tidings()).toEqual([`lost orders-0 orders-1 ${id}`, 'assigned orders-0(o) orders-1(o)']);
      expect(group.beats()).toEqual(['2', '0 orders,users []', '4 [o-0,o-1]']);
    },
  );

  test('has lost what it was about to give up; a late release says nothing', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-0'];
    await group.clock.pass(5_000);
    group.tidings();
    group.coordinator.target = ['o-0', 'o-1'];
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    await group.clock.pass(5_500);
    expect(group.tidings()).toEqual([
      'lost orders-0 orders-1 UNKNOWN_MEMBER_ID',
      'assigned orders-0(o) orders-1(o)',
    ]);
    group.beats();
    await group.released('orders-1');
    await group.clock.pass(10_000);
    expect(group.beats()).not.toContainEqual(expect.stringContaining('[o-0]'));
    expect(group.tidings()).toEqual([]);
    expect(group.coordinator.assigned).toEqual(['o-0', 'o-1']);
  });

  test('while it owned nothing joins anew without a word', async () => {
    await joined();
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    await group.clock.pass(6_000);
    expect(group.tidings()).toEqual([]);
    expect(group.beats()).toEqual(['1', '0 orders,users []']);
  });
});

describe('trouble on the way', () => {
  test.each([
    ['no connection', refusal('NETWORK')],
    ['another coordinator', refusal('NOT_COORDINATOR')],
    ['a coordinator that is loading', refusal('COORDINATOR_LOAD_IN_PROGRESS')],
    ['no answer in time', new DeadlineError('heartbeat of group g: no answer within 40000 ms')],
  ])('is survived: %s', async (_, error) => {
    await joined('o-0');
    group.coordinator.fail(error, 4);
    await group.clock.pass(5_000 + 4 * 500);
    expect(group.tidings()).toEqual([]);
    expect(group.coordinator.joined).toBe(true);
    expect(group.beats()).toEqual(['2', ...new Array(4).fill('2 orders,users [o-0]')]);
    await group.clock.pass(10_000);
    expect(group.beats()).toEqual(['2', '2']);
  });

  test('an answer that is lost, and a new assignment with it', async () => {
    await joined('o-0');
    group.coordinator.target = ['o-0', 'o-1'];
    group.coordinator.loseAnswer();
    await group.clock.pass(5_500);
    expect(group.tidings()).toEqual(['assigned orders-1(o)']);
    expect(group.coordinator.assigned).toEqual(['o-0', 'o-1']);
    expect(group.member.member.epoch).toBe(group.coordinator.epoch);
  });

  test('a lost answer to an acknowledgement', async () => {
    await joined('o-0', 'o-1');
    group.coordinator.target = ['o-0', 'o-2'];
    await group.clock.pass(5_000);
    group.coordinator.loseAnswer();
    await group.released('orders-1');
    await group.clock.pass(500);
    expect(group.tidings()).toEqual(['revoked orders-1 45000', 'assigned orders-2(o)']);
    expect(group.coordinator.assigned).toEqual(['o-0', 'o-2']);
  });

  test('a lost answer to joining', async () => {
    group.coordinator.target = ['o-0'];
    group.coordinator.loseAnswer();
    await group.join();
    await group.clock.pass(500);
    expect(group.tidings()).toEqual(['assigned orders-0(o)']);
    expect(group.member.member.epoch).toBe(group.coordinator.epoch);
  });

  test('that the group is gone, which an empty one may be: all is lost, and joining makes it anew', async () => {
    await joined('o-0');
    group.coordinator.fail(refusal('GROUP_ID_NOT_FOUND'));
    await group.clock.pass(5_500);
    expect(group.tidings()).toEqual(['lost orders-0 GROUP_ID_NOT_FOUND', 'assigned orders-0(o)']);
  });

  test.each(['GROUP_ID_NOT_FOUND', 'UNSUPPORTED_VERSION'])(
    'that there is no such group here: %s',
    async (id) => {
      group.coordinator.fail(refusal(id));
      await group.join();
      expect(group.tidings()).toEqual([expect.stringContaining(`failed heartbeat: ${id}`)]);
    },
  );

  test('that brokers speak the protocol no more: all is lost first', async () => {
    await joined('o-0');
    group.coordinator.fail(refusal('UNSUPPORTED_VERSION'));
    await group.clock.pass(5_000);
    expect(group.tidings()).toEqual([
      'lost orders-0 UNSUPPORTED_VERSION',
      expect.stringContaining('failed heartbeat: UNSUPPORTED_VERSION'),
    ]);
  });

  test('that will not pass fails, once, and ends the membership', async () => {
    await joined('o-0');
    group.coordinator.fail(refusal('GROUP_AUTHORIZATION_FAILED'));
    await group.clock.pass(60_000);
    expect(group.tidings()).toEqual([
      'failed heartbeat: GROUP_AUTHORIZATION_FAILED: grant this principal READ on the group',
    ]);
    expect(group.beats()).toEqual(['2']);
    await group.member.leave();
    expect(group.beats()).toEqual([]);
    expect(group.clock.sleeping).toBe(0);
  });
});

describe('topics', () => {
  test('that the metadata does not know yet are taken when it does', async () => {
    group.topicNames.delete('u');
    group.coordinator.target = ['o-0', 'u-0'];
    await group.join();
    await group.clock.pass(3_000);
    expect(group.tidings()).toEqual([]);
    expect(group.coordinator.joined).toBe(true);
    group.topicNames.set('u', 'users');
    await group.clock.pass(500);
    expect(group.tidings()).toEqual(['assigned orders-0(o) users-0(u)']);
    group.beats();
    await group.clock.pass(20_000);
    expect(group.beats()).toEqual(new Array(4).fill('2'));
  });

  test('that were made anew are given up under the old id and taken under the new one', async () => {
    await joined('o-0', 'u-0');
    group.coordinator.target = ['u-0', 'o2-0'];
    await group.clock.pass(5_000);
    expect(group.tidings()).toEqual(['revoked orders-0 45000']);
    await group.released('orders-0');
    expect(group.tidings()).toEqual(['assigned orders-0(o2)']);
    expect(group.beats().slice(-2)).toEqual(['2 [u-0]', '3 [u-0,o2-0]']);
    expect(group.causes).toEqual(['joined', undefined, undefined]);
  });
});

describe('leaving', () => {
  test('tells the coordinator, and nothing is told or sent afterwards', async () => {
    await joined('o-0');
    await group.member.leave();
    expect(group.beats()).toEqual(['-1 []']);
    expect(group.coordinator.joined).toBe(false);
    await group.clock.pass(120_000);
    await group.released('orders-0');
    expect(group.beats()).toEqual([]);
    expect(group.tidings()).toEqual([]);
    expect(group.clock.sleeping).toBe(0);
  });

  test('waits for the heartbeat that is under way, and takes nothing from it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    group.coordinator.gate = promise;
    group.coordinator.target = ['o-0'];
    await group.join();
    const left = group.member.leave();
    await settle();
    expect(group.beats()).toEqual(['0 orders,users []']);
    resolve();
    await left;
    expect(group.beats()).toEqual(['-1 []']);
    expect(group.coordinator.joined).toBe(false);
    expect(group.tidings()).toEqual([]);
  });

  test('during a heartbeat that fails says nothing of it', async () => {
    await joined('o-0');
    const { promise, resolve } = Promise.withResolvers<void>();
    group.coordinator.gate = promise;
    await group.clock.pass(5_000);
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    const left = group.member.leave();
    resolve();
    await left;
    expect(group.tidings()).toEqual([]);
  });

  test('takes no longer than 5 seconds when nobody answers', async () => {
    await joined('o-0');
    group.coordinator.gate = new Promise(() => {});
    let left = false;
    void group.member.leave().then(() => {
      left = true;
    });
    await group.clock.pass(4_999);
    expect(left).toBe(false);
    await group.clock.pass(1);
    expect(left).toBe(true);
    expect(group.clock.sleeping).toBe(0);
  });

  test('that fails is no failure', async () => {
    await joined('o-0');
    group.coordinator.fail(refusal('NETWORK'));
    await group.member.leave();
    expect(group.tidings()).toEqual([]);
  });

  test('before joining has come to anything sends nothing', async () => {
    group.coordinator.fail(refusal('NETWORK'), 10);
    await group.join();
    group.beats();
    await group.member.leave();
    await group.clock.pass(60_000);
    expect(group.beats()).toEqual([]);
  });
});

describe('a static member', () => {
  test('names its instance, and leaves so that it can come back', async () => {
    group.coordinator.target = ['o-0'];
    await group.join('one');
    await group.member.leave();
    const said = group.coordinator.beats.map(({ memberEpoch, instanceId }) => [memberEpoch, instanceId]);
    expect(said).toEqual([
      [0, 'one'],
      [2, 'one'],
      [-2, 'one'],
    ]);
  });

  test('waits for the session of one that was killed', async () => {
    group.coordinator.target = ['o-0'];
    group.coordinator.fail(refusal('UNRELEASED_INSTANCE_ID'), 90);
    await group.join('one');
    await group.clock.pass(46_000);
    expect(group.tidings()).toEqual(['assigned orders-0(o)']);
  });

  test('whose instance goes on to be taken is told so in the end', async () => {
    group.coordinator.fail(refusal('UNRELEASED_INSTANCE_ID'), 1_000);
    await group.join('one');
    await group.clock.pass(90_000);
    expect(group.tidings()).toEqual([]);
    await group.clock.pass(1_000);
    expect(group.tidings()).toEqual([
      'failed heartbeat: UNRELEASED_INSTANCE_ID: another worker runs with the same source.groupInstanceId: give each its own',
    ]);
  });
});

describe('topics that are asked for from now on', () => {
  test('are named at once, and once', async () => {
    await group.join();
    group.member.subscribe(['more', 'orders']);
    await settle();
    await group.clock.pass(2 * intervalMs);
    const named = group.coordinator.beats.map(({ topics }) => topics);
    expect(named[0]).toEqual(['orders', 'users']);
    expect(named.filter((topics) => topics?.includes('more'))).toEqual([['more', 'orders']]);
    expect(group.coordinator.beats.find(({ topics }) => topics?.includes('more'))!.memberEpoch).toBe(
      group.member.member.epoch,
    );
  });

  test('are named again when the answer was lost, and by who joins anew', async () => {
    await group.join();
    group.coordinator.loseAnswer();
    group.member.subscribe(['more']);
    await settle();
    await group.clock.pass(1_000);
    expect(group.coordinator.beats.slice(-2).map(({ topics }) => topics)).toEqual([['more'], ['more']]);
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    await group.clock.pass(2 * intervalMs);
    const joins = group.coordinator.beats.filter(({ memberEpoch }) => memberEpoch === 0);
    expect(joins.map(({ topics }) => topics)).toEqual([['orders', 'users'], ['more']]);
  });

  test('while a heartbeat is under way are named by the next', async () => {
    await group.join();
    const gate = Promise.withResolvers<void>();
    group.coordinator.gate = gate.promise;
    await group.clock.pass(intervalMs);
    const before = group.coordinator.beats.length;
    group.member.subscribe(['more']);
    gate.resolve();
    await settle();
    expect(group.coordinator.beats.slice(before).map(({ topics }) => topics)).toEqual([['more']]);
  });

  test('may be none: who has joined says so, who has not waits until there are some', async () => {
    await group.join();
    group.member.subscribe([]);
    await group.clock.pass(intervalMs);
    const named = (): (readonly string[] | null)[] => group.coordinator.beats.map(({ topics }) => topics);
    expect(named()).toContainEqual([]);
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    await group.clock.pass(3 * intervalMs);
    const before = named().length;
    await group.clock.pass(10 * intervalMs);
    expect(named().length).toBe(before);
    group.member.subscribe(['more']);
    await settle();
    expect(named().slice(before)[0]).toEqual(['more']);
    expect(group.coordinator.beats[before]!.memberEpoch).toBe(0);
  });

  test('and are gone, or are given to others, are two causes; to join again is a third', async () => {
    await joined('o-0', 'u-0');
    group.coordinator.target = ['u-0'];
    await group.clock.pass(intervalMs);
    await group.released('orders-0');
    group.member.subscribe(['orders']);
    group.coordinator.target = [];
    await group.clock.pass(intervalMs);
    await group.released('users-0');
    group.coordinator.fail(refusal('UNKNOWN_MEMBER_ID'));
    await group.clock.pass(intervalMs);
    group.coordinator.target = ['o-0'];
    await group.clock.pass(2 * intervalMs);
    expect(group.causes).toEqual(['joined', undefined, 'the topic is gone', 'joined again']);
  });
});
