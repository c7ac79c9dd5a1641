import type { SinkOptions, TableOptions } from '../../../src/sink/options.ts';

/** A JSON topic `orders` into `shop.orders`, which is created with a column `n`, and what a test wants otherwise. */
export function tableOptions(change: Partial<TableOptions> = {}): TableOptions {
  return {
    table: 'shop.orders',
    topics: ['orders'],
    create: true,
    fields: [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }],
    partitionBy: [],
    metadataColumns: true,
    keyColumn: undefined,
    properties: {},
    value: { format: 'json', envelope: 'none', epoch: 'ms' },
    key: { format: 'string' },
    onError: 'halt',
    onTombstone: 'halt',
    onRollback: 'halt',
    ...change,
  };
}

export function sinkOptions(change: Partial<SinkOptions> = {}): SinkOptions {
  const tables = change.tables ?? [tableOptions()];
  return {
    pipeline: 'shop',
    worker: 'w1',
    engineVersion: 'test',
    topics: ['orders'],
    startAt: 'earliest',
    onGap: 'halt',
    onTopicRecreated: 'halt',
    onTruncation: 'halt',
    tables,
    commit: { intervalMs: 10_000, bytes: 1_000_000, rows: 1_000 },
    heldBytesMax: 64 * 1024 * 1024,
    untilCaughtUp: false,
    graceMs: 5_000,
    ...change,
  };
}
