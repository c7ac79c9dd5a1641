import { AlreadyExistsError, FatalError, messageOf, NotFoundError } from '../../src/base/errors.ts';
import type { Encoder } from '../../src/parquet/encoder.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Caller } from './process.ts';

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

const short = (location: string): string => location.slice(location.lastIndexOf('/') + 1);

/** The store as one caller sees it, over a network; credentials that are over are a failure for good, or a passing one. */
export function simStore(objects: SimObjects, caller: Caller, expiryIsFatal: boolean): Store {
  const call = <T>(kind: string, apply: () => T, location: string): Promise<T> =>
    caller.call(kind, apply, short(location)).catch((error) => {
      if (!expiryIsFatal || !messageOf(error).endsWith('expired')) throw error;
      throw new FatalError(`${kind} ${location}: the credentials are expired: renew them`);
    });
  return {
    put: (location, parts) => {
      const { nowMs } = caller.world;
      if (!objects.sentAtMs.has(location)) objects.sentAtMs.set(location, nowMs);
      const put = (): void => objects.put(location, new Uint8Array(Buffer.concat(parts)), nowMs);
      return call('put', put, location);
    },
    get: (location) => call('get', () => objects.get(location), location),
    delete: (location) => {
      objects.onDelete(location, caller.name);
      const remove = (): void => {
        objects.onDelete(location, caller.name);
        objects.objects.delete(location);
      };
      return call('delete', remove, location);
    },
  };
}

/** A row of {@link offsetEncoder}: partition, offset and its number. Those of others have partition -1. */
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
        return {
          parts: [bytes],
          sizeBytes: bytes.length,
          columnSizes: new Map(),
          splitOffsets: [4],
          facts: new Map(),
        };
      },
      async abort() {},
    };
  },
};
