"""Runs commands with Spark and its Iceberg runtime; test/tools/README.md lists them.

python repl.py FOLDER_OF_JARS
"""

import json
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql import types as spark

from bits import float_bits, map_key
from serve import serve

HERE = os.path.dirname(os.path.abspath(__file__))
JAVA_OPTIONS = f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile={HERE}/log4j2.properties"
SETTINGS = {
    "spark.driver.extraClassPath": f"{sys.argv[1]}/*",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",  # else the plan that ran cannot be asked for its metrics
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
}

sessions = {}


def session(name, catalog):
    """A catalog keeps the properties that it was first used with: each has a session of its own, that begins in it."""
    key = json.dumps([name, catalog], sort_keys=True)
    if key not in sessions:
        builder = SparkSession.builder.master("local[2]")
        for setting, value in SETTINGS.items():
            builder = builder.config(setting, value)
        made = builder.getOrCreate().newSession()
        prefix = f"spark.sql.catalog.{name}"
        made.conf.set(prefix, "org.apache.iceberg.spark.SparkCatalog")
        for property, value in catalog.items():
            made.conf.set(f"{prefix}.{property}", value)
        # Tests look at tables that others write meanwhile.
        made.conf.set(f"{prefix}.cache-enabled", "false")
        made.sql(f"USE {quoted(name)}")
        sessions[key] = made
    return sessions[key]


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


# ---- canonical values -------------------------------------------------------------------------


def countable(kind, sql, depth=0):
    """An expression for the value in which dates and times are numbers, and maps lists: Python cannot hold all."""
    variable = f"v{depth}"
    if isinstance(kind, spark.DateType):
        return f"unix_date({sql})"
    if isinstance(kind, spark.TimestampType):
        return f"unix_micros({sql})"
    if isinstance(kind, spark.TimestampNTZType):
        return f"unix_micros(cast({sql} as timestamp))"
    if isinstance(kind, spark.ArrayType):
        return f"transform({sql}, {variable} -> {countable(kind.elementType, variable, depth + 1)})"
    if isinstance(kind, spark.MapType):
        key, value = f"{variable}.key", f"{variable}.value"
        pair = f"struct({countable(kind.keyType, key, depth + 1)}, {countable(kind.valueType, value, depth + 1)})"
        return f"transform(map_entries({sql}), {variable} -> {pair})"
    if isinstance(kind, spark.StructType):
        fields = [countable(field.dataType, f"{sql}.{quoted(field.name)}", depth + 1) for field in kind.fields]
        return f"if({sql} is null, null, struct({', '.join(fields)}))" if fields else sql
    return sql


def canonical(kind, value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(kind, (spark.FloatType, spark.DoubleType)):
        return float_bits(value, 32 if isinstance(kind, spark.FloatType) else 64)
    if isinstance(kind, spark.DecimalType):
        return f"{value:.{kind.scale}f}"
    if isinstance(kind, spark.BinaryType):
        return bytes(value).hex()
    if isinstance(kind, spark.ArrayType):
        return [canonical(kind.elementType, element) for element in value]
    if isinstance(kind, spark.MapType):
        pairs = [[canonical(kind.keyType, key), canonical(kind.valueType, entry)] for key, entry in value]
        return sorted(pairs, key=map_key)
    if isinstance(kind, spark.StructType):
        return {field.name: canonical(field.dataType, value[i]) for i, field in enumerate(kind.fields)}
    return str(value)


# ---- commands ---------------------------------------------------------------------------------


def sql(name, catalog, sql):
    """Rows, and of a query on one table the files that were planned for it and those that were left out."""
    asked = session(name, catalog).sql(sql)
    fields = asked.schema.fields
    names = [f"c{i}" for i in range(len(fields))]
    columns = [countable(field.dataType, name) for field, name in zip(fields, names)]
    found = asked.toDF(*names).selectExpr(*columns) if fields else asked
    rows = [
        {field.name: canonical(field.dataType, value) for field, value in zip(fields, row)} for row in found.collect()
    ]
    return {"rows": rows, **scanned(found)}


def scanned(frame):
    metrics = {"resultDataFiles": "files", "skippedDataFiles": "skippedFiles"}
    leaves = frame._jdf.queryExecution().executedPlan().collectLeaves()
    totals = {}
    for i in range(leaves.size()):
        for metric, answer in metrics.items():
            found = leaves.apply(i).metrics().get(metric)
            if found.isDefined():
                totals[answer] = totals.get(answer, 0) + found.get().value()
    return totals


serve({"sql": sql})
