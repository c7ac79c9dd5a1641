package frazil;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.AppendFiles;
import org.apache.iceberg.BaseTable;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.ExpireSnapshots;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.LocationProviders;
import org.apache.iceberg.PartitionKey;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.PartitionSpecParser;
import org.apache.iceberg.RewriteFiles;
import org.apache.iceberg.RewriteManifests;
import org.apache.iceberg.Schema;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotUpdate;
import org.apache.iceberg.StaticTableOperations;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.TableProperties;
import org.apache.iceberg.TableScan;
import org.apache.iceberg.UpdatePartitionSpec;
import org.apache.iceberg.UpdateProperties;
import org.apache.iceberg.UpdateSchema;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.catalog.SupportsNamespaces;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.data.GenericFileWriterFactory;
import org.apache.iceberg.data.IcebergGenerics;
import org.apache.iceberg.data.InternalRecordWrapper;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.expressions.Term;
import org.apache.iceberg.hadoop.HadoopFileIO;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.io.FanoutDataWriter;
import org.apache.iceberg.io.LocationProvider;
import org.apache.iceberg.io.OutputFileFactory;
import org.apache.iceberg.types.Conversions;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;

/** Tables of any catalog that Iceberg's own Java library knows. Ids and counts are answered as strings. */
final class IcebergCommands {
  private static final long ONE_FILE = Long.MAX_VALUE;

  private final Map<List<Object>, Catalog> catalogs = new HashMap<>();

  void addTo(Map<String, Main.Command> commands) {
    commands.put("createTable", this::createTable);
    commands.put("replaceTable", this::replaceTable);
    commands.put("dropTable", this::dropTable);
    commands.put("readTable", this::readTable);
    commands.put("planFiles", this::planFiles);
    commands.put("loadMetadata", this::loadMetadata);
    commands.put("partition", this::partition);
    commands.put("append", this::append);
    commands.put("rewriteDataFiles", this::rewriteDataFiles);
    commands.put("rewriteManifests", this::rewriteManifests);
    commands.put("rollback", this::rollback);
    commands.put("expireSnapshots", this::expireSnapshots);
    commands.put("setProperties", this::setProperties);
    commands.put("removeProperties", this::removeProperties);
    commands.put("updateSchema", this::updateSchema);
    commands.put("updateSpec", this::updateSpec);
  }

  // ---- catalogs, tables ----

  /** Hadoop's usual local files have checksums beside them, which other writers would leave stale. */
  private static Configuration hadoop() {
    Configuration configuration = new Configuration(false);
    configuration.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    return configuration;
  }

  private Catalog catalog(Args args) {
    String name = args.text("name");
    Map<String, String> properties = args.map("catalog");
    return catalogs.computeIfAbsent(
        List.of(name, properties), key -> CatalogUtil.buildIcebergCatalog(name, properties, hadoop()));
  }

  private static TableIdentifier identifier(Args args) {
    return TableIdentifier.parse(args.text("table"));
  }

  /** By name from a catalog, or read-only by the location of its metadata. */
  private Table table(Args args) {
    if (args.has("metadata")) {
      String location = args.text("metadata");
      return new BaseTable(new StaticTableOperations(location, new HadoopFileIO(hadoop())), location);
    }
    return catalog(args).loadTable(identifier(args));
  }

  private static TableMetadata metadata(Table table) {
    return ((HasTableOperations) table).operations().refresh();
  }

  private Catalog.TableBuilder builder(Args args) {
    Schema schema = SchemaParser.fromJson(args.get("schema").toString());
    PartitionSpec spec =
        args.has("spec") ? PartitionSpecParser.fromJson(schema, args.get("spec").toString()) : PartitionSpec.unpartitioned();
    Catalog.TableBuilder builder =
        catalog(args)
            .buildTable(identifier(args), schema)
            .withPartitionSpec(spec)
            .withProperties(args.map("properties"));
    return args.has("location") ? builder.withLocation(args.text("location")) : builder;
  }

  private Map<String, ?> createTable(Args args) {
    SupportsNamespaces namespaces = (SupportsNamespaces) catalog(args);
    if (!namespaces.namespaceExists(identifier(args).namespace())) {
      namespaces.createNamespace(identifier(args).namespace());
    }
    return describe(builder(args).create());
  }

  /** CREATE OR REPLACE TABLE: uuid, properties and snapshots stay, the branch does not. */
  private Map<String, ?> replaceTable(Args args) {
    builder(args).replaceTransaction().commitTransaction();
    return describe(table(args));
  }

  private Map<String, ?> dropTable(Args args) {
    return Map.of("dropped", catalog(args).dropTable(identifier(args), args.flag("purge")));
  }

  // ---- reading ----

  private Map<String, ?> readTable(Args args) throws IOException {
    Table table = table(args);
    Map<String, Object> answer = new LinkedHashMap<>(describe(table));
    IcebergGenerics.ScanBuilder scan = IcebergGenerics.read(table);
    if (args.has("snapshotId")) {
      scan = scan.useSnapshot(args.number("snapshotId"));
    }
    if (args.has("filter")) {
      scan = scan.where(Filters.parse(table.schema(), args.get("filter")));
    }
    Types.StructType type = table.schema().asStruct();
    try (CloseableIterable<Record> rows = scan.build()) {
      if (args.has("file")) {
        answer.put("count", writeRows(type, rows, Path.of(args.text("file"))));
      } else {
        List<JsonNode> canonical = new ArrayList<>();
        rows.forEach(row -> canonical.add(Canonical.write(type, row)));
        answer.put("count", canonical.size());
        answer.put("rows", canonical);
      }
    }
    return answer;
  }

  private static long writeRows(Types.StructType type, Iterable<Record> rows, Path path) throws IOException {
    long count = 0;
    try (Writer file = Files.newBufferedWriter(path)) {
      for (Record row : rows) {
        file.write(Canonical.write(type, row) + "\n");
        count++;
      }
    }
    return count;
  }

  private static Map<String, ?> describe(Table table) {
    TableMetadata metadata = metadata(table);
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("metadataLocation", metadata.metadataFileLocation());
    answer.put("formatVersion", metadata.formatVersion());
    answer.put("uuid", metadata.uuid());
    answer.put("location", metadata.location());
    answer.put("schema", json(SchemaParser.toJson(metadata.schema())));
    answer.put("spec", json(PartitionSpecParser.toJson(metadata.spec())));
    answer.put("properties", metadata.properties());
    Snapshot current = metadata.currentSnapshot();
    answer.put("currentSnapshotId", current == null ? null : Long.toString(current.snapshotId()));
    answer.put("snapshots", metadata.snapshots().stream().map(IcebergCommands::describe).toList());
    Map<String, String> refs = new TreeMap<>();
    metadata.refs().forEach((name, ref) -> refs.put(name, Long.toString(ref.snapshotId())));
    answer.put("refs", refs);
    return answer;
  }

  private static Map<String, ?> describe(Snapshot snapshot) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("id", Long.toString(snapshot.snapshotId()));
    answer.put("parentId", snapshot.parentId() == null ? null : Long.toString(snapshot.parentId()));
    answer.put("sequenceNumber", Long.toString(snapshot.sequenceNumber()));
    answer.put("timestampMs", Long.toString(snapshot.timestampMillis()));
    answer.put("operation", snapshot.operation());
    answer.put("summary", snapshot.summary());
    answer.put("schemaId", snapshot.schemaId());
    answer.put("manifestList", snapshot.manifestListLocation());
    return answer;
  }

  private static JsonNode json(String text) {
    try {
      return Main.JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private Map<String, ?> loadMetadata(Args args) throws IOException {
    Table table = table(args);
    String location = metadata(table).metadataFileLocation();
    try (InputStream file = table.io().newInputFile(location).newStream()) {
      return Map.of("location", location, "json", new String(file.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  private Map<String, ?> planFiles(Args args) throws IOException {
    Table table = table(args);
    TableScan scan = table.newScan().includeColumnStats();
    if (args.has("snapshotId")) {
      scan = scan.useSnapshot(args.number("snapshotId"));
    }
    if (args.has("filter")) {
      scan = scan.filter(Filters.parse(table.schema(), args.get("filter")));
    }
    List<Map<String, ?>> files = new ArrayList<>();
    try (CloseableIterable<FileScanTask> tasks = scan.planFiles()) {
      tasks.forEach(task -> files.add(describe(table, task)));
    }
    return Map.of("files", files);
  }

  /** What Iceberg's transforms make of rows, and where it would put a file with them. */
  private Map<String, ?> partition(Args args) {
    Schema schema = SchemaParser.fromJson(args.get("schema").toString());
    PartitionSpec spec = PartitionSpecParser.fromJson(schema, args.get("spec").toString());
    LocationProvider locations =
        LocationProviders.locationsFor(args.text("location", "file:///shop/orders"), args.map("properties"));
    String fileName = args.text("fileName", "file.parquet");
    PartitionKey key = new PartitionKey(spec, schema);
    InternalRecordWrapper internal = new InternalRecordWrapper(schema.asStruct());
    List<Map<String, ?>> partitions = new ArrayList<>();
    for (JsonNode row : args.get("rows")) {
      key.partition(internal.wrap(Canonical.record(schema.asStruct(), row)));
      String location =
          spec.isUnpartitioned() ? locations.newDataLocation(fileName) : locations.newDataLocation(spec, key, fileName);
      partitions.add(
          Map.of(
              "partition", Canonical.write(spec.partitionType(), key),
              "folder", spec.partitionToPath(key),
              "location", location));
    }
    return Map.of("partitions", partitions);
  }

  private static Map<String, ?> describe(Table table, FileScanTask task) {
    DataFile file = task.file();
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("content", file.content().toString());
    answer.put("path", file.location());
    answer.put("format", file.format().toString());
    answer.put("specId", file.specId());
    answer.put("partition", Canonical.write(task.spec().partitionType(), file.partition()));
    answer.put("recordCount", Long.toString(file.recordCount()));
    answer.put("fileSizeBytes", Long.toString(file.fileSizeInBytes()));
    answer.put("columnSizes", numbers(file.columnSizes()));
    answer.put("valueCounts", numbers(file.valueCounts()));
    answer.put("nullCounts", numbers(file.nullValueCounts()));
    answer.put("nanCounts", numbers(file.nanValueCounts()));
    answer.put("lowerBounds", bounds(table.schema(), file.lowerBounds()));
    answer.put("upperBounds", bounds(table.schema(), file.upperBounds()));
    answer.put("splitOffsets", file.splitOffsets());
    answer.put("sortOrderId", file.sortOrderId());
    answer.put("dataSequenceNumber", Long.toString(file.dataSequenceNumber()));
    answer.put("fileSequenceNumber", Long.toString(file.fileSequenceNumber()));
    answer.put("deletes", task.deletes().stream().map(DeleteFile::location).toList());
    return answer;
  }

  private static Map<Integer, String> numbers(Map<Integer, Long> numbers) {
    Map<Integer, String> texts = new TreeMap<>();
    if (numbers != null) {
      numbers.forEach((id, number) -> texts.put(id, Long.toString(number)));
    }
    return texts;
  }

  private static Map<Integer, JsonNode> bounds(Schema schema, Map<Integer, ByteBuffer> bounds) {
    Map<Integer, JsonNode> values = new TreeMap<>();
    if (bounds != null) {
      bounds.forEach(
          (id, bytes) -> {
            Type type = schema.findType(id);
            values.put(id, Canonical.write(type, Conversions.fromByteBuffer(type, bytes)));
          });
    }
    return values;
  }

  // ---- changing data ----

  private Map<String, ?> append(Args args) throws IOException {
    Table table = table(args);
    List<Record> rows = new ArrayList<>();
    args.get("rows").forEach(row -> rows.add(Canonical.record(table.schema().asStruct(), row)));
    AppendFiles append = args.flag("fast") ? table.newFastAppend() : table.newAppend();
    List<DataFile> files = write(table, rows);
    files.forEach(append::appendFile);
    commit(append, args);
    return committed(table, files);
  }

  /** One file for each partition. */
  private static List<DataFile> write(Table table, Iterable<Record> rows) throws IOException {
    PartitionKey key = new PartitionKey(table.spec(), table.schema());
    InternalRecordWrapper internal = new InternalRecordWrapper(table.schema().asStruct());
    FanoutDataWriter<Record> writer =
        new FanoutDataWriter<>(
            new GenericFileWriterFactory.Builder(table).dataFileFormat(FileFormat.PARQUET).build(),
            OutputFileFactory.builderFor(table, 0, 0).format(FileFormat.PARQUET).build(),
            table.io(),
            ONE_FILE);
    try (writer) {
      for (Record row : rows) {
        key.partition(internal.wrap(row));
        writer.write(row, table.spec(), key);
      }
    }
    return writer.result().dataFiles();
  }

  private static void commit(SnapshotUpdate<?> update, Args args) {
    args.map("summary").forEach(update::set);
    update.commit();
  }

  private static Map<String, ?> committed(Table table, List<DataFile> files) {
    table.refresh();
    return Map.of(
        "snapshotId", Long.toString(table.currentSnapshot().snapshotId()),
        "files", files.stream().map(DataFile::location).toList());
  }

  private Map<String, ?> rewriteDataFiles(Args args) throws IOException {
    Table table = table(args);
    RewriteFiles rewrite = table.newRewrite().validateFromSnapshot(table.currentSnapshot().snapshotId());
    try (CloseableIterable<FileScanTask> tasks = table.newScan().planFiles()) {
      for (FileScanTask task : tasks) {
        rewrite.deleteFile(task.file());
        task.deletes().forEach(rewrite::deleteFile);
      }
    }
    List<DataFile> files;
    try (CloseableIterable<Record> rows = IcebergGenerics.read(table).build()) {
      files = write(table, rows);
    }
    files.forEach(rewrite::addFile);
    commit(rewrite, args);
    return committed(table, files);
  }

  private Map<String, ?> rewriteManifests(Args args) {
    Table table = table(args);
    RewriteManifests rewrite = table.rewriteManifests().clusterBy(file -> "one");
    commit(rewrite, args);
    return committed(table, List.of());
  }

  // ---- changing metadata ----

  private Map<String, ?> rollback(Args args) {
    Table table = table(args);
    long id = args.number("snapshotId");
    if (args.flag("anyLineage")) {
      table.manageSnapshots().setCurrentSnapshot(id).commit();
    } else {
      table.manageSnapshots().rollbackTo(id).commit();
    }
    return describe(table);
  }

  private Map<String, ?> expireSnapshots(Args args) {
    Table table = table(args);
    long soon = System.currentTimeMillis() + 60_000;
    ExpireSnapshots expire = table.expireSnapshots().expireOlderThan(args.number("olderThanMs", soon));
    expire.retainLast(args.integer("retainLast", 1)).commit();
    return describe(table);
  }

  private Map<String, ?> setProperties(Args args) {
    Table table = table(args);
    UpdateProperties update = table.updateProperties();
    args.map("properties").forEach(update::set);
    update.commit();
    return describe(table);
  }

  private Map<String, ?> removeProperties(Args args) {
    Table table = table(args);
    UpdateProperties update = table.updateProperties();
    args.list("properties").forEach(update::remove);
    update.commit();
    return describe(table);
  }

  /** add: [{parent?, name, type, doc?}], rename: {name: name}, widen: {name: type}, drop: [name], optional: [name] */
  private Map<String, ?> updateSchema(Args args) {
    Table table = table(args);
    UpdateSchema update = table.updateSchema();
    for (JsonNode node : args.node().path("add")) {
      Args column = new Args(node);
      update.addColumn(column.text("parent", null), column.text("name"), type(column.get("type")), column.text("doc", null));
    }
    args.map("rename").forEach(update::renameColumn);
    for (Map.Entry<String, JsonNode> column : args.node().path("widen").properties()) {
      update.updateColumn(column.getKey(), type(column.getValue()).asPrimitiveType());
    }
    args.list("drop").forEach(update::deleteColumn);
    args.list("optional").forEach(update::makeColumnOptional);
    update.commit();
    return describe(table);
  }

  /** add: [{transform, width?, column}], remove: [name of a partition field] */
  private Map<String, ?> updateSpec(Args args) {
    Table table = table(args);
    UpdatePartitionSpec update = table.updateSpec();
    args.list("remove").forEach(update::removeField);
    for (JsonNode term : args.node().path("add")) {
      update.addField(term(term.get("transform").asText(), term.path("width").asInt(), term.get("column").asText()));
    }
    update.commit();
    return describe(table);
  }

  private static Term term(String transform, int width, String column) {
    return switch (transform) {
      case "identity" -> Expressions.ref(column);
      case "bucket" -> Expressions.bucket(column, width);
      case "truncate" -> Expressions.truncate(column, width);
      case "year" -> Expressions.year(column);
      case "month" -> Expressions.month(column);
      case "day" -> Expressions.day(column);
      default -> Expressions.hour(column);
    };
  }

  /** Iceberg reads types only as part of a schema. The ids within are of no account: new ones are given. */
  private static Type type(JsonNode json) {
    ObjectNode field = JsonNodeFactory.instance.objectNode().put("id", 1_000_000).put("name", "x").put("required", false);
    field.set("type", json);
    ObjectNode schema = JsonNodeFactory.instance.objectNode().put("type", "struct");
    schema.putArray("fields").add(field);
    return SchemaParser.fromJson(schema.toString()).findType("x");
  }
}
