/** A partition of a Kafka topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** `orders-3`, as Kafka prints it: the key of maps. */
export type TopicPartitionKey = string;

export function keyOf(topicPartition: TopicPartition): TopicPartitionKey {
  return `${topicPartition.topic}-${topicPartition.partition}`;
}

/** The inverse of {@link keyOf}: a topic may contain dashes, a partition does not. */
export function parseKey(key: TopicPartitionKey): TopicPartition {
  const dash = key.lastIndexOf('-');
  return { topic: key.slice(0, dash), partition: Number(key.slice(dash + 1)) };
}
