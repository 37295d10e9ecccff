/** kafkajs's `eachMessage`, with its automatic commits. */
import { subscribe } from "./kafkajs.js"
import { count, finish } from "./measure.js"

const consumer = await subscribe()
await consumer.run({ eachMessage: async ({ message }) => count(message.value) })
await finish(() => consumer.disconnect())
