import { assert, describe, it } from "@effect/vitest"
import { ConsumerError, type ConsumerStatus } from "@spillway/transport/Consumer"
import type { HealthCheck } from "@spillway/transport/Health"
import type { ConsumerSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import * as Health from "../../src/internal/consumer/healthChecks.js"
import * as Progress from "../../src/internal/consumer/progress.js"
import * as Producer from "../../src/internal/producer/health.js"

const assigned = { topic: "orders", partition: 0, activity: "idle", paused: false, settledTo: 5 } as const

const running: ConsumerSnapshot = {
  status: "Running",
  circuitBreaker: undefined,
  partitions: [
    {
      ...assigned,
      highWatermark: 5,
      inFlight: 0,
      bufferedRecords: 0,
      bufferedBytes: 0,
      oldestFetchedAt: undefined,
      steps: 0
    }
  ]
}

const view: Health.ConsumerView = {
  snapshot: running,
  failure: undefined,
  reachability: { hasAnswered: true, brokers: ["a:1", "b:1"], unreachable: [] },
  membership: { memberId: "m-1", generationId: 3, isStable: true, isAlive: true },
  retries: [],
  missingTopics: [],
  progress: Progress.start(0),
  blocked: [],
  limits: { stalledAfterMs: 60_000, handlerTimeoutMs: 300_000 },
  now: 10_000
}

/** A check's state, status, and whether it is live and ready. */
const check = (name: string, change: Partial<Health.ConsumerView>) => {
  const { live = true, ready = true, state, status } = Health.checks({ ...view, ...change })[name]!
  return [state, status, live, ready]
}

const inStatus = (status: ConsumerStatus, partitions = running.partitions): Partial<Health.ConsumerView> => ({
  snapshot: { ...running, status, partitions }
})

describe("the health of a consumer", () => {
  it("is up if every check passes", () => {
    const checks: ReadonlyArray<HealthCheck> = Object.values(Health.checks(view))
    assert.deepStrictEqual(
      checks.map(({ state, status }) => `${status} ${state}`),
      ["up running", "up reachable", "up stable", "up none", "up known", "up idle", "up clear"]
    )
  })

  it("follows the lifecycle", () => {
    assert.deepStrictEqual(check("lifecycle", inStatus("Starting")), ["starting", "degraded", true, false])
    assert.deepStrictEqual(check("lifecycle", inStatus("Paused")), ["paused", "up", true, true])
    assert.deepStrictEqual(check("lifecycle", inStatus("Draining")), ["draining", "degraded", true, false])
    assert.deepStrictEqual(check("lifecycle", inStatus("Stopped")), ["stopped", "down", true, false])
    assert.deepStrictEqual(check("lifecycle", inStatus("Failed")), ["failed", "down", false, false])
    const failure = new ConsumerError({ reason: "Authorization", groupId: "billing", description: "refused" })
    assert.deepStrictEqual(Health.checks({ ...view, ...inStatus("Failed"), failure })["lifecycle"]?.details, {
      reason: "Authorization",
      error: failure.message
    })
  })

  it("follows the membership", () => {
    const membership = (change: Partial<Health.MembershipView>) => ({ membership: { ...view.membership, ...change } })
    assert.deepStrictEqual(check("membership", inStatus("Starting")), ["joining", "degraded", true, false])
    assert.deepStrictEqual(check("membership", inStatus("Draining")), ["leaving", "up", true, true])
    assert.deepStrictEqual(check("membership", membership({ isAlive: false })), ["expired", "down", true, false])
    const rebalancing = membership({ isStable: false })
    assert.deepStrictEqual(check("membership", rebalancing), ["rebalancing", "degraded", true, true])
    const nothing = { ...rebalancing, ...inStatus("Running", []) }
    assert.deepStrictEqual(check("membership", nothing), ["rebalancing", "degraded", true, false])
    // With more members than partitions, it stands by.
    assert.deepStrictEqual(check("membership", inStatus("Running", [])), ["stable", "up", true, true])
  })

  it("names unreachable brokers", () => {
    const brokers = (hasAnswered: boolean, ...unreachable: ReadonlyArray<string>) => ({
      reachability: { ...view.reachability, hasAnswered, unreachable }
    })
    assert.deepStrictEqual(check("brokers", brokers(false)), ["unknown", "up", true, true])
    assert.deepStrictEqual(check("brokers", brokers(true, "a:1")), ["partlyUnreachable", "degraded", true, true])
    assert.deepStrictEqual(check("brokers", brokers(true, "a:1", "b:1")), ["unreachable", "down", true, true])
    assert.deepStrictEqual(check("brokers", brokers(false, "a:1", "b:1")), ["unreachable", "down", true, true])
  })

  it("names operations that keep failing", () => {
    const lasting = {
      operation: "SyncGroup",
      count: 1,
      subjects: [],
      attempts: 12,
      seconds: 25,
      error: "SyncGroup answered UNKNOWN_SERVER_ERROR"
    }
    assert.deepStrictEqual(check("retries", { retries: [lasting] }), ["retrying", "degraded", true, true])
    assert.deepStrictEqual(Health.checks({ ...view, retries: [lasting] })["retries"]?.details, {
      operations: [lasting]
    })
  })

  it("names missing topics", () => {
    assert.deepStrictEqual(check("topics", { missingTopics: ["orders"] }), ["missing", "degraded", true, true])
  })

  it("follows the circuit breaker if there is one", () => {
    const breaker = (circuitBreaker: ConsumerSnapshot["circuitBreaker"]) => ({
      snapshot: { ...running, circuitBreaker }
    })
    assert.isUndefined(Health.checks(view)["circuitBreaker"])
    assert.deepStrictEqual(check("circuitBreaker", breaker("closed")), ["closed", "up", true, true])
    assert.deepStrictEqual(check("circuitBreaker", breaker("halfOpen")), ["halfOpen", "degraded", true, true])
    assert.deepStrictEqual(check("circuitBreaker", breaker("open")), ["open", "down", true, true])
  })

  it("names records whose dead letters are refused", () => {
    const why = { deadLetterTopic: "orders-dlq", error: "refused", remedy: "raise max.message.bytes" }
    const blocked = [{ topic: "orders", partition: 0, offset: 5, ...why, since: 3_000 }]
    assert.deepStrictEqual(check("deadLetters", { blocked }), ["blocked", "down", true, true])
    assert.deepStrictEqual(Health.checks({ ...view, blocked })["deadLetters"]?.details, {
      records: [{ topic: "orders", partition: 0, offset: 5, ...why, seconds: 7 }]
    })
  })
})

describe("the health of a producer", () => {
  it("reports the delay of its oldest record, and that it is closing", () => {
    const oldest = { topic: "orders", ageMs: 7_000, lastFailure: undefined }
    assert.strictEqual(Producer.sending({ closing: false, pending: 0, oldest: undefined }).state, "sending")
    assert.strictEqual(Producer.sending({ closing: false, pending: 2, oldest }).state, "sending")
    assert.deepStrictEqual(
      Producer.sending({ closing: false, pending: 2, oldest: { ...oldest, lastFailure: "refused" } }),
      {
        status: "degraded",
        state: "waiting",
        details: { pending: 2, topic: "orders", seconds: 7, error: "refused" }
      }
    )
    assert.deepStrictEqual(Producer.sending({ closing: true, pending: 2, oldest }), {
      status: "degraded",
      state: "closing",
      ready: false,
      details: { pending: 2 }
    })
  })
})
