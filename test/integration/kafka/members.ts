import { expect } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { KafkaSource, type MembershipOptions } from '../../../src/kafka/kafka-source.ts';
import type { SourceEvent } from '../../../src/kafka/source.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { java } from '../../tools/java.ts';
import { createTopic, partitionsOf, Reading, until } from './reading.ts';

/** A worker of a group that gives up at once what it is asked for, unless it is told to hold it. */
export class Member extends Reading {
  readonly name: string;
  readonly wire: Wire;
  holds = false;

  constructor(
    brokers: string,
    name: string,
    group: string,
    topics: readonly string[],
    membership: Partial<MembershipOptions>,
  ) {
    const wire = new Wire({ brokers: brokers.split(','), clientId: name }, systemClock);
    super(
      new KafkaSource(
        { group, topics, membership },
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
export class Members {
  readonly group: string;
  readonly topic: string;
  readonly all: Member[] = [];
  readonly overlaps: string[] = [];
  /** Of all members, unless one has its own. */
  readonly membership: Partial<MembershipOptions>;
  readonly #brokers: string;
  readonly #killed: Member[] = [];

  constructor(brokers: string, topic: string, membership: Partial<MembershipOptions> = {}) {
    this.#brokers = brokers;
    this.membership = membership;
    this.topic = topic;
    this.group = `group-${topic}`;
  }

  async create(partitions: number): Promise<void> {
    await createTopic(this.#brokers, this.topic, partitions);
  }

  /** Sessions by KIP-848 are the group's own configuration. */
  async configure(sessionMs: number): Promise<void> {
    await java.call('alterGroupConfig', {
      group: this.group,
      configs: { 'consumer.session.timeout.ms': sessionMs, 'consumer.heartbeat.interval.ms': 500 },
    });
  }

  async add(name: string, membership: Partial<MembershipOptions> = {}): Promise<Member> {
    const member = new Member(this.#brokers, name, this.group, [this.topic], {
      ...this.membership,
      ...membership,
    });
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
    this.#killed.push(member);
  }

  async leave(member: Member): Promise<void> {
    this.all.splice(this.all.indexOf(member), 1);
    await member.source.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.all, ...this.#killed].map((member) => member.source.close()));
  }
}
