/** kafkajs with its defaults, which are without idempotence: acknowledged by all in-sync replicas. */
import kafkajs from "kafkajs"
import { promised, serve, task } from "./produce.js"

const { brokers, topic } = task()

const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
const producer = kafka.producer()
await producer.connect()
const run = promised((messages) => producer.send({ topic, messages: [...messages], acks: -1 }))

serve({ run: () => run, close: () => producer.disconnect() })
