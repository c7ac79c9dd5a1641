import type { Log } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { keyOf, type TopicPartitionKey } from '../../src/kafka/topic-partition.ts';
import { inlineLane } from '../../src/lane/inline.ts';
import { type Lane, LaneDiedError } from '../../src/lane/lane.ts';
import type { SinkOptions } from '../../src/sink/options.ts';
import { Sink } from '../../src/sink/sink.ts';
import type { SimBroker } from './broker.ts';
import { openCatalog } from './catalogs.ts';
import type { Features } from './features.ts';
import type { Process } from './process.ts';
import { registryFetch } from './records.ts';
import { SimSource, withinMs } from './source.ts';
import { offsetEncoder, simStore } from './storage.ts';
import type { Tables } from './tables.ts';

/** A start may be under way, and the lanes may take a while to close. */
const stopSlackMs = 40_000;

export interface WorkerWorld {
  readonly seed: number;
  readonly broker: SimBroker;
  readonly tables: Tables;
  readonly features: Features;
  readonly options: Omit<SinkOptions, 'worker'>;
  broken(what: unknown): void;
}

/** One worker: the real core in a simulated process, and what can be seen of it from outside. */
export class SimWorker {
  readonly process: Process;
  readonly sink: Sink;
  readonly source: SimSource;
  /** Resolves when it stops by itself; a failure is the value. */
  readonly ended: Promise<Error | undefined>;
  wasAskedToStop = false;
  /** What lanes are at work on. */
  readonly appending: Set<TopicPartitionKey> = new Set();
  readonly #world: WorkerWorld;
  #drainsSinceMs: number | undefined;
  #hasTimedOut = false;

  constructor(process: Process, number: number, world: WorkerWorld) {
    this.process = process;
    process.credentialed = callsWithCredentials[world.features.catalog];
    this.#world = world;
    const { broker, tables, features } = world;
    const store = simStore(tables.objects, process, features.catalog === 'version');
    // Each process draws its own numbers: a crash must not change what the others draw.
    const random = seededRandom(world.seed * 1000 + number);
    const ports = { clock: process.clock, random, log: this.#log() };
    this.source = new SimSource(broker, process, {
      staleAnswers: features.staleAnswers,
      truncations: features.truncations,
      broken: (what) => world.broken(what),
    });
    const lane = (): Lane =>
      inlineLane({ ...ports, store, encoder: offsetEncoder, fetch: registryFetch(process) });
    const lanes = Array.from({ length: features.lanes }, () => this.#mortal(() => this.#slow(lane())));
    const catalog = openCatalog(features, tables, process, { ...ports, store });
    const options = { ...world.options, worker: process.name };
    this.sink = new Sink(options, { ...ports, source: this.source, lanes, catalog, store });
    if (features.large) this.source.onStep = () => this.#checkHeld();
    this.ended = this.sink.run().then(
      () => {
        this.#checkEnd();
        return undefined;
      },
      (error: Error) => error,
    );
  }

  /** Asks for a graceful stop, which must come to an end whatever does not answer (I8). */
  stop(): void {
    const { process } = this;
    const { world } = process;
    const { nowMs } = world;
    this.wasAskedToStop = true;
    this.sink.stop('SIGTERM');
    world.after(this.#world.options.graceMs + stopSlackMs, () => {
      if (process.alive && process.lastFrozenAtMs < nowMs && !process.frozen)
        this.#world.broken(`I8: ${process.name} was asked to stop ${world.nowMs - nowMs} ms ago`);
    });
  }

  /** I6. */
  #checkHeld(): void {
    const { heldBytes, heldBytesMax } = this.sink.status();
    if (heldBytes > heldBytesMax)
      this.#world.broken(`I6: ${this.process.name} holds ${heldBytes} of ${heldBytesMax} bytes`);
  }

  /** A graceful stop leaves no commit behind while there is time; a bounded run has landed what it was to land. */
  #checkEnd(): void {
    const { options, tables, broker } = this.#world;
    const { name, world, calls } = this.process;
    const hasTime = world.nowMs < (this.#drainsSinceMs ?? 0) + options.graceMs;
    if (hasTime && !this.#hasTimedOut)
      for (const { doing } of calls)
        if (/^swap|^put .*-m0\.avro$|^put snap-/.test(doing))
          this.#world.broken(`${name} has stopped in the middle of a commit (${doing}), with time to spare`);
    const { targets } = this.source;
    if (!options.untilCaughtUp || this.wasAskedToStop || !targets) return;
    const present = [...targets].filter(
      ([key]) => this.source.startedWith(key) === broker.logs.get(key)!.topicId,
    );
    const unlanded = tables.unlanded(new Map(present));
    if (
      unlanded !== '' &&
      !tables.wereDropped &&
      ![...tables.lives.values()].some((life) => life.wasRolledBack)
    )
      this.#world.broken(`${name} ends a bounded run as if all had landed: ${unlanded}`);
  }

  /** A lane that may die of any command: what it was asked before is never answered. */
  #mortal(make: () => Lane): Lane {
    if (!this.#world.features.laneDeaths) return make();
    let lane = make();
    let death = Promise.withResolvers<never>();
    let error: Error | undefined;
    const command = <T>(run: () => Promise<T>): Promise<T> => {
      if (!error && this.process.moment('lane').happens('a lane dies', 0.004)) {
        error = new LaneDiedError('lane died: of nothing in particular');
        death.reject(error);
      }
      return error ? Promise.reject(error) : Promise.race([run(), death.promise]);
    };
    const restart = (): void => {
      lane = make();
      error = undefined;
      death = Promise.withResolvers<never>();
      death.promise.catch(() => {});
    };
    restart();
    return {
      open: (plan) => command(() => lane.open(plan)),
      seek: (...args) => command(() => lane.seek(...args)),
      append: (set) => command(() => lane.append(set)),
      flush: (table) => command(() => lane.flush(table)),
      drop: (table) => command(() => lane.drop(table)),
      release: (topicPartition) => command(() => lane.release(topicPartition)),
      describe: (set, plan) => command(() => lane.describe(set, plan)),
      close: () => lane.close(),
      restart,
    };
  }

  /** A lane as in a thread of its own: each command begins when it is its turn, and a while later. */
  #slow(inner: Lane): Lane {
    const { clock, random } = this.process;
    const { laneDelayMs } = this.#world.features;
    let last: Promise<unknown> = Promise.resolve();
    const later = <T>(command: () => Promise<T>): Promise<T> => {
      if (laneDelayMs === 0) return command();
      const delayMs = random.float() * laneDelayMs;
      const result = last.then(() => clock.sleep(delayMs)).then(command);
      last = result.catch(() => {});
      return result;
    };
    return {
      open: (plan) => later(() => inner.open(plan)),
      seek: (...args) => later(() => inner.seek(...args)),
      append: (set) => {
        if (this.source.isForNobody(set))
          this.#world.broken(
            `${this.process.name} takes a set of ${keyOf(set)} from before a seek or revocation`,
          );
        const key = keyOf(set);
        this.appending.add(key);
        return later(() => inner.append(set)).finally(() => this.appending.delete(key));
      },
      flush: (table) => later(() => inner.flush(table)),
      drop: (table) => later(() => inner.drop(table)),
      release: (topicPartition) => later(() => inner.release(topicPartition)),
      describe: (set, plan) => later(() => inner.describe(set, plan)),
      close: () => later(() => inner.close()),
      restart: () => {},
    };
  }

  /** What a worker says is kept, and some of it is checked: it must be true. */
  #log(): Log {
    const { world, name } = this.process;
    const say = (message: string, fields: Record<string, unknown> = {}): void => {
      if (world.tells) world.note(`${name} ${message} ${JSON.stringify(fields)}`);
      if (message.startsWith('stopping')) this.#drainsSinceMs ??= world.nowMs;
      if (`${fields['reason']} ${fields['error']}`.includes('no answer within')) this.#hasTimedOut = true;
      const keys = fields['partitions'] as TopicPartitionKey[];
      if (message.startsWith('partitions are given up before')) this.#checkGivenUp(keys);
      if (message.startsWith('fenced')) this.#checkFenced(String(fields['table']), keys);
    };
    return { debug: say, info: say, warn: say, error: say };
  }

  /** Rows of revoked partitions are landed as long as there is time. */
  #checkGivenUp(keys: readonly TopicPartitionKey[]): void {
    const { name, world } = this.process;
    for (const key of keys)
      if (world.nowMs < (this.source.revokedAtMs.get(key) ?? 0) + withinMs - 5)
        this.#world.broken(`${name} gives ${key} up before its rows have landed, with time to spare`);
  }

  /** A table is opened again only when its commit has ended: no worker is ever fenced by itself. */
  #checkFenced(table: string, keys: readonly TopicPartitionKey[]): void {
    const { tables, broker, features } = this.#world;
    // Below another one's snapshot its own is not shown there.
    if (features.catalog === 'newest') return;
    const life = tables.lives.get(table);
    if (!life || life.wasRolledBack || life.isRemade) return;
    const { name } = this.process;
    const kept = new Set(life.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']));
    const byItself = (key: TopicPartitionKey): boolean => {
      const moved = life.movedBy.get(broker.logs.get(key)!.id);
      // What has expired tells nobody any more whose it was.
      if (moved?.worker !== name || !kept.has(moved.snapshot)) return false;
      // One that was taken away and given back is opened at once, whatever is under way.
      return this.source.assignedAtMs.get(key)! < moved.sinceMs;
    };
    if (keys.every(byItself)) this.#world.broken(`${name} was fenced by its own commit: ${keys.join()}`);
  }
}

const storeCalls = ['put', 'get', 'delete'];
const catalogCalls = ['get table', 'create table', 'swap', 'get database'];
/** REST catalogs have tokens instead. */
const callsWithCredentials: Record<Features['catalog'], ReadonlySet<string>> = {
  location: new Set([...storeCalls, ...catalogCalls]),
  version: new Set([...storeCalls, ...catalogCalls]),
  requirements: new Set(storeCalls),
  newest: new Set(storeCalls),
};
