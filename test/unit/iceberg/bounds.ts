import type { Schema } from '../../../src/iceberg/schema.ts';
import { isPrimitive, type PrimitiveType, type Type } from '../../../src/iceberg/types.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';
import { bytesText, decimalText, doubleBits, floatBits, unscaled } from '../arrow/rows.ts';

/** What a data file's metrics must be, worked out from rows in canonical form and by the words of the specification. */

/** Metrics as `planFiles` of the test tools answers them: by field id, numbers as text, bounds in canonical form. */
export interface ExpectedMetrics {
  valueCounts: Record<string, string>;
  nullCounts: Record<string, string>;
  nanCounts: Record<string, string>;
  lowerBounds: Record<string, Canonical>;
  upperBounds: Record<string, Canonical>;
}

/** A leaf that has metrics: not inside a list or map. */
export interface MeasuredLeaf {
  id: number;
  path: string[];
  type: PrimitiveType;
}

export function measuredLeaves(schema: Pick<Schema, 'fields'>): MeasuredLeaf[] {
  const found: MeasuredLeaf[] = [];
  const visit = (id: number, path: string[], type: Type): void => {
    if (isPrimitive(type)) found.push({ id, path, type });
    if (type.kind === 'struct')
      for (const field of type.fields) visit(field.id, [...path, field.name], field.type);
  };
  for (const field of schema.fields) visit(field.id, [field.name], field.type);
  return found;
}

/** Metrics of all leaves with bounds of at most `length` code points or bytes. */
export function expectedMetrics(schema: Schema, rows: readonly Row[], length = 16): ExpectedMetrics {
  const metrics: ExpectedMetrics = {
    valueCounts: {},
    nullCounts: {},
    nanCounts: {},
    lowerBounds: {},
    upperBounds: {},
  };
  for (const { id, path, type } of measuredLeaves(schema)) {
    const values = rows.map((row) =>
      path.reduce<Canonical>((value, name) => (value as Row | null)?.[name] ?? null, row),
    );
    const present = values.filter((value) => value !== null);
    const ordered = present
      .filter((value) => !isNan(value, type))
      .sort((a, b) => compareCanonical(type, a, b));
    metrics.valueCounts[id] = String(values.length);
    metrics.nullCounts[id] = String(values.length - present.length);
    if (type.kind === 'float' || type.kind === 'double')
      metrics.nanCounts[id] = String(present.filter((value) => isNan(value, type)).length);
    // Readers do not agree on the order of uuids.
    if (ordered.length === 0 || type.kind === 'uuid') continue;
    const upper = cutUpper(type, ordered.at(-1)!, length);
    metrics.lowerBounds[id] = cutLower(type, ordered[0]!, length);
    if (upper !== undefined) metrics.upperBounds[id] = upper;
  }
  return metrics;
}

function isNan(value: Canonical, type: PrimitiveType): boolean {
  return (
    (type.kind === 'float' && value === '7fc00000') ||
    (type.kind === 'double' && value === '7ff8000000000000')
  );
}

/** The order of values in bounds: -0 before +0, strings and bytes by unsigned bytes. */
function compareCanonical(type: PrimitiveType, a: Canonical, b: Canonical): number {
  const [left, right] = [comparable(type, a), comparable(type, b)];
  if (left instanceof Buffer) return Buffer.compare(left, right as Buffer);
  if (left === 0 && right === 0) return (Object.is(left, -0) ? 0 : 1) - (Object.is(right, -0) ? 0 : 1);
  return left < right ? -1 : left > right ? 1 : 0;
}

function comparable(type: PrimitiveType, value: Canonical): bigint | number | Buffer {
  switch (type.kind) {
    case 'boolean':
      return value ? 1 : 0;
    case 'float':
      return Buffer.from(value as string, 'hex').readFloatBE();
    case 'double':
      return Buffer.from(value as string, 'hex').readDoubleBE();
    case 'decimal':
      return unscaled(value as string);
    case 'string':
      return Buffer.from(value as string, 'utf8');
    case 'uuid':
    case 'fixed':
    case 'binary':
      return Buffer.from((value as string).replaceAll('-', ''), 'hex');
    default:
      return BigInt(value as string);
  }
}

function cutLower(type: PrimitiveType, value: Canonical, length: number): Canonical {
  if (type.kind === 'string')
    return Array.from(value as string)
      .slice(0, length)
      .join('');
  if (type.kind === 'binary') return (value as string).slice(0, 2 * length);
  return value;
}

function cutUpper(type: PrimitiveType, value: Canonical, length: number): Canonical | undefined {
  if (type.kind === 'string') {
    const points = Array.from(value as string, (c) => c.codePointAt(0)!);
    if (points.length <= length) return value;
    const cut = raised(points.slice(0, length), 0x10ffff);
    return cut && String.fromCodePoint(...cut.map((point) => (point === 0xd800 ? 0xe000 : point)));
  }
  if (type.kind === 'binary') {
    const bytes = [...Buffer.from(value as string, 'hex')];
    if (bytes.length <= length) return value;
    const cut = raised(bytes.slice(0, length), 0xff);
    return cut && Buffer.from(cut).toString('hex');
  }
  return value;
}

/** The least sequence of the same length or shorter that is above all that begin with `units`. */
function raised(units: number[], max: number): number[] | undefined {
  const kept = units.slice(0, units.findLastIndex((unit) => unit < max) + 1);
  if (kept.length === 0) return undefined;
  kept[kept.length - 1]!++;
  return kept;
}

/** The value that a bound stands for (spec appendix D, binary single-value serialization). */
export function decodeBound(type: PrimitiveType, bytes: Uint8Array): Canonical {
  const buffer = Buffer.from(bytes);
  switch (type.kind) {
    case 'boolean':
      return buffer[0] !== 0;
    case 'int':
    case 'date':
      return String(buffer.readInt32LE());
    case 'float':
      return floatBits(buffer.readFloatLE());
    case 'double':
      return doubleBits(buffer.readDoubleLE());
    case 'decimal':
      return decimalText(BigInt.asIntN(8 * buffer.length, BigInt(`0x${buffer.toString('hex')}`)), type.scale);
    case 'string':
    case 'uuid':
    case 'fixed':
    case 'binary':
      return bytesText(type, buffer);
    default:
      return String(buffer.readBigInt64LE());
  }
}
