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
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Group members of Kafka's own Java client, moved by lines on standard input:
 *
 * start ID GROUP TOPIC ASSIGNOR [HANDLER_MS [INSTANCE]]
 * stop ID
 *
 * Each prints what happens to it: "ID assigned 0 1", "ID revoked 0 1", "ID lost 0 1", "ID handled PARTITION OFFSET" and
 * "ID stopped". A record takes a millisecond, or the given number of milliseconds, and is committed with the others of its poll before
 * the next; when stopped, with those before it.
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
    final long handlerMs;
    final Map<TopicPartition, OffsetAndMetadata> handled = new HashMap<>();
    volatile boolean isStopping;

    Member(String id, String group, String topic, String assignor, long handlerMs, String instance) {
      this.id = id;
      this.handlerMs = handlerMs;
      Map<String, Object> settings = new HashMap<>();
      settings.put("bootstrap.servers", bootstrap);
      settings.put("group.id", group);
      settings.put("client.id", id);
      settings.put("group.protocol", "classic");
      if (instance != null) settings.put("group.instance.id", instance);
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
        while (!isStopping) {
          ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
          for (ConsumerRecord<String, String> record : records) {
            if (isStopping) break;
            Thread.sleep(handlerMs);
            handled.put(
                new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            print(id + " handled " + record.partition() + " " + record.offset());
          }
          commit();
        }
      } catch (WakeupException asked) {
        // Closing leaves the group, unless it is an instance's.
      } catch (Exception error) {
        print(id + " failed " + error);
      }
      print(id + " stopped");
    }

    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      print(id + " assigned " + numbers(partitions));
    }

    void commit() {
      if (handled.isEmpty()) return;
      try {
        consumer.commitSync(handled);
        handled.clear();
      } catch (RebalanceInProgressException later) {
        // Committed with what it polls next, or before it gives them up.
      } catch (WakeupException asked) {
        commit();
      }
    }

    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      commit();
      print(id + " revoked " + numbers(partitions));
    }

    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      handled.clear();
      print(id + " lost " + numbers(partitions));
    }
  }

  public static void main(String[] arguments) throws Exception {
    bootstrap = arguments[0];
    Map<String, Member> members = new HashMap<>();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split(" ");
      if (words[0].equals("start")) {
        long handlerMs = words.length > 5 ? Long.parseLong(words[5]) : 1;
        members.put(
            words[1],
            new Member(words[1], words[2], words[3], words[4], handlerMs, words.length > 6 ? words[6] : null));
      } else {
        members.get(words[1]).isStopping = true;
        members.get(words[1]).consumer.wakeup();
      }
    }
    System.exit(0);
  }
}
