/**
 * Shared by the tests of health on Kafka: a program with a health server, and the server's responses.
 */
import { assert } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Wire } from "@spillway/kafka/Wire"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { uniqueName } from "../../../scripts/kafka/testing.js"
import * as HealthServer from "../src/HealthServer.js"
import { readHealth } from "./readHealth.js"

/** Runs a test in a program whose health is served. */
export const run = <A, E>(
  brokers: string,
  stalledAfter: Duration.DurationInput,
  test: Effect.Effect<A, E, HealthServer.HealthServer | Producer | Wire | Scope.Scope>,
  producer: KafkaProducer.KafkaProducerOptions = {}
) =>
  Effect.scoped(test).pipe(
    Effect.provide(
      KafkaProducer.layer(producer).pipe(
        Layer.provideMerge(
          KafkaJsWire.layer({ brokers: brokers.split(","), connectTimeout: "1 second", requestTimeout: "2 seconds" })
        ),
        Layer.provideMerge(HealthServer.layer({ host: "127.0.0.1", port: 0, stalledAfter })),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      )
    ),
    Effect.provide(Logger.remove(Logger.defaultLogger))
  )

/** The states of all checks by `component.check`, without the group in a consumer's name. */
const said = Effect.gen(function* () {
  const server = yield* HealthServer.HealthServer
  const answers = yield* Effect.forEach(["/health", "/health/live", "/health/ready"], (path) =>
    readHealth(server, path)
  )
  const [all] = answers
  const states: Record<string, string> = {}
  const details: Record<string, string> = {}
  for (const [component, { checks }] of Object.entries(all!.body.components)) {
    const name = component.replace(/^consumer \S+/, "consumer")
    for (const [check, result] of Object.entries(checks)) {
      states[`${name}.${check}`] = result.state
      details[`${name}.${check}`] = JSON.stringify(result.details)
    }
  }
  return { status: answers.map(({ status }) => status).join(" "), states, details, body: all!.body }
})

/**
 * Ends when `/health`, `/health/live` and `/health/ready` return these statuses and the checks are in these states;
 * fails with the difference if that never happens. Returns the details of each check, as JSON.
 */
export const shows = (status: string, states: Readonly<Record<string, string>>) =>
  Effect.flatMap(said, (found) =>
    Effect.try(() => {
      const shown = Object.fromEntries(Object.keys(states).map((name) => [name, found.states[name]]))
      assert.deepStrictEqual({ status: found.status, ...shown }, { status, ...states }, JSON.stringify(found.body))
      return found.details
    })
  ).pipe(
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("20 seconds"))),
    Effect.mapError(({ error }) => error as Error)
  )

export const createTopic = (configs: Readonly<Record<string, string>> = {}, topic = uniqueName("orders")) =>
  Effect.as(
    KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 1, configs }])),
    topic
  )

/** A compacted topic rejects records without a key. */
export const refusing = { "cleanup.policy": "compact" }

export const willing = { "cleanup.policy": "delete" }

export const publish = (topic: string) => Effect.flatMap(Producer, ({ send }) => send({ topic, value: "x" }))

type Options<R, RD> = Partial<KafkaConsumer.KafkaConsumerOptions<string, unknown, R, RD>>

/** A consumer of one topic, with short timeouts for tests. */
export const consume = <R = never, RD = never>(topic: string, options: Options<R, RD> = {}) =>
  KafkaConsumer.make({
    groupId: `${topic}-group`,
    topics: [topic],
    value: Codec.text,
    handler: (): Effect.Effect<unknown, unknown, R> => Effect.void,
    deadLetter: DeadLetter.none("skip") as DeadLetter.DeadLetterPolicy<RD>,
    drainTimeout: "500 millis",
    heartbeatInterval: "200 millis",
    ...options
  })
