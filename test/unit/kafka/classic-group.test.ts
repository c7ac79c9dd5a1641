import { beforeEach, describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { AssignorName } from '../../../src/kafka/assignor.ts';
import {
  type ClassicGroupOptions,
  type JoinAnswer,
  type JoinRequest,
  joinClassicGroup,
  type MemberBytes,
} from '../../../src/kafka/classic-group.ts';
import { readAssignment, readSubscription, writeAssignment } from '../../../src/kafka/consumer-protocol.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import type { GroupMember, GroupMembership } from '../../../src/kafka/group.ts';
import { keyOf, parseKey, type TopicPartition } from '../../../src/kafka/topic-partition.ts';
import { ManualClock, settle } from '../base/clock.ts';

const sessionTimeoutMs = 9_000;
const intervalMs = 3_000;
const rebalanceTimeoutMs = 60_000;

const refusal = (id: string): KafkaError => new KafkaError('asking', id, id, undefined);

type Call = 'join' | 'sync' | 'heartbeat' | 'leave' | 'topics';

/** A coordinator of one group with one member, and the members that the test says there are beside it. */
class Coordinator {
  /** What was asked, as text. */
  readonly asked: string[] = [];
  /** How the next calls go wrong: without arriving, or with their answers lost. */
  readonly trouble = new Map<Call, { error: Error; arrives: boolean }[]>();
  /** Who leads, when it is not us: what it assigns us. */
  assigned: string[] | undefined;
  topics = new Map([
    ['orders', { topicId: 'o', partitions: 2 }],
    ['users', { topicId: 'u', partitions: 1 }],
  ]);
  generation = 0;
  memberId = '';
  isRebalancing = false;
  skipAssignment = false;
  lastJoin: JoinRequest | undefined;
  /** Joins that wait until it is opened. */
  gate: Promise<void> | undefined;
  #ids = 0;
  #synced: Buffer = Buffer.alloc(0);

  fail(call: Call, error: Error, times = 1): void {
    const troubles = new Array(times).fill({ error, arrives: false });
    this.trouble.set(call, [...(this.trouble.get(call) ?? []), ...troubles]);
  }

  loseAnswer(call: Call): void {
    this.trouble.set(call, [{ error: refusal('NETWORK'), arrives: true }]);
  }

  async #call<T>(call: Call, text: string, answer: () => T): Promise<T> {
    this.asked.push(`${call} ${text}`.trim());
    const trouble = this.trouble.get(call)?.shift();
    if (trouble && !trouble.arrives) throw trouble.error;
    const answered = answer();
    if (trouble) throw trouble.error;
    return answered;
  }

  async join(request: JoinRequest): Promise<JoinAnswer> {
    await this.gate;
    this.lastJoin = request;
    const { owned } = readSubscription('me', request.protocols[0]!.metadata);
    return this.#call('join', `${request.memberId} [${owned.map(keyOf).sort()}]`, () => {
      const answer = { assignor: '', leader: '', skipAssignment: false, members: [] };
      if (request.memberId === '') {
        this.memberId = `me-${++this.#ids}`;
        if (request.instanceId === null) return { ...answer, memberId: this.memberId, generation: -1 };
      } else if (request.memberId !== this.memberId) throw refusal('UNKNOWN_MEMBER_ID');
      this.generation++;
      this.isRebalancing = false;
      const { memberId, generation } = this;
      const skipAssignment = this.skipAssignment && request.memberId === '';
      const leader = this.assigned && !this.skipAssignment ? 'other' : memberId;
      const members = [{ memberId, instanceId: null, metadata: request.protocols[0]!.metadata }];
      const { name: assignor } = request.protocols[0]!;
      return { memberId, generation, assignor, leader, skipAssignment, members };
    });
  }

  async sync(member: GroupMember, assignor: string, assignments: readonly MemberBytes[]): Promise<Buffer> {
    return this.#call('sync', `${member.id} ${member.epoch} ${assignor}`, () => {
      this.#check(member);
      const mine = assignments.find(({ memberId }) => memberId === member.id);
      this.#synced = mine?.assignment ?? writeAssignment((this.assigned ?? []).map(parseKey));
      return this.#synced;
    });
  }

  async heartbeat(member: GroupMember): Promise<void> {
    return this.#call('heartbeat', `${member.id} ${member.epoch}`, () => {
      this.#check(member);
      if (this.isRebalancing) throw refusal('REBALANCE_IN_PROGRESS');
    });
  }

  async leave(member: GroupMember): Promise<void> {
    return this.#call('leave', member.id, () => {});
  }

  async existing(names: readonly string[]): Promise<Map<string, { topicId: string; partitions: number }>> {
    return this.#call('topics', '', () => new Map([...this.topics].filter(([name]) => names.includes(name))));
  }

  #check(member: GroupMember): void {
    if (member.id !== this.memberId) throw refusal('UNKNOWN_MEMBER_ID');
    if (member.epoch !== this.generation) throw refusal('ILLEGAL_GENERATION');
  }

  get synced(): string[] {
    return readAssignment(this.#synced).map(keyOf);
  }
}

/** A member with its coordinator, and what it told. */
class Group {
  readonly clock = new ManualClock();
  readonly coordinator = new Coordinator();
  readonly told: string[] = [];
  /** Why, of each assignment and revocation. */
  readonly causes: (string | undefined)[] = [];
  #membership: GroupMembership | undefined;

  get membership(): GroupMembership {
    return this.#membership!;
  }

  async join(options: Partial<ClassicGroupOptions> = {}): Promise<void> {
    const tell =
      (what: string) =>
      (topicPartitions: readonly TopicPartition[], ...more: unknown[]): void => {
        this.told.push([what, ...topicPartitions.map(keyOf), ...more].join(' '));
      };
    const { coordinator } = this;
    this.#membership = joinClassicGroup(
      {
        topics: ['orders', 'users'],
        instanceId: null,
        rackId: null,
        assignors: ['cooperative-sticky'],
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        ...options,
      },
      {
        clock: this.clock,
        log: silentLog,
        join: (request) => coordinator.join(request),
        sync: (...args) => coordinator.sync(...args),
        heartbeat: (member) => coordinator.heartbeat(member),
        leave: (member) => coordinator.leave(member),
        topics: (names) => coordinator.existing(names),
        onAssigned: (topicPartitions, cause) => {
          tell('assigned')(topicPartitions);
          this.causes.push(cause);
        },
        onRevoked: (topicPartitions, withinMs, cause) => {
          tell('revoked')(topicPartitions, withinMs);
          this.causes.push(cause);
        },
        onLost: tell('lost'),
        onFailed: (error) => this.told.push(`failed ${error.message}`),
      },
    );
    await settle();
  }

  released(...keys: string[]): Promise<void> {
    this.membership.released(keys.map(parseKey));
    return settle();
  }

  /** What was asked since the last call, but for the topics. */
  asked(): string[] {
    return this.coordinator.asked.splice(0).filter((text) => text !== 'topics');
  }

  tidings(): string[] {
    return this.told.splice(0);
  }

  /** A member that has joined and owns all there is. */
  async joined(options: Partial<ClassicGroupOptions> = {}): Promise<void> {
    await this.join(options);
    this.asked();
    expect(this.tidings()).toEqual([all]);
  }
}

const all = 'assigned orders-0 orders-1 users-0';

let group: Group;
beforeEach(() => {
  group = new Group();
});

describe('joining', () => {
  test('says where it runs, for leaders that assign by rack', async () => {
    await group.joined({ rackId: 'zone-a' });
    const { metadata } = group.coordinator.lastJoin!.protocols[0]!;
    // KIP-881: the last field of version 3.
    expect(metadata.subarray(-8).toString()).toBe('\0\u0006zone-a');
    expect(readSubscription('me', metadata).topics).toEqual(['orders', 'users']);
  });

  test('asks for an id, joins with it, and as leader assigns', async () => {
    await group.join();
    expect(group.asked()).toEqual(['join  []', 'join me-1 []', 'sync me-1 1 cooperative-sticky']);
    expect(group.tidings()).toEqual([all]);
    expect(group.coordinator.synced).toEqual(['orders-0', 'orders-1', 'users-0']);
    expect(group.membership.member).toEqual({ id: 'me-1', epoch: 1, instanceId: null });
  });

  test('as follower takes what the leader says', async () => {
    group.coordinator.assigned = ['users-0'];
    await group.join();
    expect(group.tidings()).toEqual(['assigned users-0']);
  });

  test('offers all assignors, the best first', async () => {
    const assignors: AssignorName[] = ['range', 'cooperative-sticky'];
    await group.join({ assignors });
    expect(group.coordinator.lastJoin!.protocols.map(({ name }) => name)).toEqual(assignors);
    expect(group.coordinator.lastJoin).toMatchObject({ sessionTimeoutMs, rebalanceTimeoutMs });
  });

  test('keeps the id when an answer is lost, so that no ghost is waited for', async () => {
    await group.join();
    group.asked();
    group.coordinator.isRebalancing = true;
    group.coordinator.loseAnswer('join');
    await group.clock.pass(intervalMs + 600);
    expect(group.asked()).toEqual([
      'heartbeat me-1 1',
      'join me-1 [orders-0,orders-1,users-0]',
      'join me-1 [orders-0,orders-1,users-0]',
      'sync me-1 3 cooperative-sticky',
    ]);
  });

  test('waits for topics that are assigned and not known yet, and goes on with its heartbeats', async () => {
    group.coordinator.assigned = ['new-0'];
    await group.join();
    expect(group.tidings()).toEqual([]);
    await group.clock.pass(1_000);
    expect(group.asked()).toContain('heartbeat me-1 1');
    group.coordinator.topics.set('new', { topicId: 'n', partitions: 1 });
    await group.clock.pass(1_000);
    expect(group.tidings()).toEqual(['assigned new-0']);
  });

  test('is an error when another assignor was chosen than one that we have', async () => {
    const { coordinator } = group;
    const join = coordinator.join.bind(coordinator);
    coordinator.join = async (request) => ({ ...(await join(request)), assignor: 'sticky' });
    await group.join();
    expect(group.tidings()).toEqual([
      'failed joining the group: it has chosen the assignor sticky, which is none of cooperative-sticky, range, roundrobin',
    ]);
  });

  test('is an error that names a member whose subscription cannot be read', async () => {
    const { coordinator } = group;
    const join = coordinator.join.bind(coordinator);
    coordinator.join = async (request) => {
      const answer = await join(request);
      return {
        ...answer,
        members: [{ memberId: 'strange', instanceId: null, metadata: Buffer.of(0, 1, 0, 0, 0, 9) }],
      };
    };
    await group.join();
    expect(group.tidings()[0]).toMatch(
      /^failed joining the group: the subscription of member strange cannot be read: /,
    );
  });
});

describe('a rebalance', () => {
  test('is joined by a cooperative member with what it owns, which goes on', async () => {
    await group.joined();
    group.coordinator.isRebalancing = true;
    await group.clock.pass(intervalMs);
    expect(group.asked()).toEqual([
      'heartbeat me-1 1',
      'join me-1 [orders-0,orders-1,users-0]',
      'sync me-1 2 cooperative-sticky',
    ]);
    expect(group.tidings()).toEqual([]);
  });

  test('that takes something from a cooperative member: it lets go first, and then joins again', async () => {
    await group.joined();
    group.coordinator.isRebalancing = true;
    group.coordinator.assigned = ['orders-0'];
    await group.clock.pass(intervalMs);
    expect(group.tidings()).toEqual(['revoked orders-1 users-0 45000']);
    group.asked();
    await group.clock.pass(2 * intervalMs);
    expect(group.asked()).toEqual(['heartbeat me-1 2', 'heartbeat me-1 2']);
    await group.released('orders-1', 'users-0');
    expect(group.asked()).toEqual(['join me-1 [orders-0]', 'sync me-1 3 cooperative-sticky']);
    expect(group.tidings()).toEqual([]);
  });

  test('that gives and takes: what is new is taken only when what is old was let go', async () => {
    group.coordinator.assigned = ['orders-0'];
    await group.join();
    group.tidings();
    group.coordinator.isRebalancing = true;
    group.coordinator.assigned = ['orders-1'];
    await group.clock.pass(intervalMs);
    expect(group.tidings()).toEqual(['revoked orders-0 45000']);
    await group.released('orders-0');
    expect(group.tidings()).toEqual(['assigned orders-1']);
  });

  test('during a revocation is joined when that is through', async () => {
    await group.joined();
    group.coordinator.isRebalancing = true;
    group.coordinator.assigned = ['orders-0'];
    await group.clock.pass(intervalMs);
    group.coordinator.isRebalancing = true;
    group.asked();
    await group.clock.pass(2 * intervalMs);
    expect(group.asked()).toEqual(['heartbeat me-1 2', 'heartbeat me-1 2']);
    await group.released('orders-1', 'users-0');
    expect(group.asked()[0]).toBe('join me-1 [orders-0]');
  });

  test('is joined by an eager member when it has given everything up', async () => {
    await group.joined({ assignors: ['range'] });
    group.coordinator.isRebalancing = true;
    await group.clock.pass(intervalMs);
    expect(group.tidings()).toEqual(['revoked orders-0 orders-1 users-0 45000']);
    await group.clock.pass(2 * intervalMs);
    expect(group.asked().filter((text) => text.startsWith('join'))).toEqual([]);
    await group.released('orders-0');
    expect(group.asked()).toEqual([]);
    await group.released('orders-1', 'users-0');
    expect(group.asked()).toEqual(['join me-1 []', 'sync me-1 2 range']);
    expect(group.tidings()).toEqual([all]);
  });

  test('with a topic that was made anew takes the new one only when the old one was let go', async () => {
    group.coordinator.assigned = ['users-0'];
    await group.join();
    expect(group.tidings()).toEqual(['assigned users-0']);
    group.coordinator.topics.set('users', { topicId: 'u2', partitions: 1 });
    await group.clock.pass(15_000);
    expect(group.tidings()).toEqual(['revoked users-0 45000']);
    await group.released('users-0');
    expect(group.tidings()).toEqual(['assigned users-0']);
    expect(group.causes).toEqual(['joined', 'the topic was made anew', undefined]);
  });
});

/** Every error of the protocol, at every call. */
describe('an error', () => {
  const passing = [
    'NETWORK',
    'NOT_COORDINATOR',
    'COORDINATOR_NOT_AVAILABLE',
    'COORDINATOR_LOAD_IN_PROGRESS',
    'REBALANCE_IN_PROGRESS',
  ];
  const throwing = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'];
  const lasting = [
    'FENCED_INSTANCE_ID',
    'INCONSISTENT_GROUP_PROTOCOL',
    'GROUP_MAX_SIZE_REACHED',
    'GROUP_AUTHORIZATION_FAILED',
    'INVALID_SESSION_TIMEOUT',
  ];
  const calls: Call[] = ['join', 'sync', 'heartbeat'];
  const at = (errors: readonly string[]): [Call, string][] =>
    calls.flatMap((call) => errors.map((error): [Call, string] => [call, error]));

  /** The call is made in a rebalance of a member that owns all there is. */
  async function failing(call: Call, error: Error): Promise<void> {
    await group.joined();
    group.coordinator.isRebalancing = call !== 'heartbeat';
    group.coordinator.fail(call, error);
    await group.clock.pass(2 * intervalMs);
  }

  test.each(at(passing))('that passes: %s, %s', async (call, id) => {
    await failing(call, refusal(id));
    expect(group.tidings()).toEqual([]);
    group.asked();
    await group.clock.pass(2 * intervalMs);
    expect(group.asked().every((text) => text.startsWith('heartbeat'))).toBe(true);
  });

  test.each(at(throwing))('that throws the member out: %s, %s', async (call, id) => {
    await failing(call, refusal(id));
    expect(group.tidings()).toEqual([`lost orders-0 orders-1 users-0 ${id}`, all]);
  });

  test.each(at(lasting))('that does not pass: %s, %s', async (call, id) => {
    await failing(call, refusal(id));
    expect(group.tidings()).toEqual([expect.stringMatching(`^failed asking: ${id}`)]);
    group.asked();
    await group.clock.pass(10 * intervalMs);
    expect(group.asked()).toEqual([]);
  });

  test('of the metadata while we lead has all join again', async () => {
    group.coordinator.fail('topics', refusal('NETWORK'));
    await group.join();
    expect(group.tidings()).toEqual([]);
    await group.clock.pass(500);
    expect(group.tidings()).toEqual([all]);
  });

  test('that throws the member out in a revocation ends that', async () => {
    await group.joined();
    group.coordinator.isRebalancing = true;
    group.coordinator.assigned = ['orders-0'];
    await group.clock.pass(intervalMs);
    group.coordinator.fail('heartbeat', refusal('UNKNOWN_MEMBER_ID'));
    group.coordinator.assigned = ['orders-1'];
    await group.clock.pass(intervalMs + 500);
    expect(group.tidings()).toEqual([
      'revoked orders-1 users-0 45000',
      'lost orders-0 orders-1 users-0 UNKNOWN_MEMBER_ID',
      'assigned orders-1',
    ]);
    group.asked();
    await group.released('orders-1', 'users-0'); // what was lost, and is ours again
    await group.clock.pass(intervalMs);
    expect(group.tidings()).toEqual([]);
    expect(group.coordinator.lastJoin!.memberId).toBe('me-2');
  });
});

describe('topics that change', () => {
  test('are noticed by the leader, and assigned', async () => {
    await group.joined();
    group.coordinator.topics.set('users', { topicId: 'u', partitions: 3 });
    await group.clock.pass(15_000);
    expect(group.tidings()).toEqual(['assigned users-1 users-2']);
  });

  test('are noticed by a follower, and all join again', async () => {
    group.coordinator.assigned = ['orders-0'];
    await group.join();
    group.asked();
    await group.clock.pass(15_000);
    expect(group.asked().filter((text) => text.startsWith('join'))).toEqual([]);
    group.coordinator.topics.set('users', { topicId: 'u', partitions: 3 });
    await group.clock.pass(15_000);
    expect(group.asked().filter((text) => text.startsWith('join'))).toEqual(['join me-1 [orders-0]']);
  });

  test('as a broker knows them that has not heard of the last partitions change nothing', async () => {
    await group.joined();
    group.coordinator.topics.set('users', { topicId: 'u', partitions: 3 });
    await group.clock.pass(15_000);
    expect(group.tidings()).toEqual(['assigned users-1 users-2']);
    group.coordinator.topics.set('users', { topicId: 'u', partitions: 1 });
    group.coordinator.isRebalancing = true;
    await group.clock.pass(30_000);
    expect(group.tidings()).toEqual([]);
  });

  test('that cannot be looked at change nothing', async () => {
    await group.joined();
    group.coordinator.fail('topics', new FatalError('no'), 3);
    await group.clock.pass(60_000);
    expect(group.tidings()).toEqual([]);
    expect(group.asked().filter((text) => text.startsWith('join'))).toEqual([]);
  });
});

describe('a static member', () => {
  test('that is back as leader takes what it had, and has the group look at its topics again', async () => {
    group.coordinator.skipAssignment = true;
    group.coordinator.assigned = ['orders-0', 'users-0'];
    await group.join({ instanceId: 'one' });
    await group.clock.pass(intervalMs);
    expect(group.asked().slice(0, 4)).toEqual([
      'join  []',
      'sync me-1 1 cooperative-sticky',
      'join me-1 [orders-0,users-0]',
      'sync me-1 2 cooperative-sticky',
    ]);
    expect(group.tidings()).toEqual(['assigned orders-0 users-0', 'assigned orders-1']);
  });

  test('does not leave', async () => {
    await group.joined({ instanceId: 'one' });
    await group.membership.leave();
    expect(group.asked()).toEqual([]);
  });
});

describe('leaving', () => {
  test('tells the group, and is the end', async () => {
    await group.joined();
    await group.membership.leave();
    await group.clock.pass(60_000);
    expect(group.asked()).toEqual(['leave me-1']);
  });

  test('does not wait for the others that are to join', async () => {
    await group.joined();
    group.coordinator.isRebalancing = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    group.coordinator.gate = promise;
    await group.clock.pass(intervalMs);
    await group.membership.leave();
    expect(group.asked()).toEqual(['heartbeat me-1 1', 'leave me-1']);
    resolve();
    await settle();
    expect(group.tidings()).toEqual([]);
  });

  test('that fails is told, and nothing more', async () => {
    await group.joined();
    group.coordinator.fail('leave', refusal('NETWORK'));
    await group.membership.leave();
    expect(group.tidings()).toEqual([]);
  });
});

describe('topics that are asked for from now on', () => {
  const more = 'assigned more-0';

  test('are named by joining again; what is owned is kept', async () => {
    await group.joined();
    group.coordinator.topics.set('more', { topicId: 'm', partitions: 1 });
    group.membership.subscribe(['more', 'orders', 'users']);
    await settle();
    expect(group.asked()).toEqual([
      'join me-1 [orders-0,orders-1,users-0]',
      'sync me-1 2 cooperative-sticky',
    ]);
    expect(group.tidings()).toEqual([more]);
    group.membership.subscribe(['more', 'users']);
    await settle();
    expect(group.tidings()).toEqual(['revoked orders-0 orders-1 45000']);
  });

  test('while a join is under way are named by another one', async () => {
    await group.joined();
    group.coordinator.topics.set('more', { topicId: 'm', partitions: 1 });
    const gate = Promise.withResolvers<void>();
    const { join } = group.coordinator;
    group.coordinator.join = async (request) => {
      await gate.promise;
      return join.call(group.coordinator, request);
    };
    group.coordinator.isRebalancing = true;
    await group.clock.pass(intervalMs);
    group.membership.subscribe(['more', 'orders', 'users']);
    gate.resolve();
    await settle();
    expect(group.asked().filter((text) => text.startsWith('join'))).toEqual([
      'join me-1 [orders-0,orders-1,users-0]',
      'join me-1 [orders-0,orders-1,users-0]',
    ]);
    expect(group.tidings()).toEqual([more]);
  });

  test('may be none: everything is given up', async () => {
    await group.joined();
    group.membership.subscribe([]);
    await settle();
    expect(group.tidings()).toEqual(['revoked orders-0 orders-1 users-0 45000']);
    await group.released('orders-0', 'orders-1', 'users-0');
    await group.clock.pass(2 * intervalMs);
    expect(group.tidings()).toEqual([]);
    expect(group.causes).toEqual(['joined', 'the topic is gone']);
    expect(readSubscription('me', group.coordinator.lastJoin!.protocols[0]!.metadata).topics).toEqual([]);
  });
});
