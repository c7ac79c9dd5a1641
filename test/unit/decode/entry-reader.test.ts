import { expect, test } from 'vitest';
import { type Int32Column, makeColumn } from '../../../src/arrow/columns.ts';
import { DecodeError } from '../../../src/decode/decoder.ts';
import { EntryReader, type GeneratedReader, type Readers } from '../../../src/decode/entry-reader.ts';
import { entriesOf } from './entries.ts';

const bad = 255;

/** Reads single bytes into a column; those in `usual` fast, writing half a row of the next before it stops. */
function readersOf(column: Int32Column, usual: (byte: number) => boolean): Readers & { asked: number[] } {
  const asked: number[] = [];
  const generated: GeneratedReader = {
    appended: new Set(),
    text: '',
    read({ bytes, starts }, from, to, row) {
      asked.push(from);
      for (let i = from; i < to; i++, row++) {
        column.values[row] = bytes[starts[i]!]!;
        column.validity![row >> 3]! |= 1 << (row & 7);
        if (!usual(column.values[row]!)) return i;
      }
      return to;
    },
  };
  const exact = (bytes: Buffer, _view: DataView, start: number): void => {
    column.append(bytes[start]!);
    if (bytes[start] === bad) throw new DecodeError('f', 'bad');
  };
  return { exact, generated, asked };
}

function intColumn(): Int32Column {
  return makeColumn({ kind: 'int' }, true) as Int32Column;
}

const entriesOfBytes = (...all: number[]) =>
  entriesOf(
    all.map((byte) => Buffer.of(byte)),
    Buffer.alloc(0),
  );

test('what the generated reader does not take is read exactly, and all stay in order', () => {
  const column = intColumn();
  const readers = readersOf(column, (byte) => byte % 3 !== 0);
  const reader = new EntryReader([column]);
  const bytes = Array.from({ length: 200 }, (_, i) => i);
  expect(reader.append(entriesOfBytes(...bytes), 0, 200, readers)).toBe(200);
  expect([...column.values.slice(0, 200)]).toEqual(bytes);
  expect([column.length, column.nullCount, column.isNull(199), column.isNull(200)]).toEqual([
    200,
    0,
    false,
    true,
  ]);
});

test('one that makes no row leaves nothing, and the next call goes on behind it', () => {
  const column = intColumn();
  const readers = readersOf(column, (byte) => byte !== bad);
  const reader = new EntryReader([column]);
  const entries = entriesOfBytes(1, 2, bad, 4);
  expect(reader.append(entries, 0, 4, readers)).toBe(2);
  expect(reader.failure).toEqual(new DecodeError('f', 'bad'));
  expect([column.length, column.isNull(2)]).toEqual([2, true]);
  expect(reader.append(entries, 3, 4, readers)).toBe(4);
  expect([...column.values.slice(0, 3)]).toEqual([1, 2, 4]);
});

test('an error that is none of the record’s is thrown on, and nothing is left of it', () => {
  const column = intColumn();
  const reader = new EntryReader([column]);
  const exact = (): void => {
    column.append(1);
    throw new RangeError('a defect');
  };
  expect(() => reader.append(entriesOfBytes(1), 0, 1, { exact, generated: undefined })).toThrow(RangeError);
  expect(column.length).toBe(0);
});

test('a generated reader that takes nothing is asked less and less often, and often again once it takes some', () => {
  const column = intColumn();
  let usual = false;
  const readers = readersOf(column, () => usual);
  const reader = new EntryReader([column]);
  const many = entriesOfBytes(...new Array(1000).fill(7));
  reader.append(many, 0, 1000, readers);
  expect(readers.asked.slice(0, 6)).toEqual([0, 1, 3, 7, 15, 31]);
  expect(readers.asked.length).toBeLessThan(25);
  usual = true;
  reader.append(many, 0, 1000, readers);
  expect(reader.unusual, 'until it was asked again').toBeLessThan(1000 + 64);
  const before = reader.unusual;
  reader.append(many, 0, 1000, readers);
  expect(reader.unusual).toBe(before);
});

test('a new generated reader is asked at once', () => {
  const column = intColumn();
  const readers = readersOf(column, () => false);
  const other = readersOf(column, () => true);
  const reader = new EntryReader([column]);
  let read = 0;
  const { exact } = readers;
  readers.exact = (...entry) => {
    exact(...entry);
    if (++read === 40) readers.generated = other.generated;
  };
  reader.append(entriesOfBytes(...new Array(100).fill(7)), 0, 100, readers);
  expect(reader.unusual).toBe(40);
});

test('room is made for some thousand at once, however many there are', () => {
  const column = intColumn();
  const many = entriesOfBytes(...new Array(10_000).fill(7));
  const readers = readersOf(column, () => true);
  const reader = new EntryReader([column]);
  expect(reader.append(many, 0, 10_000, readers)).toBe(10_000);
  expect(readers.asked).toEqual([0, 4096, 8192]);
  expect([column.length, reader.unusual]).toEqual([10_000, 0]);
});
