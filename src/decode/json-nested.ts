import type { ListColumn, MapColumn } from '../arrow/columns.ts';
import { DecodeError } from './decoder.ts';
import { KeyTable } from './json-keys.ts';
import { rejectEqualKeys } from './json-map-keys.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { closeBrace, closeBracket, letterN, openBrace, openBracket, quote } from './json-scanner.ts';
import { skipValue } from './json-skip.ts';

/** Why there is no value to read. */
export type Absence = 'null' | 'missing';

/** A place for one value: how to read it, and what to do when there is none. */
export interface Slot {
  read: Read;
  absent(why: Absence): void;
}

/** A place for the value of one key; without a name, the value is always missing. */
export interface Member extends Slot {
  name: string | undefined;
}

/** Reads the value at the position, which may be `null`, into `slot`. */
function readSlot({ s }: ReaderContext, slot: Slot, path: string): void {
  if (s.first(path) === letterN) {
    s.literal('null', path);
    slot.absent('null');
  } else {
    slot.read();
  }
}

/** The path of a member of what `path` names. */
export function memberPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/**
 * Reads an object: each member at most once, in any order. What no member asks for is passed over; `onUnknown` hears of
 * the first such keys.
 */
export function objectReader(
  { s }: ReaderContext,
  members: readonly Member[],
  path: string,
  onUnknown?: (name: string) => void,
): Read {
  const keys = new KeyTable(
    s,
    members.map((member) => member.name),
    onUnknown,
  );
  const reads = members.map((member) => member.read);
  // The number of the last object that had the member: never needs clearing.
  const seenIn = new Float64Array(members.length);
  let object = 0;

  const fillMissing = (): void => {
    for (const [i, member] of members.entries()) if (seenIn[i] !== object) member.absent('missing');
  };

  return () => {
    if (s.bytes[s.position] !== openBrace) s.mismatch(path, 'an object', s.position);
    object++;
    let found = 0;
    let key = keys.before;
    if (s.enter(closeBrace, path)) {
      do {
        key = keys.take(key, path);
        const member = key.member;
        const byte = s.first(path);
        if (member < 0) {
          skipValue(s, path);
          continue;
        }
        if (seenIn[member] === object) rejectRepeated(members[member]!, path);
        seenIn[member] = object;
        found++;
        if (byte === letterN) {
          s.literal('null', path);
          members[member]!.absent('null');
        } else {
          reads[member]!();
        }
      } while (s.more(closeBrace, path));
    }
    if (found < members.length) fillMissing();
  };
}

function rejectRepeated(member: Member, path: string): never {
  throw new DecodeError(memberPath(path, member.name ?? ''), 'the key appears twice');
}

/** Reads an array into a list column. */
export function arrayReader(c: ReaderContext, element: Slot, column: ListColumn, path: string): Read {
  const { s } = c;
  const inner = `${path}[]`;
  return () => {
    if (s.bytes[s.position] !== openBracket) s.mismatch(path, 'an array', s.position);
    if (s.enter(closeBracket, path)) {
      do readSlot(c, element, inner);
      while (s.more(closeBracket, path));
    }
    column.append();
  };
}

/** Reads an object into a map column: its keys are values, too. */
export function objectMapReader(
  c: ReaderContext,
  key: Read,
  value: Slot,
  column: MapColumn,
  path: string,
): Read {
  const { s } = c;
  const inner = `${path}{}`;
  return () => {
    if (s.bytes[s.position] !== openBrace) s.mismatch(path, 'an object', s.position);
    const from = column.key.length;
    if (s.enter(closeBrace, path)) {
      do {
        if (s.first(path) !== quote) s.unexpected(path, 'a key');
        key();
        s.colon(path);
        readSlot(c, value, inner);
      } while (s.more(closeBrace, path));
    }
    rejectEqualKeys(column.key, from, path);
    column.append();
  };
}

/** Reads an array of `[key, value]` into a map column. */
export function pairMapReader(
  c: ReaderContext,
  key: Slot,
  value: Slot,
  column: MapColumn,
  path: string,
): Read {
  const { s } = c;
  const keyPath = `${path}{key}`;
  const valuePath = `${path}{}`;
  const readPair = (): void => {
    if (s.first(path) !== openBracket) s.mismatch(path, 'a pair [key, value]', s.position);
    const at = s.position;
    if (!s.enter(closeBracket, path)) s.mismatch(path, 'a pair [key, value]', at, 'it is empty');
    readSlot(c, key, keyPath);
    if (!s.more(closeBracket, path)) s.mismatch(path, 'a pair [key, value]', at, 'it has no value');
    readSlot(c, value, valuePath);
    if (s.more(closeBracket, path))
      s.mismatch(path, 'a pair [key, value]', at, 'it has more than two elements');
  };
  return () => {
    if (s.bytes[s.position] !== openBracket) s.mismatch(path, 'an array of pairs', s.position);
    const from = column.key.length;
    if (s.enter(closeBracket, path)) {
      do readPair();
      while (s.more(closeBracket, path));
    }
    rejectEqualKeys(column.key, from, path);
    column.append();
  };
}
