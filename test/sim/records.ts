import type { TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import type { ValueFormat } from '../../src/lane/format.ts';
import type { SimBroker } from './broker.ts';
import type { Features } from './features.ts';
import type { Draw, Moment } from './moment.ts';
import type { Kind, PartitionLog, SimRecord } from './partition-log.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

const registry = { url: 'http://registry' };
const schema =
  '{"type":"record","name":"r","fields":[{"name":"n","type":"long"},{"name":"pad","type":"string"}]}';

export function valueFormat({ values }: Features): ValueFormat {
  return values === 'json' ? { format: 'json', envelope: 'none', epoch: 'ms' } : { format: 'avro', registry };
}

/** The schema registry as a process sees it. */
export function registryFetch(process: Process): typeof fetch {
  return async () => {
    const body = await process.call('get schema', () => JSON.stringify({ schema }));
    return { status: 200, text: async () => body } as Response;
  };
}

/** Whoever writes into the topics: each record has a number of its own, by which it is found again. */
export class Producer {
  readonly records: SimRecord[] = [];
  readonly #world: World;
  readonly #broker: SimBroker;
  readonly #features: Features;
  #producerId = 0n;

  constructor(world: World, broker: SimBroker, features: Features) {
    this.#world = world;
    this.#broker = broker;
    this.#features = features;
  }

  /** Up to `max` records, somehow. */
  produce(key: TopicPartitionKey, max: number, random: Draw): void {
    const log = this.#broker.logs.get(key)!;
    if (this.#features.transactions && random.float() < 0.5) this.#transaction(log, max, random);
    else this.#append(log, this.#kinds(max, random), random);
    log.seam();
  }

  /** Records of these kinds, as they are. */
  append(key: TopicPartitionKey, kinds: readonly Kind[]): void {
    this.#append(this.#broker.logs.get(key)!, kinds, this.#world.moment('append', 0));
  }

  #kinds(max: number, random: Draw): Kind[] {
    const { tombstones, undecodable, onError, onTombstone } = this.#features;
    return Array.from({ length: random.below(max) }, () => {
      const draw = random.float();
      if (draw < 0.15) return 'hole';
      // One that halts everything should not come at once.
      if (tombstones && draw > (onTombstone === 'skip' ? 0.95 : 0.998)) return 'tombstone';
      if (undecodable && draw < 0.15 + (onError === 'skip' ? 0.05 : 0.002)) return 'undecodable';
      return 'row';
    });
  }

  /** A transaction, with somebody else's records within. */
  #transaction(log: PartitionLog, max: number, random: Draw): void {
    const producerId = ++this.#producerId;
    const isAborted = random.float() < 0.5;
    const firstOffset = log.end;
    for (let i = 0; i <= random.below(2); i++) {
      const kinds = this.#kinds(max, random).map(
        (kind): Kind => (isAborted && kind !== 'hole' ? 'aborted' : kind),
      );
      this.#append(log, kinds, random, { transactional: true, producerId });
      this.#append(log, this.#kinds(max, random), random);
    }
    if (log.end > firstOffset)
      log.appendMarker(producerId, firstOffset, !isAborted, Math.round(this.#world.nowMs));
  }

  #append(
    log: PartitionLog,
    kinds: readonly Kind[],
    random: Draw,
    producer: { transactional?: boolean; producerId?: bigint } = {},
  ): void {
    if (kinds.length === 0) return;
    const header = { ...producer, baseTimestamp: Math.round(this.#world.nowMs) };
    log.append(kinds, header, (kind, offset) => {
      const number = this.records.push({ log, offset }) - 1;
      return { number, bytes: this.#value(kind, number, random) };
    });
  }

  #value(kind: Kind, number: number, random: Draw): Uint8Array | null {
    if (kind === 'tombstone') return null;
    if (kind === 'undecodable') return Buffer.from('?');
    const pad = this.#features.large ? 'x'.repeat(random.below(60_000)) : '';
    if (this.#features.values === 'json')
      return Buffer.from(pad === '' ? `{"n":${number}}` : `{"n":${number},"pad":"${pad}"}`);
    // Confluent's frame: a zero, the schema's id; then Avro: two zigzag varints.
    return Buffer.concat([
      Buffer.from([0, 0, 0, 0, 1]),
      Buffer.from(varint(number * 2)),
      Buffer.from(varint(pad.length * 2)),
      Buffer.from(pad),
    ]);
  }

  /** Retention: what lies before some offset is gone, landed or not. */
  retain(key: TopicPartitionKey, landed: number, moment: Moment): void {
    const log = this.#broker.logs.get(key)!;
    const max = this.#features.retention === 'overtaking' ? log.end : Math.min(landed, log.end);
    const start = Math.max(log.start, max - moment.below(8));
    if (start === log.start) return;
    this.#world.note(`retention: ${key} begins at ${start}`);
    log.start = start;
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}
