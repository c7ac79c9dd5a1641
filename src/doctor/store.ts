import { AlreadyExistsError, messageOf, NotFoundError } from '../base/errors.ts';
import { type Random, uuid } from '../base/random.ts';
import type { Store } from '../storage/store.ts';
import { type Check, failed, type Outcome, ok, skipped, warning } from './check.ts';

/** Above this an object of S3 is uploaded in parts. */
const largeBytes = 65 * 1024 * 1024;
const largePieces = 5;

const timeoutMs = 120_000;

/**
 * Whether a worker can do below each of the places what it will: objects are made, kept from being overwritten, read,
 * and removed again.
 */
export function storeCheck(
  places: () => Promise<readonly string[]>,
  store: () => Promise<Store>,
  random: Random,
): Check {
  return {
    what: 'store',
    timeoutMs,
    async run(): Promise<Outcome> {
      const roots = await places();
      if (roots.length === 0) return skipped('no table tells where its files are');
      let worst: Outcome | undefined;
      for (const root of roots) {
        const outcome = await checkPlace(root, await store(), random);
        if (outcome.status === 'failed') return outcome;
        worst ??= outcome.status === 'ok' ? undefined : outcome;
      }
      return worst ?? ok(`${roots.join(', ')}: objects can be written, not overwritten, read and deleted`);
    },
  };
}

async function checkPlace(root: string, store: Store, random: Random): Promise<Outcome> {
  const location = `${root}/frazil-doctor-${uuid(random)}`;
  const made: string[] = [];
  try {
    const wrong =
      (await checkObject(location, store, random, made)) ??
      (root.startsWith('s3') ? await putLarge(`${location}-large`, store, made) : undefined);
    return wrong ?? (await remove(location, made, store));
  } finally {
    await Promise.allSettled(made.map((each) => store.delete(each)));
  }
}

/** What is wrong with writing and reading, if anything is. */
async function checkObject(
  location: string,
  store: Store,
  random: Random,
  made: string[],
): Promise<Outcome | undefined> {
  const bytes = Buffer.from(random.bytes(32));
  made.push(location);
  await store.put(location, [bytes]);
  const refused = await store.put(location, [random.bytes(64)]).then(
    () => false,
    (error: unknown) => {
      if (error instanceof AlreadyExistsError) return true;
      throw error;
    },
  );
  if (!refused)
    return failed(
      `${location} was overwritten: the store takes no notice of If-None-Match`,
      'use a store that has conditional writes, as S3 does since 2024',
    );
  if (bytes.equals(await store.get(location))) return undefined;
  return failed(`${location} does not come back as it was written`, 'ask whoever runs the store');
}

async function putLarge(location: string, store: Store, made: string[]): Promise<undefined> {
  made.push(location);
  await store.put(location, Array<Uint8Array>(largePieces).fill(Buffer.alloc(largeBytes / largePieces)));
}

/** Workers delete only metadata files of theirs that were refused: without the right to, these stay. */
async function remove(location: string, made: string[], store: Store): Promise<Outcome> {
  try {
    for (const each of made) await store.delete(each);
  } catch (error) {
    return warning(
      `${messageOf(error)}`,
      `let the worker delete objects; then delete those that begin with ${location}`,
    );
  }
  made.length = 0;
  const gone = await store.get(location).then(
    () => false,
    (error: unknown) => error instanceof NotFoundError,
  );
  return gone
    ? ok('')
    : warning(`${location} can be read after it was deleted`, 'ask whoever runs the store');
}
