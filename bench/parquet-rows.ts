import {
  type BytesColumn,
  Columns,
  type DecimalColumn,
  type Float64Column,
  type Int32Column,
  type Int64Column,
  type ListColumn,
  type MapColumn,
  type StructColumn,
} from '../src/arrow/columns.ts';
import { seededRandom } from '../src/base/random.ts';
import { assignFieldIds, type Schema } from '../src/iceberg/schema.ts';
import type { Field, Type } from '../src/iceberg/types.ts';

/** Records for the bench of Parquet encoders: the order of the other benches, one of 300 columns, and a nested one. */

type Seeded = ReturnType<typeof seededRandom>;

export interface Workload {
  name: string;
  schema: Schema;
  rows: number;
  fill: (columns: Columns, row: number, random: Seeded) => void;
}

const chunkRows = 65_536;

/** All rows of a workload, in chunks as a lane hands them over. */
export function chunksOf({ schema, rows, fill }: Workload): Columns[] {
  const random = seededRandom(7);
  const chunks: Columns[] = [];
  for (let row = 0; row < rows; ) {
    const columns = new Columns(schema);
    for (; row < rows && columns.rows < chunkRows && columns.byteLength() < 4 << 20; row++)
      fill(columns, row, random);
    chunks.push(columns);
  }
  return chunks;
}

const field = (name: string, type: Type, required = true): Field => ({ id: 0, name, required, type });
const schemaOf = (...fields: Field[]): Schema => ({ schemaId: 0, fields: assignFieldIds(fields).fields });

const words = (count: number, prefix: string): Buffer[] =>
  Array.from({ length: count }, (_, i) => Buffer.from(`${prefix}${i.toString(36)}`));
const merchants = words(200, 'merchant-');
const currencies = ['EUR', 'USD', 'GBP', 'CHF', 'JPY'].map((text) => Buffer.from(text));
const statuses = ['created', 'paid', 'packed', 'shipped', 'returned', 'lost'].map((text) =>
  Buffer.from(text),
);

const below = (random: Seeded, n: number): number => random.below(n);
const appendText = (column: BytesColumn, text: Uint8Array): void => column.append(text, 0, text.length);
const noise = (random: Seeded): Buffer => Buffer.from(random.bytes(10)).subarray(0, 10);
const startMicros = 1_760_000_000_000_000;

/** Two longs, a merchant of 200, a decimal, a currency of 5, a status of 6, two moments, a note that is mostly there, an int. */
export const orders: Workload = {
  name: 'orders: 10 columns',
  rows: 1_000_000,
  schema: schemaOf(
    field('order_id', { kind: 'long' }),
    field('customer_id', { kind: 'long' }),
    field('merchant', { kind: 'string' }),
    field('amount', { kind: 'decimal', precision: 12, scale: 2 }),
    field('currency', { kind: 'string' }),
    field('status', { kind: 'string' }),
    field('created_at', { kind: 'timestamptz' }),
    field('updated_at', { kind: 'timestamptz' }),
    field('note', { kind: 'string' }, false),
    field('item_count', { kind: 'int' }),
  ),
  fill: ({ columns }, row, random) => {
    const at = startMicros + row * 1_000 + below(random, 1_000);
    (columns[0] as Int64Column).appendNumber(row);
    (columns[1] as Int64Column).appendNumber(below(random, 10_000_000));
    appendText(columns[2] as BytesColumn, merchants[below(random, 200)]!);
    (columns[3] as DecimalColumn).append(below(random, 1_000_000), 0);
    appendText(columns[4] as BytesColumn, currencies[below(random, 5)]!);
    appendText(columns[5] as BytesColumn, statuses[below(random, 6)]!);
    (columns[6] as Int64Column).appendNumber(at);
    (columns[7] as Int64Column).appendNumber(at + below(random, 3_600_000_000));
    if (random.float() < 0.3) columns[8]!.appendNull();
    else appendText(columns[8] as BytesColumn, Buffer.from(noise(random).toString('hex')));
    (columns[9] as Int32Column).append(1 + below(random, 10));
  },
};

/** A long, a double, and a text in turn; all may be null, one in ten is. */
export const wide: Workload = {
  name: '300 columns',
  rows: 30_000,
  schema: schemaOf(
    ...Array.from({ length: 300 }, (_, i) =>
      field(`c${i}`, { kind: (['long', 'double', 'string'] as const)[i % 3]! }, false),
    ),
  ),
  fill: ({ columns }, row, random) => {
    for (const [i, column] of columns.entries()) {
      if (random.float() < 0.1) column.appendNull();
      else if (i % 3 === 0) (column as Int64Column).appendNumber(row * 7 + below(random, 1_000));
      else if (i % 3 === 1) (column as Float64Column).append(below(random, 100_000) / 100);
      else appendText(column as BytesColumn, merchants[below(random, 200)]!);
    }
  },
};

/** An id, a struct, a list of structs (2 on average), and a map (2 entries on average). */
export const nested: Workload = {
  name: 'nested: struct, list of structs, map',
  rows: 300_000,
  schema: schemaOf(
    field('id', { kind: 'long' }),
    field(
      'address',
      {
        kind: 'struct',
        fields: [field('city', { kind: 'string' }, false), field('zip', { kind: 'int' }, false)],
      },
      false,
    ),
    field(
      'items',
      {
        kind: 'list',
        elementId: 0,
        elementRequired: false,
        element: {
          kind: 'struct',
          fields: [
            field('sku', { kind: 'string' }),
            field('quantity', { kind: 'int' }),
            field('price', { kind: 'double' }, false),
          ],
        },
      },
      false,
    ),
    field(
      'attributes',
      {
        kind: 'map',
        keyId: 0,
        key: { kind: 'string' },
        valueId: 0,
        valueRequired: false,
        value: { kind: 'string' },
      },
      false,
    ),
  ),
  fill: ({ columns }, row, random) => {
    (columns[0] as Int64Column).appendNumber(row);
    const address = columns[1] as StructColumn;
    if (random.float() < 0.1) {
      address.appendNull();
    } else {
      appendText(address.children[0] as BytesColumn, merchants[below(random, 200)]!);
      (address.children[1] as Int32Column).append(below(random, 100_000));
      address.append();
    }
    const items = columns[2] as ListColumn;
    const item = items.element as StructColumn;
    for (let i = below(random, 5); i > 0; i--) {
      appendText(item.children[0] as BytesColumn, merchants[below(random, 200)]!);
      (item.children[1] as Int32Column).append(1 + below(random, 10));
      (item.children[2] as Float64Column).append(below(random, 100_000) / 100);
      item.append();
    }
    items.append();
    const attributes = columns[3] as MapColumn;
    for (let i = below(random, 5); i > 0; i--) {
      appendText(attributes.key as BytesColumn, currencies[i]!);
      appendText(attributes.value as BytesColumn, Buffer.from(noise(random).toString('hex')));
    }
    attributes.append();
  },
};
