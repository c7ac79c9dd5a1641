import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { isRetryable, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { wasmEncoder } from '../parquet/wasm-encoder.ts';
import { openStore } from '../storage/open.ts';
import { inlineLane } from './inline.ts';
import type { Lane } from './lane.ts';

/** The worker thread's side: a lane, and messages in and out. Started by {@link threadLane}. */

export interface ThreadSettings {
  /** URI that data files are stored below. */
  warehouse: string;
}

export type ToThread = { id: number; command: keyof Lane; args: unknown[] };
export type FromThread =
  | { id: number; result: unknown }
  | { id: number; error: { message: string; retryable: boolean } }
  | { log: [level: keyof Log, message: string, fields: Record<string, unknown> | undefined] };

const port = parentPort;
if (port) serve(workerData as ThreadSettings);

function serve(settings: ThreadSettings): void {
  const post = (message: FromThread): void => port!.postMessage(message);
  const say =
    (level: keyof Log): Log['info'] =>
    (message, fields) =>
      post({ log: [level, message, fields] });
  const lane = inlineLane({
    store: openStore(settings.warehouse),
    encoder: wasmEncoder,
    clock: systemClock,
    random: systemRandom,
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    fetch,
  });
  port!.on('message', async ({ id, command, args }: ToThread) => {
    try {
      const run = lane[command] as (...args: unknown[]) => Promise<unknown>;
      post({ id, result: await run(...args) });
    } catch (error) {
      post({ id, error: { message: messageOf(error), retryable: isRetryable(error) } });
    }
  });
}
