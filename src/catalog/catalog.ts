import { FatalError } from '../base/errors.ts';
import type { TableMetadata } from '../iceberg/metadata.ts';
import type { PartitionSpec } from '../iceberg/partition-spec.ts';
import type { Schema } from '../iceberg/schema.ts';
import type { Field } from '../iceberg/types.ts';
import type { Requirement, Update } from '../iceberg/update.ts';

/** A table's name: namespace levels and the table itself. */
export interface TableIdentifier {
  readonly namespace: readonly string[];
  readonly name: string;
}

/** Parses `shop.orders`. @throws {FatalError} unless there is at least one namespace level and no empty part. */
export function parseIdentifier(text: string): TableIdentifier {
  const parts = text.split('.');
  const name = parts.pop();
  if (!name || parts.length === 0 || parts.some((part) => part === ''))
    throw new FatalError(`table name "${text}": expected namespace.table, such as shop.orders`);
  return { namespace: parts, name };
}

export function formatIdentifier(identifier: TableIdentifier): string {
  return [...identifier.namespace, identifier.name].join('.');
}

/** A table as it was at one moment. */
export interface Table {
  readonly identifier: TableIdentifier;
  /** URI of the metadata.json this was read from. */
  readonly metadataLocation: string;
  readonly metadata: TableMetadata;
}

/**
 * How a commit ended.
 * - `applied` it is in the table.
 * - `rejected` it certainly is not and never will be: reload and try again.
 * - `unknown` nobody can tell yet: it may still appear. Nothing it names may be deleted (I4).
 */
export type CommitOutcome =
  | { readonly type: 'applied'; readonly table: Table }
  | { readonly type: 'rejected'; readonly reason: string }
  | { readonly type: 'unknown'; readonly reason: string };

export interface TableCreation {
  readonly fields: readonly Field[];
  readonly spec: (schema: Schema) => PartitionSpec;
  readonly properties: Readonly<Record<string, string>>;
}

/** The catalog port: one table pointer, loaded and swapped. */
export interface Catalog {
  /** The table as it is now, past every cache; undefined when there is none. @throws {TransientError} @throws {FatalError} */
  load(identifier: TableIdentifier): Promise<Table | undefined>;

  /** Creates the table and, where needed, its namespace; where somebody was faster, theirs is loaded. */
  create(identifier: TableIdentifier, creation: TableCreation): Promise<Table>;

  /**
   * Applies `updates` if the table is still exactly `base` (or, with REST catalogs, meets `requirements`).
   * Never throws for what the outcome can say; @throws {FatalError} when it was refused and trying again cannot help.
   */
  commit(
    base: Table,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome>;

  /**
   * Takes a table out of the catalog; its files stay, unless a server removes them. For tables that were made to try
   * something out, never for one that records have landed in. @returns false where this catalog cannot.
   */
  drop?(identifier: TableIdentifier): Promise<boolean>;

  close(): Promise<void>;
}
