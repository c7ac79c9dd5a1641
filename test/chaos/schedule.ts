import { seededRandom } from '../../src/base/random.ts';

/** What can go wrong. README.md says what each of them does. */
export type Kind =
  | 'kill'
  | 'freeze'
  | 'stop'
  | 'brokerKill'
  | 'brokerRestart'
  | 'leaders'
  | 'storm'
  | 'outage'
  | 'partition'
  | 'schema'
  | 'diskFull'
  | 'compact'
  | 'manifests'
  | 'expire'
  | 'member';

/** Sessions end after this long without a heartbeat. */
export const sessionMs = 3_000;

/** How often a kind is drawn, compared with the others, and how long it lasts. */
const kinds: Record<Kind, { weight: number; forMs: readonly [least: number, most: number] }> = {
  kill: { weight: 6, forMs: [0, 3_000] },
  freeze: { weight: 4, forMs: [sessionMs + 1_000, sessionMs + 6_000] },
  stop: { weight: 2, forMs: [0, 2_000] },
  brokerKill: { weight: 2, forMs: [500, 8_000] },
  brokerRestart: { weight: 1, forMs: [0, 2_000] },
  leaders: { weight: 2, forMs: [0, 0] },
  storm: { weight: 6, forMs: [3_000, 15_000] },
  outage: { weight: 3, forMs: [1_000, 10_000] },
  partition: { weight: 1, forMs: [0, 0] },
  schema: { weight: 1, forMs: [0, 0] },
  diskFull: { weight: 1, forMs: [1_000, 6_000] },
  compact: { weight: 2, forMs: [0, 0] },
  manifests: { weight: 1, forMs: [0, 0] },
  expire: { weight: 1, forMs: [0, 0] },
  member: { weight: 2, forMs: [1_000, 8_000] },
};

/** What each kind may befall; a kind that nothing is named for does not occur. */
export type Targets = Partial<Record<Kind, readonly string[]>>;

export interface ChaosEvent {
  /** Since the beginning of the run. */
  readonly atMs: number;
  readonly kind: Kind;
  readonly target: string;
  readonly forMs: number;
  /** For what the event draws itself. */
  readonly seed: number;
}

export interface Schedule {
  readonly seed: number;
  /** The kinds that occur and their weights. */
  readonly weights: ReadonlyMap<Kind, number>;
  readonly events: readonly ChaosEvent[];
}

/**
 * The events of a run: all of it comes from the seed. Not every kind occurs in every run, and each with a weight of the
 * run's own, so that over many seeds each is met with few others and with many.
 */
export function drawSchedule(seed: number, durationMs: number, targets: Targets): Schedule {
  const random = seededRandom(seed);
  const possible = (Object.keys(kinds) as Kind[]).filter((kind) => targets[kind]?.length);
  const weights = new Map<Kind, number>();
  for (const kind of possible) {
    const [isDrawn, share] = [random.float() < 0.75, random.float()];
    if (isDrawn || kind === 'kill') weights.set(kind, kinds[kind].weight * (0.3 + share));
  }
  const paceMs = 600 + random.below(1_400);
  const events: ChaosEvent[] = [];
  const within = ([least, most]: readonly [number, number]): number =>
    Math.round(least + random.float() * (most - least));
  for (let atMs = 1_000; ; ) {
    atMs += within([paceMs * 0.2, paceMs * 1.8]);
    if (atMs >= durationMs) return { seed, weights, events };
    const kind = drawKind(weights, random.float());
    const target = targets[kind]![random.below(targets[kind]!.length)]!;
    events.push({ atMs, kind, target, forMs: within(kinds[kind].forMs), seed: random.below(2 ** 31) });
  }
}

function drawKind(weights: ReadonlyMap<Kind, number>, share: number): Kind {
  let rest = share * [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  for (const [kind, weight] of weights) {
    rest -= weight;
    if (rest < 0) return kind;
  }
  return weights.keys().next().value!;
}

/** `  12.3 s  freeze glue-2 for 5.2 s` */
export function describeEvent({ atMs, kind, target, forMs }: ChaosEvent): string {
  return `${seconds(atMs)}  ${kind} ${target}${forMs > 0 ? ` for ${(forMs / 1000).toFixed(1)} s` : ''}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}
