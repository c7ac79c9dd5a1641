import { expect, test } from 'vitest';
import { makeColumn } from '../../../src/arrow/columns.ts';
import { type Shown, valueAt } from '../../../src/arrow/values.ts';
import type { Type } from '../../../src/iceberg/types.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { append } from './rows.ts';

const list = (element: Type): Type => ({ kind: 'list', elementId: 0, elementRequired: false, element });

test.each([
  [{ kind: 'boolean' }, true, true],
  [{ kind: 'int' }, '-5', -5],
  [{ kind: 'long' }, '9007199254740991', 9007199254740991],
  [{ kind: 'long' }, '9007199254740993', 9007199254740993n],
  [{ kind: 'float' }, '3fc00000', 1.5],
  [{ kind: 'float' }, '7fc00000', 'NaN'],
  [{ kind: 'double' }, 'fff0000000000000', '-Infinity'],
  [{ kind: 'date' }, '19782', '2024-02-29'],
  [{ kind: 'date' }, '-1', '1969-12-31'],
  [{ kind: 'time' }, '81068000001', '22:31:08.000001'],
  [{ kind: 'timestamp' }, '1510871468000000', '2017-11-16T22:31:08'],
  [{ kind: 'timestamp' }, '-1', '1969-12-31T23:59:59.999999'],
  [{ kind: 'timestamptz' }, '0', '1970-01-01T00:00:00Z'],
  [{ kind: 'string' }, 'größe', 'größe'],
  [{ kind: 'uuid' }, 'f79c3e09-677c-4bbd-a479-3f349cb785e7', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
  [{ kind: 'binary' }, '00ff', 'AP8='],
  [{ kind: 'fixed', length: 2 }, '00ff', 'AP8='],
  [{ kind: 'decimal', precision: 38, scale: 2 }, '-0.05', '-0.05'],
  [list({ kind: 'int' }), ['1', null], [1, null]],
  [
    { kind: 'struct', fields: [{ id: 1, name: 'a b', required: true, type: { kind: 'int' } }] },
    { 'a b': '1' },
    { 'a b': 1 },
  ],
  [
    {
      kind: 'map',
      keyId: 0,
      key: { kind: 'int' },
      valueId: 0,
      valueRequired: false,
      value: list({ kind: 'string' }),
    },
    [
      ['1', ['x']],
      ['2', null],
    ],
    { 1: ['x'], 2: null },
  ],
] as [Type, Canonical, Shown][])('a value of %o is shown as people write it', (type, value, shown) => {
  const column = makeColumn(type, true);
  append(column, type, null);
  append(column, type, value);
  expect(valueAt(column, 0, type)).toBeNull();
  expect(valueAt(column, 1, type)).toEqual(shown);
});
