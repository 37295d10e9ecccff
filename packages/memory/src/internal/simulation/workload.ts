/**
 * The subject that simulates Spillway itself: the value of each record says how each attempt at it ends.
 */
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Dice from "../dice.js"
import * as VirtualTime from "../virtualTime.js"
import type { Scenario } from "./scenario.js"
import type { Subject } from "./subject.js"

/** The result of each attempt, one letter each. Attempts beyond the letters succeed. */
const attempts: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  s: Effect.void,
  w: Effect.sleep("200 millis"),
  t: HandlerError.temporary("temporary", "200 millis"),
  f: Effect.fail("failed"),
  d: Effect.die("defect"),
  i: Effect.interrupt,
  n: HandlerError.nonRetryable("never"),
  l: Effect.sleep("1 second"),
  h: Effect.sleep("1 hour")
}

const encoder = new TextEncoder()

export const make = (scenario: Scenario): Subject<string, unknown, never, Producer> => {
  const { breaker, computes, fails, packed } = scenario.rare
  const dice = Dice.make(scenario.seed, "workload")
  const letters = scenario.calm ? "sssssswwtfn" : fails ? "swttffdlh" : "sssssssswwtfdinlh"
  const drawn = dice.chance(0.3) ? 0 : dice.next() * 0.6
  const failureRate = fails ? 0.8 : drawn
  const outages = scenario.steps.filter((step) => step._tag === "Outage")
  /** How often each record was handled. Attempts that the breaker absorbs have the same number. */
  const calls = new Map<string, number>()

  const isPlain = breaker === undefined && computes === 0

  const letterOf = (value: string, attempt: number): string => value.slice(value.indexOf(":") + 1)[attempt - 1] ?? "s"

  const scripted = ({ attempt, value }: Envelope<string>): Effect.Effect<unknown, unknown> =>
    attempts[letterOf(value, attempt)] ?? Effect.void

  const handled = Effect.fnUntraced(function* ({ value }: Envelope<string>) {
    if (computes > 0) yield* VirtualTime.compute(computes)
    const now = Number(yield* Clock.currentTimeNanos) / 1e6 - VirtualTime.epoch
    if (outages.some(({ at, millis }) => now >= at && now < at + millis)) return yield* Effect.fail("outage")
    const call = (calls.get(value) ?? 0) + 1
    calls.set(value, call)
    return yield* attempts[letterOf(value, call)] ?? Effect.void
  })

  return {
    consumer: {
      groupId: "billing",
      topics: scenario.steps.some((step) => step._tag === "CreateTopic") ? ["orders", "refunds"] : ["orders"],
      value: Codec.text,
      handler: isPlain ? scripted : handled,
      circuitBreaker: breaker,
      retry: RetryPolicy.fixed({ retries: 2, delay: dice.pick(["100 millis", "1 second"]) }),
      deadLetter: DeadLetter.topic("orders-dlq")
    },
    isFast: true,
    context: Context.empty(),
    record: (index, dice) => {
      const script = dice.chance(failureRate)
        ? Array.from({ length: dice.between(1, 4) }, () => dice.pick([...letters])).join("")
        : "s"
      const padded = script.padEnd(packed?.value ?? 0, "s")
      // Text that isn't UTF-8 doesn't decode.
      const value = encoder.encode(`${index}:${padded}`)
      return { key: null, headers: [], value: dice.chance(0.06) ? Uint8Array.of(0xff, ...value) : value }
    }
  }
}
