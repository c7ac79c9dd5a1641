import type { PartitionValue } from './transforms.ts';

/**
 * A data file as a manifest describes it (spec "Manifests", struct `data_file`).
 * Keys of the metric maps are field ids; bounds are in binary single-value serialization.
 */
export interface DataFile {
  /** Full URI. */
  path: string;
  format: 'PARQUET';
  partition: readonly PartitionValue[];
  recordCount: number;
  /** Exact: readers find the footer by it. */
  fileSizeBytes: number;
  /** Compressed bytes per leaf column. */
  columnSizes: ReadonlyMap<number, number>;
  /** Values per leaf, nulls and NaNs included. */
  valueCounts: ReadonlyMap<number, number>;
  nullValueCounts: ReadonlyMap<number, number>;
  nanValueCounts: ReadonlyMap<number, number>;
  lowerBounds: ReadonlyMap<number, Uint8Array>;
  upperBounds: ReadonlyMap<number, Uint8Array>;
  /** Byte positions of the row groups, ascending. */
  splitOffsets: readonly number[];
}
