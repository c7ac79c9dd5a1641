import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { found, mutants } from './mutants.ts';

/** Replaces a piece of the production source by a wrong one, for all that is loaded from now on. */
export function plant(name: string): void {
  const mutant = [...mutants, ...found].find((each) => each.name === name);
  if (!mutant) throw new Error(`there is no planted bug "${name}"`);
  const { find, replace } = mutant;
  const target = pathToFileURL(`${import.meta.dirname}/../../src/${mutant.file}`).href;
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url !== target) return loaded;
      const source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
      if (source.split(find).length !== 2) throw new Error(`${find} does not occur once in ${mutant.file}`);
      return { ...loaded, source: source.replace(find, () => replace) };
    },
  });
}
