import { type Clock, withDeadline } from '../base/clock.ts';
import { FrazilError, messageOf } from '../base/errors.ts';

/** `skipped`: it could not be looked at, or nobody asked for it. */
export type Status = 'ok' | 'warning' | 'failed' | 'skipped';

/** What came of a check. */
export interface Outcome {
  readonly status: Status;
  /** What was tried and what was found. */
  readonly found: string;
  /** What to change. */
  readonly fix?: string;
}

/** One thing to look at. It changes nothing that stays. */
export interface Check {
  /** What is looked at, such as `topic orders`. */
  readonly what: string;
  /** Where the usual bound is too short. */
  readonly timeoutMs?: number;
  /** An error that is thrown is a failure: its message says what was tried and what to change. */
  run(): Promise<Outcome> | Outcome;
}

export interface Finding extends Outcome {
  readonly what: string;
}

export const ok = (found: string): Outcome => ({ status: 'ok', found });
export const skipped = (found: string): Outcome => ({ status: 'skipped', found });
export const warning = (found: string, fix: string): Outcome => ({ status: 'warning', found, fix });
export const failed = (found: string, fix: string): Outcome => ({ status: 'failed', found, fix });

/** As long as a person will wait; longer than a broker that drops what is sent to it keeps us. */
const checkTimeoutMs = 20_000;

/** Runs all checks side by side and tells of them in their order, each as soon as those before it are done. */
export async function runChecks(
  checks: readonly Check[],
  clock: Clock,
  tell: (finding: Finding) => void,
): Promise<Finding[]> {
  const running = checks.map((check) => settle(check, clock));
  const findings: Finding[] = [];
  for (const each of running) {
    const finding = await each;
    tell(finding);
    findings.push(finding);
  }
  return findings;
}

async function settle(check: Check, clock: Clock): Promise<Finding> {
  const { what, timeoutMs = checkTimeoutMs } = check;
  try {
    return { what, ...(await withDeadline(clock, timeoutMs, `checking ${what}`, async () => check.run())) };
  } catch (error) {
    // Texts of ours are whole: the cause would say it again in the words of a library.
    const found = error instanceof FrazilError ? error.message : messageOf(error);
    return { what, status: 'failed', found };
  }
}

/** Does something once, for all checks that need it. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Whether it succeeds; why not is told elsewhere. */
export function succeeds(doing: Promise<unknown>): Promise<boolean> {
  return doing.then(
    () => true,
    () => false,
  );
}
