import type { Clock } from '../../src/base/clock.ts';
import { TransientError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Draw, Moment } from './moment.ts';
import type { World } from './world.ts';

/** Calls whose answer may never come: those of a store have a time-out of their own, as have Kafka's. */
const unbounded = new Set(['get table', 'create table', 'swap']);

/** What calls servers: a process, or a worker of a small world (exhaustive.ts). */
export interface Caller {
  readonly name: string;
  readonly world: World;
  call<T>(kind: string, apply: (moment: Moment) => T, object?: string): Promise<T>;
}

/** A call that a process has made. */
interface Call {
  /** What is asked, and of what: `put snap-1.avro`. */
  readonly doing: string;
}

/** A worker's process: what reaches it waits while it is frozen, and is nothing when it is dead. */
export class Process implements Caller {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  /** For what is neither a fault nor of any other consequence. */
  readonly random: Draw;
  alive = true;
  frozen = false;
  lastFrozenAtMs = 0;
  /** What this machine's clock is off by. */
  skewMs = 0;
  /** Until then its credentials for store and catalog are over. */
  expiredUntilMs = 0;
  /** The kinds of calls that need them. */
  credentialed: ReadonlySet<string> = new Set();
  /** Calls that have not been answered. */
  readonly calls: Set<Call> = new Set();
  /** Connections do not outlive days of silence: answers on an older one never come. */
  connection = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #counts = new Map<string, number>();

  constructor(world: World, number: number) {
    this.world = world;
    this.name = `w${number}`;
    this.random = seededRandom(world.seed * 1000 + number + 0x5eed);
    this.clock = {
      nowMs: () => Math.round(world.nowMs + this.skewMs),
      monotonicMs: () => world.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          signal?.addEventListener('abort', () => resolve(), { once: true });
          this.deliver(ms, resolve);
        }),
    };
  }

  /** The next of this process's moments of a kind. */
  moment(kind: string): Moment {
    const n = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, n);
    return this.world.moment(`${this.name} ${kind}`, n);
  }

  /** How long something takes for one way. */
  delayMs(kind: string): number {
    return this.moment(kind).delayMs('slow');
  }

  /** Something reaches the process after `ms`. */
  deliver(ms: number, run: () => void): void {
    this.world.after(ms, () => {
      if (!this.alive) return;
      if (this.frozen) this.#waiting.push(run);
      else run();
    });
  }

  freeze(): void {
    this.frozen = true;
    this.lastFrozenAtMs = this.world.nowMs;
  }

  thaw(): void {
    this.frozen = false;
    for (const run of this.#waiting.splice(0)) if (this.alive) run();
  }

  /**
   * A call to a server: sent, applied there, answered; each step can go wrong on its own. The server does not care
   * whether the caller still lives.
   */
  call<T>(kind: string, apply: (moment: Moment) => T, object = ''): Promise<T> {
    const { world, connection } = this;
    const { epoch, rates } = world;
    const moment = this.moment(kind);
    const call = { doing: object === '' ? kind : `${kind} ${object}` };
    this.calls.add(call);
    return new Promise((resolve, reject) => {
      const failed = (how: string): void => {
        if (world.tells) world.note(`${this.name} ${call.doing}: ${how}`);
        reject(new TransientError(`${call.doing}: ${how}`));
      };
      const answer = (ms: number, give: () => void): void =>
        this.deliver(ms, () => {
          this.calls.delete(call);
          if (connection === this.connection) give();
          else failed('connection reset');
        });
      const sendMs = moment.delayMs('slow request');
      if (world.nowMs < this.expiredUntilMs && this.credentialed.has(kind))
        return answer(sendMs, () => failed('expired'));
      if (world.isOut || moment.happens('refused', rates.refused))
        return answer(sendMs, () => failed('refused'));
      if (moment.happens('applied late', rates.late)) {
        world.after(sendMs + moment.float() * rates.lateMs, () => {
          if (epoch === world.epoch) attempt(() => apply(moment));
        });
        return answer(sendMs, () => failed('timed out, applied late'));
      }
      world.after(sendMs, () => {
        if (epoch !== world.epoch) return answer(0, () => failed('connection reset'));
        const outcome = attempt(() => apply(moment));
        const replyMs = moment.delayMs('slow answer');
        if (unbounded.has(kind) && moment.happens('no answer', rates.silent)) return;
        if (moment.happens('answer lost', rates.lostReply))
          return answer(replyMs, () => failed('answer lost'));
        answer(replyMs, () => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)));
      });
    });
  }
}

function attempt<T>(apply: () => T): { ok: true; value: T } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: apply() };
  } catch (error) {
    return { ok: false, error };
  }
}
