package frazil;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.iceberg.StructLike;
import org.apache.iceberg.data.GenericRecord;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.util.ByteBuffers;
import org.apache.iceberg.util.DateTimeUtil;

/**
 * The form in which values are compared between languages, test/tools/README.md describes it. Values may come in
 * both of Iceberg's representations: that of generic records (LocalDate, ...) and the internal one (days, ...).
 */
final class Canonical {
  private static final HexFormat HEX = HexFormat.of();
  private static final Comparator<ArrayNode> BY_KEY =
      (a, b) -> Arrays.compareUnsigned(utf8(a.get(0)), utf8(b.get(0)));

  private Canonical() {}

  private static byte[] utf8(JsonNode json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  // ---- to JSON ----

  static JsonNode write(Type type, Object value) {
    if (value == null) {
      return NullNode.instance;
    }
    return switch (type.typeId()) {
      case BOOLEAN -> BooleanNode.valueOf((Boolean) value);
      case STRUCT -> struct(type.asStructType(), (StructLike) value);
      case LIST -> list(type.asListType(), (List<?>) value);
      case MAP -> map(type.asMapType(), (Map<?, ?>) value);
      default -> TextNode.valueOf(text(type, value));
    };
  }

  private static String text(Type type, Object value) {
    return switch (type.typeId()) {
      case FLOAT -> HEX.toHexDigits(Float.floatToIntBits((Float) value)); // makes all NaN one
      case DOUBLE -> HEX.toHexDigits(Double.doubleToLongBits((Double) value));
      case DECIMAL -> ((BigDecimal) value).setScale(((Types.DecimalType) type).scale()).toPlainString();
      case FIXED, BINARY -> HEX.formatHex(value instanceof ByteBuffer b ? ByteBuffers.toByteArray(b) : (byte[]) value);
      case DATE -> value instanceof LocalDate date ? Long.toString(date.toEpochDay()) : value.toString();
      case TIME -> value instanceof LocalTime time ? Long.toString(DateTimeUtil.microsFromTime(time)) : value.toString();
      case TIMESTAMP -> timestamp(value, false);
      case TIMESTAMP_NANO -> timestamp(value, true);
      case INTEGER, LONG, STRING, UUID -> value.toString();
      default -> throw new IllegalArgumentException("no canonical form for " + type);
    };
  }

  private static String timestamp(Object value, boolean nanos) {
    if (value instanceof LocalDateTime local) {
      return Long.toString(nanos ? DateTimeUtil.nanosFromTimestamp(local) : DateTimeUtil.microsFromTimestamp(local));
    }
    if (value instanceof OffsetDateTime zoned) {
      return Long.toString(nanos ? DateTimeUtil.nanosFromTimestamptz(zoned) : DateTimeUtil.microsFromTimestamptz(zoned));
    }
    return value.toString();
  }

  private static ObjectNode struct(Types.StructType type, StructLike value) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    List<Types.NestedField> fields = type.fields();
    for (int i = 0; i < fields.size(); i++) {
      object.set(fields.get(i).name(), write(fields.get(i).type(), value.get(i, Object.class)));
    }
    return object;
  }

  private static ArrayNode list(Types.ListType type, List<?> value) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    value.forEach(element -> array.add(write(type.elementType(), element)));
    return array;
  }

  private static ArrayNode map(Types.MapType type, Map<?, ?> value) {
    List<ArrayNode> pairs = new ArrayList<>();
    value.forEach(
        (key, item) ->
            pairs.add(
                JsonNodeFactory.instance.arrayNode().add(write(type.keyType(), key)).add(write(type.valueType(), item))));
    pairs.sort(BY_KEY);
    return JsonNodeFactory.instance.arrayNode().addAll(pairs);
  }

  // ---- from JSON ----

  /** A value as generic records hold it. */
  static Object read(Type type, JsonNode json) {
    if (json == null || json.isNull()) {
      return null;
    }
    return switch (type.typeId()) {
      case BOOLEAN -> json.booleanValue();
      case STRUCT -> record(type.asStructType(), json);
      case LIST -> elements(type.asListType(), json);
      case MAP -> entries(type.asMapType(), json);
      case FIXED -> HEX.parseHex(json.textValue());
      case DATE -> DateTimeUtil.dateFromDays(Integer.parseInt(json.textValue()));
      case TIME -> DateTimeUtil.timeFromMicros(Long.parseLong(json.textValue()));
      case TIMESTAMP, TIMESTAMP_NANO -> instant(type, Long.parseLong(json.textValue()));
      default -> literal(type, json);
    };
  }

  /** A value as filters hold it: dates and times are numbers. */
  static Object literal(Type type, JsonNode json) {
    String text = json.asText();
    return switch (type.typeId()) {
      case BOOLEAN -> json.booleanValue();
      case INTEGER, DATE -> Integer.valueOf(text);
      case LONG, TIME, TIMESTAMP, TIMESTAMP_NANO -> Long.valueOf(text);
      case FLOAT -> Float.intBitsToFloat(Integer.parseUnsignedInt(text, 16));
      case DOUBLE -> Double.longBitsToDouble(Long.parseUnsignedLong(text, 16));
      case DECIMAL -> new BigDecimal(text);
      case STRING -> text;
      case UUID -> UUID.fromString(text);
      case FIXED, BINARY -> ByteBuffer.wrap(HEX.parseHex(text));
      default -> throw new IllegalArgumentException("no canonical form for " + type);
    };
  }

  private static Object instant(Type type, long value) {
    if (type instanceof Types.TimestampNanoType nanos) {
      return nanos.shouldAdjustToUTC() ? DateTimeUtil.timestamptzFromNanos(value) : DateTimeUtil.timestampFromNanos(value);
    }
    return ((Types.TimestampType) type).shouldAdjustToUTC()
        ? DateTimeUtil.timestamptzFromMicros(value)
        : DateTimeUtil.timestampFromMicros(value);
  }

  /** Fields that are not given are null. */
  static Record record(Types.StructType type, JsonNode json) {
    Record record = GenericRecord.create(type);
    for (Types.NestedField field : type.fields()) {
      record.setField(field.name(), read(field.type(), json.get(field.name())));
    }
    return record;
  }

  private static List<Object> elements(Types.ListType type, JsonNode json) {
    List<Object> elements = new ArrayList<>();
    json.forEach(element -> elements.add(read(type.elementType(), element)));
    return elements;
  }

  private static Map<Object, Object> entries(Types.MapType type, JsonNode json) {
    Map<Object, Object> entries = new LinkedHashMap<>();
    json.forEach(pair -> entries.put(read(type.keyType(), pair.get(0)), read(type.valueType(), pair.get(1))));
    return entries;
  }
}
