"""Runs commands with PyIceberg, DuckDB, fastavro and pyarrow; test/tools/README.md lists them."""

import duck
import files
import tables
from serve import serve

serve({**tables.COMMANDS, **duck.COMMANDS, **files.COMMANDS})
