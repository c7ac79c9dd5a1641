import { AlreadyExistsError, messageOf, NotFoundError } from '../../src/base/errors.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';
import type { Encoder } from '../../src/parquet/encoder.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Process } from './world.ts';

/** The objects of the world, whoever put them there. Nothing is ever overwritten. */
export class SimObjects {
  readonly objects: Map<string, Uint8Array> = new Map();
  readonly deleted: Set<string> = new Set();

  put(location: string, bytes: Uint8Array): void {
    if (this.objects.has(location)) throw new AlreadyExistsError(`writing ${location}: it exists already`);
    this.objects.set(location, bytes);
  }

  get(location: string): Uint8Array {
    const bytes = this.objects.get(location);
    if (!bytes) throw new NotFoundError(`reading ${location}: no such object`);
    return bytes;
  }

  delete(location: string): void {
    this.objects.delete(location);
    this.deleted.add(location);
  }
}

/** The store as one process sees it, over a network. */
export function simStore(objects: SimObjects, process: Process): Store {
  const short = (location: string): string => location.slice(location.lastIndexOf('/') + 1);
  return {
    put: (location, parts) =>
      process.call(`put ${short(location)}`, () =>
        objects.put(location, new Uint8Array(Buffer.concat(parts))),
      ),
    get: (location) => process.call(`get ${short(location)}`, () => objects.get(location)),
    delete: (location) => process.call(`delete ${short(location)}`, () => objects.delete(location)),
  };
}

/** The metastore of the world: one pointer per table, swapped by compare-and-swap. */
export class SimPointers {
  readonly pointers: Map<string, string> = new Map();
  /** Called after each move of a table. */
  onMove: (table: string) => void = () => {};

  swap(table: string, from: string, to: string): boolean {
    if (this.pointers.get(table) !== from) return false;
    this.pointers.set(table, to);
    this.onMove(table);
    return true;
  }
}

/** The metastore as one process sees it. Of a lost answer to a swap nobody knows what became of it. */
export function simPointers(server: SimPointers, process: Process): Pointers {
  return {
    async get(identifier) {
      const location = await process.call('get table', () =>
        server.pointers.get(formatIdentifier(identifier)),
      );
      return location === undefined ? undefined : { location };
    },
    insert: (identifier, location) =>
      process.call('create table', () => {
        const table = formatIdentifier(identifier);
        if (server.pointers.has(table)) return false;
        server.pointers.set(table, location);
        return true;
      }),
    async swap(identifier, from, to) {
      try {
        const applied = await process.call('swap', () =>
          server.swap(formatIdentifier(identifier), from.location, to),
        );
        return applied ? { type: 'applied' } : { type: 'rejected', reason: 'the table has moved' };
      } catch (error) {
        return {
          type: messageOf(error).endsWith('refused') ? 'rejected' : 'unknown',
          reason: messageOf(error),
        };
      }
    },
    async close() {},
  };
}

/** Data files that say which offsets are in them: what a Parquet file would be read for. */
export const offsetEncoder: Encoder = {
  open(schema) {
    const partitionColumn = schema.fields.findIndex((field) => field.name === '_kafka_partition');
    const offsetColumn = schema.fields.findIndex((field) => field.name === '_kafka_offset');
    const rows: [number, number][] = [];
    return {
      heldBytes: 0,
      writtenBytes: 0,
      async write(columns) {
        const partitions = columns.columns[partitionColumn] as { values?: Int32Array };
        const offsets = columns.columns[offsetColumn] as { values?: BigInt64Array };
        for (let i = 0; i < columns.rows; i++)
          rows.push([partitions.values![i]!, Number(offsets.values![i]!)]);
      },
      async close() {
        const bytes = Buffer.from(JSON.stringify(rows));
        return { parts: [bytes], sizeBytes: bytes.length, columnSizes: new Map(), splitOffsets: [4] };
      },
      async abort() {},
    };
  },
};
