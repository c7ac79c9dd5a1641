/** The public API: what the command line does, as functions. */
export {
  ConfigError,
  type ConfigProblem,
  FatalError,
  FrazilError,
  RecordError,
  TransientError,
} from './base/errors.ts';
export type { Log } from './base/log.ts';
export { type Config, loadConfig, parseConfig } from './config/config.ts';
export type { SinkStatus } from './sink/status.ts';
export type { SinkTotals } from './sink/totals.ts';
export { createWorker } from './worker/worker.ts';
