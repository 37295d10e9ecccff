/**
 * The network of a simulated world, with the faults of its scenario.
 */
import type { Wire } from "@spillway/kafka/Wire"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Runtime from "effect/Runtime"
import type { FaultRule } from "../../Faults.js"
import * as Dice from "../dice.js"
import * as FaultRules from "../faultRules.js"
import * as FaultyConnection from "../faultyConnection.js"
import * as VirtualTime from "../virtualTime.js"
import type { Scenario } from "./scenario.js"
import type { Stage } from "./stage.js"
import type { Target } from "./steps.js"

/** An unanswered request fails after this long, in milliseconds. */
const requestTimeoutMs = 5_000

export interface Options {
  readonly scenario: Scenario
  readonly deadLetterTopics: ReadonlyArray<string>
  readonly runtime: Runtime.Runtime<never>
  readonly clock: Clock.Clock
  readonly note: ((event: string) => void) | undefined
}

const rulesFor = ({ deadLetterTopics, scenario }: Options, target: Target): ReadonlyArray<FaultRule> =>
  scenario.steps.flatMap((step) => {
    if (step._tag !== "Fault" || (step.target !== "all" && step.target !== target)) return []
    return {
      fault: step.fault,
      apis: step.apis,
      roles: step.roles,
      ports: step.node === undefined ? undefined : [9091 + step.node],
      topics: step.deadLetters ? deadLetterTopics : undefined,
      probability: step.probability,
      times: step.times,
      from: step.at,
      until: step.at + step.millis
    }
  })

export const make =
  (options: Options): Stage["faulty"] =>
  (wire: Context.Tag.Service<Wire>, target: Target) => {
    const { clock, note, runtime, scenario } = options
    const rules = rulesFor(options, target)
    if (rules.length === 0) return wire
    return FaultyConnection.wrap(wire, {
      runtime,
      clock,
      rules: FaultRules.make(
        { seed: Dice.make(scenario.seed, "faults", target).below(2 ** 31), rules },
        VirtualTime.epoch
      ),
      requestTimeoutMs,
      connectTimeoutMs: requestTimeoutMs,
      onFault: ({ api, endpoint, fault }) =>
        note?.(`network of ${target}: ${api ?? "connect"} to ${endpoint}: ${JSON.stringify(fault)}`)
    })
  }
