import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { parquetEncoder } from '../parquet/file-writer.ts';
import type { AccessSource, StorageAccess } from '../storage/access.ts';
import { openStore } from '../storage/open.ts';
import type { StoreSettings } from '../storage/settings.ts';
import { inlineLane } from './inline.ts';
import type { Lane } from './lane.ts';

/** The worker thread's side: a lane, and messages in and out. Started by {@link threadLane}. */

export type ToThread =
  | { id: number; command: keyof Lane; args: unknown[] }
  | { access: number; opens: StorageAccess | undefined }
  | { access: number; error: string; retryable: boolean };
export type FromThread =
  | { id: number; result: unknown }
  | { id: number; error: { message: string; retryable: boolean } }
  /** Asks what opens a location. */
  | { access: number; location: string }
  | { log: [level: keyof Log, message: string, fields: Record<string, unknown> | undefined] };

const port = parentPort;
if (port) serve(workerData as ThreadSettings);

/** How the store is reached. Plain data. */
export interface ThreadSettings {
  stores: StoreSettings;
  /** The catalog vends what opens the store: ask for it. */
  asksAccess: boolean;
}

function serve({ stores, asksAccess }: ThreadSettings): void {
  const post = (message: FromThread): void => port!.postMessage(message);
  const say =
    (level: keyof Log): Log['info'] =>
    (message, fields) =>
      post({ log: [level, message, fields] });
  const access = accessQuestions((question, location) => post({ access: question, location }));
  const lane = inlineLane({
    store: openStore(stores, asksAccess ? access.ask : undefined),
    encoder: parquetEncoder,
    clock: systemClock,
    random: systemRandom,
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    fetch,
  });
  port!.on('message', async (message: ToThread) => {
    if ('access' in message) return access.answered(message);
    const { id, command, args } = message;
    try {
      const run = lane[command] as (...args: unknown[]) => Promise<unknown>;
      post({ id, result: await run(...args) });
    } catch (error) {
      post({ id, error: { message: messageOf(error), retryable: isRetryable(error) } });
    }
  });
}

/** Questions to the main thread for what opens locations: the catalog is there. */
function accessQuestions(post: (question: number, location: string) => void): {
  ask: AccessSource;
  answered: (message: Extract<ToThread, { access: number }>) => void;
} {
  const asked = new Map<number, PromiseWithResolvers<StorageAccess | undefined>>();
  let next = 0;
  return {
    ask(location) {
      const question = next++;
      const answer = Promise.withResolvers<StorageAccess | undefined>();
      asked.set(question, answer);
      post(question, location);
      return answer.promise;
    },
    answered(message) {
      const answer = asked.get(message.access);
      asked.delete(message.access);
      if ('error' in message)
        answer?.reject(new (message.retryable ? TransientError : FatalError)(message.error));
      else answer?.resolve(message.opens);
    },
  };
}
