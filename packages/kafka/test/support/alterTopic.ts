/**
 * Changes a topic's settings, by the admin client of kafkajs.
 */
import * as Effect from "effect/Effect"
import { ConfigResourceTypes } from "kafkajs"
import { withAdmin } from "./admin.js"

export const alterTopic = (brokers: string, topic: string, settings: Readonly<Record<string, string>>) =>
  withAdmin(brokers, (admin) => {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    return Effect.promise(() => admin.alterConfigs({ validateOnly: false, resources }))
  })
