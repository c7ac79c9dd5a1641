/**
 * The kinds of failure the program tells apart. What is not one of these is unknown, and unknown means fatal:
 * retrying is opt-in.
 *
 * Texts start with what was being done and name the thing: `loading table shop.orders: ...`.
 */
export abstract class FrazilError extends Error {
  /** Stable identifier for logs and tests, e.g. `RECORD_UNDECODABLE`. */
  abstract readonly code: string;
  /** True when doing the same again may succeed. */
  readonly retryable: boolean = false;
  /** What a person or a program needs to act: topic, partition, offset, field, path, ... Never a secret. */
  readonly context: Readonly<Record<string, unknown>>;

  constructor(message: string, options: { cause?: unknown; context?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.context = options.context ?? {};
  }
}

/** The configuration cannot be used. Exit code 2. Carries every problem found, not only the first. */
export class ConfigError extends FrazilError {
  override readonly code: string = 'CONFIG';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], file?: string) {
    super(
      [
        `reading configuration${file ? ` ${file}` : ''}: ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
      ]
        .concat(problems.map((problem) => `  ${formatProblem(problem)}`))
        .join('\n'),
    );
    this.problems = problems;
  }
}

export interface ConfigProblem {
  /** Dotted path of the setting, e.g. `tables[0].schema[2].type`; empty for the whole document. */
  path: string;
  /** 1-based position in the file, absent when the setting came from elsewhere. */
  line?: number | undefined;
  column?: number | undefined;
  /** What is wrong and what was expected. */
  message: string;
  /** What to write instead. */
  fix?: string | undefined;
}

/** `12:5 commit.interval: expected a duration, found "6o s" (fix: write it like 60s, 5m or 1h)` */
export function formatProblem(problem: ConfigProblem): string {
  const where = problem.line === undefined ? '' : `${problem.line}:${problem.column ?? 1} `;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${where}${path}${problem.message}${problem.fix ? ` (fix: ${problem.fix})` : ''}`;
}

/** A Kafka record that cannot become a row. */
export class RecordError extends FrazilError {
  override readonly code: string = 'RECORD_UNDECODABLE';
}

/** Something outside failed in a way that usually passes: network, throttling, a busy lock. */
export class TransientError extends FrazilError {
  override readonly code: string = 'TRANSIENT';
  override readonly retryable: boolean = true;
}

/** Retrying cannot help; a person must act. The pipeline stops with offsets unmoved. */
export class FatalError extends FrazilError {
  override readonly code: string = 'FATAL';
}

/** An operation was not finished within its bound. */
export class DeadlineError extends TransientError {
  override readonly code: string = 'DEADLINE';
}

/** An object that must be new exists already (`If-None-Match: *`). */
export class AlreadyExistsError extends FrazilError {
  override readonly code: string = 'ALREADY_EXISTS';
}

/** An object that must be there is not. */
export class NotFoundError extends FrazilError {
  override readonly code: string = 'NOT_FOUND';
}

/** The message of anything thrown, with its causes: `a: b: c`. A cause that is told already is not told again. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Others end their sentences, ours go on.
  const parts = [error.message.replace(/\.$/, '')];
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  if (inner !== undefined) parts.push(messageOf(inner));
  return parts.filter((part, i) => part !== '' && (i === 0 || !parts[0]!.includes(part))).join(': ');
}

/** True for failures that say themselves that they may pass. Anything unknown is not retried. */
export function isRetryable(error: unknown): boolean {
  return error instanceof FrazilError && error.retryable;
}
