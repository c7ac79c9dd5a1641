import { type Leaf, leaves, type Schema } from '../iceberg/schema.ts';
import {
  decimalFromBytes,
  decimalToBytes,
  truncateBinaryLower,
  truncateBinaryUpper,
  truncateStringLower,
  truncateStringUpper,
} from '../iceberg/single-value.ts';
import type { ValueFacts } from './encoder.ts';
import { physical, physicalOf } from './file-schema.ts';

/**
 * Column metrics of a data file (spec "Manifests", appendix D; Java `ParquetMetrics`). Leaves inside lists and maps have
 * none. NaN never is a bound, nor is a uuid.
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

/** As much as the table's `write.metadata.metrics.*` ask for of what the encoder found. */
export function columnMetrics(
  schema: Schema,
  properties: Readonly<Record<string, string>>,
  facts: ReadonlyMap<number, ValueFacts>,
): ColumnMetrics {
  const metrics: ColumnMetrics = {
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
  };
  const modeOf = metricsModes(schema, properties);
  for (const leaf of leaves(schema)) {
    const known = facts.get(leaf.id);
    const { counts, boundLength } = modeOf(leaf);
    if (leaf.repeated || !counts || !known) continue;
    metrics.valueCounts.set(leaf.id, known.entries);
    metrics.nullValueCounts.set(leaf.id, known.nulls);
    if (leaf.type.kind === 'float' || leaf.type.kind === 'double')
      metrics.nanValueCounts.set(leaf.id, known.nans);
    if (boundLength === 0 || !known.extremes || !hasOrder(leaf)) continue;
    const upper = upperBound(leaf, known.extremes.max, boundLength);
    metrics.lowerBounds.set(leaf.id, lowerBound(leaf, known.extremes.min, boundLength));
    if (upper) metrics.upperBounds.set(leaf.id, upper);
  }
  return metrics;
}

/**
 * Java's library compares uuids as pairs of signed numbers, everybody else byte by byte (apache/iceberg#14216): by bounds
 * it would pass over files that have the row asked for. Without bounds it looks into them.
 */
function hasOrder(leaf: Leaf): boolean {
  return leaf.type.kind !== 'uuid';
}

function lowerBound({ type }: Leaf, min: Uint8Array, length: number): Uint8Array {
  if (type.kind === 'string') return truncateStringLower(min, length);
  if (type.kind === 'binary') return truncateBinaryLower(min, length);
  return type.kind === 'decimal' ? decimalBound(type, min) : min;
}

function upperBound({ type }: Leaf, max: Uint8Array, length: number): Uint8Array | undefined {
  if (type.kind === 'string') return truncateStringUpper(max, length);
  if (type.kind === 'binary') return truncateBinaryUpper(max, length);
  return type.kind === 'decimal' ? decimalBound(type, max) : max;
}

/** From PLAIN to the fewest bytes, the most significant first. The others are in PLAIN as they are in manifests. */
function decimalBound(type: Leaf['type'], plain: Uint8Array): Uint8Array {
  if (physicalOf(type) === physical.fixed) return decimalToBytes(decimalFromBytes(plain));
  return decimalToBytes(decimalFromBytes(plain.toReversed()));
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
