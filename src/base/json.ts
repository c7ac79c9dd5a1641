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

/** Parses JSON text. @throws {SyntaxError} when the text is not JSON. */
export function parseJson(text: string): Json {
  return parse(text, (_key, value, context) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && integer.test(context.source ?? '')
      ? BigInt(context.source as string)
      : value,
  ) as Json;
}

/** Writes JSON text; bigints as plain digits, `undefined` members left out. */
export function writeJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, member) => (typeof member === 'bigint' ? rawJson(String(member)) : member),
    indent,
  );
}
