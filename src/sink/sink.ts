import { unreachable } from '../base/assert.ts';
import { withDeadline } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf } from '../base/errors.ts';
import { type AssignedPartition, fetchBytesMin } from '../kafka/source.ts';
import { keyOf, parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { Assignment } from './assignment.ts';
import { CaughtUp } from './caught-up.ts';
import { SinkContext, type SinkEvent, type SinkPorts } from './context.ts';
import { Intake } from './intake.ts';
import { oldestUnreadAgeMs, partitionLags } from './lag.ts';
import { LandingStage } from './landing.ts';
import { LaneDeaths } from './lane-deaths.ts';
import { Mirror } from './mirror.ts';
import type { SinkOptions } from './options.ts';
import type { SinkStatus } from './status.ts';
import type { TableWriter } from './table-writer.ts';
import type { SinkTotals } from './totals.ts';

/** A lane may take this long to put away what it was dropped with. */
const laneCloseMs = 2_000;
/** Without anything due the loop looks around this often. */
const idleMs = 1_000;
/** So many topic-partitions are told of in a status. */
const lagsMax = 100;
const topicsMax = 100;

/**
 * The exactly-once core of a worker. One loop: what happens outside (record sets, answers of lanes, commits, revocations,
 * time) is put into a mailbox as an event; the loop handles one event after the other without waiting, then looks once at
 * everything and starts what is due. All state is in the context and the table writers; all effects are ports.
 *
 * Where the invariants are kept: I1, I4, I7, I9 table-commit.ts, manifest-merge.ts and claims.ts; I2, I5, I10 table-writer.ts; I3
 * assignment.ts (`mirrorOffsets`); I6 budget.ts; I8 the deadlines and policies of every call.
 */
export class Sink {
  readonly #context: SinkContext;
  readonly #mirror: Mirror;
  readonly #assignment: Assignment;
  readonly #intake: Intake;
  readonly #landing: LandingStage;
  readonly #laneDeaths: LaneDeaths;
  /** Set in a bounded run. */
  #caughtUp: CaughtUp | undefined;
  /** A bounded run has read all of its own that it was to read. It goes on if it is given more, or must read again. */
  #isAtEnd = false;
  /** It has ended as it should. */
  #isComplete = false;
  readonly #stopAsked = Promise.withResolvers<void>();
  #drainDeadlineMs = Number.POSITIVE_INFINITY;
  #failure: Error | undefined;
  #paused = false;
  #fetchedBytes = 0;

  constructor(options: SinkOptions, ports: SinkPorts) {
    this.#context = new SinkContext(options, ports);
    this.#mirror = new Mirror(
      ports.source,
      ports.log,
      () => this.#context.post({ type: 'mirrored' }),
      (key, offset) => this.#epochBefore(key, offset),
    );
    this.#assignment = new Assignment(this.#context, this.#mirror);
    this.#intake = new Intake(this.#context, this.#assignment);
    this.#landing = new LandingStage(this.#context, this.#assignment);
    this.#laneDeaths = new LaneDeaths(this.#context, this.#assignment, this.#landing);
  }

  /**
   * Runs until {@link stop}, until caught up, or until something fails for good.
   * @throws what failed, after all that could be landed was.
   */
  async run(): Promise<SinkTotals> {
    const { ports, mailbox, totals } = this.#context;
    try {
      // A Kafka that is away is waited for, but not by who was told to stop.
      const started = this.#start().then(() => true);
      const isStarted = await Promise.race([started, this.#stopAsked.promise.then(() => false)]);
      started.catch(() => {}); // awaited above, unless nobody waits for it any more
      while (isStarted && this.#context.state !== 'stopped') {
        for (const event of await mailbox.take(ports.clock, this.#waitMs())) this.#handle(event);
        this.#step();
      }
    } finally {
      await ports.source.close();
      // A lane that waits for a registry or a store is left behind: it holds nothing that is to land.
      await Promise.allSettled(
        ports.lanes.map((lane) =>
          withDeadline(ports.clock, laneCloseMs, 'closing a lane', () => lane.close()),
        ),
      );
      await ports.catalog.close();
    }
    if (this.#failure) throw this.#failure;
    const summary = totals.summary(ports.clock.monotonicMs());
    return this.#context.options.untilCaughtUp ? { ...summary, caughtUp: this.#isComplete } : summary;
  }

  /** Asks for a graceful stop: nothing more is fetched, what was read is landed, the group is left. */
  stop(reason: string): void {
    this.#stopAsked.resolve();
    this.#context.post({ type: 'stop', reason });
  }

  async #start(): Promise<void> {
    const { ports, options, budget, writers } = this.#context;
    const cluster = await ports.source.start((event) => {
      if (event.type === 'records') {
        budget.received(event.set.records.length);
        this.#fetchedBytes += event.set.records.length;
      }
      this.#context.post(event);
    });
    this.#context.clusterId = cluster.clusterId;
    if (!cluster.isFixed) this.#context.siblings = cluster.topicPartitions;
    this.#context.learnTopics(cluster.topicPartitions);
    for (const { topic } of cluster.topicPartitions) this.#context.topics.add(topic);
    ports.log.info('reading topics', { topics: [...this.#context.topics] });
    if (!options.untilCaughtUp) return;
    this.#caughtUp = new CaughtUp(await ports.source.listOffsets(cluster.topicPartitions, 'latest'), writers);
  }

  #handle(event: SinkEvent): void {
    switch (event.type) {
      case 'assigned':
        return this.#onAssigned(event.topicPartitions, event.cause);
      case 'revoked':
        return this.#assignment.onRevoked(event.topicPartitions, event.withinMs, event.cause);
      case 'lost':
        return this.#assignment.onLost(event.topicPartitions, event.cause);
      case 'opened':
        return this.#assignment.onOpened(event.writer, event.generation, event.asked, event.opened);
      case 'records':
        return this.#intake.onRecords(event.set);
      case 'appended':
        return this.#intake.onAppended(event);
      case 'outOfRange':
        return this.#intake.onOutOfRange(event);
      case 'truncated':
        return this.#onTruncated(event);
      case 'described':
        return this.#intake.onDescribed(event);
      case 'created':
        return this.#intake.onCreated(event.writer, event.generation);
      case 'laneFlushed':
        return this.#landing.onLaneFlushed(event.writer, event.lane, event.files, event.heldBytes);
      case 'laneDied':
        return this.#laneDeaths.onLaneDied(event.lane, event.error);
      case 'landing':
        return this.#landing.onLanding(event);
      case 'looked':
        return this.#landing.onLooked(event.writer, event.atMs, event.ledger);
      case 'mirrored':
        return; // the step that follows looks at what is left
      case 'covered':
        return this.#onCovered(event.covered);
      case 'ends':
        for (const key of this.#caughtUp!.cutBelowTarget(event.ends)) this.#failOfCut(key);
        return;
      case 'broken':
        return this.#onBroken(event.writer, event.error);
      case 'topics':
        return this.#onTopics(event);
      case 'failed':
        return this.#onBroken(undefined, event.error);
      case 'unfit':
        return this.#fail(event.error);
      case 'stop':
        return this.#drain(event.reason);
      default:
        return unreachable(event, 'event');
    }
  }

  /** Starts what is due. */
  #step(): void {
    const { writers, ports } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    for (const writer of writers) {
      this.#assignment.reopen(writer);
      this.#landing.advance(writer, nowMs, this.#isFinal);
      if (this.#context.state === 'running') this.#landing.look(writer, nowMs);
    }
    this.#assignment.settleRevocations(nowMs);
    this.#mirror.follow(this.#assignment.mirrorOffsets(), nowMs);
    if (this.#context.state === 'running') this.#lookForTheEnd(nowMs);
    if (this.#context.state === 'draining' && this.#isDrained(nowMs)) this.#context.state = 'stopped';
    this.#allow();
  }

  /** I6: how much more may be read, so that what is held stays within its bound. */
  #allow(): void {
    const { writers, budget, ports, state } = this.#context;
    const staged = writers.reduce((sum, writer) => sum + writer.stagedBytes, 0);
    const allowed = budget.allowed(ports.source.reservedBytes, staged);
    this.#paused = allowed < fetchBytesMin;
    ports.source.allow(state === 'running' && !this.#isAtEnd ? allowed : 0);
  }

  /** Who reads what has come, and reads no more what is gone, the group tells. What has landed stays. */
  #onTopics({ appeared, vanished }: Extract<SinkEvent, { type: 'topics' }>): void {
    const { log } = this.#context.ports;
    if (appeared.length > 0) log.info('topics were found', { topics: appeared });
    if (vanished.length > 0) log.warn('topics are gone: what has landed of them stays', { topics: vanished });
    for (const topic of appeared) this.#context.topics.add(topic);
    for (const topic of vanished) this.#context.topics.delete(topic);
    this.#caughtUp?.forget(vanished);
  }

  #onAssigned(topicPartitions: readonly AssignedPartition[], cause?: string): void {
    const anew = topicPartitions.find((topicPartition) => this.#context.isMadeAnew(topicPartition));
    if (this.#caughtUp && anew)
      return this.#fail(
        new FatalError(
          `reading topic ${anew.topic} up to its end: it was deleted and made anew meanwhile, and where it was to end is ` +
            'not known any more; run again',
        ),
      );
    this.#assignment.onAssigned(topicPartitions, cause);
  }

  #epochBefore(key: TopicPartitionKey, offset: number): number | undefined {
    for (const writer of this.#context.writers) {
      const epoch = writer.epochBefore(key, offset);
      if (epoch !== undefined) return epoch;
    }
    return undefined;
  }

  #onTruncated(event: Extract<SinkEvent, { type: 'truncated' }>): void {
    if (this.#caughtUp) this.#failOfCut(keyOf(event.topicPartition));
    else this.#intake.onTruncated(event);
  }

  #failOfCut(key: TopicPartitionKey): void {
    this.#fail(
      new FatalError(
        `reading ${key} up to its end: its log was cut meanwhile, and where it was to end is not known any more; run again`,
      ),
    );
  }

  // ---- the end ----

  /**
   * A bounded run ends when everything has landed, whoever it was given to: what a member had that died comes to those
   * who are still there.
   */
  #lookForTheEnd(nowMs: number): void {
    const { partitions, options, ports } = this.#context;
    const caughtUp = this.#caughtUp;
    if (!caughtUp) return;
    this.#isAtEnd = caughtUp.isReached(partitions.keys());
    if (caughtUp.isStalled(partitions.keys(), nowMs)) this.#askForEnds();
    if (!this.#isAtEnd || !caughtUp.isLanded(partitions.keys()) || !caughtUp.isDue(nowMs)) return;
    const asking = caughtUp.haveOthersLanded(
      new Set(partitions.keys()),
      options.pipeline,
      this.#context.origin(),
      ports,
    );
    const covered = asking.catch((error) => {
      if (!isRetryable(error)) throw error;
      ports.log.warn('it cannot be told whether everything has landed; asking again', {
        error: messageOf(error),
      });
      return false;
    });
    this.#context.task(undefined, covered, (yes) => ({ type: 'covered', covered: yes }));
  }

  /** A log that was cut behind what we have read of it, but before its target, would be waited for for ever. */
  #askForEnds(): void {
    const { partitions, ports } = this.#context;
    const asking = ports.source.listOffsets([...partitions.keys()].map(parseKey), 'latest');
    const ends = asking.catch((error): ReadonlyMap<TopicPartitionKey, number> => {
      if (!isRetryable(error)) throw error;
      return new Map();
    });
    this.#context.task(undefined, ends, (found) => ({ type: 'ends', ends: found }));
  }

  #onCovered(covered: boolean): void {
    if (!covered) return;
    this.#isComplete = true;
    this.#drain('everything up to where the logs ended at the start has landed');
  }

  /** A bounded run that succeeds ends with the ledger at the log's end, also behind records that make no rows. */
  get #isFinal(): boolean {
    return this.#isAtEnd && !this.#failure;
  }

  #isDrained(nowMs: number): boolean {
    const isBusy = (writer: TableWriter): boolean => {
      if (writer.broken) return false;
      if (writer.flush) return true;
      return (
        writer.phase === 'ready' &&
        (writer.rows > 0 || !writer.isQuiet || (this.#isFinal && writer.hasProgress))
      );
    };
    if (!this.#context.writers.some(isBusy) && this.#mirror.finish(this.#assignment.mirrorOffsets()))
      return true;
    if (nowMs < this.#drainDeadlineMs) return false;
    this.#context.ports.log.warn('the grace period is over: what has not landed is left for the next run');
    return true;
  }

  #drain(reason: string): void {
    const { state, ports, options } = this.#context;
    if (state !== 'running') return;
    ports.log.info('stopping: landing what was read', { reason });
    this.#context.state = 'draining';
    this.#drainDeadlineMs = ports.clock.monotonicMs() + options.graceMs;
  }

  #onBroken(writer: TableWriter | undefined, error: Error): void {
    // Without its lanes or its source nothing can be landed any more.
    for (const broken of writer ? [writer] : this.#context.writers) broken.broken = true;
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#drain(`failed: ${error.message}`);
  }

  #waitMs(): number {
    const { writers, ports, options, state } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    let untilMs = Math.min(nowMs + idleMs, this.#assignment.deadlineMs);
    // Who drains does not wait for triggers: what has rows is flushed at once.
    for (const writer of state === 'running' ? writers : [])
      if (writer.phase === 'ready' && !writer.flush && !writer.broken)
        untilMs = Math.min(untilMs, writer.dueAtMs(options.commit) ?? untilMs);
    if (state === 'draining') untilMs = Math.min(untilMs, this.#drainDeadlineMs);
    // Never 0: timers and answers must get their turn, whatever is due.
    return Math.max(1, untilMs - nowMs);
  }

  /** What this worker is doing now. */
  status(): SinkStatus {
    const { totals, ports, writers, budget, partitions, options, state } = this.#context;
    const { counts, landedAtMs } = totals;
    const logs = ports.source.logRanges();
    let lagRecords = 0;
    for (const [key, { end }] of logs)
      for (const writer of writers) lagRecords += Math.max(0, end - (writer.mirrorOffset(key) ?? end));
    const landed = this.#assignment.mirrorOffsets();
    const lags = partitionLags(logs, (key) => landed.get(key), ports.clock.nowMs());
    const { rebalances } = this.#context;
    return {
      state,
      topics: [...this.#context.topics].sort().slice(0, topicsMax),
      partitions: partitions.size,
      records: counts.records,
      rows: counts.rows,
      bytes: counts.bytes,
      snapshots: counts.snapshots,
      lagRecords,
      unreadAgeMs: oldestUnreadAgeMs(lags),
      fetchedBytes: this.#fetchedBytes,
      lags: lags.slice(0, lagsMax),
      rebalances: rebalances.count,
      rebalanceHistory: rebalances.events,
      heldBytes: budget.heldBytes,
      heldBytesMax: options.heldBytesMax,
      heldBytesPeak: budget.peakBytes,
      paused: this.#paused,
      lastCommitAgeMs: landedAtMs === undefined ? undefined : ports.clock.monotonicMs() - landedAtMs,
      undecodable: counts.undecodable,
      tombstones: counts.tombstones,
      fenced: counts.fenced,
    };
  }
}
