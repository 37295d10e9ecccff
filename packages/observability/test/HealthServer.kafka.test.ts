import { assert, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Health from "@spillway/transport/Health"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { describeKafka, describeOwnKafka, makeBroker, makeCluster, uniqueName } from "../../../scripts/kafka/testing.js"
import { alterTopic } from "../../kafka/test/support/alterTopic.js"
import { consume, createTopic, publish, refusing, run, shows, willing } from "./healthProgram.js"

const healthy = {
  "consumer.lifecycle": "running",
  "consumer.brokers": "reachable",
  "consumer.membership": "stable",
  "consumer.topics": "known",
  "consumer.progress": "idle",
  "consumer.deadLetters": "clear",
  "producer.sending": "sending"
}

describeOwnKafka("Health, when the broker", () => {
  it.live(
    "is one of three and is killed: is degraded while the others serve",
    () =>
      Effect.gen(function* () {
        const brokers = yield* makeCluster(3)
        yield* run(
          brokers.map(({ bootstrap }) => bootstrap).join(),
          "1 minute",
          Effect.gen(function* () {
            // One partition per broker, so that the consumer fetches from the one that is killed.
            const topic = uniqueName("orders")
            yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 3 }]))
            yield* consume(topic)
            yield* shows("200 200 200", healthy)
            yield* brokers[2]!.kill
            const { "consumer.brokers": details } = yield* shows("200 200 200", {
              "consumer.lifecycle": "running",
              "consumer.brokers": "partlyUnreachable"
            })
            assert.include(details, brokers[2]!.bootstrap)
          })
        )
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "hangs, at the start or later, or is killed: reports it, stays live, and recovers readiness by itself",
    () =>
      Effect.gen(function* () {
        const broker = yield* makeBroker({
          "group.min.session.timeout.ms": "500",
          "broker.session.timeout.ms": "1000",
          "broker.heartbeat.interval.ms": "100"
        })
        yield* run(
          broker.bootstrap,
          "1 minute",
          Effect.gen(function* () {
            const topic = yield* createTopic()
            yield* broker.freeze
            const starting = yield* Effect.fork(consume(topic, { sessionTimeout: "2 seconds" }))
            yield* shows("503 200 503", {
              "consumer.lifecycle": "starting",
              "consumer.brokers": "unreachable",
              "consumer.membership": "joining"
            })
            yield* broker.resume
            yield* Fiber.join(starting)
            yield* shows("200 200 200", healthy)
            const gone = { "consumer.brokers": "unreachable", "consumer.membership": "expired" }
            yield* broker.freeze
            yield* shows("503 200 503", gone)
            yield* broker.resume
            yield* shows("200 200 200", healthy)
            yield* broker.kill
            yield* shows("503 200 503", gone)
          })
        )
      }).pipe(Effect.scoped),
    120_000
  )
})

describeKafka("Health", (brokers) => {
  it.live("follows a consumer from its start through its drain to its end", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const latch = yield* Effect.makeLatch(false)
        const started = yield* Deferred.make<void>()
        const consumer = yield* consume(topic, {
          handler: () => Effect.zipRight(Deferred.succeed(started, undefined), latch.await),
          drainTimeout: "10 seconds"
        })
        yield* publish(topic)
        yield* Deferred.await(started)
        yield* shows("200 200 200", { ...healthy, "consumer.progress": "working", "producer.brokers": "reachable" })
        yield* consumer.stop
        yield* shows("200 200 503", { "consumer.lifecycle": "draining", "consumer.membership": "leaving" })
        yield* latch.open
        yield* shows("503 200 503", { "consumer.lifecycle": "stopped" })
      })
    )
  )

  it.live("is neither live nor ready after a consumer has failed, and says why", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const consumer = yield* consume(topic, {
          handler: () => Effect.fail("declined"),
          retry: RetryPolicy.none,
          deadLetter: DeadLetter.none("stop")
        })
        yield* publish(topic)
        yield* Effect.flip(consumer.wait)
        const details = yield* shows("503 503 503", { "consumer.lifecycle": "failed" })
        assert.include(details["consumer.lifecycle"], '"reason":"HandlingFailed"')
        assert.include(details["consumer.lifecycle"], "declined")
      })
    )
  )

  it.live("stays live through a rebalance, and is ready when its lanes are open again", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const latch = yield* Effect.makeLatch(false)
        const started = yield* Deferred.make<void>()
        // An eager assignor revokes everything first; with a cooperative one the only partition would stay.
        const eager = { assignors: ["range"] } as const
        yield* consume(topic, {
          ...eager,
          handler: () => Effect.zipRight(Deferred.succeed(started, undefined), latch.await)
        })
        yield* publish(topic)
        yield* Deferred.await(started)
        const second = yield* Scope.make()
        const joining = yield* Effect.fork(Scope.extend(consume(topic, eager), second))
        yield* shows("200 200 503", { "consumer.membership": "rebalancing", "consumer #2.membership": "joining" })
        yield* latch.open
        yield* Fiber.join(joining)
        // One of the two has no partition and stands by.
        yield* shows("200 200 200", { "consumer.membership": "stable", "consumer #2.membership": "stable" })
        yield* Scope.close(second, Exit.void)
        yield* shows("200 200 200", healthy)
      })
    )
  )

  it.live("is degraded while a topic is missing, for every member", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const missing = uniqueName("missing")
        yield* consume(topic, { topics: [topic, missing] })
        yield* consume(topic, { topics: [topic, missing] })
        yield* shows("200 200 200", { "consumer.topics": "missing", "consumer #2.topics": "missing" })
        yield* createTopic({}, missing)
        yield* shows("200 200 200", { ...healthy, "consumer #2.topics": "known" })
      })
    )
  )

  it.live("names a partition that makes no progress, and is not live if its handler can't be interrupted", () =>
    run(
      brokers,
      "1 second",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        yield* publish(topic)
        yield* consume(topic, { handler: () => Effect.uninterruptible(Effect.never), handlerTimeout: "4 seconds" })
        const details = yield* shows("503 200 200", { "consumer.progress": "stalled" })
        assert.include(details["consumer.progress"], `"topic":"${topic}","partition":0,"offset":0,"state":"stalled"`)
        yield* shows("503 503 200", { "consumer.progress": "stuck" })
      })
    )
  )

  it.live("is degraded while a record keeps failing", () =>
    run(
      brokers,
      "1 second",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const cured = yield* Deferred.make<void>()
        yield* publish(topic)
        yield* consume(topic, {
          handler: () => Effect.flatMap(Deferred.isDone(cured), (done) => (done ? Effect.void : Effect.fail("busy"))),
          retry: RetryPolicy.fixed({ retries: 1_000, delay: "200 millis" })
        })
        yield* shows("200 200 200", { ...healthy, "consumer.progress": "retrying" })
        yield* Deferred.succeed(cured, undefined)
        yield* shows("200 200 200", healthy)
      })
    )
  )

  it.live("is down while a circuit breaker is open, and still live and ready", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const cured = yield* Effect.makeLatch(false)
        let calls = 0
        yield* consume(topic, {
          handler: () => (calls++ === 0 ? Effect.fail("down") : cured.await),
          circuitBreaker: { window: { count: 1 }, minimumThroughput: 1, openTime: "2 seconds" }
        })
        yield* shows("200 200 200", { ...healthy, "consumer.circuitBreaker": "closed" })
        yield* publish(topic)
        yield* shows("503 200 200", { ...healthy, "consumer.circuitBreaker": "open" })
        yield* shows("200 200 200", { "consumer.circuitBreaker": "halfOpen", "consumer.progress": "working" })
        yield* cured.open
        yield* shows("200 200 200", { ...healthy, "consumer.circuitBreaker": "closed" })
      })
    )
  )

  it.live("is down while a check throws, and reports brokers that were not needed yet", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        yield* shows("200 200 200", { "producer.brokers": "unknown" })
        yield* consume(yield* createTopic())
        yield* shows("200 200 200", healthy)
        const health = yield* Health.Health
        const check = () => {
          throw new Error("no pool")
        }
        const broken = yield* Scope.make()
        yield* Scope.extend(
          health.register("database", () => ({ connections: check() })),
          broken
        )
        const details = yield* shows("503 200 200", { ...healthy, "database.check": "unknown" })
        assert.include(details["database.check"], "no pool")
        yield* Scope.close(broken, Exit.void)
        yield* shows("200 200 200", healthy)
      })
    )
  )

  const unwanted = { handler: () => Effect.fail("declined"), retry: RetryPolicy.none }

  it.live("is down while dead letters are rejected, and names the record", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const [topic, dead] = yield* Effect.all([createTopic(), createTopic(refusing)])
        yield* publish(topic)
        yield* consume(topic, { ...unwanted, deadLetter: DeadLetter.topic(dead) })
        const details = yield* shows("503 200 200", { "consumer.deadLetters": "blocked" })
        assert.include(details["consumer.deadLetters"], `"topic":"${topic}","partition":0,"offset":0`)
        assert.include(details["consumer.deadLetters"], "INVALID_RECORD")
        yield* alterTopic(brokers, dead, willing)
        yield* shows("200 200 200", healthy)
      })
    )
  )

  it.live("is degraded while a dead letter, or any record, is not acknowledged", () =>
    run(
      brokers,
      "1 second",
      Effect.gen(function* () {
        const [topic, dead] = yield* Effect.all([createTopic(), createTopic()])
        yield* consume(topic, { ...unwanted, deadLetter: DeadLetter.topic(dead) })
        yield* KafkaAdmin.once((admin) => admin.deleteTopics([dead]))
        yield* publish(topic)
        const details = yield* shows("200 200 200", {
          "consumer.deadLetters": "delayed",
          "consumer.progress": "working",
          "producer.sending": "waiting"
        })
        assert.include(details["producer.sending"], `"pending":1,"topic":"${dead}"`)
        assert.include(details["producer.sending"], "UNKNOWN_TOPIC_OR_PARTITION")
        yield* createTopic({}, dead)
        yield* shows("200 200 200", healthy)
      }),
      { unknownTopicTimeout: "1 minute" }
    )
  )

  it.live("is not ready while a producer closes", () =>
    run(
      brokers,
      "1 minute",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const scope = yield* Scope.make()
        const options = { drainTimeout: "1 second", unknownTopicTimeout: "1 minute" } as const
        const producer = yield* Scope.extend(KafkaProducer.make(options), scope)
        yield* producer.send({ topic, value: "x" })
        yield* KafkaAdmin.once((admin) => admin.deleteTopics([topic]))
        const sending = yield* Effect.fork(Effect.flip(producer.send({ topic, value: "x" })))
        yield* shows("200 200 200", { "producer #2.sending": "waiting" })
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* shows("200 200 503", { "producer #2.sending": "closing" })
        yield* Fiber.join(closing)
        assert.strictEqual((yield* Fiber.join(sending)).reason, "Closed")
        yield* shows("200 200 200", { "producer.sending": "sending" })
      })
    )
  )

  it.live("reports no paused partition", () =>
    run(
      brokers,
      "1 second",
      Effect.gen(function* () {
        const topic = yield* createTopic()
        const latch = yield* Effect.makeLatch(false)
        const started = yield* Deferred.make<void>()
        const consumer = yield* consume(topic, {
          handler: () => Effect.zipRight(Deferred.succeed(started, undefined), latch.await)
        })
        yield* Effect.all([publish(topic), publish(topic)])
        yield* Deferred.await(started)
        yield* consumer.pause()
        yield* shows("503 200 200", { "consumer.lifecycle": "paused", "consumer.progress": "stalled" })
        yield* latch.open
        yield* shows("200 200 200", { ...healthy, "consumer.lifecycle": "paused" })
        yield* consumer.resume()
        yield* shows("200 200 200", healthy)
      })
    )
  )
})
