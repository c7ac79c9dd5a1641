import { FatalError } from '../base/errors.ts';

/** A text that is no pattern: what is wrong, at which character (from 1 on), and what to write instead. */
export class PatternError extends FatalError {
  readonly fix: string;

  constructor(what: string, at: number, fix: string) {
    super(`${what} at character ${at + 1}`);
    this.fix = fix;
  }
}

/** Where in a name a match may go on, after it has come to any of some places. */
type Matcher = (name: string, from: ReadonlySet<number>) => Set<number>;

/**
 * A regular expression that whole names of topics are held against, as Java's `Pattern.matcher(name).matches()`. It has
 * what java.util.regex and RE2 have in common: no lookaround and no references back. It never backtracks: all places that
 * a match may have come to are followed side by side, so that no pattern can keep the program busy.
 */
export class TopicPattern {
  readonly text: string;
  readonly #matcher: Matcher;
  readonly #known = new Map<string, boolean>();

  /** @throws {PatternError} */
  constructor(text: string) {
    this.text = text;
    this.#matcher = new Parser(text).parse();
  }

  matches(topic: string): boolean {
    const known = this.#known.get(topic);
    if (known !== undefined) return known;
    const matches = this.#matcher(topic, new Set([0])).has(topic.length);
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(topic, matches);
    return matches;
  }
}

/** Topics that are named, and those whose whole name a pattern matches. */
export interface TopicChoice {
  readonly topics: readonly string[];
  readonly topicsPattern?: TopicPattern | undefined;
}

export function isChosen(topic: string, { topics, topicsPattern }: TopicChoice): boolean {
  return topics.includes(topic) || (topicsPattern?.matches(topic) ?? false);
}

/** Topics of Kafka itself, and of what is built around it: a pattern does not mean them. */
export function isInternal(topic: string): boolean {
  return topic.startsWith('__');
}

/** Names whose answer is remembered. */
const knownMax = 10_000;
/** As many as RE2 repeats. */
const repeatMax = 1_000;

type CharTest = (char: string) => boolean;

const classes: Record<string, CharTest> = {
  d: (char) => /^[0-9]$/.test(char),
  w: (char) => /^[a-zA-Z0-9_]$/.test(char),
  s: (char) => /^[ \t\n\v\f\r]$/.test(char),
};

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Matcher {
    const matcher = this.#alternatives();
    if (this.#at < this.#text.length) this.#fail('a ) without (', 'write \\) for the character');
    return matcher;
  }

  #fail(what: string, fix: string, at = this.#at): never {
    throw new PatternError(what, at, fix);
  }

  #takes(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #alternatives(): Matcher {
    const alternatives = [this.#sequence()];
    while (this.#takes('|')) alternatives.push(this.#sequence());
    return (name, from) => new Set(alternatives.flatMap((matcher) => [...matcher(name, from)]));
  }

  #sequence(): Matcher {
    const parts: Matcher[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]!))
      parts.push(this.#repeated());
    return (name, from) => parts.reduce((places, part) => part(name, places), new Set(from));
  }

  #repeated(): Matcher {
    const part = this.#atom();
    const times = this.#times();
    if (!times) return part;
    if (this.#takes('+')) this.#fail('a possessive quantifier', 'leave out the last +', this.#at - 1);
    this.#takes('?'); // how much it takes first makes no difference to whole names
    return repeat(part, ...times);
  }

  /** Least and most of a quantifier. */
  #times(): [number, number] | undefined {
    if (this.#takes('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#takes('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#takes('?')) return [0, 1];
    if (this.#text[this.#at] !== '{') return undefined;
    const [all, least, comma, most] = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.#text.slice(this.#at)) ?? [];
    if (all === undefined) this.#fail('a { that repeats nothing', 'write \\{ for the character, or {2,5}');
    const min = Number(least);
    const max = comma === undefined ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most);
    if (min > max || min > repeatMax || (max > repeatMax && most !== ''))
      this.#fail(`${all} is out of range`, `write {least,most}, at most ${repeatMax}`);
    this.#at += all.length;
    return [min, max];
  }

  #atom(): Matcher {
    const start = this.#at;
    const char = this.#text[this.#at++]!;
    switch (char) {
      case '(':
        return this.#group(start);
      case '[':
        return one(this.#class(start));
      case '.':
        return one(() => true);
      case '^':
        return (_, from) => new Set([...from].filter((place) => place === 0));
      case '$':
        return (name, from) => new Set([...from].filter((place) => place === name.length));
      case '*':
      case '+':
      case '?':
      case '{':
        return this.#fail(
          `a ${char} that repeats nothing`,
          `write \\${char} for the character, or .*`,
          start,
        );
      case '\\':
        return one(this.#escape(start));
      default:
        return one((other) => other === char);
    }
  }

  #group(start: number): Matcher {
    if (this.#takes('?') && !this.#takes(':'))
      this.#fail(
        `(?${this.#text[this.#at] ?? ''} (lookaround, flags and names are not supported)`,
        'write (...), and say what is meant instead of what is not',
        start,
      );
    const matcher = this.#alternatives();
    if (!this.#takes(')')) this.#fail('a ( that is not closed', 'write \\( for the character', start);
    return matcher;
  }

  #escape(start: number): CharTest {
    const char = this.#text[this.#at++];
    if (char === undefined) this.#fail('a \\ at the end', 'write \\\\ for the character', start);
    const test = classes[char.toLowerCase()];
    if (test) return char === char.toLowerCase() ? test : (other) => !test(other);
    if (/[a-zA-Z0-9]/.test(char))
      this.#fail(`\\${char} (not supported)`, 'known are \\d, \\w, \\s and \\ before signs', start);
    return (other) => other === char;
  }

  #class(start: number): CharTest {
    const isNegated = this.#takes('^');
    const tests: CharTest[] = [];
    while (!this.#takes(']')) {
      if (this.#at >= this.#text.length)
        this.#fail('a [ that is not closed', 'write \\[ for the character', start);
      tests.push(this.#range());
    }
    if (tests.length === 0) this.#fail('an empty class', 'write \\[\\] for the characters', start);
    return (char) => tests.some((test) => test(char)) !== isNegated;
  }

  #range(): CharTest {
    const start = this.#at;
    if (this.#text[start] === '[' || this.#text.startsWith('&&', start))
      this.#fail('a class within a class', 'write \\[ or \\& for the characters');
    const first = this.#text[this.#at++]!;
    if (first === '\\') return this.#escape(start);
    const [, last] = /^-([^\]])/.exec(this.#text.slice(this.#at)) ?? [];
    if (last === undefined) return (char) => char === first;
    this.#at += 2;
    if (last < first || last === '\\' || last === '[')
      this.#fail(`the range ${first}-${last}`, 'write it from the lesser to the greater character', start);
    return (char) => char >= first && char <= last;
  }
}

function one(test: CharTest): Matcher {
  return (name, from) => {
    const places = new Set<number>();
    for (const place of from) if (place < name.length && test(name[place]!)) places.add(place + 1);
    return places;
  };
}

/** Every loop ends when no new place is come to: a name has few. */
function repeat(part: Matcher, min: number, max: number): Matcher {
  return (name, from) => {
    let places = new Set(from);
    for (let i = 0; i < min && places.size > 0; i++) {
      const next = part(name, places);
      if (next.size === places.size && isWithin(next, places)) break;
      places = next;
    }
    const all = new Set(places);
    let fresh = places;
    for (let i = min; i < max && fresh.size > 0; i++) {
      fresh = new Set([...part(name, fresh)].filter((place) => !all.has(place)));
      for (const place of fresh) all.add(place);
    }
    return all;
  };
}

function isWithin(places: ReadonlySet<number>, others: ReadonlySet<number>): boolean {
  for (const place of places) if (!others.has(place)) return false;
  return true;
}
