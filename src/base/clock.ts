import { DeadlineError } from './errors.ts';

/** Time as a port: the simulator runs the same code in virtual time. */
export interface Clock {
  /**
   * Milliseconds since the Unix epoch, for what others will read. May jump and differ between workers: nothing that is
   * about safety reads it.
   */
  nowMs(): number;
  /** Milliseconds since some moment, only ever forward: for how long something took or may take. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` is aborted (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      }
    }),
};

/** A reason of our own: without one each abort makes an exception with a stack. */
const over = 'over';

/**
 * Awaits `operation`, but no longer than `ms` (I8: every await has a deadline).
 *
 * The operation is told through its signal and may go on in the background: the caller must treat its effect as unknown.
 * @throws {DeadlineError} `<doing>: no answer within <ms> ms`
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  doing: string,
  operation: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const expire = new AbortController();
  const finished = new AbortController();
  const late = clock.sleep(ms, finished.signal).then(() => {
    if (finished.signal.aborted) return undefined as never;
    expire.abort(over);
    throw new DeadlineError(`${doing}: no answer within ${ms} ms`);
  });
  try {
    return await Promise.race([operation(expire.signal), late]);
  } finally {
    finished.abort(over);
    late.catch(() => {});
  }
}
