/**
 * Clusters of three brokers that lose no records while one broker is down.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import kafkajs from "kafkajs"

/** Returns when each replica of every topic is in sync. */
export const inSync = (brokers: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.tryPromise(async () => {
    const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata()
      const all = topics.flatMap(({ partitions }) => partitions)
      if (all.some(({ isr, replicas }) => isr.length < replicas.length)) throw new Error("a replica is out of sync")
    } finally {
      await admin.disconnect()
    }
  }).pipe(Effect.retry(Schedule.spaced("500 millis")), Effect.orDie)

/** A record is acknowledged when two replicas have it. */
export const durable: Readonly<Record<string, string>> = {
  "default.replication.factor": "3",
  "min.insync.replicas": "2",
  "unclean.leader.election.enable": "false"
}
