package frazil;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;

/** The arguments of a command: those read without an alternative must be there. */
record Args(JsonNode node) {

  boolean has(String name) {
    return node.hasNonNull(name);
  }

  JsonNode get(String name) {
    if (!has(name)) {
      throw new NoSuchElementException("argument " + name + " is missing");
    }
    return node.get(name);
  }

  String text(String name) {
    return get(name).asText();
  }

  String text(String name, String otherwise) {
    return has(name) ? text(name) : otherwise;
  }

  /** Numbers may be given as strings, which have no limit at 2^53. */
  long number(String name) {
    return Long.parseLong(text(name));
  }

  long number(String name, long otherwise) {
    return has(name) ? number(name) : otherwise;
  }

  int integer(String name, int otherwise) {
    return Math.toIntExact(number(name, otherwise));
  }

  boolean flag(String name) {
    return has(name) && get(name).asBoolean();
  }

  Map<String, String> map(String name) {
    return has(name) ? Main.JSON.convertValue(get(name), new TypeReference<Map<String, String>>() {}) : Map.of();
  }

  List<String> list(String name) {
    return has(name) ? Main.JSON.convertValue(get(name), new TypeReference<List<String>>() {}) : List.of();
  }
}
