/**
 * The subject that simulates Spillway itself: records that say what becomes of each attempt at them.
 */
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Dice from "../dice.js"
import type { Scenario } from "./scenario.js"
import type { Subject } from "./subject.js"

/** What an attempt does, a letter each; what goes beyond the letters succeeds. */
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
  const dice = Dice.make(scenario.seed, "workload")
  const letters = scenario.calm ? "sssssswwtfn" : "sssssssswwtfdinlh"
  const trouble = dice.chance(0.3) ? 0 : dice.next() * 0.6
  return {
    consumer: {
      groupId: "billing",
      topics: ["orders"],
      value: Codec.text,
      handler: ({ attempt, value }: Envelope<string>) =>
        attempts[value.slice(value.indexOf(":") + 1)[attempt - 1] ?? "s"] ?? Effect.void,
      retry: RetryPolicy.fixed({ retries: 2, delay: dice.pick(["100 millis", "1 second"]) }),
      deadLetter: DeadLetter.topic("orders-dlq")
    },
    isFast: true,
    context: Context.empty(),
    record: (index, dice) => {
      const script = dice.chance(trouble)
        ? Array.from({ length: dice.between(1, 4) }, () => dice.pick([...letters])).join("")
        : "s"
      // Text that isn't UTF-8 doesn't decode.
      const value = encoder.encode(`${index}:${script}`)
      return { key: null, headers: [], value: dice.chance(0.06) ? Uint8Array.of(0xff, ...value) : value }
    }
  }
}
