import { Reader, Writer } from '@platformatic/kafka';
import { FatalError, messageOf } from '../base/errors.ts';
import type { TopicPartition } from './topic-partition.ts';

/**
 * What members of a classic group say to each other by way of the broker, which passes it on unread
 * (`ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`). Newer versions only append fields.
 */

/** What a member wants and has. */
export interface Subscription {
  readonly topics: readonly string[];
  /** What it goes on owning while it joins: nothing, if it is an eager one. */
  readonly owned: readonly TopicPartition[];
  /** The generation in which it came to own that, -1 when it has not been told. */
  readonly generation: number;
}

const subscriptionVersion = 3;
/** All versions are the same; some clients refuse those that they do not know. */
const assignmentVersion = 0;
const noGeneration = -1;

/** `rackId` is for leaders that assign partitions near their replicas (KIP-881). */
export function writeSubscription(
  { topics, owned, generation }: Subscription,
  rackId: string | null,
): Buffer {
  const writer = Writer.create()
    .appendInt16(subscriptionVersion)
    .appendArray([...topics], (w, topic) => w.appendString(topic, false), false, false)
    .appendBytes(generationBytes(generation), false);
  return writeTopicPartitions(writer, owned).appendInt32(generation).appendString(rackId, false).buffer;
}

/** Where Java members from before 3.4 look for the generation: the user data of the cooperative-sticky assignor. */
function generationBytes(generation: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(generation);
  return bytes;
}

/** @throws {FatalError} naming the member, when it is none of a consumer */
export function readSubscription(memberId: string, bytes: Buffer): Subscription {
  return read(`the subscription of member ${memberId}`, bytes, (reader, version) => {
    const topics = reader.readArray((r) => r.readString(false), false, false);
    const userData = reader.readNullableBytes(false);
    const owned = version >= 1 ? readTopicPartitions(reader) : [];
    const said = userData?.length === 4 ? userData.readInt32BE() : noGeneration;
    const generation = version >= 2 ? reader.readInt32() : said;
    return { topics, owned, generation };
  });
}

export function writeAssignment(topicPartitions: readonly TopicPartition[]): Buffer {
  const writer = writeTopicPartitions(Writer.create().appendInt16(assignmentVersion), topicPartitions);
  return writer.appendBytes(null, false).buffer;
}

/** An empty answer assigns nothing. @throws {FatalError} when it is none */
export function readAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return [];
  return read('the assignment', bytes, (reader) => readTopicPartitions(reader));
}

function read<T>(what: string, bytes: Buffer, parse: (reader: Reader, version: number) => T): T {
  try {
    const reader = Reader.from(bytes);
    const version = reader.readInt16();
    if (version < 0) throw new Error(`its version is ${version}`);
    return parse(reader, version);
  } catch (error) {
    throw new FatalError(`joining the group: ${what} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function writeTopicPartitions(writer: Writer, topicPartitions: readonly TopicPartition[]): Writer {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of topicPartitions)
    topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  return writer.appendArray(
    [...topics],
    (w, [topic, partitions]) =>
      w
        .appendString(topic, false)
        .appendArray(partitions, (each, partition) => each.appendInt32(partition), false, false),
    false,
    false,
  );
}

function readTopicPartitions(reader: Reader): TopicPartition[] {
  return reader
    .readArray(
      (r) => {
        const topic = r.readString(false);
        return r
          .readArray((each) => each.readInt32(), false, false)
          .map((partition) => ({ topic, partition }));
      },
      false,
      false,
    )
    .flat();
}
