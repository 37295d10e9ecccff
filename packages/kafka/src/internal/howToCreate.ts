/** How to create a missing topic, for errors and log lines. */
export const howToCreate = (topic: string): string =>
  `create it with KafkaAdmin.ensureTopics at the program's start, or with Kafka's kafka-topics.sh --create --topic ${topic} --partitions 3 --bootstrap-server HOST:PORT`
