/**
 * Changes a topic's settings, by the admin client of kafkajs.
 */
import * as Effect from "effect/Effect"
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs"

export const alterTopic = (brokers: string, topic: string, settings: Readonly<Record<string, string>>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING })
      const admin = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const admin = kafka.admin()
          await admin.connect()
          return admin
        }),
        (admin) => Effect.promise(() => admin.disconnect())
      )
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
      yield* Effect.promise(() => admin.alterConfigs({ validateOnly: false, resources }))
    })
  )
