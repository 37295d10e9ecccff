/**
 * Rare features of a seed. Each is drawn from its own dice, so that the rest of the seed doesn't change.
 */
import { KafkaErrorCode as Code } from "@spillway/kafka/KafkaErrorCode"
import type { Api } from "@spillway/kafka/Protocol"
import type { Role } from "@spillway/kafka/Wire"
import type { CircuitBreakerOptions } from "@spillway/transport/CircuitBreaker"
import type { Fault } from "../../Faults.js"
import * as Dice from "../dice.js"
import * as Codes from "./codes.js"
import type { FaultStep, Step } from "./steps.js"

/** The rare features of a seed. */
export interface Rare {
  readonly steps: ReadonlyArray<Step>
  /** Timers of members fire up to a millisecond early. */
  readonly early: boolean
  readonly breaker: CircuitBreakerOptions | undefined
  /** Records often fail before they succeed. */
  readonly fails: boolean
  /** How many milliseconds each handler computes. */
  readonly computes: number
  /** The group begins at the end of what there is, and reads what comes later from its start. */
  readonly latest: boolean
  /** No member is frozen, cut off for long, or lost: none loses its membership before it leaves. */
  readonly keepsMembership: boolean
  /** Records that unpack to far more than they take in their batches. */
  readonly packed: Packed | undefined
  /** Members have instance ids, and who replaces one takes over its. */
  readonly isStatic: boolean
}

/** In bytes. */
export interface Packed {
  /** Of each record's value. */
  readonly value: number
  readonly maxBufferedBytes: number
}

/** The settings that differ from what is drawn for every seed. */
export const settings = ({ packed }: Pick<Rare, "packed">): { readonly maxBufferedBytes?: number } =>
  packed === undefined ? {} : { maxBufferedBytes: packed.maxBufferedBytes }

/** What is drawn of a seed before. */
export interface Drawn {
  readonly seed: number
  readonly calm: boolean
  readonly isTransactional: boolean
  readonly nodes: number
  readonly partitions: number
  /** The number of the last member that starts. */
  readonly members: number
  readonly span: number
  readonly steps: ReadonlyArray<Step>
}

const roles: ReadonlyArray<Role> = ["join", "join", "group", "fetch", "data"]

/** The requests that may get an error for one partition. */
const byPartition: ReadonlyArray<Api> = [
  "OffsetCommit",
  "OffsetCommit",
  "Fetch",
  "Produce",
  "ListOffsets",
  "OffsetFetch"
]

const partitionCodes: Partial<Record<Api, ReadonlyArray<number>>> = {
  ...Codes.transient,
  Fetch: [...Codes.transient.Fetch!, Code.UNKNOWN_SERVER_ERROR],
  OffsetFetch: [Code.UNSTABLE_OFFSET_COMMIT],
  TxnOffsetCommit: Codes.ofTransactions.TxnOffsetCommit!
}

export const make = (drawn: Drawn): Rare => {
  const { calm, isTransactional, members, nodes, partitions, seed, span } = drawn
  const steps: Array<Step> = []

  const some = <A>(kind: string, probability: number, draw: (dice: Dice.Dice) => A): A | undefined => {
    const dice = Dice.make(seed, kind)
    return dice.chance(probability) ? draw(dice) : undefined
  }
  const times = (count: number, add: () => void) => {
    for (let i = count; i > 0; i--) add()
  }
  /** Often soon after something else has happened. */
  const soonAfter = (dice: Dice.Dice): number =>
    dice.chance(0.3) ? dice.between(0, span) : dice.pick(drawn.steps).at + dice.between(0, 1_500)
  const befall = (dice: Dice.Dice, fault: Fault, given: Partial<FaultStep> = {}) =>
    steps.push({
      _tag: "Fault",
      at: soonAfter(dice),
      millis: dice.between(300, 3_000),
      whom: dice.chance(0.5) ? "all" : dice.between(1, members),
      node: undefined,
      apis: undefined,
      deadLetters: false,
      probability: 1,
      fault,
      ...given
    })

  const early = some("early", calm ? 0.1 : 0.3, () => true) ?? false

  const breaker = calm
    ? undefined
    : some("breaker", 0.08, (dice): CircuitBreakerOptions => {
        times(dice.between(1, 2), () => {
          const at = soonAfter(dice)
          const millis = dice.between(500, 8_000)
          steps.push({ _tag: "Outage", at, millis })
          times(dice.between(0, 2), () =>
            steps.push({
              _tag: "JumpClock",
              at: at + dice.between(0, millis),
              member: dice.between(1, members),
              millis: dice.pick([-3_600_000, -500, -5, 5, 60_000])
            })
          )
        })
        const count = dice.pick([1, 2, 5])
        const openTime = dice.pick([20, 200, 1_000])
        return {
          window: { count },
          minimumThroughput: dice.between(1, count),
          failureRatio: dice.pick([0.5, 1]),
          openTime,
          factor: dice.pick([1, 2]),
          maxOpenTime: dice.pick([openTime, 5_000]),
          probes: dice.between(1, 2)
        }
      })

  const latest =
    calm || isTransactional
      ? false
      : (some("latest", 0.06, (dice) => {
          times(dice.between(1, 2), () => {
            const at = dice.between(500, span + 4_000)
            const records = dice.between(1, 4)
            steps.push({ _tag: dice.chance(0.7) ? "AddPartition" : "CreateTopic", at, records })
            // Who joins soon after is the first to hear of it.
            if (dice.chance(0.5)) steps.push({ _tag: "Kill", at: at + dice.between(0, 2_000), member: members })
          })
          return true
        }) ?? false)

  const pauses = calm
    ? undefined
    : some("pauses", 0.07, (dice) => {
        times(dice.between(1, 3), () =>
          steps.push({
            _tag: "Pause",
            at: soonAfter(dice),
            member: dice.between(1, members),
            partition: dice.chance(0.5) ? undefined : dice.below(partitions),
            millis: dice.between(200, 4_000)
          })
        )
        return true
      })

  const seeks =
    calm || latest
      ? undefined
      : some("seeks", 0.07, (dice) => {
          times(dice.between(1, 3), () =>
            steps.push({
              _tag: "Seek",
              at: soonAfter(dice),
              member: dice.between(1, members),
              partition: dice.below(partitions),
              to: isTransactional || dice.chance(0.7) ? dice.between(0, 4) : "end"
            })
          )
          return true
        })

  if (!calm) {
    some("silences", 0.08, (dice) =>
      times(dice.between(1, 2), () => {
        const at = soonAfter(dice)
        const node = dice.chance(0.3) ? dice.between(1, nodes) : undefined
        if (dice.chance(0.6)) {
          befall(dice, { _tag: "Silence" }, { at, node, roles: [dice.pick(roles)], millis: dice.between(1, 1_000) })
        } else {
          const apis: ReadonlyArray<Api> = [dice.pick(["JoinGroup", "SyncGroup", "Heartbeat", "OffsetFetch", "Fetch"])]
          befall(dice, { _tag: "LoseResponse" }, { at, node, apis, millis: dice.between(1_000, 12_000) })
        }
        // A connection that waits between rebalances shows only at the next that it is dead.
        if (members > 1) steps.push({ _tag: "Kill", at: at + dice.between(100, 3_000), member: members })
      })
    )
    if (partitions > 1) {
      some("partial", 0.16, (dice) =>
        times(dice.between(1, 2), () => {
          const api = isTransactional && dice.chance(0.4) ? "TxnOffsetCommit" : dice.pick(byPartition)
          const fault: Fault = {
            _tag: "Answer",
            code: dice.pick(partitionCodes[api]!),
            when: "instead",
            partitions: [dice.below(partitions)]
          }
          befall(dice, fault, {
            apis: [api],
            whom: api === "Produce" ? "producers" : "all",
            millis: dice.between(500, 8_000),
            probability: dice.pick([0.5, 1])
          })
        })
      )
    }
  }

  const computes = !calm
    ? 0
    : (some("computes", 0.25, (dice) => {
        times(dice.between(1, 2), () =>
          steps.push({ _tag: "Produce", at: dice.between(0, 2_000), count: dice.between(10, 30), acks: "all" })
        )
        return dice.pick([20, 100, 400, 1_500])
      }) ?? 0)

  // Answered again before the coordinator gives up the member.
  const losesJoins =
    calm && computes === 0
      ? (some("lostJoins", 0.25, (dice) => {
          const { at } = dice.pick(drawn.steps)
          const fault: Fault = { _tag: dice.chance(0.5) ? "LoseRequest" : "LoseResponse" }
          befall(dice, fault, {
            at,
            apis: [dice.pick(["JoinGroup", "SyncGroup"])],
            whom: "all",
            millis: 5_000,
            times: 1
          })
          return true
        }) ?? false)
      : false

  const packed = some("packed", 0.04, (dice): Packed => {
    steps.push({ _tag: "Produce", at: dice.between(0, span), count: dice.between(20, 40), acks: "all" })
    return { value: dice.pick([20_000, 50_000]), maxBufferedBytes: dice.pick([64 * 1_024, 256 * 1_024]) }
  })

  return {
    steps,
    keepsMembership: computes > 0 || losesJoins,
    packed,
    early,
    breaker,
    fails: pauses === true || seeks === true,
    computes,
    latest,
    isStatic: !calm && (some("static", 0.12, () => true) ?? false)
  }
}
