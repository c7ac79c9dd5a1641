import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { OrderWriter, orderSchema } from '../../localstack/orders.ts';
import { Repl } from '../tools/repl.ts';

const chunkMs = 400;
const firstOrderId = 7_000_000_000_000;

export interface ProducerOptions {
  brokers: string;
  registry: string;
  topic: string;
  /** Records a second. */
  rate: number;
  seed: number;
  /** Gets a line `partition,offset,order_id` for each record that was acknowledged. */
  file: string;
}

/**
 * Orders by Kafka's own producer (idempotent, acks=all), each with an id of its own, and a note of each acknowledgement.
 * What was not acknowledged is not sent again: it may be in the log, once, or not.
 */
export class Producer implements AsyncDisposable {
  acknowledged = 0;
  /** Records of which nobody can tell. */
  unanswered = 0;
  readonly #options: ProducerOptions;
  readonly #java = new Repl('java');
  readonly #orders: OrderWriter;
  readonly #note;
  #schemaId = 0;
  /** Fields that were added to the schema. */
  #added = 0;
  #next = firstOrderId;
  #ended = false;
  #producing: Promise<void> = Promise.resolve();

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#orders = new OrderWriter(options.seed);
    this.#note = createWriteStream(options.file);
  }

  async start(): Promise<void> {
    await this.#java.call('configure', { brokers: this.#options.brokers });
    await this.#register(0);
    this.#note.write('partition,offset,order_id\n');
    this.#producing = this.#produce();
    this.#producing.catch(() => {}); // end tells
  }

  /** The schema gets a further field, of which older readers know nothing. @returns its name. */
  async addField(): Promise<string> {
    await this.#register(this.#added + 1);
    return `added_${this.#added}`;
  }

  /** Waits until everything that was sent is acknowledged, or given up. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#producing;
    this.#note.end();
    await once(this.#note, 'finish');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#java.close();
  }

  async #register(added: number): Promise<void> {
    const { registry, topic } = this.#options;
    const further = Array.from({ length: added }, (_, i) => ({
      name: `added_${i + 1}`,
      type: ['null', 'string'],
      default: null,
    }));
    const schema = JSON.stringify({ ...orderSchema, fields: [...orderSchema.fields, ...further] });
    const response = await fetch(`${registry}/subjects/${topic}-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema }),
    });
    if (!response.ok)
      throw new Error(`registering a schema: HTTP ${response.status} ${await response.text()}`);
    this.#schemaId = ((await response.json()) as { id: number }).id;
    this.#added = added;
  }

  async #produce(): Promise<void> {
    const { topic, rate } = this.#options;
    const size = Math.ceil((rate * chunkMs) / 1000);
    while (!this.#ended) {
      const next = performance.now() + chunkMs;
      const first = this.#next;
      const records = Array.from({ length: size }, () => ({ key: null, value: this.#order() }));
      // Small batches: each goes to another partition.
      await this.#java
        .call<{ records: [number, number, number][] }>('produce', { topic, records, batchSize: 2_048 })
        .then((answer) => this.#acknowledge(answer.records, first))
        .catch(() => {
          this.unanswered += size;
        });
      const early = next - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    }
  }

  #acknowledge(records: readonly [number, number, number][], first: number): void {
    const lines = records.map(([partition, offset], i) => `${partition},${offset},${first + i}\n`);
    this.#note.write(lines.join(''));
    this.acknowledged += records.length;
  }

  /** The next order in Confluent's wire format; fields that were added stand behind the others. */
  #order(): string {
    const order = this.#orders.avro(this.#schemaId);
    this.#next++;
    const field = Buffer.from([2, 6, ...Buffer.from('new')]);
    return Buffer.concat([order, ...Array.from({ length: this.#added }, () => field)]).toString('base64');
  }
}
