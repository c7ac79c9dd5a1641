package frazil;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** A consumer of a group, polling in the background until it is stopped. */
final class Member {
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final List<String> topics;
  private final boolean commits;
  private final Thread thread = new Thread(this::run);
  private volatile List<String> assignment = List.of();
  private volatile long records;
  private volatile String failure = "";
  private volatile boolean stopped;

  Member(Args args) {
    Map<String, String> configs = new HashMap<>();
    configs.put("group.id", args.text("group"));
    configs.put("group.protocol", args.text("protocol", "consumer"));
    configs.putAll(args.map("configs"));
    consumer = KafkaCommands.consumer(args.text("brokers"), configs);
    topics = args.list("topics");
    commits = args.flag("commit");
    thread.start();
  }

  private void run() {
    try (consumer) {
      consumer.subscribe(topics);
      while (!stopped) {
        long polled = consumer.poll(Duration.ofMillis(100)).count();
        records += polled;
        assignment = KafkaCommands.names(consumer.assignment());
        if (commits && polled > 0) {
          consumer.commitSync();
        }
      }
    } catch (RuntimeException e) {
      failure = e.toString();
    }
  }

  void stop() throws InterruptedException {
    stopped = true;
    thread.join(10_000);
  }

  Map<String, ?> state() {
    return Map.of("assignment", assignment, "records", records, "failure", failure);
  }
}
