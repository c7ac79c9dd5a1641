import { messageOf } from '../base/errors.ts';
import { type Field, parsePrimitiveType, type Type } from '../iceberg/types.ts';
import { nearest } from './nearest.ts';
import {
  flag,
  type Invalid,
  invalid,
  isMapping,
  type Path,
  type Report,
  type Setting,
  shown,
} from './setting.ts';

/** A column of a table to be created: `{ name, type, required, doc }`, nested by `fields`, `element`, `key`, `value`. */
export const column: Setting<Field> = {
  expected: 'a column: { name, type, required }',
  read(value, path, report) {
    if (!isMapping(value)) {
      report(
        path,
        `expected a column, found ${shown(value)}`,
        'write it like { name: order_id, type: long, required: true }',
      );
      return invalid;
    }
    const { name, required = false, doc, ...type } = value;
    if (typeof name !== 'string' || name === '') report([...path, 'name'], 'missing: expected a name');
    const known = {
      name: typeof name === 'string' && name !== '' ? name : invalid,
      required: flag().read(required, [...path, 'required'], report),
      type: readType(type, path, report),
    };
    if (Object.values(known).includes(invalid)) return invalid;
    const field = { id: 0, ...known } as Field;
    return typeof doc === 'string' ? { ...field, doc } : field;
  },
};

const typeNames = [
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'decimal(12,2)',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'fixed[16]',
  'binary',
  'struct',
  'list',
  'map',
];

/** Members that a type has besides its name. */
const inside: Record<string, readonly string[]> = {
  struct: ['fields'],
  list: ['element', 'elementRequired'],
  map: ['key', 'value', 'valueRequired'],
};

/** A type: its name, or for nested ones `{ type, ... }`. */
function readType(value: unknown, path: Path, report: Report): Type | Invalid {
  const given = isMapping(value) ? value : { type: value };
  const name = given['type'];
  if (typeof name !== 'string') {
    report(
      [...path, 'type'],
      name === undefined ? 'missing: expected a type' : `expected a type, found ${shown(name)}`,
      `known: ${typeNames.join(', ')}`,
    );
    return invalid;
  }
  const allowed = ['type', ...(inside[name] ?? [])];
  for (const member of Object.keys(given)) {
    if (allowed.includes(member)) continue;
    const meant = nearest(member, ['name', 'required', 'doc', ...allowed]);
    report([...path, member], `a ${name} column has no ${member}`, meant && `did you mean ${meant}?`, 'key');
  }
  switch (name) {
    case 'struct':
      return readStruct(given['fields'], path, report);
    case 'list': {
      const element = readInner(given, 'element', name, path, report);
      const elementRequired = flag().read(
        given['elementRequired'] ?? false,
        [...path, 'elementRequired'],
        report,
      );
      if (element === invalid || elementRequired === invalid) return invalid;
      return { kind: 'list', elementId: 0, elementRequired, element };
    }
    case 'map': {
      const key = readInner(given, 'key', name, path, report);
      const mapped = readInner(given, 'value', name, path, report);
      const valueRequired = flag().read(given['valueRequired'] ?? false, [...path, 'valueRequired'], report);
      if (key === invalid || mapped === invalid || valueRequired === invalid) return invalid;
      return { kind: 'map', keyId: 0, key, valueId: 0, valueRequired, value: mapped };
    }
    default:
      return readPrimitive(name, path, report);
  }
}

function readStruct(fields: unknown, path: Path, report: Report): Type | Invalid {
  if (!Array.isArray(fields) || fields.length === 0) {
    report(path, 'a struct needs fields', 'write fields: [{ name: ..., type: ... }]');
    return invalid;
  }
  const read = fields.map((field, i) => column.read(field, [...path, 'fields', i], report));
  return read.includes(invalid) ? invalid : { kind: 'struct', fields: read as Field[] };
}

function readInner(
  given: Record<string, unknown>,
  member: string,
  name: string,
  path: Path,
  report: Report,
): Type | Invalid {
  if (given[member] !== undefined) return readType(given[member], [...path, member], report);
  report(path, `a ${name} needs ${member}`, `write ${member}: string, or ${member}: { type: ... }`);
  return invalid;
}

function readPrimitive(name: string, path: Path, report: Report): Type | Invalid {
  try {
    return parsePrimitiveType(name);
  } catch (error) {
    const meant = nearest(name, typeNames);
    report(
      [...path, 'type'],
      messageOf(error),
      meant ? `did you mean ${meant}?` : `known: ${typeNames.join(', ')}`,
    );
    return invalid;
  }
}
