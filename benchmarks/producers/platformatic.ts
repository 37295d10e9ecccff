/** @platformatic/kafka with its defaults (not idempotent): acknowledged by all in-sync replicas. */
import { ProduceAcks, Producer } from "@platformatic/kafka"
import { promised, serve, task } from "./produce.js"

const { brokers, topic } = task()

const producer = new Producer({ clientId: "benchmark", bootstrapBrokers: [...brokers] })
const run = promised((messages) =>
  producer.send({ messages: messages.map(({ key, value }) => ({ topic, key, value })), acks: ProduceAcks.ALL })
)

serve({ run: () => run, close: () => producer.close() })
