import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Columns } from '../../../src/arrow/columns.ts';
import { generateRecord } from '../../../src/decode/avro-generated.ts';
import { parseAvroSchema } from '../../../src/decode/avro-type.ts';
import { generateObject } from '../../../src/decode/json-generated.ts';
import { NumberReader } from '../../../src/decode/json-numbers.ts';
import { JsonScanner } from '../../../src/decode/json-scanner.ts';
import { objectShape } from '../../../src/decode/json-shape.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { field, list } from './columns.ts';

const fields = [
  field('id', 'long', true),
  field('name', 'string'),
  field('tags', list({ kind: 'struct', fields: [field('at', 'timestamptz', true)] }, true)),
  field('new', 'int'),
];

function columnsOf(all: readonly Field[]): Columns {
  return new Columns({ schemaId: 0, fields: all });
}

describe('the text of a generated reader', () => {
  test('for Avro is a call for each value, in the order of the schema', () => {
    const schema = parseAvroSchema(
      JSON.stringify({
        type: 'record',
        name: 'R',
        fields: [
          { name: 'skipped', type: 'int' },
          {
            name: 'tags',
            type: {
              type: 'array',
              items: {
                type: 'record',
                name: 'T',
                fields: [{ name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } }],
              },
            },
          },
          { name: 'name', type: ['null', 'string'] },
          { name: 'id', type: 'long' },
        ],
      }),
    );
    expect(generateRecord(schema, fields, columnsOf(fields).columns).text).toMatchInlineSnapshot(`
      "'use strict';
      function part0(bytes, view, p, end, row) {
        let b = 0, at = 0;
        p = skipLong(bytes, view, p, end);
        for (;;) {
          p = block(bytes, view, p, end);
          if (p > end) return unusual;
          let left = items[0];
          if (left === 0) break;
          for (; left > 0; left--) {
            const at_c1 = c1.length;
            const before = p;
            if (at_c1 >= c1.capacity) c1.reserve(at_c1 * 2);
            p = longTimes(bytes, view, p, end, c2.halves, at_c1 * 2, 1000);
            if (p > end || p === before) return unusual;
            c1.length++;
          }
        }
        c0.offsets[row + 1] = c1.length;
        c0.validity[row >> 3] |= 1 << (row & 7);
        b = p < end ? bytes[p++] : 255;
        if (b === 2) {
          p = text(bytes, view, p, end, c3, row);
          c3.validity[row >> 3] |= 1 << (row & 7);
        } else if (b === 0) {
          c3.offsets[row + 1] = c3.offsets[row];
        } else return unusual;
        p = long(bytes, view, p, end, c4.halves, row * 2);
        c5.values[row] = 0;
        return p;
      }
      return (bytes, view, starts, lengths, from, to, row) => {
        const last = bytes.length - readAhead;
        for (let i = from; i < to; i++, row++) {
          const end = starts[i] + lengths[i];
          if (end > last || part0(bytes, view, starts[i] + 5, end, row) !== end) return i;
        }
        return to;
      };
      "
    `);
  });

  test('for JSON expects each key where it was', () => {
    const s = new JsonScanner();
    const record = Buffer.from('{"name":"a", "tags":[{"at":1}],"id":7}');
    s.reset(record, new DataView(record.buffer, record.byteOffset, record.length), 0, record.length);
    const shape = objectShape(s, fields);
    const c = { s, numbers: new NumberReader(s), epoch: 'ms' } as const;
    expect(generateObject(c, shape, fields, columnsOf(fields).columns).text).toMatchInlineSnapshot(`
      "'use strict';
      let v0 = 0;
      let v1 = 0;
      function part0(bytes, view, p, end, row) {
        let b = 0, at = 0;
        v0 = p;
        if (p + 8 < end && view.getInt32(p, true) === (p === v0 ? 1634607739 : 1634607660) && view.getInt32(p + 4, true) === 975332717) {
          p += 8;
          at = p;
          p = text(bytes, view, p, end, c0, row);
          if (p === unusual) p = other(k1, bytes, view, at, end, row);
          else c0.validity[row >> 3] |= 1 << (row & 7);
        } else {
          c0.offsets[row + 1] = c0.offsets[row];
        }
        if (p + 9 < end && view.getInt32(p, true) === (p === v0 ? 1948393595 : 1948393516) && view.getInt32(p + 4, true) === 577988449 && view.getInt32(p + 5, true) === 975336295) {
          p += 9;
          if (view.getInt32(p, true) === 1819047278) {
            p += 4;
            c2.offsets[row + 1] = c2.offsets[row];
          } else {
            if (bytes[p++] !== 91) return unusual;
            if (bytes[p] === 93) p++;
            else for (;;) {
              const at_c3 = c3.length;
              if (at_c3 >= c3.capacity) c3.reserve(at_c3 * 2);
              if (view.getInt32(p, true) === 1819047278) {
                p += 4;
                return unusual;
              } else {
                v1 = p;
                if (p + 6 < end && view.getInt32(p, true) === (p === v1 ? 1952522875 : 1952522796) && view.getInt32(p + 2, true) === 975336545) {
                  p += 6;
                  at = p;
                  p = integer(bytes, view, p, end, c4.halves, at_c3 * 2, 1000);
                  if (p === unusual) p = other(k5, bytes, view, at, end, at_c3);
                } else {
                  return unusual;
                }
                if (p === v1 && bytes[p++] !== 123) return unusual;
                if (p >= end || bytes[p++] !== 125) return unusual;
              }
              if (p >= end) return unusual;
              c3.length++;
              b = bytes[p++];
              if (b === 93) break;
              if (b !== 44) return unusual;
              if (bytes[p] === 32) p++;
            }
            c2.offsets[row + 1] = c3.length;
            c2.validity[row >> 3] |= 1 << (row & 7);
          }
        } else {
          c2.offsets[row + 1] = c2.offsets[row];
        }
        if (p + 6 < end && view.getInt32(p, true) === (p === v0 ? 1684611707 : 1684611628) && view.getInt32(p + 2, true) === 975332457) {
          p += 6;
          at = p;
          p = integer(bytes, view, p, end, c6.halves, row * 2, 1);
          if (p === unusual) p = other(k7, bytes, view, at, end, row);
        } else {
          return unusual;
        }
        c8.values[row] = 0;
        if (p === v0 && bytes[p++] !== 123) return unusual;
        if (p >= end || bytes[p++] !== 125) return unusual;
        return p;
      }
      return (bytes, view, starts, lengths, from, to, row) => {
        const last = bytes.length - readAhead;
        for (let i = from; i < to; i++, row++) {
          const end = starts[i] + lengths[i];
          if (end > last || part0(bytes, view, starts[i], end, row) !== end) return i;
        }
        return to;
      };
      "
    `);
  });

  test('has nothing of what a schema or a record says in it', () => {
    const evil = '`);process.exit(1);//';
    const schema = parseAvroSchema(
      JSON.stringify({
        type: 'record',
        name: 'R',
        fields: [
          { name: evil, type: 'string' },
          { name: `${evil}2`, type: { type: 'enum', name: 'E', symbols: [evil] } },
          { name: `${evil}3`, type: { type: 'array', items: 'int' } },
        ],
      }),
    );
    const named = [field(evil, 'string'), field(`${evil}2`, 'string')];
    const avro = generateRecord(schema, named, columnsOf(named).columns).text;
    const s = new JsonScanner();
    const record = Buffer.from(JSON.stringify({ [evil]: evil, [`${evil}3`]: evil }));
    s.reset(record, new DataView(record.buffer, record.byteOffset, record.length), 0, record.length);
    const c = { s, numbers: new NumberReader(s), epoch: 'ms' } as const;
    const json = generateObject(c, objectShape(s, named), named, columnsOf(named).columns).text;
    for (const text of [avro, json]) expect(text).not.toContain('process');
  });
});

test('where text may not be compiled, all is read by closures', () => {
  const program = `
    import { Columns } from './src/arrow/columns.ts';
    import { jsonDecoder } from './src/decode/json.ts';
    let forbidden = false;
    try { new Function('return 1'); } catch { forbidden = true; }
    const fields = [{ id: 1, name: 'a', required: true, type: { kind: 'int' } }];
    const columns = new Columns({ schemaId: 0, fields });
    const decoder = jsonDecoder(fields, columns.columns, { envelope: 'none', epoch: 'ms' });
    const bytes = Buffer.from('{"a":7}{"a":7}                ');
    const entries = {
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
      starts: Int32Array.of(0, 7),
      lengths: Int32Array.of(7, 7),
    };
    const end = decoder.append(entries, 0, 2);
    console.log(JSON.stringify([forbidden, end, decoder.unusual, [...columns.columns[0].values.slice(0, 2)]]));
  `;
  const flags = ['--disallow-code-generation-from-strings', '--disable-warning=ExperimentalWarning'];
  const run = (...more: string[]): unknown => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [...more, '--input-type=module', '--eval', program],
      { cwd: fileURLToPath(new URL('../../..', import.meta.url)), encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };
  expect(run(...flags)).toEqual([true, 2, 2, [7, 7]]);
  expect(run()).toEqual([false, 2, 1, [7, 7]]);
});
