import { describe, expect, test } from 'vitest';
import type { Fault, FaultRule, Service } from '../../localstack/lib/faults.ts';
import type { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import type { TcpProxy } from '../../localstack/lib/tcp-proxy.ts';
import { FatalError, isRetryable, messageOf } from '../../src/base/errors.ts';
import type { Catalog, Table } from '../../src/catalog/catalog.ts';
import type { Store } from '../../src/storage/store.ts';
import { applied, benchFor, creation, pathsOf, type TestedCatalog } from './catalog-bench.ts';
import { liveFiles } from './watched-store.ts';

/** A catalog whose clients reach it through a proxy. */
export interface CatalogBehindProxy extends TestedCatalog {
  readonly proxy: HttpProxy | TcpProxy;
  /** By what the proxy tells the requests. */
  readonly requests: Readonly<Record<'load' | 'create' | 'commit', Omit<FaultRule, 'fault'>>>;
  /** In what words the service refuses. */
  readonly service: Service | 'sql';
  /** A client past the proxy. */
  direct(store: Store): Catalog | Promise<Catalog>;
}

/** How long a test waits for an answer that does not come. */
const silenceMs = 1_000;

/** Nobody can tell these apart by what the client sees: the request may have been done or not. */
const ambiguous: Record<'http' | 'sql', Fault[]> = {
  http: [
    { type: 'cut', when: 'before' },
    { type: 'cut', when: 'after' },
    { type: 'cut', when: 'within' },
    ...[500, 502, 503, 504].flatMap((status): Fault[] => [
      { type: 'answer', status, passed: false },
      { type: 'answer', status, passed: true },
    ]),
    { type: 'late' },
    { type: 'again' },
  ],
  sql: [
    { type: 'cut', when: 'before' },
    { type: 'cut', when: 'after' },
    { type: 'cut', when: 'within' },
    { type: 'sqlstate', code: '57P01', passed: false },
    { type: 'sqlstate', code: '57P01', passed: true },
    { type: 'late' },
  ],
};

/**
 * What a catalog must make of a network that fails: commits are called what they are, and whatever the client was told,
 * a table has each of them at most once.
 */
export function catalogFaultSuite(
  name: string,
  kind: 'http' | 'sql',
  open: () => Promise<CatalogBehindProxy>,
): void {
  describe(`a catalog of ${name} behind a network that fails`, () => {
    const bench = benchFor(open);
    const refusals = (): Fault[] => {
      const { service } = bench.under;
      return service === 'sql'
        ? []
        : [
            { type: 'throttle', as: service },
            { type: 'expire', as: service },
          ];
    };

    /** What the table has now, as a client past the proxy sees it. */
    async function past<T>(look: (catalog: Catalog) => Promise<T>): Promise<T> {
      const direct = await bench.under.direct(bench.under.store);
      try {
        return await look(direct);
      } finally {
        await direct.close();
      }
    }
    const tableNow = (): Promise<Table> => past(async (catalog) => (await catalog.load(bench.orders))!);

    /** Runs `call` with a fault for the first request of a kind. @returns its result, or what it threw. */
    async function meeting<T>(
      request: keyof CatalogBehindProxy['requests'],
      fault: Fault,
      call: () => Promise<T>,
    ): Promise<T | Error> {
      const { faults } = bench.under.proxy;
      const met = faults.done.length;
      faults.set({ ...bench.under.requests[request], nth: 1, fault });
      try {
        return await call();
      } catch (error) {
        return error as Error;
      } finally {
        faults.set();
        expect(faults.done.length, `${request} requests seen`).toBe(met + 1);
      }
    }

    /** As the sink does: what is not in the table is appended to the table as it is now. Then comes what was late. */
    async function landAndCheck(file: string): Promise<void> {
      const table = await tableNow();
      if (!(await liveFiles(table, bench.under.store)).includes(pathsOf([file])[0]!))
        applied(await bench.append(table, file));
      await bench.under.proxy.release();
      await bench.check([file]);
    }

    test.each(ambiguous[kind])(
      'a commit of which nobody can tell is unknown, or found to be applied: %j',
      async (fault) => {
        const base = await bench.catalog.create(bench.orders, creation);
        const deleted = bench.store.deleted.size;
        const outcome = await meeting('commit', fault, () => bench.append(base, 'a'));
        if (outcome instanceof Error) throw outcome;
        expect(outcome.type, JSON.stringify('reason' in outcome && outcome.reason)).not.toBe('rejected');
        // I4: nobody deletes what may still be in the table.
        expect(bench.store.deleted.size).toBe(deleted);
        const isIn = (await liveFiles(await tableNow(), bench.under.store)).length === 1;
        if (outcome.type === 'applied') expect(isIn).toBe(true);
        await landAndCheck('a');
      },
    );

    test('a commit that was refused for another reason than the table is no more than that', async () => {
      for (const fault of refusals()) {
        await bench.begin();
        const base = await bench.catalog.create(bench.orders, creation);
        const outcome = await meeting('commit', fault, () => bench.append(base, 'a'));
        const isIn = (await liveFiles(await tableNow(), bench.under.store)).length === 1;
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(FatalError);
        else expect(outcome.type, JSON.stringify(fault)).toBe(isIn ? 'applied' : 'rejected');
        await landAndCheck('a');
      }
    });

    test('a commit whose answer is late is applied', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      const outcome = await meeting('commit', { type: 'delay', ms: 100 }, () => bench.append(base, 'a'));
      expect(outcome).toMatchObject({ type: 'applied' });
      await bench.check(['a']);
    });

    test('a commit without an answer is in the table', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      const committing = meeting('commit', { type: 'silence' }, () =>
        Promise.race([
          bench.append(base, 'a'),
          new Promise((resolve) => setTimeout(resolve, silenceMs, 'silence')),
        ]),
      );
      expect(await committing).toBe('silence');
      // Else its client would wait on, past the end of the test.
      bench.under.proxy.cut();
      await landAndCheck('a');
    });

    test('a commit that arrives late is applied where nobody has moved the table, and else refused', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      await meeting('commit', { type: 'late' }, () => bench.append(base, 'a'));
      await bench.under.proxy.release();
      await bench.check(['a']);
      const table = await tableNow();
      await meeting('commit', { type: 'late' }, () => bench.append(table, 'b'));
      applied(await bench.append(table, 'c'));
      await bench.under.proxy.release();
      await bench.check(['a', 'c']);
    });

    test('a table is loaded as it is, or the reason says whether it is worth trying again', async () => {
      const base = await bench.catalog.create(bench.orders, creation);
      const faults = [...ambiguous[kind], ...refusals(), { type: 'delay', ms: 50 } as const];
      for (const fault of faults) {
        const loaded = await meeting('load', fault, () => bench.catalog.load(bench.orders));
        await bench.under.proxy.release();
        if (!(loaded instanceof Error)) expect(loaded, JSON.stringify(fault)).toEqual(base);
        else if (fault.type === 'expire') expect(loaded.message).toMatch(/^loading table /);
        else expect(isRetryable(loaded), `${JSON.stringify(fault)}: ${messageOf(loaded)}`).toBe(true);
      }
    });

    test('a table is made once, whatever becomes of the answer', async () => {
      for (const fault of [...ambiguous[kind], ...refusals()]) {
        await bench.begin();
        const first = await meeting('create', fault, () => bench.catalog.create(bench.orders, creation));
        const second = await bench.catalog.create(bench.orders, creation);
        await bench.under.proxy.release();
        expect(await tableNow()).toEqual(second);
        if (!(first instanceof Error)) expect(first, JSON.stringify(fault)).toEqual(second);
        else if (fault.type !== 'expire')
          expect(isRetryable(first), `${JSON.stringify(fault)}: ${messageOf(first)}`).toBe(true);
      }
    });
  });
}
