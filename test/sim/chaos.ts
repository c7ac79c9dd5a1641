import { uuid } from '../../src/base/random.ts';
import { newTableMetadata, writeMetadata } from '../../src/iceberg/metadata.ts';
import { ledgerNames } from '../../src/sink/ledger.ts';
import type { SimBroker } from './broker.ts';
import type { Features } from './features.ts';
import {
  appended,
  type Change,
  cleanOrphans,
  compacted,
  expired,
  type ForeignJob,
  removeExpired,
  replaced,
  rolledBack,
  withColumn,
} from './foreign.ts';
import type { Moment } from './moment.ts';
import type { Producer } from './records.ts';
import { shown } from './rest-server.ts';
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
}

type Trouble = (moment: Moment) => void;

/** A topic that no worker has named. */
export const foundTopic = 'found';

/** All that goes wrong in a world, and all that others do in it. */
export class Chaos {
  readonly #sim: ChaosWorld;
  /** By name: whether this world has it, and what it is. */
  readonly #troubles: readonly (readonly [name: string, has: boolean, run: Trouble])[];

  constructor(sim: ChaosWorld) {
    this.#sim = sim;
    const { features } = sim;
    const isHistoryShown = features.catalog !== 'newest';
    const foreign = (what: string, change: Change): Trouble => {
      return (moment) => this.#foreign(what, change, moment);
    };
    this.#troubles = [
      ['kill', true, (moment) => this.#kill(moment)],
      ['freeze', true, (moment) => this.#freeze(moment)],
      ['join', true, () => this.#join()],
      ['stop', true, (moment) => this.#victim(moment)?.stop()],
      ['rebalance', true, (moment) => this.#sim.broker.shake(moment)],
      ['compaction', features.maintenance, foreign('compaction', compacted)],
      [
        'compaction and expiry',
        features.maintenance && isHistoryShown,
        (moment) => {
          const table = this.#someTable(moment);
          this.#foreign('compaction', compacted, moment, table);
          this.#foreign('expiry', (_, now) => expired(now, 1), moment, table);
        },
      ],
      ['expiry', features.maintenance && isHistoryShown, foreign('expiry', (_, now) => expired(now, 1))],
      ['trim', isHistoryShown, foreign('trim', (_, now) => expired(now, 8))],
      ['append', features.others, foreign('append', (job, now) => appended(job, now, 'main'))],
      [
        'append to a branch',
        features.others && isHistoryShown,
        foreign('append', (job, now) => appended(job, now, 'audit')),
      ],
      ['new column', features.others, foreign('new column', (_, now) => withColumn(now))],
      [
        'touch',
        features.others && features.catalog === 'version',
        (moment) => this.#sim.tables.catalog.touch(this.#someTable(moment)),
      ],
      ['rollback', features.rollbacks && isHistoryShown, (moment) => this.#rollBack(moment)],
      ['clock jump', features.clockJumps, (moment) => this.#setClock(moment)],
      ['drop', features.drops, (moment) => this.#drop(moment)],
      ['drop once more', features.drops, (moment) => this.#drop(moment)],
      ['retention', features.retention !== 'none', (moment) => this.#retain(moment)],
      [
        'retention behind a lane',
        features.retention === 'overtaking' && features.laneDelayMs > 0,
        (moment) => this.#retainBehindLane(moment, 600),
      ],
      ['another topic', features.recreations, (moment) => this.#recreate(moment)],
      ['a partition more', features.growth, (moment) => this.#grow(moment)],
      ['amnesia', features.amnesia, () => this.#sim.broker.forgetOffsets()],
      ['credentials expire', features.expiry, (moment) => this.#expire(moment)],
      ['long outage', features.outage, () => this.#outage()],
      ['long sleep', features.longSleep, (moment) => this.#longSleep(moment)],
    ];
  }

  /** Breaks something now and then, until `untilMs`. */
  keepOn(untilMs: number, n = 1): void {
    const { world, features } = this.#sim;
    const moment = world.moment('trouble', n);
    world.after(moment.float() * 2 * features.troubleMs, () => {
      if (world.nowMs > untilMs) return;
      // Which one is drawn from all that there are, so that it stays the same when a feature is taken away.
      let [name, has, run] = this.#troubles[moment.below(this.#troubles.length)]!;
      while (!has) [name, has, run] = this.#troubles[moment.below(this.#troubles.length)]!;
      // An outage is enough: whoever is in it shall live to see its end.
      if (!world.isOut && moment.happens(name, 1)) run(moment);
      // Not one of them: worlds in which no log is cut stay as they were.
      const cutting = world.moment('cut', n);
      if (features.truncations && cutting.happens('truncation', 0.2)) this.#truncate(cutting);
      const coming = world.moment('coming', n);
      if (features.appearance && coming.happens('a topic that is found', 0.3)) this.#appear(coming);
      this.keepOn(untilMs, n + 1);
    });
  }

  #alive(): SimWorker[] {
    return this.#sim.workers.filter((worker) => worker.process.alive);
  }

  #victim(moment: Moment): SimWorker | undefined {
    const alive = this.#alive();
    return alive[moment.below(Math.max(1, alive.length))];
  }

  #topic(moment: Moment): string {
    return `topic${moment.below(this.#sim.features.topics.length)}`;
  }

  // ---- processes ----

  #kill(moment: Moment): void {
    const victim = this.#victim(moment);
    if (!victim) return;
    const { world } = this.#sim;
    world.note(`${victim.process.name} is killed`);
    victim.process.alive = false;
    world.after(moment.float() * 5_000, () => this.#sim.startWorker());
  }

  #freeze(moment: Moment): void {
    const victim = this.#victim(moment);
    if (!victim) return;
    const { world } = this.#sim;
    const ms = moment.float() * 30_000;
    world.note(`${victim.process.name} freezes for ${ms.toFixed(0)} ms`);
    victim.process.freeze();
    world.after(ms, () => victim.process.thaw());
  }

  #join(): void {
    if (this.#alive().length < 4) this.#sim.startWorker();
  }

  #setClock(moment: Moment): void {
    const victim = this.#victim(moment);
    if (victim) victim.process.skewMs = (moment.float() - 0.5) * 1_200_000;
  }

  #expire(moment: Moment): void {
    const { world, features, happened, tables } = this.#sim;
    happened.add('expired credentials');
    // A REST catalog's tokens are all of one kind; a new one is to be had at once.
    if (features.catalog === 'requirements' || features.catalog === 'newest') tables.catalog.tokens.clear();
    const process = this.#victim(moment)?.process;
    // Two in a row would be an outage.
    if (process && world.nowMs > process.expiredUntilMs + 60_000)
      process.expiredUntilMs = world.nowMs + moment.float() * 30_000;
  }

  // ---- Kafka ----

  #retain(moment: Moment): void {
    const { broker, tables, producer } = this.#sim;
    const keys = [...broker.logs.keys()];
    const key = keys[moment.below(keys.length)]!;
    producer.retain(key, tables.landedEverywhere(key), moment);
  }

  /** Retention strikes while a lane is at work on what came before. */
  #retainBehindLane(moment: Moment, triesLeft: number): void {
    const { world, broker, producer } = this.#sim;
    const key = this.#alive().flatMap(({ appending }) => [...appending])[0];
    if (key !== undefined) {
      producer.produce(key, 8, moment);
      producer.retain(key, broker.logs.get(key)!.end, moment);
    } else if (triesLeft > 0) world.after(5, () => this.#retainBehindLane(moment, triesLeft - 1));
  }

  #recreate(moment: Moment): void {
    const topic = this.#topic(moment);
    this.#sim.world.note(`topic ${topic} is deleted and made anew`);
    this.#sim.happened.add('recreation');
    this.#sim.broker.recreate(topic);
  }

  #truncate(moment: Moment): void {
    const { broker, world, happened } = this.#sim;
    const keys = [...broker.logs.keys()];
    const key = keys[moment.below(keys.length)]!;
    const { end } = broker.logs.get(key)!;
    const cutAt = broker.logs.get(key)!.cut(moment.below(4));
    if (cutAt === undefined) return;
    happened.add('truncation');
    world.note(`unclean election: ${key} ends at ${cutAt}, before at ${end}`);
  }

  #appear(moment: Moment): void {
    const { broker, world } = this.#sim;
    if (broker.keysOf(foundTopic).length > 0) return;
    world.note(`topic ${foundTopic} comes`);
    broker.appear(foundTopic, 1 + moment.below(3));
  }

  #grow(moment: Moment): void {
    const topic = this.#topic(moment);
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
      [...process.calls].some(({ doing }) => doing === 'swap'),
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
  #longSleep(moment: Moment): void {
    const { world, happened } = this.#sim;
    if (world.isOut || happened.has('long outage')) return;
    happened.add('long outage');
    world.note('store and catalog are away');
    world.isOut = true;
    world.after(5_000 + moment.float() * 40_000, () => {
      for (const { process } of this.#sim.workers) {
        process.connection++;
        if (process.alive) process.freeze();
      }
      world.leap(4 * dayMs);
      const cleaned = cleanOrphans(this.#job(moment), this.#sim.tables.namedNow(), 3 * dayMs);
      world.note(`four days later: ${cleaned} orphans were cleaned away; all go on`);
      world.isOut = false;
      world.after(0, () => {
        for (const { process } of this.#sim.workers) process.thaw();
      });
    });
  }

  // ---- tables ----

  #job(moment: Moment): ForeignJob {
    const { world, tables } = this.#sim;
    return { objects: tables.objects, random: moment, nowMs: world.nowMs };
  }

  #someTable(moment: Moment): string {
    const { options } = this.#sim.tables;
    return options[moment.below(options.length)]!.table;
  }

  #rollBack(moment: Moment): void {
    const { offsets } = ledgerNames(pipeline);
    const back: Change = (job, metadata) => rolledBack(job, metadata, offsets);
    this.#foreign('rollback', moment.float() < 0.7 ? back : replaced, moment);
  }

  /** Somebody else's commit. */
  #foreign(what: string, change: Change, moment: Moment, table = this.#someTable(moment)): void {
    const { world, tables, happened, features } = this.#sim;
    const life = tables.lives.get(table);
    if (!life) return;
    const { type } = tables.resolution(life);
    // A rollback that nobody has resolved yet: expiry would hide what happened, and one more is not told from the first.
    if ((what === 'expiry' || what === 'trim') && type === 'rolledBack') return;
    if (what === 'rollback' && type !== 'known') return;
    const next = change(this.#job(moment), life.metadata);
    if (!next) return;
    const to = `${life.location.replace(/\/[^/]*$/, '')}/foreign-${moment.below(1e9)}-${tables.moves}.metadata.json`;
    const log = [
      ...life.metadata['metadata-log'],
      { 'timestamp-ms': life.metadata['last-updated-ms'], 'metadata-file': life.location },
    ];
    const logged = { ...next, 'metadata-log': log.slice(-100) };
    const written = writeMetadata(features.catalog === 'newest' ? shown(logged, moment) : logged);
    tables.objects.put(to, Buffer.from(written), world.nowMs);
    happened.add(what);
    if (what === 'rollback') life.wasRolledBack = true;
    const before = life.metadata;
    tables.catalog.swap(table, life.location, to);
    if (what === 'expiry' || what === 'trim') removeExpired(this.#job(moment), before, next);
  }

  /** DROP TABLE, and often CREATE TABLE at once. Objects stay: they are the cleaner's. */
  #drop(moment: Moment): void {
    const { world, tables, happened, features } = this.#sim;
    const table = this.#someTable(moment);
    const life = tables.lives.get(table);
    if (!life) return;
    happened.add('drop');
    world.note(`${table}: dropped`);
    const { metadata } = life;
    tables.drop(table);
    if (moment.float() < 0.3) return;
    const anew = newTableMetadata({
      uuid: uuid(moment),
      location: metadata.location,
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      properties: {},
      nowMs: Math.round(world.nowMs),
    });
    const { schemas, 'last-column-id': lastColumnId } = metadata;
    const location = `${metadata.location}/metadata/00000-${uuid(moment)}.metadata.json`;
    const currentId = metadata['current-schema-id'];
    const made = { ...anew, schemas, 'current-schema-id': currentId, 'last-column-id': lastColumnId };
    const written = writeMetadata(features.catalog === 'newest' ? shown(made, moment) : made);
    tables.objects.put(location, Buffer.from(written), world.nowMs);
    world.note(`${table}: made anew`);
    tables.catalog.insert(table, location);
  }
}
