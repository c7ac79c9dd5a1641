import type { Random } from '../../src/base/random.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { World } from './world.ts';

export type Draw = Random & { float(): number; below(n: number): number };

/** What is drawn for one moment of a world: `w1 swap 3`, the third swap that w1 asks for. */
export class Moment implements Draw {
  readonly #world: World;
  readonly #name: string;
  readonly #n: number;
  readonly #random: Draw;

  constructor(world: World, name: string, n: number) {
    this.#world = world;
    this.#name = name;
    this.#n = n;
    this.#random = seededRandom(hashOf(world.seed, name, n));
  }

  /** Whether something out of the ordinary happens at this moment. */
  happens(what: string, probability: number): boolean {
    return this.#random.float() < probability && this.#world.lets(`${this.#name} ${this.#n}: ${what}`);
  }

  float(): number {
    return this.#random.float();
  }

  below(n: number): number {
    return this.#random.below(n);
  }

  bytes(length: number): Uint8Array {
    return this.#random.bytes(length);
  }

  /** Network or disk time for one way. */
  delayMs(what: string): number {
    const ms = this.float();
    return this.happens(what, this.#world.rates.slow) ? ms * this.#world.rates.slowMs : ms * 20;
  }
}

/** FNV-1a over all of it, then murmur's finish, so that neighbours have nothing in common. */
function hashOf(seed: number, name: string, n: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ n, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
