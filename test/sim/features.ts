import { seededRandom } from '../../src/base/random.ts';
import type { RollbackPolicy } from '../../src/sink/ledger.ts';

export interface FaultRates {
  /** The request never arrives, and the caller is told. */
  readonly refused: number;
  /** It was applied, but the caller gets an error. */
  readonly lostReply: number;
  /** The caller gets an error; it is applied afterwards, up to `lateMs` later. */
  readonly late: number;
  readonly lateMs: number;
  /** It was applied, or not, and no answer ever comes. */
  readonly silent: number;
  /** A way takes up to `slowMs`. */
  readonly slow: number;
  readonly slowMs: number;
}

/**
 * What a world has besides the ordinary faults. Swarm: each world draws its own few, so that each feature is met alone,
 * with any other, and not at all; a world with everything would be so busy with one that it never gets to the next.
 */
export interface Features {
  /** Things go wrong for so long, and every so often. */
  readonly chaosMs: number;
  readonly troubleMs: number;
  readonly rates: FaultRates;
  /** How many partitions each topic has at first. */
  readonly topics: readonly number[];
  /** From which topic on each table takes them. */
  readonly tables: readonly number[];
  readonly workers: number;
  readonly commitMs: number;
  readonly commitRows: number;
  /**
   * What a commit is compared with: the location of the metadata (SQL), a version of the entry (Glue), requirements that
   * the server itself looks at (REST); `newest`: the latter of a server that shows no history (Nessie).
   */
  readonly catalog: 'location' | 'version' | 'requirements' | 'newest';
  /** Whether members give up all they have at each rebalance, or only what moves. */
  readonly protocol: 'incremental' | 'eager';
  readonly lanes: number;
  /** How long a lane may take to begin with a command, as one in a thread does; 0: at once. */
  readonly laneDelayMs: number;
  /** Whether answers to requests from before a seek or a revocation reach the sink, as the Source port allows. */
  readonly staleAnswers: boolean;
  readonly clockJumps: boolean;
  /** Others compact tables and expire snapshots. */
  readonly maintenance: boolean;
  /** Others append rows of their own, also to other branches, and change the schema. */
  readonly others: boolean;
  readonly rollbacks: boolean;
  readonly onRollback: RollbackPolicy;
  /** Tables are dropped, and some of them made anew at once. */
  readonly drops: boolean;
  /** Retention follows what has landed, or overtakes it. */
  readonly retention: 'none' | 'behind' | 'overtaking';
  readonly onGap: 'halt' | 'skip';
  readonly recreations: boolean;
  readonly onTopicRecreated: 'halt' | 'restart';
  /** Logs are cut by unclean elections. */
  readonly truncations: boolean;
  /** Lanes die, as threads do that run out of memory. */
  readonly laneDeaths: boolean;
  readonly onTruncation: 'halt' | 'skip';
  /** How many manifests are merged into one, the new one counted; 0: as many as no world has. */
  readonly mergedManifests: number;
  /** Metadata versions that fall out of the log are deleted. */
  readonly pruned: boolean;
  /** How large a merged manifest gets; 0: larger than any here. */
  readonly manifestBytes: number;
  readonly growth: boolean;
  /** A topic that nobody has named comes and is found. */
  readonly appearance: boolean;
  /** The group forgets its offsets. */
  readonly amnesia: boolean;
  readonly bounded: boolean;
  /** Records so large that they fill the memory bound. */
  readonly large: boolean;
  readonly undecodable: boolean;
  readonly onError: 'halt' | 'skip';
  readonly tombstones: boolean;
  readonly onTombstone: 'halt' | 'skip';
  readonly transactions: boolean;
  /** Avro with a registry; `described`: the columns of tables come from the first record's schema. */
  readonly values: 'json' | 'avro' | 'described';
  /** Store and catalog are away for longer than commits are tried. */
  readonly outage: boolean;
  /** Everybody sleeps for days, while a cleaner takes orphans. */
  readonly longSleep: boolean;
  /** A worker's credentials for store and catalog expire, and are renewed only a while later. */
  readonly expiry: boolean;
  /** What is before the catalog sends some requests again, and only the second one's answer is heard. */
  readonly doubled: boolean;
}

export function drawFeatures(seed: number): Features {
  const random = seededRandom(seed);
  const has = (probability: number): boolean => random.float() < probability;
  // Many worlds have none of a kind of fault.
  const rate = (max: number): number => (has(0.5) ? 0 : random.float() * max);
  // To halt ends a world: most go on.
  const policy = <T>(goOn: T, halt: T): T => (has(0.25) ? halt : goOn);
  const topics = Array.from({ length: has(0.25) ? 2 : 1 }, () => 1 + random.below(3));
  // The first table takes every topic, so that none is left without.
  const tables = Array.from({ length: 1 + random.below(2) + (has(0.1) ? 1 : 0) }, (_, i) =>
    i === 0 ? 0 : random.below(topics.length),
  );
  const drawn: Features = {
    chaosMs: 15_000 + random.below(60_000),
    troubleMs: 2_000 + random.below(10_000),
    rates: {
      refused: rate(0.15),
      lostReply: rate(0.25),
      late: rate(0.1),
      lateMs: 60_000,
      silent: has(0.8) ? 0 : random.float() * 0.03,
      slow: rate(0.2),
      slowMs: 10_000,
    },
    topics,
    tables,
    workers: 1 + random.below(3),
    commitMs: 1_000 + random.below(8_000),
    commitRows: 5 + random.below(100),
    catalog: has(0.4) ? 'location' : has(0.4) ? 'version' : has(0.7) ? 'requirements' : 'newest',
    protocol: has(0.3) ? 'eager' : 'incremental',
    lanes: has(0.4) ? 2 + random.below(2) : 1,
    laneDelayMs: has(0.3) ? random.float() ** 2 * 2_000 : 0,
    staleAnswers: has(0.3),
    clockJumps: has(0.5),
    maintenance: has(0.7),
    others: has(0.3),
    rollbacks: has(0.3),
    onRollback: has(0.2) ? 'skip' : policy<RollbackPolicy>('replay', 'halt'),
    drops: has(0.12),
    retention: has(0.25) ? (has(0.6) ? 'overtaking' : 'behind') : 'none',
    onGap: policy('skip', 'halt'),
    recreations: has(0.15),
    onTopicRecreated: policy('restart', 'halt'),
    growth: has(0.12),
    amnesia: has(0.08),
    bounded: has(0.12),
    large: has(0.06),
    undecodable: has(0.12),
    onError: policy('skip', 'halt'),
    tombstones: has(0.12),
    onTombstone: policy('skip', 'halt'),
    transactions: has(0.15),
    values: has(0.2) ? (has(0.6) ? 'described' : 'avro') : 'json',
    outage: has(0.06),
    longSleep: has(0.08),
    expiry: has(0.15),
    doubled: has(0.2),
    truncations: has(0.12),
    onTruncation: policy('skip', 'halt'),
    mergedManifests: has(0.5) ? 2 + random.below(4) : 0,
    manifestBytes: has(0.3) ? 5_000 + random.below(10_000) : 0,
    pruned: has(0.3),
    // Drawn last: worlds without them stay as they were.
    appearance: has(0.1),
    laneDeaths: has(0.12),
  };
  return { ...drawn, truncations: drawn.truncations && canBeCut(drawn) };
}

/**
 * Whether it can be told of every commit from which history of a log its rows are: not of one that ends behind what
 * retention took, or at a record that stopped it, for these name no leader epoch.
 */
function canBeCut(features: Features): boolean {
  const { retention, undecodable, onError, tombstones, onTombstone } = features;
  // A bounded run waits for where the logs ended, and nobody produces in peace.
  if (retention !== 'none' || features.recreations || features.bounded) return false;
  return !(undecodable && onError === 'halt') && !(tombstones && onTombstone === 'halt');
}

/** The features of a world in a line, for its log. */
export function tellFeatures(features: Features): string {
  return Object.entries(features)
    .filter(([, value]) => value !== false && value !== 0 && value !== 'none')
    .map(([name, value]) => (value === true ? name : `${name} ${JSON.stringify(value)}`))
    .join(', ');
}
