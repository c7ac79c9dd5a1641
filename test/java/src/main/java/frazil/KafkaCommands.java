package frazil;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Topics, groups and records, with Kafka's own client. */
final class KafkaCommands {
  private static final String MAX_REQUEST_BYTES = Integer.toString(32 << 20);

  private final Map<String, Admin> admins = new HashMap<>();
  private final Map<String, Member> members = new TreeMap<>();
  private final Map<String, Transactions> openTransactions = new HashMap<>();

  void addTo(Map<String, Main.Command> commands) {
    commands.put("clusterId", this::clusterId);
    commands.put("createTopic", this::createTopic);
    commands.put("deleteTopic", this::deleteTopic);
    commands.put("describeTopic", this::describeTopic);
    commands.put("addPartitions", this::addPartitions);
    commands.put("moveLeaders", this::moveLeaders);
    commands.put("alterTopicConfig", args -> alterConfig(args, ConfigResource.Type.TOPIC, args.text("topic")));
    commands.put("deleteRecords", this::deleteRecords);
    commands.put("listOffsets", this::listOffsets);
    commands.put("alterGroupConfig", args -> alterConfig(args, ConfigResource.Type.GROUP, args.text("group")));
    commands.put("alterClientQuota", this::alterClientQuota);
    commands.put("describeGroup", this::describeGroup);
    commands.put("groupOffsets", this::groupOffsets);
    commands.put("setGroupOffsets", this::setGroupOffsets);
    commands.put("produce", this::produce);
    commands.put("produceMany", this::produceMany);
    commands.put("transactions", this::transactions);
    commands.put("endTransaction", this::endTransaction);
    commands.put("compacted", args -> Compacted.create(args, admin(args)));
    commands.put("dump", this::dump);
    commands.put("assign", Assignors::assign);
    commands.put("groupBytes", Assignors::groupBytes);
    commands.put("runMember", this::runMember);
    commands.put("stopMember", this::stopMember);
    commands.put("members", this::members);
  }

  // ---- clients ----

  private Admin admin(Args args) {
    return admins.computeIfAbsent(
        args.text("brokers"),
        brokers -> Admin.create(Map.of("bootstrap.servers", brokers, "default.api.timeout.ms", "30000")));
  }

  static KafkaProducer<byte[], byte[]> producer(String brokers, Map<String, String> configs) {
    Map<String, Object> all = new HashMap<>();
    all.put("bootstrap.servers", brokers);
    all.put("max.request.size", MAX_REQUEST_BYTES);
    all.put("buffer.memory", Integer.toString(64 << 20));
    all.put("delivery.timeout.ms", "60000");
    all.put("request.timeout.ms", "20000");
    all.putAll(configs);
    return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static KafkaConsumer<byte[], byte[]> consumer(String brokers, Map<String, String> configs) {
    Map<String, Object> all = new HashMap<>();
    all.put("bootstrap.servers", brokers);
    all.put("enable.auto.commit", "false");
    all.put("auto.offset.reset", "earliest");
    all.put("allow.auto.create.topics", "false");
    all.put("max.poll.records", "100000");
    all.putAll(configs);
    return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  // ---- the cluster, topics ----

  private Map<String, ?> clusterId(Args args) throws Exception {
    return Map.of("clusterId", admin(args).describeCluster().clusterId().get());
  }

  private Map<String, ?> createTopic(Args args) throws Exception {
    NewTopic topic =
        new NewTopic(
            args.text("topic"),
            Optional.of(args.integer("partitions", 1)),
            args.has("replication") ? Optional.of((short) args.number("replication")) : Optional.empty());
    // Tests choose their timestamps: the brokers must not take a record of 1970 for one that is past its time.
    Map<String, String> configs = new HashMap<>(Map.of("retention.ms", "-1"));
    configs.putAll(args.map("configs"));
    admin(args).createTopics(List.of(topic.configs(configs))).all().get();
    return awaitLeaders(args, args.integer("partitions", 1));
  }

  /** A new partition is known to its controller first: waits until all have a leader. */
  private Map<String, ?> awaitLeaders(Args args, int partitions) throws Exception {
    long deadline = System.currentTimeMillis() + 20_000;
    while (!hasLeaders(args, partitions)) {
      if (System.currentTimeMillis() > deadline) {
        throw new TimeoutException(args.text("topic") + " has partitions without a leader");
      }
      Thread.sleep(50);
    }
    return describeTopic(args);
  }

  private boolean hasLeaders(Args args, int partitions) throws Exception {
    try {
      List<TopicPartitionInfo> known = description(args).partitions();
      return known.size() == partitions && known.stream().allMatch(partition -> partition.leader() != null);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownTopicOrPartitionException) {
        return false;
      }
      throw e;
    }
  }

  private Map<String, ?> deleteTopic(Args args) throws Exception {
    admin(args).deleteTopics(List.of(args.text("topic"))).all().get();
    return Map.of();
  }

  private TopicDescription description(Args args) throws Exception {
    String topic = args.text("topic");
    return admin(args).describeTopics(List.of(topic)).allTopicNames().get().get(topic);
  }

  private Map<String, ?> describeTopic(Args args) throws Exception {
    TopicDescription topic = description(args);
    List<Map<String, ?>> partitions = new ArrayList<>();
    topic
        .partitions()
        .forEach(
            p -> {
              Map<String, Object> partition = new LinkedHashMap<>();
              partition.put("partition", p.partition());
              partition.put("leader", p.leader() == null ? null : p.leader().id());
              partition.put("replicas", p.replicas().stream().map(Node::id).toList());
              partition.put("isr", p.isr().stream().map(Node::id).toList());
              partitions.add(partition);
            });
    return Map.of("topic", topic.name(), "id", topic.topicId().toString(), "partitions", partitions);
  }

  private Map<String, ?> addPartitions(Args args) throws Exception {
    int total = Math.toIntExact(args.number("partitions"));
    admin(args).createPartitions(Map.of(args.text("topic"), NewPartitions.increaseTo(total))).all().get();
    return awaitLeaders(args, total);
  }

  /** Each partition gets the next of its replicas as its leader. */
  private Map<String, ?> moveLeaders(Args args) throws Exception {
    Map<TopicPartition, Optional<NewPartitionReassignment>> orders = new HashMap<>();
    for (TopicPartitionInfo partition : description(args).partitions()) {
      List<Integer> replicas = new ArrayList<>(partition.replicas().stream().map(Node::id).toList());
      Collections.rotate(replicas, -1);
      orders.put(
          new TopicPartition(args.text("topic"), partition.partition()),
          Optional.of(new NewPartitionReassignment(replicas)));
    }
    admin(args).alterPartitionReassignments(orders).all().get();
    // A leader that leads already is an error of its partition only.
    admin(args).electLeaders(ElectionType.PREFERRED, orders.keySet()).partitions().get();
    return describeTopic(args);
  }

  private Map<String, ?> alterConfig(Args args, ConfigResource.Type type, String name) throws Exception {
    List<AlterConfigOp> changes = new ArrayList<>();
    args.map("configs")
        .forEach(
            (key, value) -> changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
    admin(args).incrementalAlterConfigs(Map.of(new ConfigResource(type, name), changes)).all().get();
    return Map.of();
  }

  /** What a client may read of each broker in a second, by its id. */
  private Map<String, ?> alterClientQuota(Args args) throws Exception {
    ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, args.text("client")));
    ClientQuotaAlteration.Op op =
        new ClientQuotaAlteration.Op("consumer_byte_rate", (double) args.number("bytesPerSecond"));
    admin(args).alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(op)))).all().get();
    return Map.of();
  }

  private Map<String, ?> deleteRecords(Args args) throws Exception {
    TopicPartition partition = new TopicPartition(args.text("topic"), args.integer("partition", 0));
    RecordsToDelete before = RecordsToDelete.beforeOffset(args.number("before"));
    long start =
        admin(args).deleteRecords(Map.of(partition, before)).lowWatermarks().get(partition).get().lowWatermark();
    return Map.of("start", start);
  }

  private Map<String, ?> listOffsets(Args args) throws Exception {
    String at = args.text("at", "latest");
    OffsetSpec spec =
        switch (at) {
          case "earliest" -> OffsetSpec.earliest();
          case "latest" -> OffsetSpec.latest();
          case "maxTimestamp" -> OffsetSpec.maxTimestamp();
          default -> OffsetSpec.forTimestamp(Long.parseLong(at));
        };
    Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    description(args).partitions().forEach(p -> wanted.put(new TopicPartition(args.text("topic"), p.partition()), spec));
    Map<Integer, Long> offsets = new TreeMap<>();
    admin(args)
        .listOffsets(wanted, new ListOffsetsOptions(isolation(args)))
        .all()
        .get()
        .forEach((partition, result) -> offsets.put(partition.partition(), result.offset()));
    return Map.of("offsets", offsets);
  }

  static IsolationLevel isolation(Args args) {
    return IsolationLevel.valueOf(args.text("isolation", "read_committed").toUpperCase());
  }

  // ---- groups ----

  private Map<String, ?> describeGroup(Args args) throws Exception {
    String name = args.text("group");
    ConsumerGroupDescription group = admin(args).describeConsumerGroups(List.of(name)).all().get().get(name);
    List<Map<String, ?>> descriptions = new ArrayList<>();
    group
        .members()
        .forEach(
            member ->
                descriptions.add(
                    Map.of(
                        "id", member.consumerId(),
                        "instanceId", member.groupInstanceId().orElse(""),
                        "clientId", member.clientId(),
                        "assignment", names(member.assignment().topicPartitions()))));
    return Map.of(
        "state", group.groupState().toString(),
        "type", group.type().toString(),
        "assignor", group.partitionAssignor(),
        "members", descriptions);
  }

  static List<String> names(Collection<TopicPartition> partitions) {
    return partitions.stream().map(TopicPartition::toString).sorted().toList();
  }

  private Map<String, ?> groupOffsets(Args args) throws Exception {
    List<Map<String, ?>> offsets = new ArrayList<>();
    admin(args)
        .listConsumerGroupOffsets(args.text("group"))
        .partitionsToOffsetAndMetadata()
        .get()
        .forEach(
            (partition, committed) -> {
              if (committed != null) {
                offsets.add(
                    Map.of(
                        "topic", partition.topic(),
                        "partition", partition.partition(),
                        "offset", committed.offset(),
                        "leaderEpoch", committed.leaderEpoch().orElse(-1),
                        "metadata", committed.metadata()));
              }
            });
    return Map.of("offsets", offsets);
  }

  private Map<String, ?> setGroupOffsets(Args args) throws Exception {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (JsonNode node : args.get("offsets")) {
      Args offset = new Args(node);
      offsets.put(
          new TopicPartition(offset.text("topic"), offset.integer("partition", 0)),
          new OffsetAndMetadata(offset.number("offset"), offset.text("metadata", "")));
    }
    admin(args).alterConsumerGroupOffsets(args.text("group"), offsets).all().get();
    return Map.of();
  }

  private Map<String, ?> runMember(Args args) {
    String name = args.text("member");
    if (members.containsKey(name)) {
      throw new IllegalArgumentException("member " + name + " runs already");
    }
    members.put(name, new Member(args));
    return Map.of();
  }

  private Map<String, ?> stopMember(Args args) throws InterruptedException {
    Member member = members.remove(args.text("member"));
    if (member == null) {
      throw new IllegalArgumentException("no member " + args.text("member"));
    }
    member.stop();
    return member.state();
  }

  private Map<String, ?> members(Args args) {
    Map<String, Map<String, ?>> states = new TreeMap<>();
    members.forEach((name, member) -> states.put(name, member.state()));
    return Map.of("members", states);
  }

  // ---- producing ----

  private Map<String, ?> produce(Args args) throws Exception {
    String topic = args.text("topic");
    Integer partition = args.has("partition") ? args.integer("partition", 0) : null;
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (KafkaProducer<byte[], byte[]> producer = producer(args.text("brokers"), producerConfigs(args))) {
      for (JsonNode record : args.get("records")) {
        Long timestamp = record.hasNonNull("timestamp") ? record.get("timestamp").asLong() : null;
        byte[] key = bytes(record.get("key"));
        byte[] value = bytes(record.get("value"));
        sent.add(producer.send(new ProducerRecord<>(topic, partition, timestamp, key, value, headers(record))));
      }
    }
    List<List<Number>> landed = new ArrayList<>();
    for (Future<RecordMetadata> one : sent) {
      RecordMetadata metadata = one.get();
      landed.add(List.of(metadata.partition(), metadata.offset(), metadata.timestamp()));
    }
    return Map.of("records", landed);
  }

  static Map<String, String> producerConfigs(Args args) {
    String acks = args.text("acks", "all");
    Map<String, String> configs = new HashMap<>();
    configs.put("compression.type", args.text("compression", "none"));
    configs.put("linger.ms", args.text("linger", "5"));
    configs.put("batch.size", args.text("batchSize", "16384"));
    configs.put("acks", acks);
    configs.put("enable.idempotence", Boolean.toString(acks.equals("all") || acks.equals("-1")));
    configs.putAll(args.map("configs"));
    return configs;
  }

  private static byte[] bytes(JsonNode base64) throws IOException {
    return base64 == null || base64.isNull() ? null : base64.binaryValue();
  }

  private static List<Header> headers(JsonNode record) throws IOException {
    List<Header> headers = new ArrayList<>();
    for (JsonNode header : record.path("headers")) {
      headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
    }
    return headers;
  }

  private Map<String, ?> produceMany(Args args) throws Exception {
    String topic = args.text("topic");
    int partitions = args.integer("partitions", description(args).partitions().size());
    long count = args.number("count");
    byte[] value = new byte[args.integer("valueBytes", 100)];
    Random random = new Random(args.number("seed", 1));
    long start = System.nanoTime();
    try (KafkaProducer<byte[], byte[]> producer = producer(args.text("brokers"), producerConfigs(args))) {
      for (long i = 0; i < count; i++) {
        fillWithHex(value, random);
        byte[] key = args.flag("keyed") ? Long.toString(i).getBytes(StandardCharsets.UTF_8) : null;
        producer.send(new ProducerRecord<>(topic, (int) (i % partitions), key, value.clone()));
      }
      producer.flush();
    }
    return Map.of("count", count, "ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
  }

  /** Text that compresses to half its size, about as well as real records do. */
  private static void fillWithHex(byte[] value, Random random) {
    for (int i = 0; i < value.length; i += 16) {
      byte[] hex = HexFormat.of().toHexDigits(random.nextLong()).getBytes(StandardCharsets.US_ASCII);
      System.arraycopy(hex, 0, value, i, Math.min(16, value.length - i));
    }
  }

  // ---- transactions ----

  private Map<String, ?> transactions(Args args) throws Exception {
    createTopic(args);
    Transactions transactions = new Transactions(args);
    transactions.run(args.text("scenario"));
    if (transactions.isOpen()) {
      openTransactions.put(args.text("topic"), transactions);
    } else {
      transactions.close();
    }
    return transactions.counts();
  }

  private Map<String, ?> endTransaction(Args args) {
    Transactions transactions = openTransactions.remove(args.text("topic"));
    if (transactions == null) {
      throw new IllegalArgumentException("no transaction is open on " + args.text("topic"));
    }
    try (transactions) {
      transactions.end(args.text("outcome").equals("commit"));
      return transactions.counts();
    }
  }

  // ---- reading ----

  private Map<String, ?> dump(Args args) throws Exception {
    Dump dump = new Dump(args, isolation(args));
    if (!args.has("file")) {
      Map<Integer, List<List<Object>>> records = new TreeMap<>();
      dump.records.forEach((partition, list) -> records.put(partition, list.stream().map(Dump::row).toList()));
      return Map.of("records", records, "positions", dump.positions);
    }
    Map<Integer, Integer> counts = new TreeMap<>();
    try (Writer file = Files.newBufferedWriter(Path.of(args.text("file")))) {
      for (Map.Entry<Integer, List<ConsumerRecord<byte[], byte[]>>> entry : dump.records.entrySet()) {
        counts.put(entry.getKey(), entry.getValue().size());
        for (ConsumerRecord<byte[], byte[]> record : entry.getValue()) {
          List<Object> line = new ArrayList<>(List.of(entry.getKey()));
          line.addAll(Dump.row(record));
          file.write(Main.JSON.writeValueAsString(line) + "\n");
        }
      }
    }
    return Map.of("counts", counts, "positions", dump.positions);
  }
}
