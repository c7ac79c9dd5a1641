import { isRetryable, messageOf } from '../../src/base/errors.ts';
import { parseKey, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import type { SimBroker } from './broker.ts';
import type { Features } from './features.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Tables } from './tables.ts';

/**
 * Why a worker may fail. Everything else is a violation: a core that stops for no reason is as wrong as one that goes on
 * when it must not.
 */
interface Reason {
  readonly message: RegExp;
  /** Whether a worker may fail with this in such a world. */
  mayHappen(match: RegExpMatchArray): boolean;
  /** Whether every worker must fail with it now, until a person acts. */
  holds?(): boolean;
}

export class Failures {
  readonly #reasons: readonly Reason[];
  readonly #features: Features;
  readonly #happened: ReadonlySet<string>;
  /** Reasons that were told since this was cleared. */
  readonly told: Set<RegExp> = new Set();

  /** `happened`: what was done to this world. */
  constructor(features: Features, broker: SimBroker, tables: Tables, happened: ReadonlySet<string>) {
    this.#features = features;
    this.#happened = happened;
    const lives = () => [...tables.lives.values()];
    /** Offsets from which a table goes on, by log that it takes. */
    const positions = () =>
      lives().flatMap((life) =>
        [...broker.logs]
          .filter(([key]) => life.options.topics.includes(parseKey(key).topic))
          .map(([key, log]) => {
            const next = tables.contents(life).next.get(log.id) ?? broker.offsets.get(key)?.offset;
            // Rolled back to before its first commit it goes on from the very start.
            return { key, log, next: tables.resolution(life).type === 'rolledBack' ? (next ?? 0) : next };
          }),
      );
    /** The topic may be another one by the time that a failure is told. */
    const logsOf = (key: TopicPartitionKey): PartitionLog[] => {
      const { topic, partition } = parseKey(key);
      return [...broker.logsById.values()].filter(
        (log) => log.partition === partition && log.topicId.startsWith(`${topic}#`),
      );
    };
    const halting = (kind: string): boolean =>
      kind === 'tombstone' ? features.onTombstone === 'halt' : features.onError === 'halt';
    this.#reasons = [
      {
        message: /^fetching (\S+): offsets (\d+) to (\d+) .* are no longer retained/,
        mayHappen: ([, key, from, last]) =>
          features.onGap === 'halt' &&
          // One that reads from an old ledger may find so what others have landed already.
          features.retention !== 'none' &&
          Number(from) <= Number(last) &&
          logsOf(key!).some((log) => Number(last) < log.start),
        holds: () =>
          features.onGap === 'halt' &&
          positions().some(({ log, next }) => next !== undefined && next < log.start),
      },
      {
        message: /landing (\S+) in table .*: the record at offset (\d+) cannot be landed: (?!records before)/,
        mayHappen: ([, key, offset]) => {
          const kinds = logsOf(key!).map((log) => log.kinds[Number(offset)]);
          return kinds.some((kind) => (kind === 'undecodable' || kind === 'tombstone') && halting(kind));
        },
        holds: () =>
          positions().some(({ log, next }) =>
            log.kinds.some(
              (kind, offset) =>
                (kind === 'undecodable' || kind === 'tombstone') &&
                halting(kind) &&
                offset >= Math.max(next ?? 0, log.start),
            ),
          ),
      },
      {
        message: /has gone back behind what pipeline|its ledger is behind what has been landed/,
        mayHappen: () => features.onRollback === 'halt' && happened.has('rollback'),
        holds: () =>
          features.onRollback === 'halt' &&
          lives().some((life) => tables.resolution(life).type === 'rolledBack'),
      },
      {
        message: /its ledger is about other records/,
        mayHappen: () => features.onTopicRecreated === 'halt' && happened.has('recreation'),
        holds: () =>
          features.onTopicRecreated === 'halt' &&
          lives().some((life) => {
            const resolution = tables.resolution(life);
            const known = [...tables.contents(life).next.keys()].map((id) => parseKey(id).topic);
            if (resolution.type === 'rolledBack') known.push(...resolution.property.ledger.topicIds.values());
            const present = new Set([...broker.logs.values()].map(({ topicId }) => topicId));
            return known.some((topicId) => !present.has(topicId));
          }),
      },
      {
        message: /^opening table \S+: (\S+) offsets (\d+) to (\d+) have landed and are in Kafka no more/,
        mayHappen: ([, key, from, last]) =>
          features.onTruncation === 'halt' &&
          Number(from) <= Number(last) &&
          // Rows of the very history that was cut there.
          logsOf(key!).some(({ past }) => past.some(({ numbers }) => numbers.length > Number(from))),
        holds: () =>
          features.onTruncation === 'halt' && lives().some((life) => tables.lostInKafka(life).length > 0),
      },
      // Nobody has said of which leader epoch the position was: a table that was made anew, or a group that was told so.
      {
        message: /^fetching \S+: position \d+ is past the end of the log/,
        mayHappen: () => features.onTruncation === 'halt' && happened.has('truncation'),
        holds: () =>
          features.onTruncation === 'halt' &&
          positions().some(({ log, next }) => next !== undefined && next > log.end),
      },
      {
        message: /^(fetching|reading) topic \S+( up to its end)?: it was deleted and made anew/,
        mayHappen: () => happened.has('recreation'),
      },
      // A token that is taken away, and the next one too, looks like one that is wrong.
      {
        message: /credentials are expired|token is over/,
        mayHappen: () => happened.has('expired credentials'),
      },
      { message: /: it was dropped/, mayHappen: () => happened.has('drop') },
      { message: /^not everything up to the ends of the logs has landed/, mayHappen: () => features.bounded },
    ];
  }

  /** Whether a worker may fail like this. */
  isAllowed(error: Error): boolean {
    for (const { message, mayHappen } of this.#reasons) {
      const match = error.message.match(message);
      if (!match) continue;
      this.told.add(message);
      return mayHappen(match);
    }
    // Out of patience: only where something was away for longer than anybody is patient.
    return isRetryable(error) && this.#happened.has('long outage');
  }

  /** Whether the pipeline must stand still, and has said so. */
  get isHaltedLoudly(): boolean {
    return this.#reasons.some(({ message, holds }) => holds?.() && this.told.has(message));
  }

  /** For a message. */
  tell(error: Error): string {
    const may = Object.entries(this.#features).filter(([, value]) => value === 'halt');
    return `a worker failed: ${messageOf(error)} (policies that halt: ${may.map(([name]) => name).join() || 'none'})`;
  }
}
