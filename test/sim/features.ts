import type { Random } from '../../src/base/random.ts';
import type { RollbackPolicy } from '../../src/sink/ledger.ts';

/**
 * What a world has besides the ordinary faults. Swarm: each world draws its own few, so that each feature is met alone,
 * with any other, and not at all; a world with everything would be so busy with one that it never gets to the next.
 */
export interface Features {
  readonly topics: number;
  readonly tables: number;
  readonly lanes: number;
  /** How long a lane may take to begin with a command, as one in a thread does; 0: at once. */
  readonly laneDelayMs: number;
  /** Whether answers to requests from before a seek or a revocation reach the sink, as the Source port allows. */
  readonly staleAnswers: boolean;
  readonly clockJumps: boolean;
  /** Others compact tables and expire snapshots. */
  readonly maintenance: boolean;
  readonly rollbacks: boolean;
  readonly onRollback: RollbackPolicy;
  /** Tables are dropped, and some of them made anew at once. */
  readonly drops: boolean;
  /** Retention follows what has landed, or overtakes it. */
  readonly retention: 'none' | 'behind' | 'overtaking';
  readonly onGap: 'halt' | 'skip';
  readonly recreations: boolean;
  readonly onTopicRecreated: 'halt' | 'restart';
  readonly growth: boolean;
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
  /** What is before the metastore sends some requests again, and only the second one's answer is heard. */
  readonly doubled: boolean;
}

export function drawFeatures(random: Random & { float(): number; below(n: number): number }): Features {
  const has = (probability: number): boolean => random.float() < probability;
  // To halt ends a world: most go on.
  const policy = <T>(goOn: T, halt: T): T => (has(0.25) ? halt : goOn);
  return {
    topics: has(0.25) ? 2 : 1,
    tables: 1 + random.below(2) + (has(0.1) ? 1 : 0),
    lanes: has(0.4) ? 2 + random.below(2) : 1,
    laneDelayMs: has(0.3) ? random.float() * 400 : 0,
    staleAnswers: has(0.3),
    clockJumps: has(0.5),
    maintenance: has(0.7),
    rollbacks: has(0.3),
    onRollback: has(0.2) ? 'skip' : policy<RollbackPolicy>('replay', 'halt'),
    drops: has(0.12),
    retention: has(0.2) ? (has(0.5) ? 'overtaking' : 'behind') : 'none',
    onGap: policy('skip', 'halt'),
    recreations: has(0.1),
    onTopicRecreated: policy('restart', 'halt'),
    growth: has(0.12),
    bounded: has(0.12),
    large: has(0.06),
    undecodable: has(0.12),
    onError: policy('skip', 'halt'),
    tombstones: has(0.12),
    onTombstone: policy('skip', 'halt'),
    transactions: has(0.15),
    values: has(0.12) ? (has(0.5) ? 'described' : 'avro') : 'json',
    outage: has(0.06),
    longSleep: has(0.08),
    doubled: has(0.2),
  };
}

/** The features of a world in a line, for its log. */
export function tellFeatures(features: Features): string {
  return Object.entries(features)
    .filter(([, value]) => value !== false && value !== 0 && value !== 'none')
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
    .join(', ');
}
