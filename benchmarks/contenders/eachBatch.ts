/** kafkajs's `eachBatch`, with its automatic commits. */
import { subscribe } from "./kafkajs.js"
import { count, finish } from "./measure.js"

const consumer = await subscribe()
await consumer.run({
  eachBatch: async ({ batch }) => {
    for (const { value } of batch.messages) count(value)
  }
})
await finish(() => consumer.disconnect())
