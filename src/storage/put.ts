import { type Clock, withDeadline } from '../base/clock.ts';
import { AlreadyExistsError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { type RetryPolicy, retry } from '../base/retry.ts';
import type { Store } from './store.ts';

/** One attempt may take this long. */
const attemptTimeoutMs = 5 * 60_000;

/**
 * Writes an object under a name that nobody else can have (it ends in a UUID), however many attempts it takes within
 * `policy`. An object that is there after a failed attempt is that attempt's.
 */
export async function putNew(
  store: Store,
  location: string,
  parts: readonly Uint8Array[],
  ports: { clock: Clock; random: Random },
  policy: RetryPolicy,
  onRetry: (error: unknown, attempt: number, waitMs: number) => void,
): Promise<void> {
  await retry(
    ports,
    policy,
    async (attempt) => {
      try {
        await withDeadline(ports.clock, attemptTimeoutMs, `writing ${location}`, () =>
          store.put(location, parts),
        );
      } catch (error) {
        if (!(error instanceof AlreadyExistsError && attempt > 1)) throw error;
      }
    },
    { onRetry },
  );
}
