import { inflateRawSync } from 'node:zlib';

/**
 * Avro container files read by the letter of the specification (Avro 1.12, "Object Container Files"), without a line of
 * the program under test: what it writes is what these bytes say, not what it would read back itself.
 */
export interface AvroBytes {
  metadata: Record<string, string>;
  schema: AvroNode;
  /** Records of each block; ints are numbers, longs bigints, bytes and fixed hexadecimal digits. */
  blocks: AvroValue[][];
}

// biome-ignore lint/suspicious/noExplicitAny: a schema is any JSON
export type AvroNode = any;
export type AvroValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | AvroValue[]
  | { [name: string]: AvroValue };

export function readAvroBytes(file: Uint8Array): AvroBytes {
  const reader = new Reader(Buffer.from(file));
  if (reader.take(4).toString('latin1') !== 'Obj\x01') throw new Error('no Avro container file');
  const header = reader.value({ type: 'map', values: 'bytes' }) as Record<string, string>;
  const metadata = Object.fromEntries(
    Object.entries(header).map(([key, hex]) => [key, Buffer.from(hex, 'hex').toString('utf8')]),
  );
  const sync = reader.take(16).toString('hex');
  const schema = JSON.parse(metadata['avro.schema']!) as AvroNode;
  const blocks: AvroValue[][] = [];
  while (!reader.atEnd) {
    const count = Number(reader.long());
    const data = reader.take(Number(reader.long()));
    if (reader.take(16).toString('hex') !== sync)
      throw new Error('a block does not end with the sync marker');
    const codec = metadata['avro.codec'] ?? 'null';
    if (codec !== 'null' && codec !== 'deflate') throw new Error(`codec ${codec}`);
    const body = new Reader(codec === 'null' ? data : inflateRawSync(data));
    blocks.push(Array.from({ length: count }, () => body.value(schema)));
    if (!body.atEnd) throw new Error('a block is longer than its records');
  }
  return { metadata, schema, blocks };
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  /** Named types, as they are met. */
  readonly #named = new Map<string, AvroNode>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length)
      throw new Error(`${length} bytes at ${this.#at}`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  long(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
  }

  value(node: AvroNode): AvroValue {
    if (Array.isArray(node)) return this.value(node[Number(this.long())]);
    const type = typeof node === 'string' ? node : node.type;
    if (typeof node === 'object' && node.name) this.#named.set(node.name, node);
    switch (type) {
      case 'null':
        return null;
      case 'boolean':
        return this.take(1)[0] === 1;
      case 'int':
        return Number(this.long());
      case 'long':
        return this.long();
      case 'float':
        return this.take(4).readFloatLE();
      case 'double':
        return this.take(8).readDoubleLE();
      case 'bytes':
        return this.take(Number(this.long())).toString('hex');
      case 'string':
        return this.take(Number(this.long())).toString('utf8');
      case 'fixed':
        return this.take(node.size).toString('hex');
      case 'record':
        return Object.fromEntries(node.fields.map((field: AvroNode) => [field.name, this.value(field.type)]));
      case 'array':
        return this.#blocks(() => this.value(node.items));
      case 'map':
        return Object.fromEntries(
          this.#blocks(() => [this.value('string'), this.value(node.values)]) as [string, AvroValue][],
        );
      default: {
        const named = this.#named.get(type);
        if (!named) throw new Error(`unknown type ${JSON.stringify(node)}`);
        return this.value(named);
      }
    }
  }

  #blocks<T>(item: () => T): T[] {
    const items: T[] = [];
    for (;;) {
      let count = Number(this.long());
      if (count === 0) return items;
      if (count < 0) {
        this.long(); // the block's size in bytes
        count = -count;
      }
      for (let i = 0; i < count; i++) items.push(item());
    }
  }
}
