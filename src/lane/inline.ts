import { FatalError, FrazilError } from '../base/errors.ts';
import type { SchemaSource } from '../decode/registry.ts';
import { RecordSetReader } from '../kafka/record-set.ts';
import type { RecordSet } from '../kafka/source.ts';
import { keyOf } from '../kafka/topic-partition.ts';
import { describe } from './describe.ts';
import type { AppendedTable, Lane } from './lane.ts';
import { type LanePorts, LaneTable } from './lane-table.ts';

/** A lane that runs where it is called. Production runs it in a worker thread (thread.ts). */
export function inlineLane(ports: LanePorts): Lane {
  const tables = new Map<string, LaneTable>();
  const registries = new Map<string, SchemaSource>();
  const heldBytes = (): number => [...tables.values()].reduce((sum, table) => sum + table.heldBytes, 0);
  const tableOf = (name: string): LaneTable => {
    const table = tables.get(name);
    if (!table) throw new FatalError(`lane: table ${name} was never opened`);
    return table;
  };
  const queue = commandQueue();

  return {
    open: (plan) =>
      queue(async () => {
        tables.set(plan.table, new LaneTable(plan, ports, registries));
      }),
    seek: (table, topicPartition, position) =>
      queue(async () => tableOf(table).seek(keyOf(topicPartition), position)),
    append: (set) =>
      queue(async () => {
        const taking = [...tables.values()].filter((table) => table.takes(keyOf(set)));
        return { tables: await appendSet(set, taking), heldBytes: heldBytes() };
      }),
    flush: (table) =>
      queue(async () => {
        const files = await tableOf(table).flush();
        return { files, heldBytes: heldBytes() };
      }),
    drop: (table) =>
      queue(async () => {
        await tables.get(table)?.drop();
        return { heldBytes: heldBytes() };
      }),
    release: (topicPartition) =>
      queue(async () => {
        for (const table of tables.values()) table.release(keyOf(topicPartition));
      }),
    describe: (set, plan) => queue(() => describe(set, plan, ports, registries)),
    close: () =>
      queue(async () => {
        for (const table of tables.values()) await table.drop();
      }),
    restart: () => {}, // it dies with its process
  };
}

/** Runs commands one at a time, in order. A failed one does not hold up the next. */
function commandQueue(): <T>(command: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (command) => {
    const result = last.then(command);
    last = result.catch(() => {});
    return result;
  };
}

/** One pass over the set for all tables, each from its own position. */
async function appendSet(
  set: RecordSet,
  tables: readonly LaneTable[],
): Promise<Record<string, AppendedTable>> {
  const key = keyOf(set);
  for (const table of tables) table.begin(key, set);
  const from = Math.min(...tables.map((table) => table.position(key)));
  const reader = new RecordSetReader(
    Buffer.from(set.records.buffer, set.records.byteOffset, set.records.byteLength),
    Math.max(set.from, from),
    set.aborted,
    set.batchBytesMax,
  );
  try {
    while (tables.length > 0 && reader.read()) {
      for (const table of tables) await table.append(key, set, reader.columns);
    }
  } catch (error) {
    if (error instanceof FrazilError) throw inSet(set, error);
    throw error;
  }
  return Object.fromEntries(tables.map((table) => [table.name, table.end(key, reader.next)]));
}

function inSet(set: RecordSet, error: FrazilError): Error {
  const Kind = error.constructor as new (message: string, options: { cause: unknown }) => Error;
  return new Kind(`reading ${keyOf(set)} from offset ${set.from}: ${error.message}`, { cause: error });
}
