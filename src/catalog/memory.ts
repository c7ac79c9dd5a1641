import { formatIdentifier } from './catalog.ts';
import type { Pointers } from './metastore.ts';

/** Table pointers in memory, swapped atomically: for tests and the simulator. */
export function memoryPointers(): Pointers & { readonly tables: Map<string, string> } {
  const tables = new Map<string, string>();
  return {
    tables,
    async get(identifier) {
      const location = tables.get(formatIdentifier(identifier));
      return location === undefined ? undefined : { location };
    },
    async insert(identifier, location) {
      const name = formatIdentifier(identifier);
      if (tables.has(name)) return false;
      tables.set(name, location);
      return true;
    },
    async swap(identifier, from, to) {
      const name = formatIdentifier(identifier);
      const current = tables.get(name);
      if (current !== from.location) return { type: 'rejected', reason: `the table is at ${current} now` };
      tables.set(name, to);
      return { type: 'applied' };
    },
    async remove(identifier) {
      tables.delete(formatIdentifier(identifier));
    },
    async close() {},
  };
}
