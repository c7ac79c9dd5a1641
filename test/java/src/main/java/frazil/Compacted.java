package frazil;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;

/** Makes a topic with holes: ever the same keys in small segments, until the broker has compacted them. */
final class Compacted {
  private static final int SEGMENT_MS = 100;

  private final Args args;
  private final String topic;
  private final boolean transactional;
  private long sent;

  private Compacted(Args args) {
    this.args = args;
    topic = args.text("topic");
    transactional = args.flag("transactional");
  }

  static Map<String, ?> create(Args args, Admin admin) throws Exception {
    Compacted compacted = new Compacted(args);
    compacted.createTopic(admin);
    compacted.produce();
    compacted.awaitHoles();
    return compacted.describe();
  }

  private void createTopic(Admin admin) throws Exception {
    Map<String, String> configs = new HashMap<>();
    configs.put("cleanup.policy", "compact");
    configs.put("segment.ms", Integer.toString(SEGMENT_MS));
    configs.put("min.cleanable.dirty.ratio", "0.01");
    configs.putAll(args.map("configs"));
    admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty()).configs(configs))).all().get();
  }

  private void produce() throws InterruptedException {
    Random random = new Random(args.number("seed", 1));
    Map<String, String> configs = KafkaCommands.producerConfigs(args);
    if (transactional) {
      configs.put("transactional.id", "compacted-" + topic);
    }
    try (KafkaProducer<byte[], byte[]> producer = KafkaCommands.producer(args.text("brokers"), configs)) {
      if (transactional) {
        producer.initTransactions();
      }
      for (int round = 0; round < args.integer("rounds", 8); round++) {
        produceRound(producer, round, random);
        Thread.sleep(SEGMENT_MS + 50); // so that the next round begins another segment
      }
    }
  }

  /** Most of the keys, a fifth of them as tombstones; every third transaction is aborted. */
  private void produceRound(KafkaProducer<byte[], byte[]> producer, int round, Random random) {
    if (transactional) {
      producer.beginTransaction();
    }
    for (int key = 0; key < args.integer("keys", 20); key++) {
      if (random.nextInt(4) > 0) {
        byte[] value = random.nextInt(5) == 0 ? null : utf8(round + ":" + key);
        producer.send(new ProducerRecord<>(topic, 0, utf8("key-" + key), value));
        sent++;
      }
    }
    producer.flush();
    if (transactional && round % 3 == 1) {
      producer.abortTransaction();
    } else if (transactional) {
      producer.commitTransaction();
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private void awaitHoles() throws TimeoutException, InterruptedException {
    long deadline = System.currentTimeMillis() + args.number("timeoutMs", 60_000);
    long before = -1;
    while (true) {
      long remaining = new Dump(args, IsolationLevel.READ_UNCOMMITTED).records.get(0).size();
      if (remaining < sent && remaining == before) {
        return;
      }
      if (System.currentTimeMillis() > deadline) {
        throw new TimeoutException(remaining + " of " + sent + " records remain");
      }
      before = remaining;
      Thread.sleep(1000);
    }
  }

  private Map<String, ?> describe() throws TimeoutException {
    Dump dump = new Dump(args, KafkaCommands.isolation(args));
    List<ConsumerRecord<byte[], byte[]>> records = dump.records.get(0);
    return Map.of(
        "sent", sent,
        "remaining", records.size(),
        "tombstones", records.stream().filter(record -> record.value() == null).count(),
        "offsets", records.stream().map(ConsumerRecord::offset).toList(),
        "position", dump.positions.get(0));
  }
}
