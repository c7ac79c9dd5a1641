import { FatalError } from '../base/errors.ts';
import { LocalStore } from './local.ts';
import type { Store } from './store.ts';

/** The store that holds `location`. @throws {FatalError} for a scheme there is no store for. */
export function openStore(location: string): Store {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(location)?.[1] ?? 'file';
  if (scheme === 'file') return new LocalStore();
  throw new FatalError(`opening the store of ${location}: scheme ${scheme} is not supported (file is)`);
}
