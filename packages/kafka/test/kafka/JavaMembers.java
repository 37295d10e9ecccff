import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Group members of Kafka's own Java client, moved by lines on standard input:
 *
 * start ID GROUP TOPIC ASSIGNOR
 * stop ID
 *
 * Each prints what happens to it: "ID assigned 0 1", "ID revoked 0 1", "ID lost 0 1", "ID handled PARTITION OFFSET" and
 * "ID stopped". A record takes a millisecond, and is committed with the others of its poll before the next.
 */
public class JavaMembers {
  static String bootstrap;

  static synchronized void print(String line) {
    System.out.println(line);
    System.out.flush();
  }

  static String numbers(Collection<TopicPartition> partitions) {
    return partitions.stream().map(TopicPartition::partition).sorted().map(String::valueOf).collect(Collectors.joining(" "));
  }

  static class Member implements ConsumerRebalanceListener {
    final String id;
    final KafkaConsumer<String, String> consumer;
    final Thread thread;

    Member(String id, String group, String topic, String assignor) {
      this.id = id;
      Map<String, Object> settings = new HashMap<>();
      settings.put("bootstrap.servers", bootstrap);
      settings.put("group.id", group);
      settings.put("client.id", id);
      settings.put("group.protocol", "classic");
      settings.put("enable.auto.commit", false);
      settings.put("auto.offset.reset", "earliest");
      settings.put("max.poll.records", 20);
      settings.put("heartbeat.interval.ms", 300);
      settings.put("session.timeout.ms", 6_000);
      settings.put("metadata.max.age.ms", 2_000);
      settings.put(
          "partition.assignment.strategy",
          assignor.equals("range") ? RangeAssignor.class.getName() : CooperativeStickyAssignor.class.getName());
      consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
      thread = new Thread(() -> run(topic));
      thread.start();
    }

    void run(String topic) {
      try (consumer) {
        consumer.subscribe(List.of(topic), this);
        while (true) {
          ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
          for (ConsumerRecord<String, String> record : records) {
            Thread.sleep(1);
            print(id + " handled " + record.partition() + " " + record.offset());
          }
          if (!records.isEmpty()) commit();
        }
      } catch (WakeupException asked) {
        // Closing leaves the group.
      } catch (Exception error) {
        print(id + " failed " + error);
      }
      print(id + " stopped");
    }

    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      print(id + " assigned " + numbers(partitions));
    }

    void commit() {
      try {
        consumer.commitSync();
      } catch (RebalanceInProgressException later) {
        // What it polls next, or has revoked, is committed with it.
      }
    }

    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      commit();
      print(id + " revoked " + numbers(partitions));
    }

    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      print(id + " lost " + numbers(partitions));
    }
  }

  public static void main(String[] arguments) throws Exception {
    bootstrap = arguments[0];
    Map<String, Member> members = new HashMap<>();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split(" ");
      if (words[0].equals("start")) members.put(words[1], new Member(words[1], words[2], words[3], words[4]));
      else members.get(words[1]).consumer.wakeup();
    }
    System.exit(0);
  }
}
