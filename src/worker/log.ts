import { pino } from 'pino';
import type { Log } from '../base/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** One JSON object per line, on standard error: standard output is for results. */
export function jsonLog(level: LogLevel): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
  const write =
    (name: LogLevel): Log['info'] =>
    (message, fields) =>
      logger[name](plain(fields), message);
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** Lines for a person. `write` puts a line above whatever is shown live. */
export function humanLog(level: LogLevel, write: (line: string) => void): Log {
  const line =
    (name: LogLevel): Log['info'] =>
    (message, fields) => {
      if (levels.indexOf(name) < levels.indexOf(level)) return;
      const details = Object.entries(plain(fields)).map(
        ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      write([new Date().toISOString().slice(11, 19), name.padEnd(5), message, ...details].join(' '));
    };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

/** bigints as text: JSON has none. */
function plain(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'bigint' ? String(value) : value]),
  );
}
