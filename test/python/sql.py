"""Queries the tables of a SQLite catalog with DuckDB; see localstack/sql."""

import argparse
import json
import sqlite3

from duck import connection


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def define_views(cursor, catalog):
    """A view for each table, under the name that it has in the catalog, of what it holds now."""
    with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True) as database:
        tables = database.execute(
            "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables"
            " WHERE metadata_location IS NOT NULL AND coalesce(iceberg_type, 'TABLE') = 'TABLE'"
        ).fetchall()
    for namespace, name, location in tables:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(namespace)}")
        location = location.replace("'", "''")
        cursor.execute(
            f"CREATE VIEW {quoted(namespace)}.{quoted(name)} AS SELECT * FROM iceberg_scan('{location}')"
        )


def main():
    parser = argparse.ArgumentParser(prog="localstack/sql")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("catalog")
    parser.add_argument("sql")
    options = parser.parse_args()
    cursor = connection().cursor()
    define_views(cursor, options.catalog)
    result = cursor.sql(options.sql)
    if not options.json:
        result.show(max_width=120)
        return
    for row in result.fetchall():
        print(json.dumps(dict(zip(result.columns, row)), default=str))


main()
