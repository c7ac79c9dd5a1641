import { type RetryPolicy, type RetryPorts, retry } from '../base/retry.ts';
import type { RangedStore } from '../storage/store.ts';

/** Reading is tried again for this long: a hundred thousand files are not begun anew for one answer that was lost. */
const readPolicy: RetryPolicy = { attemptsMax: 8, totalMs: 60_000, waitMinMs: 100, waitMaxMs: 5_000 };

/** A store that tries again what may pass. */
export function patient(store: RangedStore, ports: RetryPorts): RangedStore {
  return {
    put: (location, parts) => store.put(location, parts),
    get: (location) => retry(ports, readPolicy, () => store.get(location)),
    getRange: (location, start, end) => retry(ports, readPolicy, () => store.getRange(location, start, end)),
    delete: (location) => store.delete(location),
  };
}
