import type { Clock } from '../../../src/base/clock.ts';
import { TransientError } from '../../../src/base/errors.ts';
import type { Log } from '../../../src/base/log.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { parseIdentifier, type Table } from '../../../src/catalog/catalog.ts';
import { memoryPointers } from '../../../src/catalog/memory.ts';
import { MetastoreCatalog, type Pointers } from '../../../src/catalog/metastore.ts';
import { readManifest } from '../../../src/iceberg/manifest.ts';
import { readManifestList } from '../../../src/iceberg/manifest-list.ts';
import { branchHead, type TableMetadata, writeMetadata } from '../../../src/iceberg/metadata.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { type Resolution, resolveLedger } from '../../../src/sink/ledger.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { SkippingClock } from '../base/clock.ts';
import { pipeline } from './history.ts';

/** What becomes of a swap: it is done or not, and the caller is told so, told nothing, or told the contrary of it. */
export type Fate =
  | 'applied'
  | 'rejected'
  | 'unknown, applied'
  | 'unknown, not applied'
  | 'no answer, applied'
  | 'rejected, applied';

/** Records everything that is logged, as `level message`. */
export class LogBook implements Log {
  readonly lines: string[] = [];
  readonly fields: (Record<string, unknown> | undefined)[] = [];
  readonly debug = this.#write('debug');
  readonly info = this.#write('info');
  readonly warn = this.#write('warn');
  readonly error = this.#write('error');

  #write(level: string): Log['info'] {
    return (message, fields) => {
      this.lines.push(`${level} ${message}`);
      this.fields.push(fields);
    };
  }
}

/** Time that jumps over waits, in which others may do something. Deadlines pass only where a test wants it. */
export class LakeClock extends SkippingClock {
  /** Runs once, in the next wait. */
  meanwhile: () => Promise<unknown> = async () => {};
  deadlinesPass = false;

  constructor() {
    super(1_700_000_000_000, deadlineMs - 1);
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms < deadlineMs) {
      const { meanwhile } = this;
      this.meanwhile = async () => {};
      await meanwhile();
    } else if (this.deadlinesPass) {
      // Whatever needs no time is done first.
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      if (!signal?.aborted) this.skip(ms);
      return;
    }
    return super.sleep(ms, signal);
  }
}

const deadlineMs = 60_000;

/** A catalog and a store in memory, with a fate for each swap, and what readers find there. */
export class Lake<C extends Clock = LakeClock> {
  readonly store = new MemoryStore();
  readonly pointers = memoryPointers();
  readonly clock: C;
  readonly random: ReturnType<typeof seededRandom> = seededRandom(1);
  readonly log = new LogBook();
  /** Fates of the next swaps; those after them are done properly. */
  readonly fates: Fate[] = [];
  /** Runs before each swap: what others do in between. */
  beforeSwap: (swap: number) => Promise<void> = async () => {};
  swaps = 0;
  readonly catalog: MetastoreCatalog;
  /** Others see the same tables, without fates. */
  readonly others: MetastoreCatalog;

  constructor(clock: C) {
    this.clock = clock;
    this.catalog = new MetastoreCatalog(
      { ...this.pointers, swap: this.#swap.bind(this) },
      'memory://wh',
      this,
    );
    this.others = new MetastoreCatalog(this.pointers, 'memory://wh', this);
  }

  async #swap(...args: Parameters<Pointers['swap']>): ReturnType<Pointers['swap']> {
    await this.beforeSwap(++this.swaps);
    const fate = this.fates.shift() ?? 'applied';
    if (fate === 'rejected') return { type: 'rejected', reason: 'the table has moved' };
    if (fate === 'unknown, not applied') return { type: 'unknown', reason: 'the connection broke' };
    const outcome = await this.pointers.swap(...args);
    if (fate === 'applied') return outcome;
    if (fate === 'no answer, applied') throw new TransientError('the connection broke');
    // A proxy has sent the request twice: this is the answer to the second.
    if (fate === 'rejected, applied')
      return { type: 'rejected', reason: 'the table has moved', doubtful: true };
    return { type: 'unknown', reason: 'the answer was lost' };
  }

  create(name = 'shop.orders', properties: Record<string, string> = {}): Promise<Table> {
    return this.others.create(parseIdentifier(name), {
      fields: [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }],
      spec: () => unpartitioned,
      properties,
    });
  }

  async load(name = 'shop.orders'): Promise<Table> {
    const table = await this.others.load(parseIdentifier(name));
    if (!table) throw new Error(`there is no table ${name}`);
    return table;
  }

  /** Somebody moves the table to other metadata. */
  async change(change: (metadata: TableMetadata) => TableMetadata, name = 'shop.orders'): Promise<void> {
    const location = `memory://wh/changed-${this.store.objects.size}.metadata.json`;
    const { metadata } = await this.load(name);
    await this.store.put(location, [Buffer.from(writeMetadata(change(metadata)))]);
    this.pointers.tables.set(name, location);
  }

  async resolve(by = pipeline): Promise<Resolution> {
    return resolveLedger((await this.load()).metadata, by, 'main');
  }

  /** The live data files, as a reader finds them: a file that is in the table twice is there twice. */
  async files(name = 'shop.orders'): Promise<string[]> {
    const head = branchHead((await this.load(name)).metadata, 'main');
    if (!head) return [];
    const list = head['manifest-list'];
    const found: string[] = [];
    for (const { path } of readManifestList(await this.store.get(list), list))
      for (const entry of readManifest(await this.store.get(path), path)) found.push(entry.path);
    return found.sort();
  }

  /** Objects whose location contains `part`. */
  objects(part: string): string[] {
    return [...this.store.objects.keys()].filter((location) => location.includes(part));
  }
}
