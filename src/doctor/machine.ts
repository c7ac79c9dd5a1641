import { type Clock, withDeadline } from '../base/clock.ts';
import { type Check, failed, type Outcome, ok, skipped, warning } from './check.ts';

const MiB = 1024 * 1024;

/** What a worker took beyond `memory.held` when it was measured (docs/operating.md, "Sizing"): heaps, threads, Parquet. */
const besidesHeldBytes = 512 * MiB;
/** Below this it does not even start to work. */
const besidesHeldBytesMin = 192 * MiB;

/** Whether what the process may have is enough. `limitBytes` is that of the container, if there is one. */
export function memoryCheck(heldBytes: number, limitBytes: number | undefined, machineBytes: number): Check {
  return {
    what: 'memory',
    run(): Outcome {
      const limited = limitBytes !== undefined && limitBytes < machineBytes;
      const available = limited ? limitBytes : machineBytes;
      const found = `memory.held ${mib(heldBytes)}, ${limited ? 'the container' : 'the machine'} has ${mib(available)}`;
      const needed = heldBytes + besidesHeldBytes;
      if (available >= needed) return ok(found);
      const fix = `give it ${mib(needed)}, or lower memory.held`;
      return available < heldBytes + besidesHeldBytesMin ? failed(found, fix) : warning(found, fix);
    },
  };
}

const mib = (bytes: number): string => `${Math.round(bytes / MiB)} MiB`;

const skewMsMax = 60_000;
const dateTimeoutMs = 10_000;

/** Whether our clock is that of the servers, whose `Date` headers tell theirs. */
export function clockCheck(urls: readonly string[], ports: { clock: Clock; fetch: typeof fetch }): Check {
  return {
    what: 'clock',
    async run(): Promise<Outcome> {
      const skews = await Promise.all([...new Set(urls)].map((url) => skewMs(url, ports)));
      const told = skews.filter((skew) => skew !== undefined);
      if (told.length === 0) return skipped('no server here tells its time');
      const worst = told.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
      const found = `ours is ${Math.abs(worst / 1000).toFixed(1)} s ${worst < 0 ? 'behind' : 'ahead'}`;
      if (Math.abs(worst) <= skewMsMax) return ok(`${found}, as ${told.length} of the servers tell`);
      return warning(
        found,
        'set the clock (NTP): signed requests are refused beyond 5 to 15 minutes, and snapshots get wrong times',
      );
    },
  };
}

/** How far our clock is ahead of a server's, which tells whole seconds; undefined when it does not tell. */
async function skewMs(
  url: string,
  { clock, fetch }: { clock: Clock; fetch: typeof globalThis.fetch },
): Promise<number | undefined> {
  try {
    const sentMs = clock.nowMs();
    const response = await withDeadline(clock, dateTimeoutMs, `asking ${url} for the time`, (signal) =>
      fetch(url, { method: 'HEAD', redirect: 'manual', signal }),
    );
    const betweenMs = (sentMs + clock.nowMs()) / 2;
    const dateMs = Date.parse(response.headers.get('date') ?? '');
    return Number.isNaN(dateMs) ? undefined : betweenMs - (dateMs + 500);
  } catch {
    return undefined;
  }
}
