import { produceOrders } from '../../localstack/produce.ts';
import { java } from './java.ts';

/** A configuration that lands Avro orders of the topic of the pipeline's name in shop.orders. */
export function ordersConfig(
  pipeline: string,
  parts: { brokers: string; registry: string },
  more: object = {},
): object {
  return {
    pipeline,
    source: { brokers: parts.brokers, topics: [pipeline] },
    decode: { value: { format: 'avro', registry: { url: parts.registry } } },
    tables: [{ table: 'shop.orders', topics: [pipeline], create: true }],
    commit: { interval: '500ms' },
    lanes: 1,
    ...more,
  };
}

/** Produces `count` Avro orders. @returns how many each partition acknowledged. */
export function orders(
  topic: string,
  parts: { brokers: string; registry: string },
  count: number,
  partitions = 2,
  seed = 1,
): Promise<number[]> {
  return produceOrders({ ...parts, topic, partitions, count, format: 'avro', seed });
}

/** Sessions that end soon after a member is killed. */
export async function shortSessions(group: string): Promise<void> {
  const configs = { 'consumer.session.timeout.ms': '2000', 'consumer.heartbeat.interval.ms': '500' };
  await java.call('alterGroupConfig', { group, configs });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The group's offsets by partition. */
export async function groupOffsets(group: string): Promise<number[]> {
  const { offsets } = await java.call<{ offsets: { partition: number; offset: string | number }[] }>(
    'groupOffsets',
    { group },
  );
  return offsets.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}
