import { invalid, isMapping, type Setting, text } from './setting.ts';

/** Settings that are never shown. */

/** A secret that a file holds. */
export class SecretFile {
  // Private, so that no other type with a path is taken for one.
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get path(): string {
    return this.#path;
  }
}

/** The file that `{ file: path }` names. */
export function secretFileIn(value: unknown): SecretFile | undefined {
  const file = (value as { file?: unknown } | null)?.file;
  return typeof file === 'string' ? new SecretFile(file) : undefined;
}

/** A secret: its text, or the file that holds it. It is never shown. */
export const secret: Setting<string | SecretFile> = {
  expected: 'a secret: its text, or { file: path }',
  read(value, path, report) {
    if (typeof value === 'number') return String(value);
    if (typeof value === 'string' && value !== '') return value;
    const file = secretFileIn(value);
    if (file) return file;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text a configuration would hold
    report(path, 'expected a secret', 'write its text, ${VARIABLE}, or { file: path }');
    return invalid;
  },
};

export const httpUrl: Setting<string> = text(
  'an http or https URL, without user and password',
  /^https?:\/\/[^\s/@]+(\/\S*)?$/,
);

/** A mapping that holds secrets: what stands in its place instead is not shown, for it may well be the secret. */
export function secretive<T>(setting: Setting<T>): Setting<T> {
  return {
    ...setting,
    read(value, path, report) {
      if (isMapping(value)) return setting.read(value, path, report);
      report(path, `expected ${setting.expected}`);
      return invalid;
    },
  };
}
