import type { Clock } from './clock.ts';
import { isRetryable } from './errors.ts';
import { fraction, type Random } from './random.ts';

/** How long to go on trying. Both bounds hold: whichever is reached first ends it (I8). */
export interface RetryPolicy {
  attemptsMax: number;
  /** No new attempt starts after this long. */
  totalMs: number;
  /** The wait before attempt n+1 is drawn from [0, min(waitMaxMs, waitMinMs * 2^n)] (full jitter). */
  waitMinMs: number;
  waitMaxMs: number;
}

export interface RetryPorts {
  clock: Clock;
  random: Random;
}

/** Full-jitter exponential wait before the attempt after `attempt` (counted from 1), in ms. */
export function backoffMs(
  policy: Pick<RetryPolicy, 'waitMinMs' | 'waitMaxMs'>,
  attempt: number,
  random: Random,
): number {
  const ceiling = Math.min(policy.waitMaxMs, policy.waitMinMs * 2 ** Math.min(attempt - 1, 30));
  return Math.ceil(fraction(random) * ceiling);
}

/**
 * Runs `operation` until it succeeds, fails for good, or the policy's bound is reached; then throws the last error.
 * Only errors that call themselves retryable are tried again. `onRetry` is told of each failure that is not the last.
 */
export async function retry<T>(
  ports: RetryPorts,
  policy: RetryPolicy,
  operation: (attempt: number) => Promise<T>,
  options: { signal?: AbortSignal; onRetry?: (error: unknown, attempt: number, waitMs: number) => void } = {},
): Promise<T> {
  const startedAtMs = ports.clock.monotonicMs();
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation(attempt);
    } catch (error) {
      const waitMs = backoffMs(policy, attempt, ports.random);
      const elapsedMs = ports.clock.monotonicMs() - startedAtMs;
      const spent = attempt >= policy.attemptsMax || elapsedMs + waitMs > policy.totalMs;
      if (spent || options.signal?.aborted || !isRetryable(error)) throw error;
      options.onRetry?.(error, attempt, waitMs);
      await ports.clock.sleep(waitMs, options.signal);
      if (options.signal?.aborted) throw error;
    }
  }
}
