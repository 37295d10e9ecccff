/** The start of kafkajs's contenders: a consumer that has subscribed from the beginning. */
import kafkajs from "kafkajs"
import { task } from "./measure.js"

export const subscribe = async () => {
  const kafka = new kafkajs.Kafka({ brokers: [...task.brokers], logLevel: kafkajs.logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: task.groupId })
  await consumer.connect()
  await consumer.subscribe({ topics: [task.topic], fromBeginning: true })
  return consumer
}
