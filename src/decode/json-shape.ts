import type { Field, Type } from '../iceberg/types.ts';
import { closeBrace, closeBracket, type JsonScanner, openBrace, openBracket } from './json-scanner.ts';
import { skipValue } from './json-skip.ts';

/** The keys of an object in the order in which producers write them, or the same of an array's elements. */
export interface Shape {
  readonly members: readonly MemberShape[];
  readonly element: Shape | undefined;
}

export interface MemberShape {
  /** Index of the field that the key names; -1 when none has that name. */
  readonly field: number;
  /** All that stands between the brace or comma before the key and the value, spaces too. */
  readonly key: Buffer;
  /** Of values that are objects or arrays and go into a struct or a list. */
  readonly value: Shape | undefined;
}

/** The shape of the object at the scanner's position, which has been read before and found good. */
export function objectShape(s: JsonScanner, fields: readonly Field[]): Shape {
  const members: MemberShape[] = [];
  let from = s.position + 1;
  for (let goesOn = s.enter(closeBrace, ''); goesOn; from = s.position) {
    s.first('');
    s.string('');
    const name = s.content();
    s.colon('');
    s.first('');
    const key = Buffer.from(s.bytes.subarray(from, s.position));
    const field = fields.findIndex((one) => one.name === name);
    members.push({ field, key, value: valueShape(s, fields[field]?.type) });
    goesOn = s.more(closeBrace, '');
  }
  return { members, element: undefined };
}

/** The shape of the value at the position, which is passed over. */
function valueShape(s: JsonScanner, type: Type | undefined): Shape | undefined {
  const first = s.bytes[s.position];
  if (type?.kind === 'struct' && first === openBrace) return objectShape(s, type.fields);
  if (type?.kind === 'list' && first === openBracket) return arrayShape(s, type.element);
  skipValue(s, '');
  return undefined;
}

function arrayShape(s: JsonScanner, type: Type): Shape {
  let element: Shape | undefined;
  if (s.enter(closeBracket, '')) {
    do {
      s.first('');
      element = merged(element, valueShape(s, type));
    } while (s.more(closeBracket, ''));
  }
  return { members: [], element };
}

/**
 * The shape of objects of which some look as `known` and one as `seen`: its keys take their place among the others. Where
 * that cannot be, for the order is another, what was seen last counts. The known one itself when there is nothing new.
 */
export function merged(known: Shape | undefined, seen: Shape | undefined): Shape | undefined {
  if (!known || !seen) return known ?? seen;
  const members = [...known.members];
  let place = 0;
  for (const member of seen.members) {
    const index = members.findIndex((other) =>
      member.field === -1 ? other.key.equals(member.key) : other.field === member.field,
    );
    if (index === -1) {
      members.splice(place++, 0, member);
      continue;
    }
    const other = members[index]!;
    if (index < place || !other.key.equals(member.key)) return seen;
    const value = merged(other.value, member.value);
    if (value !== other.value) members[index] = { ...other, value };
    place = index + 1;
  }
  const element = merged(known.element, seen.element);
  const isNew =
    element !== known.element ||
    members.length !== known.members.length ||
    members.some((member, i) => member !== known.members[i]);
  return isNew ? { members, element } : known;
}

/** How many keys there are in a shape, in all. */
export function keyCount(shape: Shape | undefined): number {
  if (!shape) return 0;
  return shape.members.reduce((sum, { value }) => sum + 1 + keyCount(value), keyCount(shape.element));
}
