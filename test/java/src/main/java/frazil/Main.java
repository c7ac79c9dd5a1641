package frazil;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/**
 * Runs commands with the Java clients of Kafka and Iceberg. Each line read is a JSON object with the name of a
 * command under "command" and its arguments beside it; each line written is its answer: {"ok":true,...} or
 * {"ok":false,"error":"..."}. test/tools/README.md lists the commands.
 */
public final class Main {
  static final ObjectMapper JSON = new ObjectMapper();

  /** What a command answers becomes the fields of the answer. */
  interface Command {
    Map<String, ?> run(Args args) throws Exception;
  }

  private final Map<String, Command> commands = new TreeMap<>();
  /** Arguments that every command is given unless it has its own. */
  private final ObjectNode defaults = JsonNodeFactory.instance.objectNode();

  private Main() {
    commands.put("configure", this::configure);
    new KafkaCommands().addTo(commands);
    new IcebergCommands().addTo(commands);
  }

  private Map<String, ?> configure(Args args) {
    args.node().properties().forEach(field -> defaults.set(field.getKey(), field.getValue()));
    return Map.of();
  }

  private Map<String, ?> answer(String line) {
    try {
      ObjectNode given = (ObjectNode) JSON.readTree(line);
      String name = given.remove("command").asText();
      Command command = commands.get(name);
      if (command == null) {
        throw new IllegalArgumentException("no command " + name + ", but " + String.join(", ", commands.keySet()));
      }
      Map<String, Object> answer = new LinkedHashMap<>();
      answer.put("ok", true);
      answer.putAll(command.run(new Args(defaults.deepCopy().setAll(given))));
      return answer;
    } catch (Exception | StackOverflowError | NoClassDefFoundError e) {
      return Map.of("ok", false, "error", explain(e));
    }
  }

  private static String explain(Throwable e) {
    if ((e instanceof ExecutionException || e instanceof CompletionException) && e.getCause() != null) {
      return explain(e.getCause());
    }
    String text = e.getClass().getSimpleName() + ": " + e.getMessage();
    return e.getCause() == null ? text : text + " <- " + explain(e.getCause());
  }

  public static void main(String[] arguments) throws IOException {
    PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    System.setOut(System.err); // whatever a library prints is not an answer
    Main main = new Main();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      answers.println(JSON.writeValueAsString(main.answer(line)));
      answers.flush();
    }
    System.exit(0); // not waiting for what commands have left running
  }
}
