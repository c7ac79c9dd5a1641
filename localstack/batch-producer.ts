import { type Broker, ConnectionPool, createTopicsV7, metadataV12, Writer } from '@platformatic/kafka';

const produceApi = { key: 0, version: 11 };

/** Sends record batches as they are to one topic. */
export class BatchProducer {
  readonly #pool: ConnectionPool;
  readonly #topic: string;
  /** The leader of each partition. */
  readonly #leaders: readonly Broker[];

  private constructor(pool: ConnectionPool, topic: string, leaders: readonly Broker[]) {
    this.#pool = pool;
    this.#topic = topic;
    this.#leaders = leaders;
  }

  /** Creates the topic where it does not exist. `brokers`: host:port, with commas between them. */
  static async open(brokers: string, topic: string, partitions: number): Promise<BatchProducer> {
    const bootstrap = brokers.split(',').map((text): Broker => {
      const [host, port] = text.split(':');
      return { host: host!, port: Number(port) };
    });
    const pool = new ConnectionPool('orders', { requestTimeout: 60_000 });
    try {
      return new BatchProducer(pool, topic, await ensureTopic(pool, bootstrap, topic, partitions));
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** As many as the topic has, which may have been there before. */
  get partitions(): number {
    return this.#leaders.length;
  }

  /** Until it is acknowledged by all replicas. */
  async send(partition: number, batch: Buffer): Promise<void> {
    await send(this.#pool, this.#leaders[partition]!, this.#topic, partition, batch);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** The leader of each partition, after creating the topic where it does not exist. */
async function ensureTopic(
  pool: ConnectionPool,
  bootstrap: Broker[],
  name: string,
  partitions: number,
): Promise<Broker[]> {
  const connection = await pool.getFirstAvailable(bootstrap);
  const topic = { name, numPartitions: partitions, replicationFactor: -1, assignments: [], configs: [] };
  await createTopicsV7.api.async(connection, [topic], 10_000, false).catch((error) => {
    if (
      !JSON.stringify(error.errors?.map((e: { apiId?: string }) => e.apiId)).includes('TOPIC_ALREADY_EXISTS')
    )
      throw error;
  });
  for (let attempt = 0; ; attempt++) {
    try {
      const { brokers, topics } = await metadataV12.api.async(connection, [name], false, false);
      const known = topics[0]!.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex);
      return known.map(({ leaderId }) => {
        const { host, port } = brokers.find(({ nodeId }) => nodeId === leaderId)!;
        return { host, port };
      });
    } catch (error) {
      if (attempt >= 50) throw error;
      await pause(100); // leaders are being elected
    }
  }
}

/** One Produce request with one record batch (protocol v11, acks = all). */
async function send(
  pool: ConnectionPool,
  leader: Broker,
  topic: string,
  partition: number,
  batch: Buffer,
  attempt = 1,
): Promise<void> {
  const connection = await pool.get(leader);
  const create = (): Writer =>
    Writer.create()
      .appendString(null) // no transaction
      .appendInt16(-1)
      .appendInt32(30_000)
      .appendArray([topic], (writer, name) => {
        writer.appendString(name).appendArray([partition], (inner, index) => {
          inner
            .appendInt32(index)
            .appendUnsignedVarInt(batch.length + 1)
            .append(batch);
        });
      })
      .appendTaggedFields();
  const errorCode = await new Promise<number>((resolve, reject) => {
    // In the answer: one topic, its name, one partition, its index, the error code.
    const parse = (
      _id: number,
      _key: number,
      _version: number,
      reader: import('@platformatic/kafka').Reader,
    ): number => {
      reader.readUnsignedVarInt();
      reader.readString();
      reader.readUnsignedVarInt();
      reader.readInt32();
      return reader.readInt16();
    };
    connection.send(produceApi.key, produceApi.version, create, parse, true, true, (error, code) =>
      error ? reject(error) : resolve(code!),
    );
  });
  if (errorCode === 0) return;
  // A topic that was just made has leaders that do not know it yet; nothing was appended.
  if (![3, 5, 6].includes(errorCode) || attempt >= 50)
    throw new Error(`producing to ${topic}-${partition}: error code ${errorCode}`);
  await pause(100);
  await send(pool, leader, topic, partition, batch, attempt + 1);
}
