package frazil;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** All that a consumer of the given isolation level sees of a topic, from its start to its present end. */
final class Dump {
  final Map<Integer, List<ConsumerRecord<byte[], byte[]>>> records = new TreeMap<>();
  final Map<Integer, Long> positions = new TreeMap<>();

  Dump(Args args, IsolationLevel isolation) throws TimeoutException {
    long deadline = System.currentTimeMillis() + args.number("timeoutMs", 60_000);
    Map<String, String> configs = Map.of("isolation.level", isolation.toString().toLowerCase());
    try (KafkaConsumer<byte[], byte[]> consumer = KafkaCommands.consumer(args.text("brokers"), configs)) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(args.text("topic")).stream()
              .map(info -> new TopicPartition(info.topic(), info.partition()))
              .filter(p -> !args.has("partition") || p.partition() == args.number("partition"))
              .toList();
      if (partitions.isEmpty()) {
        throw new IllegalArgumentException("there is no such topic or partition");
      }
      partitions.forEach(partition -> records.put(partition.partition(), new ArrayList<>()));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        if (System.currentTimeMillis() > deadline) {
          throw new TimeoutException("the consumer did not reach " + ends);
        }
        consumer.poll(Duration.ofMillis(100)).forEach(record -> records.get(record.partition()).add(record));
      }
      partitions.forEach(p -> positions.put(p.partition(), consumer.position(p)));
    }
  }

  /** [offset, timestamp, type of timestamp, key, value, [[name, value]...]], the bytes in base64 */
  static List<Object> row(ConsumerRecord<byte[], byte[]> record) {
    List<List<Object>> headers = new ArrayList<>();
    record.headers().forEach(header -> headers.add(Arrays.asList(header.key(), header.value())));
    return Arrays.asList(
        record.offset(),
        record.timestamp(),
        record.timestampType().toString(),
        record.key(),
        record.value(),
        headers);
  }
}
