/** kafkajs with its defaults, which are without idempotence: acknowledged by all in-sync replicas. */
import kafkajs from "kafkajs"
import { measurePromises, task } from "./produce.js"

const { brokers, topic } = task()

await measurePromises(async () => {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()
  return {
    send: (messages) => producer.send({ topic, messages: [...messages], acks: -1 }),
    close: () => producer.disconnect()
  }
})
