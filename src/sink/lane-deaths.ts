import { FatalError } from '../base/errors.ts';
import type { LaneDiedError } from '../lane/lane.ts';
import type { Assignment } from './assignment.ts';
import type { SinkContext } from './context.ts';
import type { LandingStage } from './landing.ts';

/** With more deaths than this within the window it is no bad luck: a record that no lane survives would come for ever. */
const deathsMax = 3;
const windowMs = 10 * 60_000;

/**
 * Lanes that died, of too little memory as a rule: each begins anew, and every table starts over from its ledger, for one
 * flush is of all lanes. What had landed has landed; the rest is read again.
 */
export class LaneDeaths {
  readonly #context: SinkContext;
  readonly #assignment: Assignment;
  readonly #landing: LandingStage;
  /** The latest of each lane: every command that it had is answered with it. */
  readonly #known = new Map<number, LaneDiedError>();
  #deathsMs: readonly number[] = [];

  constructor(context: SinkContext, assignment: Assignment, landing: LandingStage) {
    this.#context = context;
    this.#assignment = assignment;
    this.#landing = landing;
  }

  onLaneDied(lane: number, error: LaneDiedError): void {
    if (this.#known.get(lane) === error) return;
    this.#known.set(lane, error);
    const { ports, writers, budget } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    this.#deathsMs = [...this.#deathsMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
    if (this.#deathsMs.length > deathsMax) return this.#giveUp(error);
    ports.log.error('a lane died; it begins anew, and what had not landed is read again', {
      error: error.message,
    });
    ports.lanes[lane]!.restart();
    budget.laneHolds(lane, 0);
    for (const writer of writers) {
      if (writer.broken) continue;
      this.#assignment.drop(writer, 'a lane died with its rows');
      this.#landing.laneDied(writer, lane);
    }
  }

  #giveUp(error: LaneDiedError): void {
    const doing = `decoding and encoding: lanes died ${this.#deathsMs.length} times within ten minutes, the last time`;
    const advice = 'give the process more memory, or lower memory.held or lanes';
    const reason = new FatalError(`${doing}: ${error.message}: ${advice}`, { cause: error });
    this.#context.post({ type: 'broken', writer: undefined, error: reason });
  }
}
