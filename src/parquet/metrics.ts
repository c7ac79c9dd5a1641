import type {
  BytesColumn,
  Column,
  Columns,
  DecimalColumn,
  FixedColumn,
  Int64Column,
} from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import { comparePartitionValues } from '../iceberg/manifest-list.ts';
import { type Leaf, leaves, type Schema } from '../iceberg/schema.ts';
import {
  toSingleValue,
  truncateBinaryLower,
  truncateBinaryUpper,
  truncateStringLower,
  truncateStringUpper,
} from '../iceberg/single-value.ts';
import { isPrimitive, type Type } from '../iceberg/types.ts';

/**
 * Column metrics of a data file (spec "Manifests", appendix D; Java `ParquetMetrics`), computed from our own columns:
 * a writer's statistics have been wrong before, and a wrong bound makes readers skip rows silently.
 *
 * Leaves inside lists and maps have none. NaN never is a bound, nor is a uuid.
 */
export interface ColumnMetrics {
  valueCounts: Map<number, number>;
  nullValueCounts: Map<number, number>;
  nanValueCounts: Map<number, number>;
  lowerBounds: Map<number, Uint8Array>;
  upperBounds: Map<number, Uint8Array>;
}

/** How much is kept of one column: nothing, counts, or bounds up to a length (Infinity for whole values). */
type MetricsMode = { counts: boolean; boundLength: number };

type Bound = boolean | number | bigint | Uint8Array;

interface Tracked {
  leaf: Leaf;
  mode: MetricsMode;
  /** Child positions from the root to the leaf. */
  route: readonly number[];
  values: number;
  nulls: number;
  nans: number;
  min: Bound | undefined;
  max: Bound | undefined;
}

export class MetricsCollector {
  readonly #tracked: Tracked[];

  constructor(schema: Schema, properties: Readonly<Record<string, string>>) {
    const mode = metricsModes(schema, properties);
    const routes = leafRoutes(schema);
    this.#tracked = leaves(schema)
      .filter((leaf) => !leaf.repeated && mode(leaf).counts)
      .map((leaf) => ({
        leaf,
        mode: hasOrder(leaf) ? mode(leaf) : { counts: true, boundLength: 0 },
        route: routes.get(leaf.id)!,
        values: 0,
        nulls: 0,
        nans: 0,
        min: undefined,
        max: undefined,
      }));
  }

  /** Takes in all rows of `columns`. */
  add(columns: Columns): void {
    for (const tracked of this.#tracked) {
      const column = columnAt(columns, tracked.route);
      tracked.values += column.length;
      tracked.nulls += column.nullCount;
      const seen = extremes(column, tracked.mode.boundLength > 0);
      tracked.nans += seen.nans;
      if (seen.min === undefined || seen.max === undefined) continue;
      if (tracked.min === undefined || compare(seen.min, tracked.min) < 0) tracked.min = seen.min;
      if (tracked.max === undefined || compare(seen.max, tracked.max) > 0) tracked.max = seen.max;
    }
  }

  finish(): ColumnMetrics {
    const metrics: ColumnMetrics = {
      valueCounts: new Map(),
      nullValueCounts: new Map(),
      nanValueCounts: new Map(),
      lowerBounds: new Map(),
      upperBounds: new Map(),
    };
    for (const { leaf, mode, values, nulls, nans, min, max } of this.#tracked) {
      metrics.valueCounts.set(leaf.id, values);
      metrics.nullValueCounts.set(leaf.id, nulls);
      if (leaf.type.kind === 'float' || leaf.type.kind === 'double')
        metrics.nanValueCounts.set(leaf.id, nans);
      const lower = min === undefined ? undefined : lowerBound(leaf, min, mode.boundLength);
      const upper = max === undefined ? undefined : upperBound(leaf, max, mode.boundLength);
      if (lower) metrics.lowerBounds.set(leaf.id, lower);
      if (upper) metrics.upperBounds.set(leaf.id, upper);
    }
    return metrics;
  }
}

/**
 * Java's library compares uuids as pairs of signed numbers, everybody else byte by byte (apache/iceberg#14216): by bounds
 * it would pass over files that have the row asked for. Without bounds it looks into them.
 */
function hasOrder(leaf: Leaf): boolean {
  return leaf.type.kind !== 'uuid';
}

function lowerBound(leaf: Leaf, min: Bound, length: number): Uint8Array {
  if (leaf.type.kind === 'string') return truncateStringLower(min as Uint8Array, length);
  if (leaf.type.kind === 'binary') return truncateBinaryLower(min as Uint8Array, length);
  return toSingleValue(leaf.type, min);
}

function upperBound(leaf: Leaf, max: Bound, length: number): Uint8Array | undefined {
  if (leaf.type.kind === 'string') return truncateStringUpper(max as Uint8Array, length);
  if (leaf.type.kind === 'binary') return truncateBinaryUpper(max as Uint8Array, length);
  return toSingleValue(leaf.type, max);
}

function compare(a: Bound, b: Bound): number {
  return comparePartitionValues(a, b);
}

/**
 * The mode of each leaf from `write.metadata.metrics.*` (Java `MetricsConfig`): truncate(16) unless said otherwise, and
 * nothing beyond the first 100 leaves of a wide table unless a default is set.
 */
function metricsModes(
  schema: Schema,
  properties: Readonly<Record<string, string>>,
): (leaf: Leaf) => MetricsMode {
  const prefix = 'write.metadata.metrics.';
  const explicit = properties[`${prefix}default`];
  const inferredMax = Number(properties[`${prefix}max-inferred-column-defaults`] ?? 100);
  const fallback = parseMode(explicit) ?? { counts: true, boundLength: 16 };
  const none = { counts: false, boundLength: 0 };
  const all = leaves(schema);
  // Top-level columns come first, then nested ones.
  const byDepth = [...all].sort((a, b) => a.path.split('.').length - b.path.split('.').length);
  const inferred = new Set(byDepth.slice(0, inferredMax).map((leaf) => leaf.id));
  return (leaf) => {
    const own = parseMode(properties[`${prefix}column.${leaf.path}`]);
    if (own) return own;
    return explicit !== undefined || inferred.has(leaf.id) ? fallback : none;
  };
}

function parseMode(text: string | undefined): MetricsMode | undefined {
  switch (text?.toLowerCase()) {
    case undefined:
      return undefined;
    case 'none':
      return { counts: false, boundLength: 0 };
    case 'counts':
      return { counts: true, boundLength: 0 };
    case 'full':
      return { counts: true, boundLength: Number.POSITIVE_INFINITY };
    default: {
      const length = Number(/^truncate\((\d+)\)$/.exec(text!.toLowerCase())?.[1]);
      return length > 0 ? { counts: true, boundLength: length } : undefined;
    }
  }
}

/** Child positions from the root to each leaf that is not inside a list or map. */
function leafRoutes(schema: Schema): Map<number, number[]> {
  const routes = new Map<number, number[]>();
  const visit = (id: number, type: Type, route: number[]): void => {
    if (isPrimitive(type)) routes.set(id, route);
    else if (type.kind === 'struct')
      for (const [i, field] of type.fields.entries()) visit(field.id, field.type, [...route, i]);
  };
  for (const [i, field] of schema.fields.entries()) visit(field.id, field.type, [i]);
  return routes;
}

function columnAt(columns: Columns, route: readonly number[]): Column {
  let column = columns.columns[route[0]!]!;
  for (const child of route.slice(1)) {
    assert(column.kind === 'struct', 'a route to a leaf leads through structs');
    column = column.children[child]!;
  }
  return column;
}

interface Extremes {
  min: Bound | undefined;
  max: Bound | undefined;
  nans: number;
}

const nothing: Extremes = { min: undefined, max: undefined, nans: 0 };

/** The least and the greatest value of a column; NaNs are counted and left out. */
function extremes(column: Column, bounds: boolean): Extremes {
  if (column.kind === 'float32' || column.kind === 'float64') return floatExtremes(column, bounds);
  if (!bounds || column.nullCount === column.length) return nothing;
  switch (column.kind) {
    case 'boolean':
      return byRow(
        column,
        (a, b) => Number(column.get(a)) - Number(column.get(b)),
        (row) => column.get(row),
      );
    case 'int32':
      return byRow(
        column,
        (a, b) => column.values[a]! - column.values[b]!,
        (row) => column.values[row]!,
      );
    case 'int64':
      return byRow(
        column,
        (a, b) => compareInt64(column, a, b),
        (row) => column.values[row]!,
      );
    case 'decimal':
      return byRow(
        column,
        (a, b) => compareDecimal(column, a, b),
        (row) => column.get(row),
      );
    case 'fixed':
      return byRow(
        column,
        (a, b) => compareFixed(column, a, b),
        (row) => column.get(row).slice(),
      );
    case 'bytes':
      return byRow(
        column,
        (a, b) => compareBytes(column, a, b),
        (row) => column.get(row).slice(),
      );
    default:
      return nothing;
  }
}

/** Compares by row number, so that a value is copied once per batch and not whenever a greater one turns up. */
function byRow<C extends Column>(
  column: C,
  order: (a: number, b: number) => number,
  value: (row: number) => Bound,
): Extremes {
  let min = -1;
  let max = -1;
  for (let row = 0; row < column.length; row++) {
    if (column.nullCount > 0 && column.isNull(row)) continue;
    if (min === -1) {
      min = max = row;
    } else if (order(row, min) < 0) {
      min = row;
    } else if (order(row, max) > 0) {
      max = row;
    }
  }
  return { min: value(min), max: value(max), nans: 0 };
}

function floatExtremes(column: Extract<Column, { kind: 'float32' | 'float64' }>, bounds: boolean): Extremes {
  const { values } = column;
  let min: number | undefined;
  let max: number | undefined;
  let nans = 0;
  for (let row = 0; row < column.length; row++) {
    if (column.nullCount > 0 && column.isNull(row)) continue;
    const value = values[row]!;
    // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
    if (value !== value) {
      nans++;
      continue;
    }
    if (min === undefined || max === undefined) {
      min = max = value;
      continue;
    }
    if (value < min || (value === 0 && min === 0 && Object.is(value, -0))) min = value;
    if (value > max || (value === 0 && max === 0 && Object.is(max, -0))) max = value;
  }
  return bounds ? { min, max, nans } : { min: undefined, max: undefined, nans };
}

function compareInt64(column: Int64Column, a: number, b: number): number {
  const { halves } = column;
  const high = halves[a * 2 + 1]! - halves[b * 2 + 1]!;
  return high !== 0 ? high : (halves[a * 2]! >>> 0) - (halves[b * 2]! >>> 0);
}

function compareDecimal(column: DecimalColumn, a: number, b: number): number {
  const { words } = column;
  const top = words[a * 4 + 3]! - words[b * 4 + 3]!;
  if (top !== 0) return top;
  for (let i = 2; i >= 0; i--) {
    const difference = (words[a * 4 + i]! >>> 0) - (words[b * 4 + i]! >>> 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareFixed(column: FixedColumn, a: number, b: number): number {
  const { values, width } = column;
  for (let i = 0; i < width; i++) {
    const difference = values[a * width + i]! - values[b * width + i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareBytes(column: BytesColumn, a: number, b: number): number {
  const { data, offsets } = column;
  let i = offsets[a]!;
  let j = offsets[b]!;
  const iEnd = offsets[a + 1]!;
  const jEnd = offsets[b + 1]!;
  for (; i < iEnd && j < jEnd; i++, j++) {
    const difference = data[i]! - data[j]!;
    if (difference !== 0) return difference;
  }
  return iEnd - i - (jEnd - j);
}
