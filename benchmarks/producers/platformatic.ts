/** @platformatic/kafka with its defaults, which are without idempotence: acknowledged by all in-sync replicas. */
import { ProduceAcks, Producer } from "@platformatic/kafka"
import { measurePromises, task } from "./produce.js"

const { brokers, topic } = task()

await measurePromises(async () => {
  const producer = new Producer({ clientId: "benchmark", bootstrapBrokers: [...brokers] })
  return {
    send: (messages) =>
      producer.send({ messages: messages.map(({ key, value }) => ({ topic, key, value })), acks: ProduceAcks.ALL }),
    close: () => producer.close()
  }
})
