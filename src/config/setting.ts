import { nearest } from './nearest.ts';

/**
 * A declarative language for settings: each one knows how to check a raw value, what to say when it is wrong, and how to
 * describe itself in the documentation. Every problem is reported; none stops the reading of the rest.
 */
export type Path = readonly (string | number)[];

/** Tells a problem. `at: 'key'` points at the name of the setting instead of its value. */
export type Report = (path: Path, message: string, fix?: string, at?: 'key') => void;

/** Stands for a value that was reported as wrong, so that a problem is told once. */
export const invalid = Symbol('invalid');
export type Invalid = typeof invalid;

export interface Setting<T> {
  read(value: unknown, path: Path, report: Report): T | Invalid;
  /** What is expected, as it reads after "expected ". */
  readonly expected: string;
  /** Settings inside, for documentation. */
  readonly members?: Readonly<Record<string, Member<unknown>>>;
  /** Alternatives, for documentation. */
  readonly variants?: Readonly<Record<string, Setting<unknown>>>;
  readonly item?: Setting<unknown>;
}

export type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** A setting as a member of a mapping. */
export interface Member<T> {
  readonly setting: Setting<T>;
  readonly doc: string;
  /** The value when it is not given, as one would write it. */
  readonly fallback?: unknown;
  readonly optional?: true;
}

export function required<T>(setting: Setting<T>, doc: string): Member<T> {
  return { setting, doc };
}

export function withDefault<T>(setting: Setting<T>, fallback: unknown, doc: string): Member<T> {
  return { setting, doc, fallback };
}

export function optional<T>(setting: Setting<T>, doc: string): Member<T | undefined> {
  return { setting, doc, optional: true };
}

function wrong(path: Path, report: Report, expected: string, value: unknown, fix?: string): Invalid {
  report(
    path,
    value === undefined || value === null
      ? `missing: expected ${expected}`
      : `expected ${expected}, found ${shown(value)}`,
    fix,
  );
  return invalid;
}

/** A value as messages show it: cut short, and without the user and password of a URL. */
export function shown(value: unknown): string {
  const text = (JSON.stringify(value) ?? String(value)).replace(/:\/\/[^/\s"]*@/g, '://...@');
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Text; `pattern` and `expected` belong together. Numbers and booleans that YAML has read as such are taken as text. */
export function text(expected = 'a text', pattern = /^/): Setting<string> {
  return {
    expected,
    read(value, path, report) {
      const plain = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
      return typeof plain === 'string' && pattern.test(plain) ? plain : wrong(path, report, expected, value);
    },
  };
}

export function flag(): Setting<boolean> {
  const expected = 'true or false';
  return {
    expected,
    read(value, path, report) {
      // An environment variable is a text.
      if (value === true || value === 'true') return true;
      if (value === false || value === 'false') return false;
      return wrong(path, report, expected, value);
    },
  };
}

/** A quantity with a unit, as a number; `example` shows how to write one. */
export function quantity(
  expected: string,
  example: string,
  parse: (text: string) => number | undefined,
  range: { min?: string; max?: string } = {},
): Setting<number> {
  return {
    expected: `${expected}, such as ${example}`,
    read(value, path, report) {
      const number =
        typeof value === 'string' || typeof value === 'number' ? parse(String(value)) : undefined;
      if (number === undefined) return wrong(path, report, expected, value, `write it like ${example}`);
      if (range.min !== undefined && number < parse(range.min)!)
        return wrong(path, report, `at least ${range.min}`, value);
      if (range.max !== undefined && number > parse(range.max)!)
        return wrong(path, report, `at most ${range.max}`, value);
      return number;
    },
  };
}

export function oneOf<const T extends string>(...words: readonly T[]): Setting<T> {
  const expected = choice(words);
  return {
    expected,
    read(value, path, report) {
      if (words.includes(value as T)) return value as T;
      const meant = typeof value === 'string' ? nearest(value, words) : undefined;
      return wrong(path, report, expected, value, meant && `did you mean ${meant}?`);
    },
  };
}

/** One of some words, or else another setting. */
export function oneOfOr<const T extends string, U>(words: readonly T[], other: Setting<U>): Setting<T | U> {
  return {
    expected: `${words.join(', ')} or ${other.expected}`,
    read: (value, path, report) =>
      words.includes(value as T) ? (value as T) : other.read(value, path, report),
  };
}

export function list<T>(item: Setting<T>, min = 0): Setting<readonly T[]> {
  const expected = min > 0 ? 'a list with at least one entry' : 'a list';
  return {
    expected: `a list: each ${item.expected}`,
    item,
    read(value, path, report) {
      if (!Array.isArray(value) || value.length < min) return wrong(path, report, expected, value);
      const read = value.map((each, i) => item.read(each, [...path, i], report));
      return read.includes(invalid) ? invalid : (read as T[]);
    },
  };
}

/** A mapping from names of the user's own to values of one kind. */
export function dictionary<T>(
  item: Setting<T>,
  expected = 'a mapping',
): Setting<Readonly<Record<string, T>>> {
  return {
    expected,
    item,
    read(value, path, report) {
      if (!isMapping(value)) return wrong(path, report, expected, value);
      const read = Object.entries(value).map(
        ([name, each]) => [name, item.read(each, [...path, name], report)] as const,
      );
      return read.some(([, each]) => each === invalid)
        ? invalid
        : (Object.fromEntries(read) as Record<string, T>);
    },
  };
}

type Members = Readonly<Record<string, Member<unknown>>>;
type Mapping<M extends Members> = { readonly [K in keyof M]: M[K] extends Member<infer T> ? T : never };

/**
 * A mapping with known names. Others are refused, with the nearest known one. `check` sees how the members fit together;
 * those that are wrong in themselves are absent.
 */
export function mapping<M extends Members>(
  members: M,
  check: (sound: Partial<Mapping<M>>, path: Path, report: Report) => void = () => {},
): Setting<Mapping<M>> {
  const expected = 'a mapping';
  return {
    expected,
    members,
    read(value, path, report) {
      if (!isMapping(value)) return wrong(path, report, expected, value);
      const names = Object.keys(members);
      let sound = true;
      for (const name of Object.keys(value)) {
        if (names.includes(name)) continue;
        const meant = nearest(name, names);
        report(
          [...path, name],
          'no such setting',
          meant ? `did you mean ${meant}?` : `known here: ${names.join(', ')}`,
          'key',
        );
        sound = false;
      }
      const read: Record<string, unknown> = {};
      for (const [name, member] of Object.entries(members)) {
        const given = value[name] ?? member.fallback;
        if (given === undefined && member.optional) continue;
        const known = member.setting.read(given, [...path, name], report);
        if (known === invalid) sound = false;
        else read[name] = known;
      }
      check(read as Partial<Mapping<M>>, path, (...problem) => {
        sound = false;
        report(...problem);
      });
      return sound ? (read as Mapping<M>) : invalid;
    },
  };
}

type Variant<K extends string, V> = {
  [W in keyof V & string]: V[W] extends Setting<infer T> ? { readonly [D in K]: W } & T : never;
}[keyof V & string];

/** A mapping whose shape depends on one of its members. */
export function variants<const K extends string, V extends Readonly<Record<string, Setting<unknown>>>>(
  by: K,
  shapes: V,
): Setting<Variant<K, V>> {
  const word = oneOf(...Object.keys(shapes));
  return {
    expected: `a mapping with ${by}: ${word.expected}`,
    variants: shapes,
    read(value, path, report) {
      if (!isMapping(value)) return wrong(path, report, `a mapping with ${by}`, value);
      const { [by]: chosen, ...rest } = value;
      const known = word.read(chosen, [...path, by], report);
      if (known === invalid) return invalid;
      const read = shapes[known]!.read(rest, path, report);
      return read === invalid ? invalid : ({ [by]: known, ...(read as object) } as Variant<K, V>);
    },
  };
}

/** Not what a setting has made of its value: that is an object of a class. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== 'object') return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function choice(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
