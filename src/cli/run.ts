import { Command } from 'commander';
import type { Log } from '../base/log.ts';
import { loadConfig } from '../config/config.ts';
import type { Sink } from '../sink/sink.ts';
import type { SinkStatus } from '../sink/status.ts';
import { humanLog, jsonLog } from '../worker/log.ts';
import { createWorker } from '../worker/worker.ts';
import { formatAge, formatBytes, formatCount, formatRate } from './format.ts';
import { LiveLine } from './live-line.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('Land records until stopped. Several processes with the same configuration share the work.')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option(
      '--until-caught-up',
      'stop, everything committed, at the ends the logs have now; print one JSON summary',
    )
    .option('--json', 'log and status as JSON lines, also on a terminal')
    .addHelpText(
      'after',
      `
A terminal gets one live line; anything else a JSON line per log.statusInterval. Both go to standard error:
standard output is for the summary of --until-caught-up.

SIGTERM or SIGINT: land what was read, leave the group, exit 0 within shutdown.grace. A second one exits at once.

Examples:
  frazil run -c frazil.yaml
  frazil run -c frazil.yaml --until-caught-up | jq .rows

Exit code: 0 done, 1 failed (group offsets have not moved past what has landed), 2 bad configuration.`,
    )
    .action(
      async ({
        config: file,
        untilCaughtUp = false,
        json,
      }: {
        config: string;
        untilCaughtUp?: boolean;
        json?: true;
      }) => {
        const config = loadConfig(file);
        const live = process.stderr.isTTY && !json;
        const screen = new LiveLine(live);
        const log = live
          ? humanLog(config.log.level, (line) => screen.above(line))
          : jsonLog(config.log.level);
        const worker = await createWorker(config, { untilCaughtUp }, log);
        stopOnSignals(worker, log);
        const rates = new Rates();
        const ticker = live
          ? setInterval(() => screen.show(liveLine(config.pipeline, worker.status(), rates)), 500)
          : setInterval(() => {
              const status = worker.status();
              log.info('status', { ...status, ...rates.next(status), rssBytes: process.memoryUsage.rss() });
            }, config.log.statusInterval);
        try {
          const summary = await worker.run();
          if (untilCaughtUp) console.log(JSON.stringify({ ...summary, ...spent() }));
        } finally {
          clearInterval(ticker);
          screen.end();
        }
      },
    );
}

/** What the process has cost so far: for sizing. */
function spent(): { cpuSeconds: number; rssBytesPeak: number } {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuSeconds: Math.round((userCPUTime + systemCPUTime) / 1e4) / 100, rssBytesPeak: maxRSS * 1024 };
}

/** Signals so close together are the same one. */
const sameSignalMs = 300;

function stopOnSignals(worker: Sink, log: Log): void {
  let askedAtMs: number | undefined;
  const onSignal = (signal: string): void => {
    askedAtMs ??= performance.now();
    worker.stop(signal);
    // Supervisors signal the process and then its group: that is one request.
    if (performance.now() - askedAtMs < sameSignalMs) return;
    log.warn('second signal: exiting at once', { signal });
    process.exit(1);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** What was done per second since the last look. */
class Rates {
  #before: { status: SinkStatus; atMs: number } | undefined;

  next(status: SinkStatus): {
    recordsPerSecond: number;
    bytesPerSecond: number;
    fetchedBytesPerSecond: number;
  } {
    const atMs = performance.now();
    const before = this.#before ?? { status, atMs: atMs - 1 };
    this.#before = { status, atMs };
    const perSecond = (what: 'records' | 'bytes' | 'fetchedBytes'): number =>
      Math.round(((status[what] - before.status[what]) * 1000) / Math.max(1, atMs - before.atMs));
    return {
      recordsPerSecond: perSecond('records'),
      bytesPerSecond: perSecond('bytes'),
      fetchedBytesPerSecond: perSecond('fetchedBytes'),
    };
  }
}

/** `orders  12.3k records/s  4.1 MiB/s  1,204,331 rows landed  lag 12,034  last commit 3.2 s ago  held 45 MiB` */
function liveLine(pipeline: string, status: SinkStatus, rates: Rates): string {
  const { recordsPerSecond, bytesPerSecond } = rates.next(status);
  return [
    pipeline,
    status.state === 'running' ? '' : `(${status.state})`,
    status.paused ? '(paused: memory.held reached)' : '',
    `${formatRate(recordsPerSecond)} records/s`,
    `${formatBytes(bytesPerSecond)}/s`,
    `${formatCount(status.rows)} rows landed`,
    `lag ${formatCount(status.lagRecords)}`,
    status.lastCommitAgeMs === undefined
      ? 'no commit yet'
      : `last commit ${formatAge(status.lastCommitAgeMs)} ago`,
    `held ${formatBytes(status.heldBytes)}`,
  ]
    .filter((part) => part !== '')
    .join('  ');
}
