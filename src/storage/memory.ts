import { AlreadyExistsError, NotFoundError } from '../base/errors.ts';
import type { Store } from './store.ts';

/** A store that forgets: for tests, the simulator and embedding. */
export class MemoryStore implements Store {
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

  async delete(location: string): Promise<void> {
    this.objects.delete(location);
  }
}
