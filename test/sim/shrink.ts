import { readFileSync } from 'node:fs';
import type { Features } from './features.ts';
import { type SimResult, simulate } from './simulate.ts';

/** A world that failed once, with no more in it than it takes: `node test/sim/run.ts --replay FILE` runs it. */
export interface Replay {
  readonly seed: number;
  /** How it fails, or has failed. */
  readonly violation: string;
  readonly features: Features;
  /** All that happens in it besides; everything else that the seed draws is left out. */
  readonly events: readonly string[];
}

export function readReplay(path: string): Replay {
  return JSON.parse(readFileSync(path, 'utf8')) as Replay;
}

export function replay({ seed, features, events }: Replay, tells = false): Promise<SimResult> {
  return simulate(seed, { features, only: new Set(events), tells });
}

/** What a world is like where nothing is out of the ordinary. */
const plain: Partial<Features> = {
  tables: [0],
  topics: [1],
  workers: 1,
  lanes: 1,
  laneDelayMs: 0,
  protocol: 'incremental',
  catalog: 'location',
  values: 'json',
  retention: 'none',
  staleAnswers: false,
  clockJumps: false,
  maintenance: false,
  others: false,
  rollbacks: false,
  drops: false,
  recreations: false,
  growth: false,
  appearance: false,
  amnesia: false,
  bounded: false,
  large: false,
  undecodable: false,
  tombstones: false,
  transactions: false,
  outage: false,
  longSleep: false,
  expiry: false,
  doubled: false,
  laneDeaths: false,
  mergedManifests: 0,
  manifestBytes: 0,
  pruned: false,
};

/** No more worlds than this are tried. */
const trialsMax = 3_000;

/**
 * Reduces a failure to the fewest events and features with which it still fails in the same way (delta debugging: parts of
 * the list are left out, smaller ones each time).
 */
export async function shrink(failure: SimResult): Promise<Replay> {
  const kind = kindOf(failure.violation!);
  const { seed } = failure;
  let best: Replay = {
    seed,
    violation: failure.violation!,
    features: failure.features,
    events: failure.events,
  };
  let trials = 0;
  /** Takes what fails with no more events than the best one. */
  const fails = async (features: Features, events: readonly string[]): Promise<boolean> => {
    if (trials++ >= trialsMax) return false;
    const { violation, events: happened } = await replay({ ...best, features, events });
    if (violation === undefined || kindOf(violation) !== kind || happened.length > best.events.length)
      return false;
    best = { seed, violation: violation.split('\n', 1)[0]!, features, events: happened };
    return true;
  };

  await dropEvents();
  for (const [name, value] of Object.entries(plain))
    if (JSON.stringify(best.features[name as keyof Features]) !== JSON.stringify(value))
      await fails({ ...best.features, [name]: value }, best.events);
  do await dropEvents();
  while (await dropPair());
  return best;

  async function dropEvents(): Promise<void> {
    for (let parts = 2; best.events.length > 0; ) {
      const size = Math.ceil(best.events.length / parts);
      let dropped = false;
      for (let from = 0; from < best.events.length; ) {
        const { events } = best;
        const less = [...events.slice(0, from), ...events.slice(from + size)];
        if (await fails(best.features, less)) dropped = true;
        else from += size;
      }
      if (size > 1) parts = Math.ceil(best.events.length / Math.ceil(size / 2));
      else if (!dropped) return;
    }
  }

  /** Two that make up for each other. */
  async function dropPair(): Promise<boolean> {
    const { events, features } = best;
    for (const first of events)
      for (const second of events.slice(events.indexOf(first) + 1))
        if (
          await fails(
            features,
            events.filter((each) => each !== first && each !== second),
          )
        )
          return true;
    return false;
  }
}

/** The way in which a world failed: its message without numbers and names. */
function kindOf(violation: string): string {
  const words = violation.split('\n', 1)[0]!.replace(/[\w/:.-]*\d[\w/:.#-]*/g, '#');
  return words.replace(/#(,#)*/g, '#').slice(0, 70);
}
