import { AlreadyExistsError, NotFoundError } from '../base/errors.ts';
import type { RangedStore } from './store.ts';

/** A store that forgets: for tests, the simulator and embedding. */
export class MemoryStore implements RangedStore {
  readonly objects: Map<string, Uint8Array> = new Map();

  async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    if (this.objects.has(location)) throw new AlreadyExistsError(`writing ${location}: it exists already`);
    this.objects.set(location, new Uint8Array(Buffer.concat(parts)));
  }

  async get(location: string): Promise<Uint8Array> {
    const object = this.objects.get(location);
    if (!object) throw new NotFoundError(`reading ${location}: no such object`);
    return object;
  }

  async getRange(location: string, start: number, end: number): Promise<Uint8Array> {
    return (await this.get(location)).subarray(start, end);
  }

  async delete(location: string): Promise<void> {
    this.objects.delete(location);
  }
}
