"""The form in which values are compared between languages; test/tools/README.md describes it."""

from decimal import Decimal
from uuid import UUID

import pyarrow as pa
from pyiceberg import types as iceberg

from bits import bits_float, float_bits, map_key

types = pa.types

# ---- Arrow ----


def micros(scalar):
    """Arrow counts in several units; nanoseconds stay what they are."""
    return scalar.value * {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 1}[scalar.type.unit]


def from_arrow(scalar):
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if types.is_floating(kind):
        return float_bits(scalar.as_py(), kind.bit_width)
    if types.is_decimal(kind):
        return f"{scalar.as_py():f}"
    if types.is_date32(kind):
        return str(scalar.value)
    if types.is_time(kind) or types.is_timestamp(kind):
        return str(micros(scalar))
    if types.is_map(kind):
        return sorted(([from_arrow(entry[0]), from_arrow(entry[1])] for entry in scalar.values), key=map_key)
    if types.is_struct(kind):
        return {kind[i].name: from_arrow(scalar[i]) for i in range(kind.num_fields)}
    if types.is_nested(kind):
        return [from_arrow(element) for element in scalar.values]
    value = scalar.as_py()
    if isinstance(value, bool):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def rows_from_arrow(batches):
    for batch in batches:
        columns = [[from_arrow(scalar) for scalar in column] for column in batch.columns]
        yield from (dict(zip(batch.schema.names, row)) for row in zip(*columns))


def to_python(kind, value):
    """What pyarrow makes an array of that type of: dates and times are numbers."""
    if value is None or types.is_boolean(kind) or types.is_large_string(kind):
        return value
    if types.is_floating(kind):
        return bits_float(value, kind.bit_width)
    if types.is_decimal(kind):
        return Decimal(value)
    if kind == pa.uuid():
        return UUID(value).bytes
    if types.is_map(kind):
        return [(to_python(kind.key_type, key), to_python(kind.item_type, item)) for key, item in value]
    if types.is_struct(kind):
        return {field.name: to_python(field.type, value.get(field.name)) for field in kind}
    if types.is_nested(kind):
        return [to_python(kind.value_type, element) for element in value]
    if types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return bytes.fromhex(value)
    return int(value)


def without_uuid(kind):
    """The same type with the bytes of a uuid in its place: pyarrow makes no nested arrays of extension types."""
    if kind == pa.uuid():
        return pa.binary(16)
    if types.is_map(kind):
        return pa.map_(without_uuid(kind.key_type), kind.item_field.with_type(without_uuid(kind.item_type)))
    if types.is_struct(kind):
        return pa.struct([field.with_type(without_uuid(field.type)) for field in kind])
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(without_uuid(kind.value_type)))
    return kind


def column_to_arrow(kind, values):
    return pa.array([to_python(kind, value) for value in values], without_uuid(kind)).cast(kind)


def rows_to_arrow(schema, rows):
    columns = [column_to_arrow(field.type, [row.get(field.name) for row in rows]) for field in schema]
    return pa.table(columns, schema=schema)


# ---- Iceberg's own values, as in bounds, partitions and filters ----


def from_iceberg(kind, value):
    if value is None or isinstance(kind, iceberg.BooleanType):
        return value
    if isinstance(kind, (iceberg.FloatType, iceberg.DoubleType)):
        return float_bits(value, 32 if isinstance(kind, iceberg.FloatType) else 64)
    if isinstance(kind, iceberg.DecimalType):
        return f"{value:.{kind.scale}f}"
    if isinstance(kind, iceberg.UUIDType) and isinstance(value, bytes):
        return str(UUID(bytes=value))
    return value.hex() if isinstance(value, bytes) else str(value)


def to_iceberg(kind, value):
    if isinstance(kind, (iceberg.BooleanType, iceberg.StringType)):
        return value
    if isinstance(kind, (iceberg.FloatType, iceberg.DoubleType)):
        return bits_float(value, 32 if isinstance(kind, iceberg.FloatType) else 64)
    if isinstance(kind, iceberg.DecimalType):
        return Decimal(value)
    if isinstance(kind, iceberg.UUIDType):
        return UUID(value)
    if isinstance(kind, (iceberg.FixedType, iceberg.BinaryType)):
        return bytes.fromhex(value)
    return int(value)
