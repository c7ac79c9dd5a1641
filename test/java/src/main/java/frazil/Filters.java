package frazil;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.apache.iceberg.Schema;
import org.apache.iceberg.expressions.Expression;
import org.apache.iceberg.expressions.Expression.Operation;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.types.Type;

/** Row filters from JSON: {"op":"gt","field":"x","value":canonical}, {"op":"and","left":...,"right":...}, ... */
final class Filters {
  /** To the filter of generic records null is less than anything; to SQL it is not. */
  private static final Set<Operation> NULL_MATCHES = Set.of(Operation.LT, Operation.LT_EQ);

  private Filters() {}

  static Expression parse(Schema schema, JsonNode json) {
    Operation operation = Operation.valueOf(json.get("op").asText().replace('-', '_').toUpperCase(Locale.ROOT));
    return switch (operation) {
      case AND -> Expressions.and(parse(schema, json.get("left")), parse(schema, json.get("right")));
      case OR -> Expressions.or(parse(schema, json.get("left")), parse(schema, json.get("right")));
      case NOT -> Expressions.not(parse(schema, json.get("child")));
      default -> predicate(schema, operation, json);
    };
  }

  private static Expression predicate(Schema schema, Operation operation, JsonNode json) {
    String field = json.get("field").asText();
    Type type = schema.findType(field);
    if (json.has("values")) {
      List<Object> values = new ArrayList<>();
      json.get("values").forEach(value -> values.add(Canonical.literal(type, value)));
      return Expressions.predicate(operation, field, values);
    }
    if (json.has("value")) {
      Expression predicate = Expressions.predicate(operation, field, Canonical.literal(type, json.get("value")));
      return NULL_MATCHES.contains(operation) ? Expressions.and(Expressions.notNull(field), predicate) : predicate;
    }
    return Expressions.predicate(operation, field);
  }
}
