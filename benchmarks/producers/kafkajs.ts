/** kafkajs with its defaults (idempotent only in transactions): acknowledged by all in-sync replicas. */
import kafkajs from "kafkajs"
import { isTransactional, promised, serve, task } from "./produce.js"

const { brokers, topic } = task()

const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
const producer = kafka.producer()
const transactional = kafka.producer({ transactionalId: `kafkajs-${topic}`, maxInFlightRequests: 1, idempotent: true })
await Promise.all([producer.connect(), transactional.connect()])
const run = promised((messages) => producer.send({ topic, messages: [...messages], acks: -1 }))
const runTransactions = promised(async (messages) => {
  const transaction = await transactional.transaction()
  await transaction.send({ topic, messages: [...messages], acks: -1 })
  await transaction.commit()
})

serve({
  run: (way) => (isTransactional(way) ? runTransactions : run),
  close: () => Promise.all([producer.disconnect(), transactional.disconnect()])
})
