import { expect, test } from 'vitest';
import type { Fault, FaultRule } from '../../localstack/lib/faults.ts';
import type { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import { systemClock } from '../../src/base/clock.ts';
import { AlreadyExistsError, isRetryable, NotFoundError } from '../../src/base/errors.ts';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { retry } from '../../src/base/retry.ts';
import type { Store } from '../../src/storage/store.ts';

/** An S3 server that is reached through a proxy. */
export interface StoreBehindProxy {
  readonly proxy: HttpProxy;
  readonly store: Store;
  /** The same, but it sends more than {@link sliceBytes} in parts. */
  readonly slicing: Store;
  /** Past the proxy. */
  readonly direct: Store;
  /** A location below which there is nothing. */
  readonly root: string;
}

/** 5 MiB are the least that S3 takes as a part. */
export const sliceBytes = 5 * 1024 * 1024;

const faults: readonly Fault[] = [
  { type: 'cut', when: 'before' },
  { type: 'cut', when: 'after' },
  { type: 'cut', when: 'within' },
  ...[500, 503].flatMap((status): Fault[] => [
    { type: 'answer', status, passed: false },
    { type: 'answer', status, passed: true },
  ]),
  { type: 'throttle', as: 's3' },
  { type: 'late', ms: 100 },
  { type: 'again', ms: 100 },
  { type: 'delay', ms: 100 },
];

/** As the callers of a store do. In a storm they are on their own: the SDK's tries have a quota for each client, which is soon used up. */
const policy = { attemptsMax: 60, totalMs: 60_000, waitMinMs: 20, waitMaxMs: 1_000 };
const patiently = <T>(call: () => Promise<T>): Promise<T> =>
  retry({ clock: systemClock, random: systemRandom }, policy, call);

/** Which requests a fault may befall, and how much is sent. */
const requests: readonly [
  what: string,
  request: Omit<FaultRule, 'fault' | 'path'>,
  query: string,
  bytes: number,
][] = [
  ['a write', { method: 'PUT' }, '', 1_000],
  ['the beginning of an upload in parts', { method: 'POST' }, '.*uploads', sliceBytes + 1],
  ['a part of an upload', { method: 'PUT' }, '.*partNumber', sliceBytes + 1],
  ['the end of an upload in parts', { method: 'POST' }, '.*uploadId', sliceBytes + 1],
  ['a read', { method: 'GET' }, '', 300_000],
  ['a deletion', { method: 'DELETE' }, '', 10],
];

/** What a store must make of a network that fails: what it says it has done is done, and a read is whole. */
export function storeFaultSuite(behind: () => StoreBehindProxy): void {
  const write = ({ store, slicing }: StoreBehindProxy, location: string, body: Uint8Array): Promise<void> =>
    patiently(() => (body.length > sliceBytes ? slicing : store).put(location, [body]));

  // As often as the SDK tries by itself, too: then it is the caller who tries again.
  const cases = faults.flatMap((fault) => [1, 3].map((times) => ({ fault, times })));

  test.each(requests)('%s that fails is done in the end, once', async (what, request, query, bytes) => {
    const { proxy, store, direct, root } = behind();
    const folder = `${root}/${what.replaceAll(' ', '-')}`;
    const locationOf = (i: number): string => `${folder}/${i}-`;
    const before = proxy.faults.done.length;
    const isWrite = request.method === 'PUT' || request.method === 'POST';
    const body = (i: number): Uint8Array => new Uint8Array(bytes).fill(i + 1);
    proxy.faults.set(
      ...cases.map(({ fault, times }, i) => ({ ...request, path: `/${i}-${query}`, times, fault })),
    );
    const tried = async (_: unknown, i: number): Promise<void> => {
      const location = locationOf(i);
      if (isWrite) await write(behind(), location, body(i));
      else await direct.put(location, [body(i)]);
      if (request.method === 'DELETE') {
        await patiently(() => store.delete(location));
        await expect(direct.get(location)).rejects.toThrow(NotFoundError);
        return;
      }
      const found = await (isWrite ? direct : store).get(location).catch((error: unknown) => {
        if (!isRetryable(error)) throw error;
        return patiently(() => store.get(location));
      });
      expect(Buffer.compare(found, body(i)), JSON.stringify(cases[i])).toBe(0);
      const other = direct.put(location, [new Uint8Array(1)]);
      await expect(other).rejects.toThrow(AlreadyExistsError);
    };
    for (let i = 0; i < cases.length; i += 12)
      await Promise.all(cases.slice(i, i + 12).map((each, j) => tried(each, i + j)));
    await proxy.release();
    // What was late has changed nothing.
    if (isWrite)
      for (const i of cases.keys()) expect(Buffer.compare(await direct.get(locationOf(i)), body(i))).toBe(0);
    proxy.faults.set();
    expect(proxy.faults.done.length - before).toBeGreaterThanOrEqual(cases.length);
  });

  test('in a storm, who is told that an object is theirs finds it so, and all the others that it is not', {
    timeout: 300_000,
  }, async () => {
    const { proxy, store, direct, root } = behind();
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
    console.log(`SEED=${seed}`);
    const random = seededRandom(seed);
    proxy.faults.reseed(seed);
    proxy.faults.set(...faults.map((fault) => ({ path: '/storm/', probability: 0.03, fault })));
    const names = Array.from({ length: 24 }, (_, i) => `${root}/storm/${i}`);
    const bodies = (name: number): Uint8Array[] =>
      Array.from({ length: 3 }, (_, writer) =>
        Buffer.from(`${name} by ${writer} `.repeat(random.below(500) + 1)),
      );
    const check = async (location: string, i: number): Promise<void> => {
      const all = bodies(i);
      const told = await Promise.all(
        all.map((body) =>
          patiently(() => store.put(location, [body])).then(
            () => 'mine',
            (error: unknown) => (error instanceof AlreadyExistsError ? 'not mine' : String(error)),
          ),
        ),
      );
      const found = await direct.get(location);
      const expected = all.map((body) => (Buffer.compare(found, body) === 0 ? 'mine' : 'not mine'));
      expect(told, `SEED=${seed} ${location}`).toEqual(expected);
      expect(Buffer.compare(await patiently(() => store.get(location)), found)).toBe(0);
    };
    await Promise.all(names.map(check));
    await proxy.release();
    proxy.faults.set();
    expect(proxy.faults.done.filter(({ path }) => path.includes('/storm/')).length).toBeGreaterThan(20);
  });
}
