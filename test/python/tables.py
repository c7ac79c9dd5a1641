"""Tables of any catalog that PyIceberg knows. Ids and counts are answered as strings."""

import datetime
import functools
import json
import time

from pyiceberg import expressions
from pyiceberg.catalog import load_catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFileContent
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import StaticTable

from bits import compact_json
from canonical import from_iceberg, rows_from_arrow, rows_to_arrow, to_iceberg

COMMANDS = {}


def command(function):
    COMMANDS[function.__name__] = function
    return function


# ---- catalogs, tables ----


@functools.cache
def open_catalog(name, properties):
    return load_catalog(name, **dict(properties))


def catalog_of(name, catalog):
    return open_catalog(name, tuple(sorted(catalog.items())))


def load(name, catalog, table, metadata):
    """By name from a catalog, or read-only by the location of its metadata."""
    if metadata:
        return StaticTable.from_metadata(metadata)
    return catalog_of(name, catalog).load_table(table)


def describe(table):
    metadata = table.metadata
    return {
        "metadataLocation": table.metadata_location,
        "formatVersion": metadata.format_version,
        "uuid": str(metadata.table_uuid),
        "location": metadata.location,
        "schema": json.loads(table.schema().model_dump_json()),
        "spec": json.loads(table.spec().model_dump_json()),
        "properties": metadata.properties,
        "currentSnapshotId": text(metadata.current_snapshot_id),
        "snapshots": [describe_snapshot(snapshot) for snapshot in metadata.snapshots],
        "refs": {name: str(ref.snapshot_id) for name, ref in metadata.refs.items()},
    }


def describe_snapshot(snapshot):
    return {
        "id": str(snapshot.snapshot_id),
        "parentId": text(snapshot.parent_snapshot_id),
        "sequenceNumber": text(snapshot.sequence_number),
        "timestampMs": str(snapshot.timestamp_ms),
        "operation": snapshot.summary.operation.value,
        "summary": snapshot.summary.additional_properties,
        "schemaId": snapshot.schema_id,
        "manifestList": snapshot.manifest_list,
    }


def text(number):
    return None if number is None else str(number)


@command
def createTable(name, catalog, table, schema, spec=None, properties={}, location=None):
    opened = catalog_of(name, catalog)
    opened.create_namespace_if_not_exists(table.rsplit(".", 1)[0])
    created = opened.create_table(
        table,
        Schema.model_validate(schema),
        location=location,
        partition_spec=PartitionSpec.model_validate(spec) if spec else UNPARTITIONED_PARTITION_SPEC,
        properties=properties,
    )
    return describe(created)


@command
def dropTable(name, catalog, table, purge=False):
    opened = catalog_of(name, catalog)
    if purge:
        opened.purge_table(table)
    else:
        opened.drop_table(table)
    return {}


# ---- reading ----

PREDICATES = {
    "eq": expressions.EqualTo,
    "not-eq": expressions.NotEqualTo,
    "lt": expressions.LessThan,
    "lt-eq": expressions.LessThanOrEqual,
    "gt": expressions.GreaterThan,
    "gt-eq": expressions.GreaterThanOrEqual,
    "is-null": expressions.IsNull,
    "not-null": expressions.NotNull,
    "is-nan": expressions.IsNaN,
    "not-nan": expressions.NotNaN,
    "starts-with": expressions.StartsWith,
    "not-starts-with": expressions.NotStartsWith,
    "in": expressions.In,
    "not-in": expressions.NotIn,
}


def parse_filter(schema, json_filter):
    """{"op":"gt","field":"x","value":canonical}, {"op":"and","left":...,"right":...}, ..."""
    if json_filter is None:
        return expressions.AlwaysTrue()
    op = json_filter["op"]
    if op in ("and", "or"):
        sides = [parse_filter(schema, json_filter[side]) for side in ("left", "right")]
        return (expressions.And if op == "and" else expressions.Or)(*sides)
    if op == "not":
        return expressions.Not(parse_filter(schema, json_filter["child"]))
    field = json_filter["field"]
    kind = schema.find_type(field)
    if "values" in json_filter:
        return PREDICATES[op](field, [to_iceberg(kind, value) for value in json_filter["values"]])
    if "value" in json_filter:
        return PREDICATES[op](field, to_iceberg(kind, json_filter["value"]))
    return PREDICATES[op](field)


def scan(table, filter, snapshotId):
    wanted = None if snapshotId is None else int(snapshotId)
    return table.scan(row_filter=parse_filter(table.schema(), filter), snapshot_id=wanted)


@command
def readTable(name=None, catalog=None, table=None, metadata=None, snapshotId=None, filter=None, file=None):
    loaded = load(name, catalog, table, metadata)
    rows = list(rows_from_arrow(scan(loaded, filter, snapshotId).to_arrow_batch_reader()))
    answer = {**describe(loaded), "count": len(rows)}
    if file is None:
        return {**answer, "rows": rows}
    with open(file, "w", encoding="utf-8") as lines:
        lines.writelines(compact_json(row) + "\n" for row in rows)
    return answer


@command
def planFiles(name=None, catalog=None, table=None, metadata=None, snapshotId=None, filter=None):
    loaded = load(name, catalog, table, metadata)
    return {"files": [describe_task(loaded, task) for task in scan(loaded, filter, snapshotId).plan_files()]}


def describe_task(table, task):
    file = task.file
    partition_type = table.specs()[file.spec_id].partition_type(table.schema())
    return {
        "content": DataFileContent(file.content).name,  # a plain number in manifests of format version 1
        "path": file.file_path,
        "format": file.file_format.value,
        "specId": file.spec_id,
        "partition": {
            field.name: from_iceberg(field.field_type, value) for field, value in zip(partition_type.fields, file.partition)
        },
        "recordCount": str(file.record_count),
        "fileSizeBytes": str(file.file_size_in_bytes),
        "columnSizes": numbers(file.column_sizes),
        "valueCounts": numbers(file.value_counts),
        "nullCounts": numbers(file.null_value_counts),
        "nanCounts": numbers(file.nan_value_counts),
        "lowerBounds": bounds(table.schema(), file.lower_bounds),
        "upperBounds": bounds(table.schema(), file.upper_bounds),
        "splitOffsets": file.split_offsets,
        "sortOrderId": file.sort_order_id,
        "deletes": [delete.file_path for delete in task.delete_files],
    }


def numbers(counts):
    return {field: str(count) for field, count in (counts or {}).items()}


def bounds(schema, encoded):
    values = {}
    for field, value in (encoded or {}).items():
        kind = schema.find_type(field)
        values[field] = from_iceberg(kind, from_bytes(kind, value))
    return values


@command
def partition(schema, spec, rows):
    """What PyIceberg's transforms make of rows: without files, and without fields inside structs."""
    types = Schema.model_validate(schema)
    fields = PartitionSpec.model_validate(spec).fields

    def value_of(field, row):
        source = types.find_field(field.source_id)
        value = row.get(source.name)
        made = field.transform.transform(source.field_type)(
            None if value is None else to_iceberg(source.field_type, value)
        )
        return from_iceberg(field.transform.result_type(source.field_type), made)

    return {"partitions": [{"partition": {field.name: value_of(field, row) for field in fields}} for row in rows]}


@command
def inspectEntries(name=None, catalog=None, table=None, metadata=None):
    """PyIceberg's own table of manifest entries, of the current snapshot."""
    entries = load(name, catalog, table, metadata).inspect.entries()
    return {"entries": list(rows_from_arrow(entries.to_batches()))}


@command
def loadMetadata(name=None, catalog=None, table=None, metadata=None):
    loaded = load(name, catalog, table, metadata)
    with loaded.io.new_input(loaded.metadata_location).open() as file:
        return {"location": loaded.metadata_location, "json": file.read().decode()}


# ---- changing ----


@command
def append(name, catalog, table, rows, summary={}):
    loaded = load(name, catalog, table, None)
    loaded.append(rows_to_arrow(loaded.schema().as_arrow(), rows), snapshot_properties=summary)
    return describe(loaded)


@command
def overwrite(name, catalog, table, rows, filter=None, summary={}):
    loaded = load(name, catalog, table, None)
    replaced = parse_filter(loaded.schema(), filter)
    loaded.overwrite(rows_to_arrow(loaded.schema().as_arrow(), rows), replaced, snapshot_properties=summary)
    return describe(loaded)


@command
def deleteRows(name, catalog, table, filter, summary={}):
    loaded = load(name, catalog, table, None)
    loaded.delete(parse_filter(loaded.schema(), filter), snapshot_properties=summary)
    return describe(loaded)


@command
def rollback(name, catalog, table, snapshotId, anyLineage=False):
    loaded = load(name, catalog, table, None)
    manage = loaded.manage_snapshots()
    move = manage.set_current_snapshot if anyLineage else manage.rollback_to_snapshot
    move(int(snapshotId)).commit()
    return describe(loaded)


@command
def expireSnapshots(name, catalog, table, olderThanMs=None):
    """Removes snapshots from the metadata; PyIceberg leaves their files."""
    loaded = load(name, catalog, table, None)
    seconds = time.time() + 60 if olderThanMs is None else int(olderThanMs) / 1000
    older = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    loaded.maintenance.expire_snapshots().older_than(older).commit()
    return describe(loaded)


@command
def setProperties(name, catalog, table, properties):
    loaded = load(name, catalog, table, None)
    with loaded.transaction() as transaction:
        transaction.set_properties(properties)
    return describe(loaded)
