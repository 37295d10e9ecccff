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
  /** The group starts at the end of existing partitions, and at the start of ones that are added later. */
  readonly latest: boolean
  /** No member is frozen, cut off for long, or lost: none loses its membership before it leaves. */
  readonly keepsMembership: boolean
  /** Records that unpack to far more than they take in their batches. */
  readonly packed: Packed | undefined
  /** Members have instance ids; a replacement takes over the id of the member that it replaces. */
  readonly isStatic: boolean
}

/** In bytes. */
export interface Packed {
  /** Of each record's value. */
  readonly value: number
  readonly maxBufferedBytes: number
}

/** The settings that differ from those drawn for every seed. */
export const settings = ({ packed }: Pick<Rare, "packed">): { readonly maxBufferedBytes?: number } =>
  packed === undefined ? {} : { maxBufferedBytes: packed.maxBufferedBytes }

/** The parts of a seed that are drawn first. */
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

/** Draws one kind, and adds its steps. */
type Draw<A> = (dice: Dice.Dice, drawn: Drawn, add: (step: Step) => void) => A

const times = (count: number, act: () => void): void => {
  for (let i = count; i > 0; i--) act()
}

/** Often soon after something else happens. */
const soonAfter = (dice: Dice.Dice, { span, steps }: Drawn): number =>
  dice.chance(0.3) ? dice.between(0, span) : dice.pick(steps).at + dice.between(0, 1_500)

const memberOf = (dice: Dice.Dice, { members }: Drawn): number => dice.between(1, members)

const faultOf = (dice: Dice.Dice, drawn: Drawn, fault: Fault, given: Partial<FaultStep>): FaultStep => ({
  _tag: "Fault",
  at: soonAfter(dice, drawn),
  millis: dice.between(300, 3_000),
  target: dice.chance(0.5) ? "all" : memberOf(dice, drawn),
  node: undefined,
  apis: undefined,
  deadLetters: false,
  probability: 1,
  fault,
  ...given
})

const breaker: Draw<CircuitBreakerOptions> = (dice, drawn, add) => {
  times(dice.between(1, 2), () => {
    const at = soonAfter(dice, drawn)
    const millis = dice.between(500, 4_000)
    add({ _tag: "Outage", at, millis })
    times(dice.between(0, 2), () =>
      add({
        _tag: "JumpClock",
        at: at + dice.between(0, millis),
        member: memberOf(dice, drawn),
        millis: dice.pick([-3_600_000, -500, -5, 5, 60_000])
      })
    )
  })
  const count = dice.pick([1, 2, 5])
  const openTime = dice.pick([50, 200, 1_000])
  return {
    window: { count },
    minimumThroughput: dice.between(1, count),
    failureRatio: dice.pick([0.5, 1]),
    openTime,
    factor: dice.pick([1, 2]),
    maxOpenTime: dice.pick([openTime, 5_000]),
    probes: dice.between(1, 2)
  }
}

const newPartitions: Draw<void> = (dice, { members, span }, add) =>
  times(dice.between(1, 2), () => {
    const at = dice.between(500, span + 4_000)
    const records = dice.between(1, 4)
    add({ _tag: dice.chance(0.7) ? "AddPartition" : "CreateTopic", at, records })
    // A member that joins soon after is the first to learn of it.
    if (dice.chance(0.5)) add({ _tag: "Kill", at: at + dice.between(0, 2_000), member: members })
  })

const pauses: Draw<void> = (dice, drawn, add) =>
  times(dice.between(1, 3), () =>
    add({
      _tag: "Pause",
      at: soonAfter(dice, drawn),
      member: memberOf(dice, drawn),
      partition: dice.chance(0.5) ? undefined : dice.below(drawn.partitions),
      millis: dice.between(200, 4_000)
    })
  )

const seeks: Draw<void> = (dice, drawn, add) =>
  times(dice.between(1, 3), () =>
    add({
      _tag: "Seek",
      at: soonAfter(dice, drawn),
      member: memberOf(dice, drawn),
      partition: dice.below(drawn.partitions),
      to: drawn.isTransactional || dice.chance(0.7) ? dice.between(0, 4) : "end"
    })
  )

const silences: Draw<void> = (dice, drawn, add) =>
  times(dice.between(1, 2), () => {
    const { members, nodes } = drawn
    const at = soonAfter(dice, drawn)
    const node = dice.chance(0.3) ? dice.between(1, nodes) : undefined
    if (dice.chance(0.6)) {
      const given = { at, node, roles: [dice.pick(roles)], millis: dice.between(1, 1_000) }
      add(faultOf(dice, drawn, { _tag: "Silence" }, given))
    } else {
      const apis: ReadonlyArray<Api> = [dice.pick(["JoinGroup", "SyncGroup", "Heartbeat", "OffsetFetch", "Fetch"])]
      add(faultOf(dice, drawn, { _tag: "LoseResponse" }, { at, node, apis, millis: dice.between(1_000, 12_000) }))
    }
    // The next rebalance is the first to notice a dead join connection.
    if (members > 1) add({ _tag: "Kill", at: at + dice.between(100, 3_000), member: members })
  })

const partial: Draw<void> = (dice, drawn, add) =>
  times(dice.between(1, 2), () => {
    const api = drawn.isTransactional && dice.chance(0.4) ? "TxnOffsetCommit" : dice.pick(byPartition)
    const fault: Fault = {
      _tag: "Answer",
      code: dice.pick(partitionCodes[api]!),
      when: "instead",
      partitions: [dice.below(drawn.partitions)]
    }
    const given = {
      apis: [api],
      target: api === "Produce" ? ("producers" as const) : ("all" as const),
      millis: dice.between(500, 8_000),
      probability: dice.pick([0.5, 1])
    }
    add(faultOf(dice, drawn, fault, given))
  })

const computes: Draw<number> = (dice, { isTransactional }, add) => {
  times(dice.between(1, 2), () =>
    add({ _tag: "Produce", at: dice.between(0, 2_000), count: dice.between(10, 20), acks: "all" })
  )
  const millis = dice.pick([20, 100, 400, 1_500])
  // A transaction that loses a second for each record isn't committed before its partitions are revoked.
  return isTransactional ? Math.min(millis, 400) : millis
}

/** Loses one join of each member, which retries before its coordinator removes it. */
const lostJoins: Draw<void> = (dice, drawn, add) => {
  const { at } = dice.pick(drawn.steps)
  const fault: Fault = { _tag: dice.chance(0.5) ? "LoseRequest" : "LoseResponse" }
  const apis: ReadonlyArray<Api> = [dice.pick(["JoinGroup", "SyncGroup"])]
  add(faultOf(dice, drawn, fault, { at, apis, target: "all", millis: 5_000, times: 1 }))
}

const packed: Draw<Packed> = (dice, { span }, add) => {
  add({ _tag: "Produce", at: dice.between(0, span), count: dice.between(12, 20), acks: "all" })
  return { value: 50_000, maxBufferedBytes: 64 * 1_024 }
}

const nothing: Draw<void> = () => {}

export const make = (drawn: Drawn): Rare => {
  const { calm, isTransactional, partitions, seed } = drawn
  const steps: Array<Step> = []

  /** The draw, for this share of the seeds in which it may happen at all. */
  const draw = <A>(kind: string, share: number, draw: Draw<A>): A | undefined => {
    const dice = Dice.make(seed, kind)
    return dice.chance(share) ? draw(dice, drawn, (step) => steps.push(step)) : undefined
  }
  /** Whether it was drawn. */
  const has = (kind: string, share: number, some: Draw<void>): boolean =>
    draw(kind, share, (...given) => {
      some(...given)
      return true
    }) ?? false

  const latest = !(calm || isTransactional) && has("latest", 0.06, newPartitions)
  const isPausing = !calm && has("pauses", 0.07, pauses)
  const isSeeking = !(calm || latest) && has("seeks", 0.07, seeks)
  if (!calm) has("silences", 0.08, silences)
  if (!calm && partitions > 1) has("partial", 0.14, partial)
  const computing = calm ? draw("computes", 0.2, computes) : undefined
  const losesJoins = calm && computing === undefined && has("lostJoins", 0.25, lostJoins)

  return {
    early: has("early", calm ? 0.1 : 0.2, nothing),
    breaker: calm ? undefined : draw("breaker", 0.08, breaker),
    fails: isPausing || isSeeking,
    computes: computing ?? 0,
    latest,
    keepsMembership: computing !== undefined || losesJoins,
    packed: draw("packed", 0.02, packed),
    isStatic: !calm && has("static", 0.12, nothing),
    steps
  }
}
