import { availableParallelism, hostname } from 'node:os';
import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Config } from '../config/config.ts';
import { KafkaSource, type MembershipOptions } from '../kafka/kafka-source.ts';
import { plainKeyField } from '../lane/describe.ts';
import { threadLane } from '../lane/thread-lane.ts';
import type { SinkOptions, TableOptions } from '../sink/options.ts';
import { Sink } from '../sink/sink.ts';
import { openCatalog, openWire, storeSettings } from './open.ts';
import { foundBy } from './topics.ts';
import { version } from './version.ts';

/** Puts the real parts together: the only place that knows them all. */

/** A worker of the pipeline, ready to run. */
export async function createWorker(
  config: Config,
  options: { untilCaughtUp: boolean },
  log: Log,
): Promise<Sink> {
  const { catalog, store, access } = await openCatalog(config);
  const { topics, partitions, clientRack, batchBytesMax, metadataMaxAge } = config.source;
  const ports = { clock: systemClock, random: systemRandom, log };
  const source = new KafkaSource(
    {
      group: config.pipeline,
      topics,
      isFound: foundBy(config, (topic) =>
        log.warn('a topic matches source.topicsPattern and goes into no table: it is not read', { topic }),
      ),
      metadataAgeMaxMs: metadataMaxAge,
      partitions,
      clientRack,
      batchBytesMax,
      membership: membershipOf(config),
    },
    { ...ports, wire: openWire(config, log) },
  );
  const count = config.lanes === 'auto' ? Math.max(1, availableParallelism() - 1) : config.lanes;
  const stores = { settings: storeSettings(config), access };
  const lanes = Array.from({ length: count }, (_, i) => threadLane(`lane-${i + 1}`, stores, log));
  return new Sink(sinkOptions(config, options.untilCaughtUp), { ...ports, source, lanes, catalog, store });
}

function membershipOf({ source }: Config): Partial<MembershipOptions> {
  return {
    protocol: source.groupProtocol,
    instanceId: source.groupInstanceId ?? null,
    assignors: source.assignors,
    sessionTimeoutMs: source.sessionTimeout,
    rebalanceTimeoutMs: source.rebalanceTimeout,
  };
}

function sinkOptions(config: Config, untilCaughtUp: boolean): SinkOptions {
  const { source, commit } = config;
  return {
    pipeline: config.pipeline,
    worker: `${hostname()}-${process.pid}`.replace(/[^a-zA-Z0-9.-]/g, '-'),
    engineVersion: version,
    topics: source.topics,
    startAt: source.startAt,
    onGap: source.onGap,
    onTopicRecreated: source.onTopicRecreated,
    onTruncation: source.onTruncation,
    tables: config.tables.map((table) => tableOptions(config, table)),
    commit: { intervalMs: commit.interval, bytes: commit.bytes, rows: commit.rows },
    heldBytesMax: config.memory.held,
    untilCaughtUp,
    graceMs: config.shutdown.grace,
  };
}

export function tableOptions(config: Config, table: Config['tables'][number]): TableOptions {
  const { decode } = config;
  const { keyColumn } = table;
  // Columns come from the configuration (JSON) or, when none are given, from the first Avro record, its key included.
  const keyFields =
    keyColumn !== undefined && decode.key.format !== 'avro'
      ? [plainKeyField(keyColumn, decode.key.format)]
      : [];
  return {
    table: table.table,
    topics: table.topics,
    topicsPattern: table.topicsPattern,
    create: table.create,
    fields: table.schema.length > 0 ? [...table.schema, ...keyFields] : [],
    partitionBy: table.partitionBy,
    metadataColumns: table.metadataColumns,
    keyColumn,
    properties: table.properties,
    value: decode.value,
    key: decode.key,
    onError: decode.onError,
    onTombstone: decode.onTombstone,
    onRollback: table.onRollback,
  };
}
