"""DuckDB as a reader of Iceberg tables, with its extensions from Python packages: it never goes to the network."""

import functools
import glob
import importlib.util

import duckdb

from canonical import rows_from_arrow

EXTENSIONS = ("avro", "httpfs", "iceberg")


def extension(name):
    package = importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0]
    return glob.glob(f"{package}/extensions/*/{name}.duckdb_extension")[0]


@functools.cache
def connection():
    connected = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for name in EXTENSIONS:
        connected.execute(f"LOAD '{extension(name)}'")
    return connected


def run_sql(sql, metadata=None):
    """With the location of a table's metadata, the SQL may name that table t."""
    cursor = connection().cursor()
    if metadata is not None:
        cursor.execute(f"CREATE OR REPLACE TEMP VIEW t AS SELECT * FROM iceberg_scan('{metadata}')")
    result = cursor.execute(sql)
    types = {column[0]: str(column[1]) for column in result.description}
    return {"types": types, "rows": list(rows_from_arrow(result.fetch_record_batch()))}


COMMANDS = {"duckdb": run_sql}
