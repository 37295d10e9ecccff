/**
 * What the tests of `KafkaAdmin` need: an admin client, records, and the places of failures.
 */
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Harness, Suite } from "./harness.js"

export type Admin = Context.Tag.Service<KafkaAdmin.KafkaAdmin>

/** The failed items, each as its reason and the place that it names. */
export const failuresOf = <A>(effect: Effect.Effect<A, KafkaAdmin.KafkaAdminError>) =>
  Effect.map(Effect.flip(effect), ({ failures }) =>
    failures.map(({ groupId, partition, reason, topic }) =>
      partition === undefined ? [reason, topic ?? groupId] : [reason, topic, partition]
    )
  )

/** Declares a test that gets an admin client. */
export const withAdmin =
  ({ test }: Suite) =>
  (name: string, body: (admin: Admin, harness: Harness) => Effect.Effect<void, unknown, Scope.Scope>): void =>
    test(name, (harness) =>
      Effect.gen(function* () {
        const { wire } = yield* harness.client
        yield* body(yield* Effect.provideService(KafkaAdmin.make(), Wire, wire), harness)
      })
    )

/** Record `i` of a partition has the timestamp `firstTimestamp + i`. */
export const firstTimestamp = 1_000_000

export const fill = (harness: Harness, topic: string, count: number, partitions = 2) =>
  Effect.gen(function* () {
    const { wire } = yield* harness.client
    const producer = yield* Effect.provideService(KafkaProducer.make(), Wire, wire)
    yield* producer.sendAll(
      Array.from({ length: partitions * count }, (_, i) => ({
        topic,
        partition: i % partitions,
        value: Buffer.from(String(i)),
        timestamp: firstTimestamp + Math.floor(i / partitions)
      }))
    )
  }).pipe(Effect.scoped)
