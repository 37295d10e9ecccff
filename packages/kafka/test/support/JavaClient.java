import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own Java client, moved by lines on standard input: a command and its arguments. Its answer ends with a line
 * that is a dot alone.
 *
 * send CODEC TOPIC COUNT           numbered records, as large as some text, to partition 0
 * choose TOPIC KEY...              sends a record for each key, in base64, and prints the partitions it chose
 * read TOPIC COUNT                 the records of partition 0 from the start: key and value in base64
 * committed TOPIC                  the same for committed transactions only, as far as that is known
 * begin ID                         begins a transaction, of a producer that is made at first
 * put ID TOPIC PARTITION VALUE     writes a record within it, at once
 * commit ID, abort ID              ends it
 */
public class JavaClient {
  static final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
  static String bootstrap;

  static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", 20));
    settings.putAll(more);
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static void send(String codec, String topic, int count) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("compression.type", codec, "batch.size", 200_000, "linger.ms", 5_000))) {
      for (int i = 0; i < count; i++) {
        String value = (i + ": what a record says, ü. ").repeat(1 + i % 7);
        producer.send(new ProducerRecord<>(topic, 0, (long) i, bytes("key-" + i), bytes(value)));
      }
      producer.flush();
    }
  }

  static void choose(String[] words) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int i = 2; i < words.length; i++) {
        sent.add(producer.send(new ProducerRecord<>(words[1], Base64.getDecoder().decode(words[i]), bytes("java"))));
      }
      for (Future<RecordMetadata> one : sent) System.out.println(one.get().partition());
    }
  }

  /** A consumer of partition 0 from the start. */
  static KafkaConsumer<byte[], byte[]> consumer(String topic, String isolation) {
    Map<String, Object> settings =
        Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "isolation.level", isolation);
    KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.assign(List.of(new TopicPartition(topic, 0)));
    return consumer;
  }

  static int poll(KafkaConsumer<byte[], byte[]> consumer) {
    Base64.Encoder base64 = Base64.getEncoder();
    int seen = 0;
    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
      System.out.println(base64.encodeToString(record.key()) + " " + base64.encodeToString(record.value()));
      seen++;
    }
    return seen;
  }

  static void read(String topic, int count) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(topic, "read_uncommitted")) {
      for (int seen = 0; seen < count; ) seen += poll(consumer);
    }
  }

  static void committed(String topic) {
    TopicPartition partition = new TopicPartition(topic, 0);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(topic, "read_committed")) {
      long end = consumer.endOffsets(List.of(partition)).get(partition);
      while (consumer.position(partition) < end) poll(consumer);
    }
  }

  static KafkaProducer<byte[], byte[]> transactional(String id) {
    return producers.computeIfAbsent(id, (name) -> {
      KafkaProducer<byte[], byte[]> made = producer(Map.of("transactional.id", name, "linger.ms", 0));
      made.initTransactions();
      return made;
    });
  }

  static void run(String[] words) throws Exception {
    switch (words[0]) {
      case "send" -> send(words[1], words[2], Integer.parseInt(words[3]));
      case "choose" -> choose(words);
      case "read" -> read(words[1], Integer.parseInt(words[2]));
      case "committed" -> committed(words[1]);
      case "begin" -> transactional(words[1]).beginTransaction();
      case "put" ->
          transactional(words[1])
              .send(new ProducerRecord<>(words[2], Integer.parseInt(words[3]), null, bytes(words[4])))
              .get();
      case "commit" -> transactional(words[1]).commitTransaction();
      case "abort" -> transactional(words[1]).abortTransaction();
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  public static void main(String[] arguments) throws Exception {
    bootstrap = arguments[0];
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      run(line.split(" "));
      System.out.println(".");
    }
    for (KafkaProducer<byte[], byte[]> producer : producers.values()) producer.close(Duration.ZERO);
  }
}
