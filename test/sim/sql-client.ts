import { messageOf } from '../../src/base/errors.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';
import { branchHead } from '../../src/iceberg/metadata.ts';
import type { CatalogServer } from './catalog-server.ts';
import { readMetadata } from './check.ts';
import type { Caller } from './process.ts';
import type { SimObjects } from './storage.ts';

/**
 * A metastore that compares the location, as SQL catalogs do. Of a lost answer to a swap nobody knows what became of it;
 * when requests may be `doubled`, a refusal may be about the second of two, of which the first has come through.
 */
export function simPointers(
  server: CatalogServer,
  objects: SimObjects,
  caller: Caller,
  doubled: boolean,
): Pointers {
  return {
    async get(identifier) {
      const location = await caller.call('get table', () => server.location(formatIdentifier(identifier)));
      return location === undefined ? undefined : { location };
    },
    insert: (identifier, location) =>
      caller.call('create table', () => server.insert(formatIdentifier(identifier), location, caller.name)),
    async swap(identifier, from, to) {
      const table = formatIdentifier(identifier);
      const snapshot = branchHead(readMetadata(objects, to), 'main')!;
      const request = { worker: caller.name, table, location: to, snapshot };
      server.onRequest(request);
      let applied = false;
      try {
        const heard = await caller.call('swap', (moment) => {
          applied = server.swap(table, from.location, to, caller.name);
          return applied && !(doubled && moment.happens('doubled', 0.2));
        });
        server.onAnswer(request, applied ? 'applied' : 'rejected');
        if (heard) return { type: 'applied' };
        return { type: 'rejected', reason: 'the table has moved', ...(doubled ? { doubtful: true } : {}) };
      } catch (error) {
        const reason = messageOf(error);
        const type = /(refused|expired)$/.test(reason) ? 'rejected' : 'unknown';
        server.onAnswer(request, type);
        return { type, reason };
      }
    },
    async close() {},
  };
}
