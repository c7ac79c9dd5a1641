"""Writes rows with pyarrow as often as it is told, and says what that took.

    parquet-pyarrow.py FOLDER     the folder has the rows in v1.parquet and v2.parquet

On each line read how: `defaults`, or a version, whose file says which encoding each column has.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

# What ours writes too: page indexes, checksums, no Arrow schema, zstd at level 1.
COMMON = {
    "compression": "zstd",
    "compression_level": 1,
    "write_page_index": True,
    "write_page_checksum": True,
    "store_schema": False,
    "store_decimal_as_integer": True,
    "row_group_size": 16 * 1024 * 1024,
    "data_page_size": 1024 * 1024,
    "max_rows_per_page": 20_000,
}


def encodings_of(path):
    metadata = parquet.ParquetFile(path).metadata
    group = metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    dictionaries = [c.path_in_schema for c in chunks if "RLE_DICTIONARY" in c.encodings]
    others = {}
    for chunk in chunks:
        delta = [encoding for encoding in chunk.encodings if encoding.startswith("DELTA")]
        if chunk.path_in_schema not in dictionaries:
            others[chunk.path_in_schema] = delta[0] if delta else "PLAIN"
    return {"use_dictionary": dictionaries or False, "column_encoding": others or None}


def options(folder, how):
    if how == "defaults":
        return COMMON
    version = {"v1": "1.0", "v2": "2.0"}[how]
    return {**COMMON, **encodings_of(folder / f"{how}.parquet"), "data_page_version": version}


folder = Path(sys.argv[1])
table = parquet.read_table(folder / "v1.parquet").combine_chunks()
for line in sys.stdin:
    chosen = options(folder, line.strip())
    out = pyarrow.BufferOutputStream()
    before = time.process_time()
    parquet.write_table(table, out, **chosen)
    cpu = time.process_time() - before
    print(json.dumps({"cpuSeconds": cpu, "bytes": out.getvalue().size}), flush=True)
