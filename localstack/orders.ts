/**
 * The order workload of demo, tests and benchmarks: ten columns of the kinds that shops have, the same records for the
 * same seed. 79 bytes an order in Avro, 232 in JSON.
 */

export const orderSchema = {
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'order_id', type: 'long' },
    { name: 'customer_id', type: 'long' },
    { name: 'merchant', type: 'string' },
    { name: 'amount', type: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 } },
    { name: 'currency', type: 'string' },
    { name: 'status', type: 'string' },
    { name: 'created_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'updated_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'note', type: ['null', 'string'], default: null },
    { name: 'item_count', type: 'int' },
  ],
} as const;

export const orderColumns = [
  { name: 'order_id', type: 'long', required: true },
  { name: 'customer_id', type: 'long', required: true },
  { name: 'merchant', type: 'string', required: true },
  { name: 'amount', type: 'decimal(12,2)', required: true },
  { name: 'currency', type: 'string', required: true },
  { name: 'status', type: 'string', required: true },
  { name: 'created_at', type: 'timestamptz', required: true },
  { name: 'updated_at', type: 'timestamptz', required: true },
  { name: 'note', type: 'string' },
  { name: 'item_count', type: 'int', required: true },
];

const currencies = ['USD', 'EUR', 'GBP', 'JPY', 'BRL'];
const statuses = ['CREATED', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'REFUNDED'];
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const firstOrderId = 7_000_000_000_000;
const firstMicros = 1_790_000_000_000_000;

export interface OrderOptions {
  /** Unit of the times: the schema above has microseconds. */
  times?: 'us' | 'ms';
  /** ms since the epoch: with it `updated_at` is when the order was written. */
  now?: () => number;
}

/** Writes one order after the other. The bytes of an order are only good until the next one is asked for. */
export class OrderWriter {
  readonly #options: OrderOptions;
  readonly #bytes = Buffer.alloc(16 * 1024);
  readonly #merchants: string[];
  #state: number;
  #number = 0;
  #end = 0;

  constructor(seed = 0x12345678, options: OrderOptions = {}) {
    this.#options = options;
    this.#state = seed >>> 0;
    this.#merchants = Array.from({ length: 200 }, () => this.#word(10 + this.#below(5)));
  }

  /** The next order in Avro, in Confluent's wire format. */
  avro(schemaId: number): Buffer {
    const order = this.#next();
    this.#bytes[0] = 0;
    this.#bytes.writeInt32BE(schemaId, 1);
    this.#end = 5;
    this.#long(order.orderId);
    this.#long(order.customerId);
    this.#text(order.merchant);
    this.#decimal(order.cents);
    this.#text(order.currency);
    this.#text(order.status);
    this.#long(order.createdAt);
    this.#long(order.updatedAt);
    this.#bytes[this.#end++] = order.note === null ? 0 : 2;
    if (order.note !== null) this.#text(order.note);
    this.#long(order.itemCount);
    return this.#bytes.subarray(0, this.#end);
  }

  /** The next order as JSON; times are epoch microseconds. With `padTo` a field `pad` makes it that many bytes long. */
  json(padTo = 0): Buffer {
    const o = this.#next();
    const amount = `${Math.floor(o.cents / 100)}.${String(o.cents % 100).padStart(2, '0')}`;
    const note = o.note === null ? 'null' : `"${o.note}"`;
    const text =
      `{"order_id":${o.orderId},"customer_id":${o.customerId},"merchant":"${o.merchant}","amount":"${amount}",` +
      `"currency":"${o.currency}","status":"${o.status}","created_at":${o.createdAt},"updated_at":${o.updatedAt},` +
      `"note":${note},"item_count":${o.itemCount}`;
    const missing = padTo - text.length - 10;
    const padded = missing > 0 ? `${text},"pad":"${this.#word(missing)}"}` : `${text}}`;
    return this.#bytes.subarray(0, this.#bytes.write(padded, 'latin1'));
  }

  #next() {
    const n = this.#number++;
    const createdAt = firstMicros + n * 400_000 + this.#below(4_000_000);
    const unit = this.#options.times === 'ms' ? 1000 : 1;
    return {
      orderId: firstOrderId + n,
      customerId: 1_000_000_000 + this.#below(2_000_000) * 37,
      merchant: this.#merchants[Math.floor((this.#random() / 4294967296) ** 2 * 200)]!,
      cents: 100 + this.#below(900_000) + (this.#below(50) === 0 ? this.#below(100_000_000) : 0),
      currency: currencies[this.#below(10) < 5 ? 0 : this.#below(5)]!,
      status: statuses[this.#below(6)]!,
      createdAt: Math.floor(createdAt / unit),
      updatedAt: Math.floor(this.#updatedAt(createdAt) / unit),
      note: this.#below(10) < 3 ? null : this.#word(12 + this.#below(17)),
      itemCount: 1 + this.#below(10),
    };
  }

  /** What is drawn is drawn in any case: the same seed makes the same orders. */
  #updatedAt(createdAt: number): number {
    const drawn = createdAt + (this.#random() % 4_000_000_000);
    const { now } = this.#options;
    return now === undefined ? drawn : now() * 1000;
  }

  /** xorshift32. */
  #random(): number {
    let s = this.#state;
    s ^= s << 13;
    s >>>= 0;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s >>> 0;
    return this.#state;
  }

  #below(n: number): number {
    return this.#random() % n;
  }

  #word(length: number): string {
    let word = '';
    for (let i = 0; i < length; i++) word += letters[this.#below(62)];
    return word;
  }

  #long(value: number): void {
    let rest = value * 2; // zigzag of what is never negative
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#end++] = (rest % 128) | 128;
    this.#bytes[this.#end++] = rest;
  }

  #text(text: string): void {
    this.#long(text.length);
    this.#end += this.#bytes.write(text, this.#end, 'latin1');
  }

  #decimal(cents: number): void {
    const bytes: number[] = [];
    for (let rest = cents; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
    if (bytes[0]! & 128) bytes.unshift(0);
    this.#long(bytes.length);
    for (const byte of bytes) this.#bytes[this.#end++] = byte;
  }
}
