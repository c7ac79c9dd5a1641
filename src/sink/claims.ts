import { assert } from '../base/assert.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { emptyLedger, type Ledger } from './ledger.ts';

/**
 * Every record of the topic-partition with `start <= offset < next` that belongs to the table is in the staged files.
 * `start` is where the claim took up, not the first record's offset: compaction, aborted transactions and control
 * records leave holes that are no gaps.
 */
export interface Claim {
  readonly key: TopicPartitionKey;
  readonly start: number;
  readonly next: number;
  /** Leader epochs of the last records below `start` and below `next`, where they are known. */
  readonly startEpoch?: number | undefined;
  readonly epoch?: number | undefined;
  /** True when the table did not know this topic-partition when the claim took up. */
  readonly initial: boolean;
  /** The topic that the ledger was about under this name when the claim took up, if it was another one. */
  readonly replaces?: TopicIdentity | undefined;
}

/** `<cluster>/<topic id>` */
export type TopicIdentity = string;

/** Which cluster and topics the claims are about. */
export interface Origin {
  readonly clusterId: string;
  readonly topicIds: ReadonlyMap<string, string>;
}

export type Verdict =
  /** All claims join: this is the ledger after them. */
  | { type: 'accepted'; ledger: Ledger }
  /** Somebody else (or a newer self) has landed offsets of these. */
  | { type: 'fenced'; keys: TopicPartitionKey[] }
  /** The table is behind these: it has lost what had been landed. */
  | { type: 'behind'; keys: TopicPartitionKey[] };

/**
 * I1: an offset reaches a table only through a claim whose start equals the ledger at the metadata the commit is made
 * against. A pure function of fresh metadata, asked on every attempt; the catalog's compare-and-swap ties the answer to
 * that very metadata.
 */
export function checkClaims(ledger: Ledger | undefined, claims: readonly Claim[], origin: Origin): Verdict {
  const base = ledger ?? emptyLedger;
  const fenced: TopicPartitionKey[] = [];
  const behind: TopicPartitionKey[] = [];
  const next = new Map(base.next);
  const epochs = new Map(base.epochs);
  const starts = new Map(base.starts);
  const topicIds = new Map(base.topicIds);
  for (const topic of new Set(claims.map((claim) => parseKey(claim.key).topic))) {
    if (!sameTopic(base, origin, topic)) {
      for (const offsets of [next, epochs, starts]) forget(offsets, topic);
    }
    topicIds.set(topic, origin.topicIds.get(topic) ?? '');
  }
  for (const claim of claims) {
    const { key, start } = claim;
    assert(start <= claim.next, `I2: a claim never goes back (${key} ${start} to ${claim.next})`);
    if (isOfAnotherTopic(base, origin, claim)) {
      fenced.push(key);
      continue;
    }
    const known = next.get(claim.key);
    if (known === start && isOfAnotherHistory(base, claim)) {
      fenced.push(key);
      continue;
    }
    if (known === undefined && claim.initial) starts.set(key, start);
    if (known === undefined ? claim.initial : known === start) {
      next.set(key, claim.next);
      if (claim.epoch === undefined) epochs.delete(key);
      else epochs.set(key, claim.epoch);
    }
    // One that took up without the table's word has nothing to miss: it begins again where the table is.
    else if (known !== undefined && (known > start || claim.initial)) fenced.push(key);
    else behind.push(key);
  }
  if (behind.length > 0) return { type: 'behind', keys: behind };
  if (fenced.length > 0) return { type: 'fenced', keys: fenced };
  return { type: 'accepted', ledger: { clusterId: origin.clusterId, topicIds, next, epochs, starts } };
}

/** Whether a ledger's offsets of a topic are about the topic that is being read now. */
export function sameTopic(ledger: Ledger, origin: Origin, topic: string): boolean {
  const id = ledger.topicIds.get(topic);
  return id === undefined || (ledger.clusterId === origin.clusterId && id === origin.topicIds.get(topic));
}

/** The topic that a ledger knows by a name; undefined when it knows none. */
export function topicIdentity(ledger: Ledger, topic: string): TopicIdentity | undefined {
  const id = ledger.topicIds.get(topic);
  return id === undefined ? undefined : `${ledger.clusterId}/${id}`;
}

/**
 * True when the ledger is about a topic that is neither the claim's own nor the one it was to take the place of: a late
 * commit of a topic that is gone must not take the ledger back to it.
 */
function isOfAnotherTopic(ledger: Ledger, origin: Origin, { key, initial, replaces }: Claim): boolean {
  const { topic } = parseKey(key);
  if (sameTopic(ledger, origin, topic)) return false;
  return !initial || topicIdentity(ledger, topic) !== replaces;
}

/** True when the log was cut, and claim and ledger part before the claim's start: their offsets are of different records. */
function isOfAnotherHistory(ledger: Ledger, { key, startEpoch }: Claim): boolean {
  const known = ledger.epochs.get(key);
  return known !== undefined && startEpoch !== undefined && known !== startEpoch;
}

/** Offsets of a topic that is gone say nothing about the one that now has its name. */
function forget(offsets: Map<TopicPartitionKey, number>, topic: string): void {
  for (const key of offsets.keys()) if (parseKey(key).topic === topic) offsets.delete(key);
}
