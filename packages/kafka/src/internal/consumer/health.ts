/**
 * Registers a consumer's health from its very start, and watches its progress; does nothing while health is off.
 */
import type { ConsumerError } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import { Health } from "@spillway/transport/Health"
import type { ProducerError } from "@spillway/transport/Producer"
import type { ConsumerSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Cluster } from "../cluster/cluster.js"
import type { Subscription } from "../group/subscription.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as HealthChecks from "./healthChecks.js"
import * as Progress from "./progress.js"

/** The state of a complete consumer. */
export interface Sources {
  readonly cluster: Cluster
  readonly subscription: Subscription
  readonly snapshot: () => ConsumerSnapshot
  readonly membership: () => HealthChecks.MembershipView
  readonly failure: () => ConsumerError | undefined
}

export interface ConsumerHealth {
  /** Reports all checks, from now on until the scope closes. */
  readonly watch: (sources: Sources) => Effect.Effect<void, never, Scope.Scope>
  /** A generation was joined: topics may have been created or deleted, which only the group's leader has checked. */
  readonly onJoined: Effect.Effect<void>
  /** The error that blocks a record's dead letter, with its remedy; `undefined` when it no longer does. */
  readonly onBlocked: (record: ConsumedRecord, error: ProducerError | undefined, remedy?: string | undefined) => void
}

const off: ConsumerHealth = { watch: () => Effect.void, onJoined: Effect.void, onBlocked: () => {} }

export const make = Effect.fnUntraced(function* (
  settings: ConsumerSettings
): Effect.fn.Return<ConsumerHealth, never, Scope.Scope> {
  const health = yield* Health
  if (!health.enabled) return off
  const clock = yield* Effect.clock
  const now = () => Monotonic.millis(clock)
  const limits = {
    stalledAfterMs: Duration.toMillis(health.stalledAfter),
    handlerTimeoutMs: settings.handlerTimeoutMs
  }
  const blocked = new Map<string, HealthChecks.BlockedRecord>()
  let progress = Progress.start(now())
  let sources: Sources | undefined

  const missing = (cluster: Cluster, subscription: Subscription): ReadonlyArray<string> => {
    const topics = subscription.topics()
    const { topicPattern } = settings
    if (topicPattern !== undefined && topics.length === 0) return [String(topicPattern)]
    return topics.filter((topic) => cluster.topic(topic) === undefined)
  }

  yield* health.register(`consumer ${settings.groupId}`, () => {
    if (sources === undefined) return HealthChecks.starting
    const { cluster, failure, membership, snapshot, subscription } = sources
    return HealthChecks.checks({
      snapshot: snapshot(),
      failure: failure(),
      reachability: cluster.reachability(),
      membership: membership(),
      retries: cluster.retries.lasting(),
      missingTopics: missing(cluster, subscription),
      progress,
      blocked: Array.from(blocked.values()),
      limits,
      now: now()
    })
  })

  return {
    watch: (given) =>
      Effect.suspend(() => {
        sources = given
        const look = Effect.sync(() => {
          progress = Progress.look(progress, given.snapshot().partitions, now())
        })
        return Effect.asVoid(
          Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.delay(look, Progress.intervalMs))))
        )
      }),
    onJoined: Effect.suspend(() =>
      sources === undefined ? Effect.void : Effect.ignore(sources.cluster.refresh(sources.subscription.topics()))
    ),
    onBlocked: (record, error, remedy) => {
      const { offset, partition, topic } = record
      const key = `${topic}/${partition}/${offset}`
      if (error === undefined) blocked.delete(key)
      else {
        const since = blocked.get(key)?.since ?? now()
        const why = { deadLetterTopic: error.topic, error: error.message, ...(remedy === undefined ? {} : { remedy }) }
        blocked.set(key, { topic, partition, offset, ...why, since })
      }
    }
  }
})
