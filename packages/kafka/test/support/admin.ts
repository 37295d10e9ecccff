/**
 * The admin client of kafkajs, for operations that Spillway's admin client lacks.
 */
import * as Effect from "effect/Effect"
import { type Admin, Kafka, logLevel } from "kafkajs"

export const withAdmin = <A, E, R>(brokers: string, use: (admin: Admin) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      const admin = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      return admin
    }),
    use,
    (admin) => Effect.promise(() => admin.disconnect())
  )
