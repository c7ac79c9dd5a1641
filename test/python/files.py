"""What is in Avro and Parquet files."""

import datetime
import uuid
from decimal import Decimal

import fastavro
import pyarrow.parquet as parquet

from bits import float_bits
from duck import run_sql

EPOCH = datetime.date(1970, 1, 1)


def avroHeader(path, records=True):
    """The metadata of the file as it was written, the schema among it, and the decoded records."""
    with open(local(path), "rb") as file:
        reader = fastavro.reader(file)
        answer = {"metadata": reader.metadata, "codec": reader.codec}
        return {**answer, "records": [plain(record) for record in reader]} if records else answer


def local(path):
    """A path, or the URI of a local file."""
    return path.removeprefix("file:").replace("///", "/", 1)


def plain(value):
    """As canonical as can be without a type."""
    if isinstance(value, dict):
        return {name: plain(field) for name, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return float_bits(value, 64)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return str((value - EPOCH).days)
    if isinstance(value, (int, Decimal, uuid.UUID, datetime.datetime)) and not isinstance(value, bool):
        return str(value)
    return value


def parquetFooter(path):
    path = local(path)
    file = parquet.ParquetFile(path)
    metadata = file.metadata
    return {
        "createdBy": metadata.created_by,
        "formatVersion": metadata.format_version,
        "numRows": metadata.num_rows,
        "keyValueMetadata": {k.decode(): v.decode() for k, v in (metadata.metadata or {}).items()},
        "schema": schema_nodes(path),
        "logicalTypes": {c.path: c.logical_type.to_json() for c in map(file.schema.column, range(len(file.schema)))},
        "rowGroups": [row_group(metadata.row_group(i)) for i in range(metadata.num_row_groups)],
    }


def schema_nodes(path):
    """Every node in the order of the footer, with its field id: pyarrow tells it only of some."""
    return run_sql(f"SELECT * EXCLUDE (file_name) FROM parquet_schema('{path}')")["rows"]


def row_group(group):
    return {
        "numRows": group.num_rows,
        "totalByteSize": group.total_byte_size,
        "sortingColumns": [str(column) for column in group.sorting_columns or []],
        "columns": [column_chunk(group.column(i)) for i in range(group.num_columns)],
    }


def column_chunk(column):
    return {
        "path": column.path_in_schema,
        "physicalType": column.physical_type,
        "compression": column.compression,
        "encodings": list(column.encodings),
        "numValues": column.num_values,
        "compressedBytes": column.total_compressed_size,
        "uncompressedBytes": column.total_uncompressed_size,
        "dataPageOffset": column.data_page_offset,
        "dictionaryPageOffset": column.dictionary_page_offset if column.has_dictionary_page else None,
        "hasColumnIndex": column.has_column_index,
        "hasOffsetIndex": column.has_offset_index,
        "statistics": statistics(column.statistics),
    }


def statistics(found):
    if found is None:
        return None
    has_bounds = found.has_min_max
    return {
        "min": plain(found.min_raw) if has_bounds else None,
        "max": plain(found.max_raw) if has_bounds else None,
        "nullCount": found.null_count if found.has_null_count else None,
        "distinctCount": found.distinct_count if found.has_distinct_count else None,
    }


def checkParquet(path):
    """Reads all of a file, with the checksum of each page."""
    file = parquet.ParquetFile(local(path), page_checksum_verification=True)
    return {"numRows": file.read().num_rows}


COMMANDS = {"avroHeader": avroHeader, "parquetFooter": parquetFooter, "checkParquet": checkParquet}
