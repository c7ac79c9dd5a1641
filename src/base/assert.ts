/**
 * Checks that stay on in production. A failed assertion is a programming error: it is never caught and retried,
 * it ends the pipeline with offsets unmoved.
 */
export class AssertionError extends Error {
  override readonly name: string = 'AssertionError';
}

/** Throws {@link AssertionError} unless `condition` holds. `message` names the invariant (`I1 ...`) where one exists. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${message}`);
}

/** For the default branch of a switch over a closed union: the compiler proves it is never reached. */
export function unreachable(value: never, what: string): never {
  throw new AssertionError(`assertion failed: unexpected ${what}: ${JSON.stringify(value)}`);
}
