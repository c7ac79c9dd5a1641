import { AlreadyExistsError, messageOf, NotFoundError } from '../../src/base/errors.ts';
import { formatIdentifier } from '../../src/catalog/catalog.ts';
import type { Pointers } from '../../src/catalog/metastore.ts';
import type { Encoder } from '../../src/parquet/encoder.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Process } from './world.ts';

/** The objects of the world, whoever put them there. Nothing is ever overwritten. */
export class SimObjects {
  readonly objects: Map<string, Uint8Array> = new Map();
  /** When each object was first sent. */
  readonly sentAtMs: Map<string, number> = new Map();
  /** Called when a worker asks for an object to be deleted, and again when that is done. */
  onDelete: (location: string, worker: string) => void = () => {};

  put(location: string, bytes: Uint8Array, atMs: number): void {
    if (this.objects.has(location)) throw new AlreadyExistsError(`writing ${location}: it exists already`);
    this.objects.set(location, bytes);
    if (!this.sentAtMs.has(location)) this.sentAtMs.set(location, atMs);
  }

  get(location: string): Uint8Array {
    const bytes = this.objects.get(location);
    if (!bytes) throw new NotFoundError(`reading ${location}: no such object`);
    return bytes;
  }
}

/** The store as one process sees it, over a network. */
export function simStore(objects: SimObjects, process: Process): Store {
  const short = (location: string): string => location.slice(location.lastIndexOf('/') + 1);
  return {
    put: (location, parts) => {
      const { nowMs } = process.world;
      if (!objects.sentAtMs.has(location)) objects.sentAtMs.set(location, nowMs);
      return process.call(`put ${short(location)}`, () =>
        objects.put(location, new Uint8Array(Buffer.concat(parts)), nowMs),
      );
    },
    get: (location) => process.call(`get ${short(location)}`, () => objects.get(location)),
    delete: (location) => {
      objects.onDelete(location, process.name);
      return process.call(`delete ${short(location)}`, () => {
        objects.onDelete(location, process.name);
        objects.objects.delete(location);
      });
    },
  };
}

/** A commit that a worker has asked the catalog for. */
export interface SwapRequest {
  readonly worker: string;
  readonly table: string;
  readonly to: string;
}

/** The metastore of the world: one pointer per table, swapped by compare-and-swap. */
export class SimPointers {
  readonly pointers: Map<string, string> = new Map();
  /** Called after each move of a table; `by` is undefined for foreign moves. */
  onMove: (table: string, from: string | undefined, by: string | undefined) => void = () => {};
  onRequest: (request: SwapRequest) => void = () => {};
  /** Called when the worker hears what became of a request. */
  onAnswer: (request: SwapRequest, heard: 'applied' | 'rejected' | 'unknown') => void = () => {};

  swap(table: string, from: string, to: string, by?: string): boolean {
    if (this.pointers.get(table) !== from) return false;
    this.pointers.set(table, to);
    this.onMove(table, from, by);
    return true;
  }

  insert(table: string, location: string, by?: string): boolean {
    if (this.pointers.has(table)) return false;
    this.pointers.set(table, location);
    this.onMove(table, undefined, by);
    return true;
  }
}

/**
 * The metastore as one process sees it. Of a lost answer to a swap nobody knows what became of it; when requests may be
 * `doubled`, a refusal may be about the second of two, of which the first has come through.
 */
export function simPointers(server: SimPointers, process: Process, doubled: boolean): Pointers {
  return {
    async get(identifier) {
      const location = await process.call('get table', () =>
        server.pointers.get(formatIdentifier(identifier)),
      );
      return location === undefined ? undefined : { location };
    },
    insert: (identifier, location) =>
      process.call('create table', () => server.insert(formatIdentifier(identifier), location, process.name)),
    async swap(identifier, from, to) {
      const request = { worker: process.name, table: formatIdentifier(identifier), to };
      server.onRequest(request);
      try {
        let applied = false;
        const heard = await process.call('swap', () => {
          applied = server.swap(request.table, from.location, to, process.name);
          return applied && !(doubled && process.world.chance(0.2));
        });
        server.onAnswer(request, applied ? 'applied' : 'rejected');
        if (heard) return { type: 'applied' };
        return { type: 'rejected', reason: 'the table has moved', ...(doubled ? { doubtful: true } : {}) };
      } catch (error) {
        const reason = messageOf(error);
        const type = reason.endsWith('refused') ? 'rejected' : 'unknown';
        server.onAnswer(request, type);
        return { type, reason };
      }
    },
    async close() {},
  };
}

/** A row of {@link offsetEncoder}: partition, offset and, where the table has a column `n`, its number. */
export type EncodedRow = [partition: number, offset: number, n?: number];

/** Data files that say which offsets are in them: what a Parquet file would be read for. */
export const offsetEncoder: Encoder = {
  open(schema) {
    const index = (name: string): number => schema.fields.findIndex((field) => field.name === name);
    const [partitionColumn, offsetColumn, nColumn] = [
      index('_kafka_partition'),
      index('_kafka_offset'),
      index('n'),
    ];
    const rows: EncodedRow[] = [];
    return {
      heldBytes: 0,
      writtenBytes: 0,
      async write({ columns, rows: count }) {
        const partitions = columns[partitionColumn] as { values?: Int32Array };
        const offsets = columns[offsetColumn] as { values?: BigInt64Array };
        const numbers = (columns[nColumn] as { values?: BigInt64Array | Int32Array } | undefined)?.values;
        for (let i = 0; i < count; i++) {
          const row: EncodedRow = [partitions.values![i]!, Number(offsets.values![i]!)];
          if (numbers) row.push(Number(numbers[i]!));
          rows.push(row);
        }
      },
      async close() {
        const bytes = Buffer.from(JSON.stringify(rows));
        return { parts: [bytes], sizeBytes: bytes.length, columnSizes: new Map(), splitOffsets: [4] };
      },
      async abort() {},
    };
  },
};
