import { mainBranch } from '../iceberg/metadata.ts';
import type { AssignedPartition } from '../kafka/source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Partition, SinkContext } from './context.ts';
import type { Mirror } from './mirror.ts';
import { planTable, unheeded } from './plan.ts';
import { type OpenedTable, openTable } from './positions.ts';
import type { TableWriter } from './table-writer.ts';

interface Revocation {
  readonly keys: readonly TopicPartitionKey[];
  readonly topicPartitions: readonly TopicPartition[];
  readonly deadlineMs: number;
}

/**
 * Which topic-partitions are ours, and from where each table takes them. Tables are opened here, dropped to be opened
 * again, and given up with what belongs to others.
 */
export class Assignment {
  readonly #context: SinkContext;
  readonly #mirror: Mirror;
  #revocations: readonly Revocation[] = [];

  constructor(context: SinkContext, mirror: Mirror) {
    this.#context = context;
    this.#mirror = mirror;
  }

  onAssigned(topicPartitions: readonly AssignedPartition[], cause?: string): void {
    const { ports, state, partitions, writers } = this.#context;
    if (state !== 'running') return;
    ports.log.info('partitions assigned', { partitions: topicPartitions.map(keyOf) });
    this.#context.rebalances.add('assigned', topicPartitions.map(keyOf), ports.clock.nowMs(), cause);
    // Assigned again without having been taken away: whatever that means, it starts over from the ledger.
    this.#forget(topicPartitions.map(keyOf).filter((key) => partitions.has(key)));
    this.#context.learnTopics(topicPartitions);
    for (const topicPartition of topicPartitions)
      partitions.set(keyOf(topicPartition), { topicPartition, lane: this.#leastLoadedLane(), generation: 0 });
    for (const writer of writers) {
      const taken = topicPartitions.filter(({ topic }) => writer.takes(topic));
      for (const topicPartition of taken) writer.opening.set(keyOf(topicPartition), topicPartition);
      if (taken.length === 0 || writer.broken) continue;
      // Ours a moment ago, they may be in the commit under way: the ledger is asked when that is through.
      if (writer.flush) writer.reopen = true;
      // A table that is to be opened anyway takes them along.
      else if (!writer.reopen) this.#open(writer, taken);
    }
  }

  #leastLoadedLane(): number {
    const load = this.#context.ports.lanes.map(() => 0);
    for (const { lane } of this.#context.partitions.values()) load[lane]!++;
    return load.indexOf(Math.min(...load));
  }

  /** Loads the table and finds the positions of these topic-partitions. */
  #open(writer: TableWriter, asked: readonly AssignedPartition[]): void {
    const { options, ports } = this.#context;
    const { generation } = writer;
    const { siblings } = this.#context;
    const opening = openTable(
      writer.options,
      options,
      mainBranch,
      this.#context.origin(),
      { topicPartitions: asked, siblings },
      ports,
    );
    this.#context.task(writer, opening, (opened) => ({ type: 'opened', writer, generation, asked, opened }));
  }

  onOpened(
    writer: TableWriter,
    generation: number,
    asked: readonly AssignedPartition[],
    opened: OpenedTable,
  ): void {
    if (writer.generation !== generation || writer.broken) return;
    // Another worker has made the table between two answers: lanes must hear of what was placed without it.
    if (opened.table ? writer.phase !== 'ready' && writer.entries.size > 0 : writer.phase === 'ready')
      return this.drop(writer, 'it was made meanwhile');
    if (!opened.table) writer.phase = 'absent';
    else if (writer.phase !== 'ready' && !this.#openInLanes(writer, opened.table)) return;
    if (opened.table)
      this.#context.ports.log.info('table opened', { table: writer.name, positions: offsetsOf(opened) });
    for (const topicPartition of asked) {
      const key = keyOf(topicPartition);
      const partition = this.#context.partitions.get(key);
      // No longer ours, or ours anew: as a partition of another topic of the same name, it may be.
      if (!partition || writer.opening.get(key) !== topicPartition) continue;
      const position = opened.positions.get(key);
      // Its topic is gone: soon it is no longer ours.
      if (!position) continue;
      writer.place(topicPartition, partition.lane, position);
      if (writer.phase === 'ready')
        this.#context.inLane(partition.lane, (lane) =>
          lane.seek(writer.name, topicPartition, position.offset),
        );
      this.resume(key, partition);
    }
  }

  #openInLanes(writer: TableWriter, table: NonNullable<OpenedTable['table']>): boolean {
    try {
      const plan = planTable(table, writer.options, this.#context.options);
      for (const what of unheeded(table)) this.#context.ports.log.warn(what, { table: writer.name });
      this.#context.inEveryLane((lane) => lane.open(plan));
    } catch (error) {
      this.#context.post({ type: 'broken', writer, error: error as Error });
      return false;
    }
    writer.table = table;
    writer.phase = 'ready';
    writer.seenAtMs = this.#context.ports.clock.monotonicMs();
    return true;
  }

  /**
   * Lets the source fetch a topic-partition, once every table that takes it knows from where. Until then nothing that is
   * on its way counts: a table that was just placed would be handed sets from far behind its position. What is being
   * given away is not fetched again.
   */
  resume(key: TopicPartitionKey, partition: Partition): void {
    const takers = this.#context.takersOf(partition.topicPartition.topic).filter((writer) => !writer.broken);
    const entries = takers.map((writer) => writer.entries.get(key));
    const isRevoking = this.#revocations.some(({ keys }) => keys.includes(key));
    if (isRevoking || entries.length === 0 || entries.includes(undefined)) {
      partition.generation = 0;
      return;
    }
    const first = entries.reduce((least, entry) => (entry!.handed < least!.handed ? entry : least))!;
    const { handed, handedEpoch } = first;
    partition.generation = this.#context.ports.source.seek(partition.topicPartition, handed, handedEpoch);
  }

  onRevoked(topicPartitions: readonly TopicPartition[], withinMs: number, cause?: string): void {
    const { ports, partitions } = this.#context;
    const keys = topicPartitions.map(keyOf);
    ports.log.info('partitions revoked', { partitions: keys });
    this.#context.rebalances.add('revoked', keys, ports.clock.nowMs(), cause);
    for (const key of keys) {
      const partition = partitions.get(key);
      if (partition) partition.generation = 0; // sets that are still on their way are for nobody
    }
    this.#revocations = [
      ...this.#revocations,
      { keys, topicPartitions, deadlineMs: ports.clock.monotonicMs() + withinMs },
    ];
  }

  onLost(topicPartitions: readonly TopicPartition[], cause?: string): void {
    const keys = topicPartitions.map(keyOf);
    this.#context.rebalances.add('lost', keys, this.#context.ports.clock.nowMs(), cause);
    this.#context.ports.log.warn('partitions lost: what has not landed is dropped', { partitions: keys });
    this.#forget(keys);
    this.#revocations = this.#revocations.filter(
      (revocation) => !revocation.keys.some((key) => keys.includes(key)),
    );
  }

  /** True when a revocation waits for rows of this table. */
  awaits(writer: TableWriter): boolean {
    return this.#revocations.some(({ keys }) =>
      keys.some((key) => (writer.entries.get(key)?.rowsFilling ?? 0) > 0),
    );
  }

  /** When the next revocation must be answered. */
  get deadlineMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#revocations.map(({ deadlineMs }) => deadlineMs));
  }

  /** Gives revoked topic-partitions away once their rows have landed, or when there is no more time: dropping is safe. */
  settleRevocations(nowMs: number): void {
    const { writers, ports } = this.#context;
    this.#revocations = this.#revocations.filter(({ keys, topicPartitions, deadlineMs }) => {
      const settled = writers.every((writer) => writer.broken || keys.every((key) => writer.isSettled(key)));
      if (!settled && nowMs < deadlineMs) return true;
      if (!settled)
        ports.log.warn('partitions are given up before their rows have landed', { partitions: keys });
      this.#mirror.push(this.mirrorOffsets(keys));
      this.#forget(keys);
      ports.source.released(topicPartitions);
      return false;
    });
  }

  /** The topic-partitions are no longer ours. Tables that hold rows of them start over from their ledger. */
  #forget(keys: readonly TopicPartitionKey[]): void {
    for (const writer of this.#context.writers) {
      if (keys.some((key) => !writer.isForgettable(key)))
        this.drop(writer, 'partitions moved before their rows had landed');
      for (const key of keys) writer.forget(key);
    }
    for (const key of keys) {
      const partition = this.#context.partitions.get(key);
      if (!partition) continue;
      this.#context.partitions.delete(key);
      this.#mirror.forget(key);
      this.#context.inLane(partition.lane, (lane) => lane.release(partition.topicPartition));
    }
  }

  /** Dropping is always safe: what has not landed is read again from the ledger on. */
  drop(writer: TableWriter, reason: string): void {
    this.#context.ports.log.debug('table starts over from its ledger', { table: writer.name, reason });
    writer.drop();
    const { budget, ports } = this.#context;
    for (const index of ports.lanes.keys())
      this.#context.inLane(index, async (lane) => {
        const { heldBytes } = await lane.drop(writer.name);
        budget.laneHolds(index, heldBytes);
      });
  }

  /** Opens what waits to be opened, once the commit that was under way has ended. */
  reopen(writer: TableWriter): void {
    if (!writer.reopen || writer.flush || writer.broken) return;
    writer.reopen = false;
    const asked = [...writer.opening.values()];
    if (asked.length > 0 && this.#context.state === 'running') this.#open(writer, asked);
  }

  /** I3: up to here every record has landed in every table that takes it, or was left out by policy. */
  mirrorOffsets(
    keys: Iterable<TopicPartitionKey> = this.#context.partitions.keys(),
  ): Map<TopicPartitionKey, number> {
    const offsets = new Map<TopicPartitionKey, number>();
    for (const key of keys) {
      const partition = this.#context.partitions.get(key);
      if (!partition) continue;
      const landed = this.#context
        .takersOf(partition.topicPartition.topic)
        .map((writer) => writer.mirrorOffset(key));
      if (landed.length > 0 && !landed.includes(undefined))
        offsets.set(key, Math.min(...(landed as number[])));
    }
    return offsets;
  }
}

function offsetsOf({ positions }: OpenedTable): Record<TopicPartitionKey, number> {
  return Object.fromEntries([...positions].map(([key, { offset }]) => [key, offset]));
}
