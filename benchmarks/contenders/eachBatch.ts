/** kafkajs's `eachBatch`, with its automatic commits. */
import { subscribe } from "./kafkajs.js"
import { count, finish } from "./measure.js"

const consumer = await subscribe()
await consumer.run({
  eachBatch: async ({ batch }) => {
    for (const _ of batch.messages) count()
  }
})
await finish(() => consumer.disconnect())
