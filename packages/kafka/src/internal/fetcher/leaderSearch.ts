/**
 * Looks up the leaders of partitions apart from fetching, so that slow or unavailable metadata delays no partition with
 * a known leader.
 */
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as RunUntil from "../concurrency/runUntil.js"
import * as Signal from "../concurrency/signal.js"

export interface LeaderSearch {
  /** Requests the topic's metadata soon, because the known leader may be outdated. */
  readonly doubt: (topic: string) => void
  /** Checks which partitions have no leader. */
  readonly look: () => void
  readonly run: Effect.Effect<never>
}

/** The least time between requests, and the most between those for partitions without a leader, in milliseconds. */
const baseMs = 50
const capMs = 1_000

export const make = (options: {
  readonly cluster: Cluster
  readonly clock: Clock.Clock
  /** The topics of partitions without a leader. */
  readonly leaderless: () => ReadonlySet<string>
}): LeaderSearch => {
  const { clock, cluster } = options
  const doubted = new Set<string>()
  const changed = Signal.make()
  const unreachable = Backoff.make(baseMs, capMs)
  /** The topics of partitions without a leader, at the last check. */
  let leaderless: ReadonlySet<string> = new Set()
  /** How often they were requested in a row, and when they are requested again. */
  let attempts = 0
  let dueAt = 0

  const refresh = (topics: ReadonlyArray<string>) =>
    Effect.matchEffect(cluster.refresh(topics), {
      onFailure: () => {
        for (const topic of topics) doubted.add(topic)
        return unreachable.next
      },
      onSuccess: () => {
        unreachable.reset()
        return Effect.sleep(baseMs)
      }
    })

  const next = Effect.flatMap(Random.next, (random) => {
    const before = leaderless
    leaderless = options.leaderless()
    // A topic that has just lost its leader doesn't wait as long as topics that have had none for a while.
    if (Array.from(leaderless).some((topic) => !before.has(topic))) attempts = dueAt = 0
    const now = Monotonic.millis(clock)
    const isDue = leaderless.size > 0 && now >= dueAt
    if (doubted.size === 0 && !isDue) {
      return leaderless.size === 0 ? changed.wait() : RunUntil.notified(changed, dueAt - now)
    }
    const topics = Array.from(new Set([...doubted, ...leaderless]))
    doubted.clear()
    attempts++
    dueAt = now + Backoff.delayAfter(attempts, random, baseMs, capMs)
    return refresh(topics)
  })

  return {
    doubt: (topic) => {
      doubted.add(topic)
      changed.notify()
    },
    look: changed.notify,
    run: Effect.forever(next)
  }
}
