import { uuid } from '../../src/base/random.ts';
import type { TableMetadata } from '../../src/iceberg/metadata.ts';
import { newTableMetadata, writeMetadata } from '../../src/iceberg/metadata.ts';
import { ledgerNames } from '../../src/sink/ledger.ts';
import type { SimBroker } from './broker.ts';
import type { Features } from './features.ts';
import { cleanOrphans, compacted, expired, type ForeignJob, replaced, rolledBack } from './foreign.ts';
import type { Producer } from './records.ts';
import { pipeline, type Tables } from './tables.ts';
import type { SimWorker } from './worker.ts';
import type { World } from './world.ts';

const dayMs = 24 * 3_600_000;
/** Longer than anybody goes on trying. */
const longOutageMs = 17 * 60_000;

interface ChaosWorld {
  readonly world: World;
  readonly broker: SimBroker;
  readonly tables: Tables;
  readonly producer: Producer;
  readonly features: Features;
  readonly workers: readonly SimWorker[];
  /** What was done to this world, by name: some failures are right only after it. */
  readonly happened: Set<string>;
  startWorker(): void;
  broken(what: unknown): void;
}

/** All that goes wrong in a world, and all that others do in it. */
export class Chaos {
  readonly #sim: ChaosWorld;
  readonly #kinds: readonly (() => void)[];

  constructor(sim: ChaosWorld) {
    this.#sim = sim;
    const { features } = sim;
    const all: [boolean, () => void][] = [
      [true, () => this.#kill()],
      [true, () => this.#freeze()],
      [true, () => this.#join()],
      [true, () => this.#stop()],
      [true, () => this.#shake()],
      [features.maintenance, () => this.#foreign('compaction', compacted)],
      [features.maintenance, () => this.#foreign('expiry', (_job, metadata) => expired(metadata, 1))],
      [true, () => this.#foreign('trim', (_job, metadata) => expired(metadata, 8))],
      [features.rollbacks, () => this.#rollBack()],
      [features.clockJumps, () => this.#setClock()],
      [features.drops, () => this.#drop()],
      [features.drops, () => this.#drop()],
      [features.retention !== 'none', () => this.#retain()],
      [features.retention !== 'none', () => this.#retain()],
      [features.recreations, () => this.#recreate()],
      [features.growth, () => this.#grow()],
      [features.outage, () => this.#outage()],
      [features.longSleep, () => this.#longSleep()],
    ];
    this.#kinds = all.filter(([has]) => has).map(([, run]) => run);
  }

  /** Breaks something now and then, until `untilMs`. */
  keepOn(untilMs: number): void {
    const { world } = this.#sim;
    world.after(world.random.float() * 15_000, () => {
      if (world.nowMs > untilMs) return;
      // An outage is enough: whoever is in it shall live to see its end.
      if (!world.isOut) this.#kinds[world.random.below(this.#kinds.length)]!();
      this.keepOn(untilMs);
    });
  }

  #alive(): SimWorker[] {
    return this.#sim.workers.filter((worker) => worker.process.alive);
  }

  #victim(): SimWorker | undefined {
    const alive = this.#alive();
    return alive[this.#sim.world.random.below(Math.max(1, alive.length))];
  }

  #topic(): string {
    const { world, features } = this.#sim;
    return `topic${world.random.below(features.topics)}`;
  }

  // ---- processes ----

  #kill(): void {
    const victim = this.#victim();
    if (!victim) return;
    const { world } = this.#sim;
    world.note(`${victim.process.name} is killed`);
    victim.process.alive = false;
    world.after(world.random.float() * 5_000, () => this.#sim.startWorker());
  }

  #freeze(): void {
    const victim = this.#victim();
    if (!victim) return;
    const { world } = this.#sim;
    const ms = world.random.float() * 40_000;
    world.note(`${victim.process.name} freezes for ${ms.toFixed(0)} ms`);
    victim.process.freeze();
    world.after(ms, () => victim.process.thaw());
  }

  #join(): void {
    if (this.#alive().length < 4) this.#sim.startWorker();
  }

  #stop(): void {
    this.#victim()?.stop();
  }

  #setClock(): void {
    const victim = this.#victim();
    if (victim) victim.process.skewMs = (this.#sim.world.random.float() - 0.5) * 1_200_000;
  }

  // ---- Kafka ----

  #shake(): void {
    this.#sim.world.note('group: rebalance');
    this.#sim.broker.shake();
  }

  #retain(): void {
    const { world, broker, tables, producer } = this.#sim;
    const keys = [...broker.logs.keys()];
    const key = keys[world.random.below(keys.length)]!;
    producer.retain(key, tables.landedEverywhere(key));
  }

  #recreate(): void {
    const topic = this.#topic();
    this.#sim.world.note(`topic ${topic} is deleted and made anew`);
    this.#sim.happened.add('recreation');
    this.#sim.broker.recreate(topic);
  }

  #grow(): void {
    const topic = this.#topic();
    if (this.#sim.broker.keysOf(topic).length >= 6) return;
    this.#sim.world.note(`topic ${topic} gets a partition more`);
    this.#sim.broker.grow(topic);
  }

  // ---- store and catalog ----

  /** An outage begins when it hurts: with commits under way that are not answered any more. */
  #outage(): void {
    const { happened } = this.#sim;
    if (happened.has('long outage')) return;
    happened.add('long outage');
    this.#strike(600);
  }

  #strike(triesLeft: number): void {
    const { world, workers } = this.#sim;
    const isCommitting = workers.some(({ process }) =>
      [...process.calls.values()].some(({ doing }) => doing === 'swap'),
    );
    if (!isCommitting && triesLeft > 0) return world.after(5, () => this.#strike(triesLeft - 1));
    world.note('store and catalog are away');
    world.isOut = true;
    for (const { process } of workers) process.connection++;
    world.after(longOutageMs, () => {
      world.note('store and catalog are back');
      world.isOut = false;
    });
  }

  /** The lid is closed for days in the middle of an outage; when it is opened again orphans have been cleaned away. */
  #longSleep(): void {
    const { world, happened } = this.#sim;
    if (world.isOut || happened.has('long outage')) return;
    happened.add('long outage');
    world.note('store and catalog are away');
    world.isOut = true;
    world.after(5_000 + world.random.float() * 40_000, () => {
      for (const { process } of this.#sim.workers) {
        process.connection++;
        if (process.alive) process.freeze();
      }
      world.leap(4 * dayMs);
      const cleaned = cleanOrphans(this.#job(), this.#sim.tables.namedNow(), 3 * dayMs);
      world.note(`four days later: ${cleaned} orphans were cleaned away; all go on`);
      world.isOut = false;
      world.after(0, () => {
        for (const { process } of this.#sim.workers) process.thaw();
      });
    });
  }

  // ---- tables ----

  #job(): ForeignJob {
    const { world, tables } = this.#sim;
    return { objects: tables.objects, random: world.random, nowMs: world.nowMs };
  }

  #someTable(): string {
    const { world, tables } = this.#sim;
    return tables.options[world.random.below(tables.options.length)]!.table;
  }

  #rollBack(): void {
    const { world } = this.#sim;
    const { offsets } = ledgerNames(pipeline);
    if (world.random.float() < 0.7)
      this.#foreign('rollback', (job, metadata) => rolledBack(job, metadata, offsets));
    else this.#foreign('rollback', replaced);
  }

  /** Somebody else's commit. */
  #foreign(
    what: 'compaction' | 'expiry' | 'trim' | 'rollback',
    change: (job: ForeignJob, metadata: TableMetadata) => TableMetadata | undefined,
  ): void {
    const { world, tables, happened } = this.#sim;
    const table = this.#someTable();
    const life = tables.lives.get(table);
    if (!life) return;
    const { type } = tables.resolution(life);
    // A rollback that nobody has resolved yet: expiry would hide what happened, and one more is not told from the first.
    if ((what === 'expiry' || what === 'trim') && type === 'rolledBack') return;
    if (what === 'rollback' && type !== 'known') return;
    const next = change(this.#job(), life.metadata);
    if (!next) return;
    const to = `${life.location.replace(/\/[^/]*$/, '')}/foreign-${world.random.below(1e9)}-${tables.moves}.metadata.json`;
    const log = [
      ...life.metadata['metadata-log'],
      { 'timestamp-ms': life.metadata['last-updated-ms'], 'metadata-file': life.location },
    ];
    const written = writeMetadata({ ...next, 'metadata-log': log.slice(-100) });
    tables.objects.put(to, Buffer.from(written), world.nowMs);
    world.note(`${table}: foreign ${what}`);
    happened.add(what);
    if (what === 'rollback') life.wasRolledBack = true;
    if (what === 'expiry') life.wasExpired = true;
    tables.pointers.swap(table, life.location, to);
  }

  /** DROP TABLE, and often CREATE TABLE at once. Objects stay: they are the cleaner's. */
  #drop(): void {
    const { world, tables, happened } = this.#sim;
    const table = this.#someTable();
    const life = tables.lives.get(table);
    if (!life) return;
    happened.add('drop');
    world.note(`${table}: dropped`);
    const { metadata } = life;
    tables.drop(table);
    if (world.random.float() < 0.3) return;
    const anew = newTableMetadata({
      uuid: uuid(world.random),
      location: metadata.location,
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      properties: {},
      nowMs: Math.round(world.nowMs),
    });
    const { schemas, 'last-column-id': lastColumnId } = metadata;
    const location = `${metadata.location}/metadata/00000-${uuid(world.random)}.metadata.json`;
    const made = { ...anew, schemas, 'last-column-id': lastColumnId };
    tables.objects.put(location, Buffer.from(writeMetadata(made)), world.nowMs);
    world.note(`${table}: made anew`);
    tables.pointers.insert(table, location);
  }
}
