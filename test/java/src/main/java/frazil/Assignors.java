package frazil;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/** What Kafka's own assignors compute, and the bytes that its members send. */
final class Assignors {
  private static final Node NODE = new Node(0, "localhost", 9092);
  private static final Node[] REPLICAS = {NODE};

  private Assignors() {}

  static Map<String, ?> assign(Args args) {
    List<Map<String, List<String>>> assignments = new ArrayList<>();
    for (JsonNode group : args.get("groups")) {
      assignments.add(assignment(new Args(group)));
    }
    return Map.of("assignments", assignments);
  }

  private static Map<String, List<String>> assignment(Args group) {
    Map<String, Subscription> subscriptions = new TreeMap<>();
    for (JsonNode node : group.get("members")) {
      Args member = new Args(node);
      subscriptions.put(member.text("memberId"), subscription(member));
    }
    Map<String, List<String>> assignment = new TreeMap<>();
    assignor(group.text("assignor"))
        .assign(cluster(group.map("counts")), new GroupSubscription(subscriptions))
        .groupAssignment()
        .forEach((member, assigned) -> assignment.put(member, KafkaCommands.names(assigned.partitions())));
    return assignment;
  }

  private static ConsumerPartitionAssignor assignor(String name) {
    return switch (name) {
      case "range" -> new RangeAssignor();
      case "roundrobin" -> new RoundRobinAssignor();
      case "cooperative-sticky" -> new CooperativeStickyAssignor();
      default -> throw new IllegalArgumentException("no assignor " + name);
    };
  }

  private static Cluster cluster(Map<String, String> counts) {
    List<PartitionInfo> partitions = new ArrayList<>();
    counts.forEach(
        (topic, count) -> {
          for (int i = 0; i < Integer.parseInt(count); i++) {
            partitions.add(new PartitionInfo(topic, i, NODE, REPLICAS, REPLICAS));
          }
        });
    return new Cluster("cluster", List.of(NODE), partitions, Set.of(), Set.of());
  }

  private static Subscription subscription(Args member) {
    List<TopicPartition> owned = new ArrayList<>();
    for (JsonNode each : member.get("owned")) {
      owned.add(new TopicPartition(each.get("topic").asText(), each.get("partition").asInt()));
    }
    Subscription subscription =
        new Subscription(
            member.list("topics"), null, owned, Math.toIntExact(member.number("generation")), Optional.empty());
    if (member.has("instanceId")) {
      subscription.setGroupInstanceId(Optional.of(member.text("instanceId")));
    }
    return subscription;
  }

  /** A subscription as Java writes it, and what it reads in ours; and the same of an assignment. */
  static Map<String, ?> groupBytes(Args args) {
    Subscription read = ConsumerProtocol.deserializeSubscription(bytes(args.text("subscription")));
    List<TopicPartition> assigned = ConsumerProtocol.deserializeAssignment(bytes(args.text("assignment"))).partitions();
    List<String> written = new ArrayList<>();
    for (short version = 0; version <= 3; version++) {
      written.add(base64(ConsumerProtocol.serializeSubscription(subscription(args), version)));
    }
    return Map.of(
        "topics", read.topics(),
        "owned", KafkaCommands.names(read.ownedPartitions()),
        "generation", read.generationId().orElse(-1),
        "userData", base64(read.userData()),
        "assigned", KafkaCommands.names(assigned),
        "subscriptions", written,
        "assignment",
            base64(ConsumerProtocol.serializeAssignment(new ConsumerPartitionAssignor.Assignment(assigned))));
  }

  private static ByteBuffer bytes(String base64) {
    return ByteBuffer.wrap(Base64.getDecoder().decode(base64));
  }

  private static String base64(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return Base64.getEncoder().encodeToString(bytes);
  }
}
