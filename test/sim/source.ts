import { FatalError } from '../../src/base/errors.ts';
import { epochAt } from '../../src/kafka/leader-epochs.ts';
import {
  type AssignedPartition,
  type ClusterTopics,
  type CommittedOffset,
  fetchBytesMin,
  type LogRange,
  type RecordSet,
  type Source,
  type SourceEvent,
} from '../../src/kafka/source.ts';
import {
  keyOf,
  parseKey,
  type TopicPartition,
  type TopicPartitionKey,
} from '../../src/kafka/topic-partition.ts';
import type { SimBroker } from './broker.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Process } from './process.ts';

interface Position {
  offset: number;
  /** Leader epoch of the record before, where it is known. */
  epoch: number | undefined;
  generation: number;
  soughtAtMs: number;
}

/** What the source says that its owner must not do. */
export interface SourceRules {
  /** Whether answers from before a seek or revocation are handed on: the port allows it, the real one drops them. */
  staleAnswers: boolean;
  /** Whether logs are cut. */
  truncations: boolean;
  broken(what: string): void;
}

export const withinMs = 8_000;
/** Of one answer, whatever is allowed. */
const answerBytesMax = 1024 * 1024;

/** One member's side of the simulated Kafka. */
export class SimSource implements Source {
  readonly process: Process;
  reservedBytes = 0;
  /** Where the logs ended when a bounded run asked. */
  targets: ReadonlyMap<TopicPartitionKey, number> | undefined;
  /** Called whenever the sink has looked at everything once. */
  onStep: () => void = () => {};
  readonly assignedAtMs: Map<TopicPartitionKey, number> = new Map();
  /** When each revocation was told. */
  readonly revokedAtMs: Map<TopicPartitionKey, number> = new Map();
  /** The topics' ids when the source was started, and as last assigned. */
  readonly #startedWith = new Map<TopicPartitionKey, string>();
  readonly #topicIds = new Map<TopicPartitionKey, string>();
  readonly #broker: SimBroker;
  readonly #rules: SourceRules;
  readonly #positions = new Map<TopicPartitionKey, Position>();
  readonly #ranges = new Map<TopicPartitionKey, LogRange>();
  readonly #owned = new Map<TopicPartitionKey, AssignedPartition>();
  /** When what was owned once was taken away or given back. */
  readonly #goneAtMs = new Map<TopicPartitionKey, number>();
  readonly #stale = new WeakSet<RecordSet>();
  #emit: (event: SourceEvent) => void = () => {};
  /** What the group has told last: later words never overtake earlier ones. */
  #toldAtMs = 0;
  #generation = 0;
  /** Grows when it is thrown out: what it was told as a member is over then. */
  #membership = 0;
  /** Of the member, as far as it has been told. */
  #epoch = 0;
  #allowed = 0;
  #joined = false;
  #closed = false;

  constructor(broker: SimBroker, process: Process, rules: SourceRules) {
    this.#broker = broker;
    this.process = process;
    this.#rules = rules;
  }

  async start(emit: (event: SourceEvent) => void): Promise<ClusterTopics> {
    this.#emit = emit;
    this.process.deliver(this.process.delayMs('join'), () => this.#join());
    this.#heartbeat();
    this.#poll();
    const topicPartitions = this.#broker.topicPartitions();
    for (const each of topicPartitions) this.#startedWith.set(keyOf(each), each.topicId);
    return { clusterId: 'cluster', topicPartitions };
  }

  /** The topic that was there when the source was started. */
  startedWith(key: TopicPartitionKey): string | undefined {
    return this.#startedWith.get(key);
  }

  // ---- membership ----

  #heartbeat(): void {
    this.process.deliver(2_000, () => {
      if (this.#closed) return;
      if (this.#joined && !this.#broker.heartbeat(this)) this.#lost();
      this.#heartbeat();
    });
  }

  #join(): void {
    if (this.#closed) return;
    this.#joined = true;
    this.#broker.join(this);
  }

  #lost(): void {
    this.#joined = false;
    this.#membership++;
    const lost = [...this.#owned.values()];
    this.#disown(lost.map(keyOf));
    this.#positions.clear();
    this.#emit({ type: 'lost', topicPartitions: lost });
    this.process.deliver(this.process.delayMs('join'), () => this.#join());
  }

  #disown(keys: readonly TopicPartitionKey[]): void {
    for (const key of keys) {
      this.#owned.delete(key);
      this.revokedAtMs.delete(key);
      this.#positions.delete(key);
      this.#goneAtMs.set(key, this.process.world.nowMs);
    }
  }

  /** The group tells something, in order. */
  #told(what: () => void): void {
    const { world } = this.process;
    const membership = this.#membership;
    this.#toldAtMs = Math.max(this.#toldAtMs, world.nowMs + this.process.delayMs('told'));
    this.process.deliver(this.#toldAtMs - world.nowMs, () => {
      if (membership === this.#membership) what();
    });
  }

  /** The cluster is asked now and then: before or after the group has made something of it. */
  appeared(topic: string): void {
    this.process.deliver(this.process.delayMs('topics'), () => {
      if (!this.#closed) this.#emit({ type: 'topics', appeared: [topic], vanished: [] });
    });
  }

  assigned(topicPartitions: AssignedPartition[], epoch: number): void {
    this.#told(() => {
      if (this.#closed || !this.#broker.isMember(this)) return;
      this.#epoch = epoch;
      for (const topicPartition of topicPartitions) {
        this.#owned.set(keyOf(topicPartition), topicPartition);
        this.#topicIds.set(keyOf(topicPartition), topicPartition.topicId);
        this.assignedAtMs.set(keyOf(topicPartition), this.process.world.nowMs);
      }
      this.#emit({ type: 'assigned', topicPartitions });
    });
  }

  revoked(keys: TopicPartitionKey[]): void {
    this.#told(() => {
      const known = keys.filter((key) => this.#owned.has(key));
      // What was never heard of as assigned can be given back at once.
      this.#broker.release(
        this,
        keys.filter((key) => !this.#owned.has(key)),
      );
      if (known.length === 0 || this.#closed) return;
      for (const key of known) {
        this.#positions.delete(key);
        this.revokedAtMs.set(key, this.process.world.nowMs);
      }
      this.#emit({ type: 'revoked', topicPartitions: known.map(parseKey), withinMs });
    });
  }

  released(topicPartitions: readonly TopicPartition[]): void {
    const keys = topicPartitions.map(keyOf).filter((key) => this.revokedAtMs.has(key));
    this.#disown(keys);
    this.process.world.after(this.process.delayMs('release'), () => this.#broker.release(this, keys));
  }

  // ---- fetching ----

  seek(topicPartition: TopicPartition, offset: number, epoch?: number): number {
    const key = keyOf(topicPartition);
    const { nowMs } = this.process.world;
    if (!this.#owned.has(key)) {
      // At this very moment its loss may lie in the owner's mailbox.
      if (this.#goneAtMs.get(key) !== nowMs)
        this.#rules.broken(`${this.process.name} seeks ${key}, which it does not own`);
      return -1;
    }
    this.#positions.set(key, { offset, epoch, generation: ++this.#generation, soughtAtMs: nowMs });
    return this.#generation;
  }

  allow(bytes: number): void {
    this.#allowed = bytes;
    this.onStep();
  }

  /** Whether a set was on its way when its topic-partition was sought elsewhere or revoked. */
  isForNobody(set: RecordSet): boolean {
    return this.#stale.has(set);
  }

  /** Now and then asks for more of each topic-partition. */
  #poll(): void {
    this.process.deliver(20 + this.process.random.float() * 600, () => {
      if (this.#closed) return;
      const allowed = Math.min(this.#allowed, answerBytesMax);
      if (this.reservedBytes === 0 && allowed >= fetchBytesMin && this.#hasNews) this.#fetch(allowed);
      this.#poll();
    });
  }

  /** Whether a fetch would be answered at once; one that waits for records is not worth its while here. */
  get #hasNews(): boolean {
    for (const [key, { offset, epoch }] of this.#positions) {
      const log = this.#broker.logs.get(key)!;
      if (offset !== log.end || isCut(log, offset, epoch) || log.topicId !== this.#owned.get(key)?.topicId)
        return true;
    }
    return false;
  }

  /** One request at a time, as of one broker. */
  #fetch(bytes: number): void {
    const moment = this.process.moment('fetch');
    const asked = [...this.#positions].map(([key, position]) => {
      const revokedAtMs = this.revokedAtMs.get(key);
      if (revokedAtMs !== undefined && position.soughtAtMs > revokedAtMs)
        this.#rules.broken(`${this.process.name} fetches ${key}, which it is giving away`);
      return { key, ...position, owned: this.#owned.get(key) };
    });
    // Those that are behind others in the answer must come first at some time.
    asked.unshift(...asked.splice(moment.below(asked.length)));
    this.reservedBytes = bytes;
    const { slow, slowMs } = this.process.world.rates;
    const slowerMs = moment.float() * slowMs;
    this.process.deliver(moment.float() * 30 + (moment.happens('slow', slow / 4) ? slowerMs : 0), () => {
      this.reservedBytes = 0;
      let left = bytes;
      for (const { key, owned, ...position } of asked) {
        if (this.#closed) return;
        left -= this.#answer(key, position, owned?.topicId, left, left === bytes);
        if (left <= 0) return;
      }
    });
  }

  /** Hands on what came for one topic-partition. @returns how many bytes. */
  #answer(
    key: TopicPartitionKey,
    { offset: from, epoch, generation }: Position,
    topicId: string | undefined,
    bytesMax: number,
    isFirst: boolean,
  ): number {
    const log = this.#broker.logs.get(key)!;
    const position = this.#positions.get(key);
    const isStale = position?.generation !== generation;
    if (isStale && !this.#rules.staleAnswers) return 0;
    if (log.topicId !== topicId) {
      if (!isStale) this.#topicIsGone(key);
      return 0;
    }
    if (isCut(log, from, epoch)) {
      if (isStale) return 0;
      this.#positions.delete(key);
      const end = log.epochEnd(epoch!);
      this.#emit({ type: 'truncated', topicPartition: parseKey(key), generation, position: from, end });
      return 0;
    }
    const range = { start: log.start, end: log.end };
    if (from < log.start || from > log.end) {
      if (isStale) return 0;
      this.#positions.delete(key);
      this.#emit({
        type: 'outOfRange',
        topicPartition: parseKey(key),
        generation,
        position: from,
        log: range,
      });
      return 0;
    }
    if (!isStale) this.#ranges.set(key, range);
    const read = log.read(from, 1 + this.process.random.below(3), bytesMax);
    // A batch that does not fit comes only when nothing else does.
    if (!read || (read.records.length > bytesMax && !isFirst)) return 0;
    const { next, epochs } = read;
    const set = { ...parseKey(key), generation, from, ...read };
    if (isStale) this.#stale.add(set);
    else {
      position.offset = next;
      position.epoch = epochAt(epochs, next);
    }
    this.#allowed -= read.records.length;
    this.#emit({ type: 'records', set });
    return read.records.length;
  }

  /** The real source notices at its next look at the metadata. */
  #topicIsGone(key: TopicPartitionKey): void {
    if (!this.process.moment('look').happens('sees that a topic is another', 0.3)) return;
    this.#closed = true;
    this.#emit({
      type: 'failed',
      error: new FatalError(`fetching topic ${parseKey(key).topic}: it was deleted and made anew`),
    });
  }

  // ---- offsets ----

  async committedOffsets(
    topicPartitions: readonly TopicPartition[],
  ): Promise<Map<TopicPartitionKey, CommittedOffset>> {
    const found = new Map<TopicPartitionKey, CommittedOffset>();
    for (const key of topicPartitions.map(keyOf)) {
      const offset = this.#broker.offsets.get(key);
      if (offset) found.set(key, offset);
    }
    await this.process.clock.sleep(this.process.delayMs('offsets'));
    return found;
  }

  commitOffsets(
    offsets: ReadonlyMap<TopicPartitionKey, number>,
    metadata: string,
    epochs: ReadonlyMap<TopicPartitionKey, number> = new Map(),
  ): Promise<void> {
    const topicIds = new Map([...offsets.keys()].map((key) => [key, this.#topicIds.get(key)!]));
    const epoch = this.#epoch;
    return this.process.call('commit offsets', () =>
      this.#broker.commitOffsets(this, epoch, topicIds, offsets, { metadata, epochs }),
    );
  }

  async listOffsets(
    topicPartitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Map<TopicPartitionKey, number>> {
    const found = new Map(
      topicPartitions.map((topicPartition): [TopicPartitionKey, number] => {
        const log = this.#broker.logs.get(keyOf(topicPartition))!;
        return [keyOf(topicPartition), at === 'earliest' ? log.start : log.end];
      }),
    );
    if (at === 'latest') this.targets ??= found;
    await this.process.clock.sleep(this.process.delayMs('list'));
    return found;
  }

  async epochEnds(
    topicPartitions: readonly (TopicPartition & { readonly epoch: number })[],
  ): Promise<Map<TopicPartitionKey, number>> {
    const found = new Map(
      topicPartitions.map((each): [TopicPartitionKey, number] => [
        keyOf(each),
        this.#broker.logs.get(keyOf(each))!.epochEnd(each.epoch),
      ]),
    );
    // Where no log is ever cut the answer is always the same, and takes no time: those worlds are as they were without.
    if (this.#rules.truncations) await this.process.clock.sleep(this.process.delayMs('epochs'));
    return found;
  }

  logRanges(): ReadonlyMap<TopicPartitionKey, LogRange> {
    return this.#ranges;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#broker.leave(this);
  }
}

/** Whether the record that was read before `offset` is not in the log any more. */
function isCut(log: PartitionLog, offset: number, epoch: number | undefined): boolean {
  return epoch !== undefined && log.epochEnd(epoch) < offset;
}
