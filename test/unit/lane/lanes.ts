import { valueAt } from '../../../src/arrow/values.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { newSpec } from '../../../src/iceberg/partition-by.ts';
import { assignFieldIds } from '../../../src/iceberg/schema.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import type { RecordSet } from '../../../src/kafka/source.ts';
import { type BatchHeader, writeBatch } from '../../../src/kafka/write-batch.ts';
import type { TablePlan } from '../../../src/lane/lane.ts';
import type { LanePorts } from '../../../src/lane/lane-table.ts';
import { metadataFields } from '../../../src/lane/metadata-columns.ts';
import { type Encoder, encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { SkippingClock } from '../base/clock.ts';
import { LogBook } from '../sink/lake.ts';

export const long = (name: string, required = true): Field => ({
  id: 0,
  name,
  required,
  type: { kind: 'long' },
});
export const text = (name: string, required = false): Field => ({
  id: 0,
  name,
  required,
  type: { kind: 'string' },
});

export interface PlanSettings extends Partial<Omit<TablePlan, 'schema' | 'spec'>> {
  fields?: readonly Field[];
  partitionBy?: readonly string[];
  metadataColumns?: boolean;
}

/** A plan for JSON values `{"n":1,"region":"eu"}` with the metadata columns, and what a test wants otherwise. */
export function planOf(settings: PlanSettings = {}): TablePlan {
  const {
    fields = [long('n'), text('region')],
    partitionBy = [],
    metadataColumns = true,
    ...change
  } = settings;
  const all = metadataColumns ? [...fields, ...metadataFields] : fields;
  const schema = { schemaId: 0, fields: assignFieldIds(all).fields };
  return {
    table: 'shop.orders',
    schema,
    spec: newSpec(schema, partitionBy),
    properties: {},
    dataLocation: 'memory://data',
    filePrefix: 'frazil-shop-w1',
    value: { format: 'json', envelope: 'none', epoch: 'ms' },
    key: { format: 'string' },
    keyColumn: undefined,
    onError: 'halt',
    onTombstone: 'halt',
    ...change,
  };
}

/** A record: its value (objects as JSON), or key and value, and when. */
export type Given =
  | object
  | string
  | null
  | { key: string | Buffer | null; value: object | string | Buffer | null };

function bytes(value: object | string | null): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

/** Records at consecutive offsets from `from` on, with timestamps 1000, 1001, ... */
export function setOf(
  from: number,
  given: readonly Given[],
  header: Partial<BatchHeader> = {},
  partition = 0,
): RecordSet {
  const records = given.map((each, i) => {
    const keyed = each !== null && typeof each === 'object' && 'value' in each && 'key' in each;
    const key = keyed ? bytes(each.key as string | null) : null;
    return {
      offsetDelta: i,
      timestampDelta: i,
      key,
      value: bytes(keyed ? (each.value as object | null) : (each as object | string | null)),
    };
  });
  const batch = writeBatch({ baseOffset: from, baseTimestamp: 1_000, ...header }, records);
  const next = from + given.length;
  return {
    topic: 'orders',
    partition,
    generation: 1,
    from,
    next,
    records: new Uint8Array(batch),
    epochs: [],
    aborted: null,
  };
}

/** An encoder whose files are their rows as JSON, and which counts what is open. */
export class RowEncoder implements Encoder {
  /** Files that were opened and neither closed nor aborted. */
  open_ = 0;
  opened = 0;
  aborted = 0;
  /** Rows of each write, in order. */
  readonly writes: number[] = [];

  open(schema: TablePlan['schema']): ReturnType<Encoder['open']> {
    this.open_++;
    this.opened++;
    const rows: Record<string, unknown>[] = [];
    const measured = parquetEncoder.open(schema, { ...encodingOptions({}), codec: 'uncompressed' });
    let written = 0;
    const end = (): void => {
      this.open_--;
    };
    return {
      get heldBytes() {
        return written;
      },
      get writtenBytes() {
        return written;
      },
      write: async (columns) => {
        this.writes.push(columns.rows);
        await measured.write(columns);
        for (let row = 0; row < columns.rows; row++)
          rows.push(
            Object.fromEntries(
              schema.fields.map((f, i) => [f.name, valueAt(columns.columns[i]!, row, f.type)]),
            ),
          );
        written += columns.byteLength();
      },
      close: async () => {
        end();
        const part = Buffer.from(JSON.stringify(rows, (_, v) => (typeof v === 'bigint' ? String(v) : v)));
        const { facts } = await measured.close();
        return { parts: [part], sizeBytes: part.length, columnSizes: new Map(), splitOffsets: [4], facts };
      },
      abort: async () => {
        this.aborted++;
        end();
      },
    };
  }
}

export interface TestPorts extends LanePorts {
  store: MemoryStore;
  encoder: RowEncoder;
  log: LogBook;
}

/** Ports in memory; `registry` is what a schema registry answers, by path. */
export function lanePorts(registry: Record<string, unknown> = {}): TestPorts {
  return {
    store: new MemoryStore(),
    encoder: new RowEncoder(),
    clock: new SkippingClock(1_000_000, 5_000), // deadlines never pass
    random: seededRandom(1),
    log: new LogBook(),
    fetch: async (url) => {
      const { pathname } = new URL(String(url));
      return pathname in registry
        ? Response.json(registry[pathname])
        : Response.json({ error_code: 40403 }, { status: 404 });
    },
  };
}

/** The rows of a stored file. */
export function rowsIn(store: MemoryStore, path: string): Record<string, unknown>[] {
  return JSON.parse(Buffer.from(store.objects.get(path)!).toString('utf8')) as Record<string, unknown>[];
}
