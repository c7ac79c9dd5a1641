import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { KafkaError } from './errors.ts';
import type { ClusterMetadata, Wire } from './wire.ts';

/**
 * What is known of the cluster: its brokers, the leaders, and the topics that are read, some of which may be found by a
 * pattern and come and go.
 */

export interface KnownClusterOptions {
  readonly topics: readonly string[];
  /** Whether a topic that is not named is read all the same. */
  readonly isFound?: ((topic: string) => boolean) | undefined;
  /** What is known is not to be older than this. */
  readonly ageMaxMs: number;
}

export interface KnownClusterPorts {
  wire: Pick<Wire, 'metadata'>;
  clock: Clock;
  log: Log;
}

/** Topics that were found, and those that were and are gone. */
export interface TopicChanges {
  readonly appeared: readonly string[];
  readonly vanished: readonly string[];
}

/** A broker may lag behind the others by less than this: a topic that is missing for longer is gone. */
const missingMs = 4_000;
/** Between looks for a topic that is missing. */
const missingLookMs = 1_000;

export class KnownCluster {
  /** Called when topics have come or gone. */
  onChange: (changes: TopicChanges) => void = () => {};
  readonly #options: KnownClusterOptions;
  readonly #ports: KnownClusterPorts;
  #metadata: ClusterMetadata | undefined;
  #refreshing: Promise<ClusterMetadata> | undefined;
  /** Of topics in whose place there are others now. */
  readonly #goneTopicIds = new Set<string>();
  readonly #missingSinceMs = new Map<string, number>();
  readonly #end = new AbortController();

  constructor(options: KnownClusterOptions, ports: KnownClusterPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** As last told; {@link refresh} must have succeeded once. */
  get metadata(): ClusterMetadata {
    return this.#metadata!;
  }

  /** The topics that are read. */
  get topics(): string[] {
    return [...this.metadata.topics.keys()].sort();
  }

  /** A topic that was found, and is there no more. */
  isGone(topic: string): boolean {
    return this.#options.isFound !== undefined && !this.metadata.topics.has(topic);
  }

  /** Asks; concurrent calls share one request. @throws {KafkaError} naming a named topic that does not exist. */
  refresh(): Promise<ClusterMetadata> {
    const { topics, isFound } = this.#options;
    this.#refreshing ??= this.#ports.wire
      .metadata(topics, isFound)
      .then((told) => this.#take(told))
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  #take(told: ClusterMetadata): ClusterMetadata {
    const known = this.#metadata;
    const changes = known && this.#follow(known, told);
    if (known) this.#keepNewest(known, told);
    this.#metadata = told;
    if (changes && changes.appeared.length + changes.vanished.length > 0) this.onChange(changes);
    return told;
  }

  /** Puts topics back that are missing for a moment: the broker may not have heard of them yet. */
  #follow(known: ClusterMetadata, told: ClusterMetadata): TopicChanges {
    const nowMs = this.#ports.clock.monotonicMs();
    const appeared = [...told.topics.keys()].filter((topic) => !known.topics.has(topic));
    const vanished: string[] = [];
    for (const [topic, metadata] of known.topics) {
      const sinceMs = this.#missingSinceMs.get(topic) ?? nowMs;
      const isMissing = !told.topics.has(topic);
      this.#missingSinceMs.delete(topic);
      if (isMissing && nowMs - sinceMs >= missingMs) vanished.push(topic);
      else if (isMissing) {
        this.#missingSinceMs.set(topic, sinceMs);
        told.topics.set(topic, metadata);
      }
    }
    return { appeared, vanished };
  }

  /**
   * Keeps the leaders of the latest elections, and topics that others have taken the place of out: a broker that lags behind
   * the others may answer with those of before (KIP-320).
   */
  #keepNewest(known: ClusterMetadata, told: ClusterMetadata): void {
    for (const { topic, topicId, leaders, epochs } of told.topics.values()) {
      const before = known.topics.get(topic);
      if (before && this.#goneTopicIds.has(topicId)) told.topics.set(topic, before);
      else if (before && before.topicId !== topicId) this.#goneTopicIds.add(before.topicId);
      if (before?.topicId !== topicId) continue;
      for (const [partition, epoch] of before.epochs.entries()) {
        if (epoch <= (epochs[partition] ?? -1)) continue;
        epochs[partition] = epoch;
        leaders[partition] = before.leaders[partition]!;
      }
    }
  }

  /** Looks for topics until it is closed. */
  async watch(): Promise<void> {
    const { clock, log } = this.#ports;
    while (!this.#end.signal.aborted) {
      const { ageMaxMs } = this.#options;
      const waitMs = this.#missingSinceMs.size > 0 ? Math.min(ageMaxMs, missingLookMs) : ageMaxMs;
      await clock.sleep(waitMs, this.#end.signal);
      if (this.#end.signal.aborted) return;
      await this.refresh().catch((error) =>
        log.warn('topics cannot be looked for; trying again', { error: messageOf(error) }),
      );
    }
  }

  /** The name of a topic that may be new. @throws {KafkaError} */
  async topicName(topicId: string): Promise<string> {
    const find = (): string | undefined =>
      [...this.metadata.topics.values()].find((topic) => topic.topicId === topicId)?.topic;
    const known = find();
    if (known !== undefined) return known;
    await this.refresh();
    const found = find();
    if (found === undefined)
      throw new KafkaError(
        `looking up topic ${topicId}`,
        'UNKNOWN_TOPIC_ID',
        'the metadata does not know it yet',
        undefined,
      );
    return found;
  }

  close(): void {
    this.#end.abort();
  }
}
