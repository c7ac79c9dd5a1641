package frazil;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Fills a topic with what transactions may leave in a log, and counts what a reader of committed records sees. */
final class Transactions implements AutoCloseable {
  private final Args args;
  private final String topic;
  private final int partitions;
  private final List<Producer> producers = new ArrayList<>();
  private final Producer plain;
  private long sent;
  private long visible;
  /** Complete, but behind an open transaction. */
  private long blocked;
  private Producer open;

  Transactions(Args args) {
    this.args = args;
    topic = args.text("topic");
    partitions = args.integer("partitions", 1);
    plain = new Producer(null);
  }

  void run(String scenario) throws Exception {
    Map<String, Scenario> scenarios = new LinkedHashMap<>();
    scenarios.put("mixed", this::mixed);
    scenarios.put("longAbort", this::longAbort);
    scenarios.put("manyAborts", this::manyAborts);
    scenarios.put("interleaved", this::interleaved);
    scenarios.put("abortThenCommit", this::abortThenCommit);
    scenarios.put("endsInControl", this::endsInControl);
    scenarios.put("plainBetween", this::plainBetween);
    scenarios.put("empty", this::empty);
    scenarios.put("fenced", this::fenced);
    scenarios.put("open", this::leaveOpen);
    scenarios.put("random", this::random);
    Scenario chosen = scenarios.get(scenario);
    if (chosen == null) {
      throw new IllegalArgumentException("no scenario " + scenario + ", but " + scenarios.keySet());
    }
    chosen.run();
  }

  private interface Scenario {
    void run() throws Exception;
  }

  /** A little of everything. */
  private void mixed() {
    Producer a = transactional();
    Producer b = transactional();
    plain.send(10);
    a.begin().send(10).commit();
    a.begin().send(10).abort();
    a.begin().send(10).commit();
    a.begin().send(10).abort(); // again, and within the same fetch
    b.begin().send(5);
    a.begin().send(5);
    b.send(5);
    a.commit();
    b.abort();
    plain.send(10);
    a.begin().send(3000, 1000).abort();
    a.begin().send(10).commit();
    plain.send(5);
    a.begin().send(5).abort();
  }

  /** The log begins with an aborted transaction of more bytes than a fetch returns. */
  private void longAbort() {
    Producer a = transactional();
    a.begin().send(3500, 1000).abort();
    a.begin().send(10).commit();
    plain.send(5);
    a.begin().send(3500, 1000).abort();
    plain.send(5);
  }

  /** Hundreds of ranges in the index of aborted transactions of one fetch. */
  private void manyAborts() {
    Producer a = transactional();
    Producer b = transactional();
    for (int i = 0; i < 150; i++) {
      a.begin().send(3).abort();
      b.begin().send(2).end(i % 10 == 0);
      if (i % 7 == 0) {
        a.begin().send(1).commit();
      }
    }
  }

  /** Open at the same time, ended in another order and with different outcomes. */
  private void interleaved() {
    Producer a = transactional();
    Producer b = transactional();
    Producer c = transactional();
    for (int i = 0; i < 5; i++) {
      a.begin().send(2);
      b.begin().send(3);
      a.send(2);
      c.begin().send(4);
      b.send(1);
      b.end(i % 2 == 0);
      c.send(2);
      a.end(i % 2 == 1);
      c.end(i % 3 == 0);
    }
  }

  private void abortThenCommit() {
    Producer a = transactional();
    for (int i = 0; i < 5; i++) {
      a.begin().send(4).abort();
      a.begin().send(4).commit();
    }
  }

  private void endsInControl() {
    Producer a = transactional();
    a.begin().send(5).commit();
    a.begin().send(5).abort();
  }

  private void plainBetween() {
    Producer a = transactional();
    for (int i = 0; i < 6; i++) {
      a.begin().send(3);
      plain.send(2);
      a.send(3);
      plain.send(1);
      a.end(i % 2 == 0);
    }
  }

  /** Transactions without records leave no trace, wherever they are. */
  private void empty() {
    Producer a = transactional();
    a.begin().commit();
    plain.send(3);
    a.begin().abort();
    a.begin().send(3).commit();
    a.begin().commit();
    a.begin().send(3).abort();
    a.begin().abort();
  }

  /** A second producer of the same name takes over: the first one's transaction is aborted for it. */
  private void fenced() {
    Producer first = transactional();
    first.begin().send(5);
    Producer second = new Producer(first.name);
    second.kafka.initTransactions();
    second.begin().send(5).commit();
    plain.send(5);
  }

  /** Stays open until endTransaction: nothing after its first record is visible. */
  private void leaveOpen() {
    Producer a = transactional();
    Producer b = transactional();
    plain.send(10);
    b.begin().send(5).commit();
    a.begin().send(5);
    open = a;
    plain.send(10);
    b.begin().send(5).abort();
    b.begin().send(5).commit();
  }

  private void random() {
    Random random = new Random(args.number("seed", 1));
    List<Producer> idle = new ArrayList<>(List.of(transactional(), transactional(), transactional(), transactional()));
    List<Producer> busy = new ArrayList<>();
    for (int step = args.integer("steps", 200); step > 0; step--) {
      int choice = random.nextInt(10);
      if (choice < 3 && !idle.isEmpty()) {
        busy.add(idle.remove(random.nextInt(idle.size())).begin());
      } else if (choice < 7 && !busy.isEmpty()) {
        busy.get(random.nextInt(busy.size())).send(1 + random.nextInt(20), random.nextInt(20) == 0 ? 50_000 : 20);
      } else if (choice < 9 && !busy.isEmpty()) {
        Producer producer = busy.remove(random.nextInt(busy.size()));
        producer.end(random.nextBoolean());
        idle.add(producer);
      } else {
        plain.send(1 + random.nextInt(5));
      }
    }
    busy.forEach(producer -> producer.end(random.nextBoolean()));
  }

  boolean isOpen() {
    return open != null;
  }

  /** Ends the transaction that a scenario has left open. */
  void end(boolean commit) {
    Producer last = open;
    open = null;
    last.end(commit);
    visible += blocked;
    blocked = 0;
  }

  Map<String, ?> counts() {
    return Map.of("sent", sent, "visible", visible);
  }

  @Override
  public void close() {
    producers.forEach(producer -> producer.kafka.close());
  }

  private Producer transactional() {
    Producer producer = new Producer("transactions-" + topic + "-" + producers.size());
    producer.kafka.initTransactions();
    return producer;
  }

  /** A producer that knows how many records its transaction holds; without a name it has no transactions. */
  private final class Producer {
    private final String name;
    private final KafkaProducer<byte[], byte[]> kafka;
    private long pending;

    Producer(String name) {
      Map<String, String> configs = new LinkedHashMap<>();
      configs.put("compression.type", args.text("compression", "none"));
      if (name != null) {
        configs.put("transactional.id", name);
        configs.put("transaction.timeout.ms", "600000"); // one left open must outlast its test
      }
      this.name = name;
      kafka = KafkaCommands.producer(args.text("brokers"), configs);
      producers.add(this);
    }

    Producer begin() {
      kafka.beginTransaction();
      return this;
    }

    Producer send(int count) {
      return send(count, 0);
    }

    /** In the log when it returns, so that the order of calls is the order of records. */
    Producer send(int count, int padding) {
      for (int i = 0; i < count; i++) {
        byte[] value = (name + ":" + sent + ":" + "x".repeat(padding)).getBytes(StandardCharsets.UTF_8);
        kafka.send(new ProducerRecord<>(topic, (int) (sent++ % partitions), null, value));
      }
      kafka.flush();
      pending += count;
      if (name == null) {
        show();
      }
      return this;
    }

    void commit() {
      kafka.commitTransaction();
      show();
    }

    void abort() {
      kafka.abortTransaction();
      pending = 0;
    }

    void end(boolean commit) {
      if (commit) {
        commit();
      } else {
        abort();
      }
    }

    private void show() {
      if (isOpen()) {
        blocked += pending;
      } else {
        visible += pending;
      }
      pending = 0;
    }
  }
}
