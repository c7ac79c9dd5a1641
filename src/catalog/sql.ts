import type { TableIdentifier } from './catalog.ts';

/**
 * What SQL catalogs have in common: the tables that Java's JdbcCatalog (schema version V1), PyIceberg's SqlCatalog and
 * Trino's JDBC catalog use, so that each of them opens a catalog of ours, and the statements on them.
 *
 * Non-obvious: `catalog_name` is part of the key. A reader sees our tables only under the same catalog name.
 */
export const schema = `
  CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
  );
  CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
  );`;

/** Brings tables of an older Java or PyIceberg (V0) to V1, as Java does for `jdbc.schema-version=V1`. */
export const upgrade = 'ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)';

// Rows of other kinds (views) share the table since V1; older writers leave the column null.
const isTable = `(iceberg_type = 'TABLE' OR iceberg_type IS NULL)`;
const key = 'catalog_name = ? AND table_namespace = ? AND table_name = ?';

/** Parameters: those of {@link keyOf}. */
export const selectLocation = `SELECT metadata_location FROM iceberg_tables WHERE ${key} AND ${isTable}`;

/** A view, or whatever else is no table. Parameters: those of {@link keyOf}. */
export const selectOther = `SELECT 1 FROM iceberg_tables WHERE ${key} AND NOT ${isTable}`;

/** Parameters: catalog, namespace. */
export const insertNamespace = `INSERT INTO iceberg_namespace_properties
  (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true') ON CONFLICT DO NOTHING`;

/** Parameters: those of {@link keyOf}, the location. */
export const insertTable = `INSERT INTO iceberg_tables
  (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type)
  VALUES (?, ?, ?, ?, NULL, 'TABLE') ON CONFLICT DO NOTHING`;

/** The compare-and-swap. Parameters: the new location, the old one, those of {@link keyOf}, the old one again. */
export const swapLocation = `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
  WHERE ${key} AND metadata_location = ? AND ${isTable}`;

/** Parameters that tell a table. */
export function keyOf(catalogName: string, identifier: TableIdentifier): [string, string, string] {
  return [catalogName, identifier.namespace.join('.'), identifier.name];
}
