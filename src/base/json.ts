/**
 * JSON whose integers stay exact. Iceberg snapshot ids are random 63-bit numbers, which `JSON.parse` would round.
 * Integers within +-2^53 become numbers, larger ones bigints; both write back digit for digit.
 */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

// Source text access (ECMA-262 proposal, in V8 since Node 21) is not in TypeScript's library yet.
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

const integer = /^-?\d+$/;

/** Below this many digits every integer is a double. */
const manyDigits = /\d{16}/;
/** A long integer as an object's member. Inside of a string its name's quote would be escaped. */
const longMember = /(?<!\\)"(\s*:\s*)(-?[1-9]\d{15,})(?=[\s,}\]])/g;
/**
 * What might be a long integer elsewhere, or stands in a string: which of the two, only a parser can tell. A quote behind
 * one of `[,:{` or a space begins a string, or ends a name that ends so.
 */
const longElsewhere = /(?:[[,]|(?:\\|^|[[,:{\s])"\s*:)\s*-?\d{16,}[\s,}\]]/;
/** Marks digits that are to become an integer. Nobody writes a DEL, and it leaves a text of one byte a letter so. */
const mark = '\x7f';

/** Parses JSON text. @throws {SyntaxError} when the text is not JSON. */
export function parseJson(text: string): Json {
  if (!manyDigits.test(text)) return JSON.parse(text) as Json;
  // A reviver is called for every value there is, which takes five times as long as parsing does.
  if (!/^\s*[{[]/.test(text) || longElsewhere.test(text) || hasMark(text)) return parseSlowly(text);
  return restored(JSON.parse(text.replace(longMember, `"$1"${mark}$2"`)) as Json);
}

function hasMark(text: string): boolean {
  return text.includes(mark) || /\\u007f/i.test(text);
}

function parseSlowly(text: string): Json {
  return parse(text, (_key, value, context) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && integer.test(context.source ?? '')
      ? BigInt(context.source as string)
      : value,
  ) as Json;
}

/** Marked digits become integers, in place. */
function restored(value: Json): Json {
  if (typeof value === 'string') return value.charCodeAt(0) === markCode ? integerOf(value.slice(1)) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object') restored(element);
    return value;
  }
  for (const name in value) {
    const member = value[name];
    if (typeof member === 'object' || (typeof member === 'string' && member.charCodeAt(0) === markCode))
      value[name] = restored(member);
  }
  return value;
}

const markCode = mark.charCodeAt(0);

function integerOf(digits: string): number | bigint {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/** Writes JSON text; bigints as plain digits, `undefined` members left out. */
export function writeJson(value: unknown, indent?: number): string {
  return JSON.stringify(withRawIntegers(value), undefined, indent);
}

/** The same value, with copies of what holds bigints: a replacer would be called for every value there is. */
function withRawIntegers(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson(String(value));
  if (typeof value !== 'object' || value === null) return value;
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let i = 0; i < value.length; i++) {
      const element = withRawIntegers(value[i]);
      if (element !== value[i]) (copy ??= value.slice())[i] = element;
    }
    return copy ?? value;
  }
  let copy: { [name: string]: unknown } | undefined;
  for (const [name, member] of Object.entries(value)) {
    const written = withRawIntegers(member);
    if (written !== member) (copy ??= { ...value })[name] = written;
  }
  return copy ?? value;
}
