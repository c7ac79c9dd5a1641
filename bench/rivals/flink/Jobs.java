import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * Runs SQL in a Flink of its own, in this process. Commands are lines: {@code set KEY VALUE} and {@code sql STATEMENT} prepare a job,
 * INSERTs are collected; {@code run} starts it, and the next job begins with nothing; {@code cancel} ends it. Answers are
 * lines: {@code ready}, {@code running}, {@code cancelled}, {@code failed ...}.
 */
public final class Jobs {
  private static volatile TableResult running;
  private static volatile boolean cancelled;

  public static void main(String[] arguments) throws Exception {
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
    answer("ready");
    Configuration configuration = new Configuration();
    StreamTableEnvironment tables = null;
    StatementSet inserts = null;
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.split(" ", 3);
      if (words[0].equals("cancel")) {
        cancelled = true;
        running.getJobClient().orElseThrow().cancel().get();
        answer("cancelled");
        continue;
      }
      if (words[0].equals("set")) {
        configuration.setString(words[1], words[2]);
        continue;
      }
      if (tables == null) {
        tables = StreamTableEnvironment.create(StreamExecutionEnvironment.getExecutionEnvironment(configuration));
        inserts = tables.createStatementSet();
      }
      if (words[0].equals("run")) {
        run(inserts);
        configuration = new Configuration();
        tables = null;
      } else if (words[1].equals("INSERT")) {
        inserts.addInsertSql(line.substring(4));
      } else {
        tables.executeSql(line.substring(4));
      }
    }
    System.exit(0);
  }

  private static void run(StatementSet inserts) {
    TableResult job = inserts.execute();
    running = job;
    cancelled = false;
    answer("running");
    Thread waiting = new Thread(() -> {
      try {
        job.await();
      } catch (Exception failure) {
        if (cancelled || running != job) return;
        failure.printStackTrace();
        answer("failed " + failure.getMessage());
      }
    });
    waiting.setDaemon(true);
    waiting.start();
  }

  private static synchronized void answer(String text) {
    System.out.println(text.replace('\n', ' '));
    System.out.flush();
  }
}
