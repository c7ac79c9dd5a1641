import { FatalError } from '../base/errors.ts';
import type { AccessSource } from './access.ts';
import { LocalStore } from './local.ts';
import type { StoreSettings } from './settings.ts';
import type { RangedStore } from './store.ts';

/**
 * A store for locations of every scheme there is one for: `file:` URIs, plain paths, and `s3:` URIs. `access` is asked
 * for what opens an object, before each call.
 */
export function openStore(settings: StoreSettings, access?: AccessSource): RangedStore {
  const local = new LocalStore();
  let s3: Promise<RangedStore> | undefined;
  const storeOf = async (location: string): Promise<RangedStore> => {
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(location)?.[1]?.toLowerCase() ?? 'file';
    if (scheme === 'file') return local;
    if (!/^s3[an]?$/.test(scheme))
      throw new FatalError(
        `opening the store of ${location}: scheme ${scheme} is not supported (file and s3 are)`,
      );
    // The AWS SDK is loaded by those who need it.
    s3 ??= import('./s3.ts').then(({ S3Store }) => new S3Store(settings.s3, access));
    return s3;
  };
  return {
    put: async (location, parts) => (await storeOf(location)).put(location, parts),
    get: async (location) => (await storeOf(location)).get(location),
    getRange: async (location, start, end) => (await storeOf(location)).getRange(location, start, end),
    delete: async (location) => (await storeOf(location)).delete(location),
  };
}
