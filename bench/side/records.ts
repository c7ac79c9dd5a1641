import { type OrderOptions, OrderWriter, orderColumns, orderSchema } from '../../localstack/orders.ts';
import { seededRandom } from '../../src/base/random.ts';
import { column } from '../../src/config/columns.ts';
import type { Field } from '../../src/iceberg/types.ts';
import type { Cell } from './cells.ts';

/**
 * The values of a cell: orders, with further columns where it asks for them. Times are in milliseconds: of what Avro and
 * JSON can say it is the one unit that all contestants read as a time.
 */

type Shape = Pick<Cell, 'format' | 'columns' | 'padTo'>;

/** What a further column has in Avro and in the table. In this order, again and again. */
const kinds = [
  { avro: 'long', iceberg: 'long' },
  { avro: 'string', iceberg: 'string' },
  { avro: 'double', iceberg: 'double' },
  { avro: 'int', iceberg: 'int' },
  { avro: 'boolean', iceberg: 'boolean' },
  { avro: ['null', 'string'], iceberg: 'string' },
] as const;

const orderWidth = orderColumns.length;

const furtherColumns = (shape: Shape): { name: string; kind: (typeof kinds)[number] }[] =>
  Array.from({ length: shape.columns - orderWidth }, (_, i) => ({
    name: `c${orderWidth + i + 1}`,
    kind: kinds[i % kinds.length]!,
  }));

/** The schema for the registry. */
export function avroSchema(shape: Shape): object {
  const inMillis = (type: unknown): unknown =>
    JSON.parse(JSON.stringify(type).replace('timestamp-micros', 'timestamp-millis'));
  const further = furtherColumns(shape).map(({ name, kind }) =>
    typeof kind.avro === 'string' ? { name, type: kind.avro } : { name, type: kind.avro, default: null },
  );
  const pad = shape.padTo === undefined ? [] : [{ name: 'pad', type: 'string' }];
  const orders = orderSchema.fields.map((field) => ({ ...field, type: inMillis(field.type) }));
  return { ...orderSchema, fields: [...orders, ...further, ...pad] };
}

/** The columns of the table. */
export function tableColumns(shape: Shape): Field[] {
  const further = furtherColumns(shape).map(({ name, kind }) => ({
    name,
    type: kind.iceberg,
    required: typeof kind.avro === 'string',
  }));
  const pad = shape.padTo === undefined ? [] : [{ name: 'pad', type: 'string', required: true }];
  return [...orderColumns, ...further, ...pad].map((raw) => column.read(raw, [], () => {}) as Field);
}

/** Writes one value after the other, the same for the same seed. A value is the caller's to keep. */
export class ValueWriter {
  readonly #shape: Shape;
  readonly #schemaId: number;
  readonly #orders: OrderWriter;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #further: readonly { name: string }[];
  readonly #noise: string;

  constructor(shape: Shape, schemaId: number, options: Omit<OrderOptions, 'times'> & { seed?: number } = {}) {
    const seed = options.seed ?? 1;
    this.#shape = shape;
    this.#schemaId = schemaId;
    this.#orders = new OrderWriter(seed, { ...options, times: 'ms' });
    this.#random = seededRandom(seed);
    this.#further = furtherColumns(shape);
    this.#noise =
      shape.padTo === undefined ? '' : Buffer.from(this.#random.bytes(1 << 20)).toString('base64');
  }

  next(): Buffer {
    return this.#shape.format === 'avro' ? this.#avro() : this.#json();
  }

  #avro(): Buffer {
    const order = this.#orders.avro(this.#schemaId);
    if (this.#further.length === 0 && this.#shape.padTo === undefined) return Buffer.from(order);
    const parts: Buffer[] = [order];
    for (let i = 0; i < this.#further.length; i++) parts.push(avroBytes(i, this.#value(i)));
    if (this.#shape.padTo !== undefined)
      parts.push(avroText(this.#pad(this.#shape.padTo - lengthOf(parts) - 2)));
    return Buffer.concat(parts);
  }

  #json(): Buffer {
    const order = this.#orders.json();
    if (this.#further.length === 0 && this.#shape.padTo === undefined) return Buffer.from(order);
    let text = order.toString('latin1', 0, order.length - 1);
    for (const [i, { name }] of this.#further.entries())
      text += `,"${name}":${JSON.stringify(this.#value(i))}`;
    if (this.#shape.padTo !== undefined)
      text += `,"pad":"${this.#pad(this.#shape.padTo - text.length - 10)}"`;
    return Buffer.from(`${text}}`, 'latin1');
  }

  /** The value of a further column, drawn anew. */
  #value(index: number): number | string | boolean | null {
    const { below, float } = this.#random;
    switch (index % kinds.length) {
      case 0:
        return below(2 ** 31) * 1000;
      case 1:
        return `value-${below(50)}`;
      case 2:
        return float() * 1e6;
      case 3:
        return below(1000);
      case 4:
        return below(2) === 1;
      default:
        return below(10) < 3 ? null : below(2 ** 31).toString(36);
    }
  }

  #pad(length: number): string {
    const from = this.#random.below(this.#noise.length - Math.max(0, length));
    return this.#noise.slice(from, from + Math.max(0, length));
  }
}

const lengthOf = (parts: readonly Buffer[]): number => parts.reduce((bytes, part) => bytes + part.length, 0);

/** Avro specification 1.12, "Binary Encoding". */
function avroBytes(index: number, value: number | string | boolean | null): Buffer {
  if (value === null) return Buffer.of(0);
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0);
  if (typeof value === 'string')
    return index % kinds.length === 1 ? avroText(value) : Buffer.concat([Buffer.of(2), avroText(value)]);
  if (index % kinds.length !== 2) return avroLong(value);
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function avroLong(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2; // zigzag of what is never negative
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

const avroText = (text: string): Buffer =>
  Buffer.concat([avroLong(text.length), Buffer.from(text, 'latin1')]);
