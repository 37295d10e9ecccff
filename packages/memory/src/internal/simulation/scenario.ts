/**
 * What happens in a simulation, drawn from its seed before it starts: the cluster, the members' settings, and a
 * schedule of steps. It is plain data, so that it can be printed, and steps can be left out to find those that matter.
 */
import { KafkaErrorCode as Code } from "@spillway/kafka/KafkaErrorCode"
import type { Api } from "@spillway/kafka/Protocol"
import type { Fault } from "../../Faults.js"
import * as Dice from "../dice.js"

/** Durations in milliseconds. */
export interface Settings {
  readonly sessionTimeout: number
  readonly heartbeatInterval: number
  readonly rebalanceTimeout: number
  readonly revokeTimeout: number
  readonly drainTimeout: number
  readonly commitInterval: number
  readonly handlerTimeout: number
  /** How long producers of members try to send a record, or to end a transaction. */
  readonly deliveryTimeout: number
  readonly metadataInterval: number
  readonly fetchMaxWait: number
  readonly maxLaneRecords: number
  readonly maxBufferedBytes: number
  readonly offsetOutOfRange: "fail" | "earliest"
  readonly assignors: ReadonlyArray<"cooperative-sticky" | "range">
}

export interface Transactions {
  /** In milliseconds. */
  readonly timeout: number
  /** So many transactional ids are shared by the members, who fence each other; 0: each has its own. */
  readonly sharedIds: number
}

/** Whom a network fault befalls: a member by its number, the producers, or everybody. */
export type Whom = number | "producers" | "all"

/** Times are in milliseconds since the start. Members have numbers, from 1 on, and never the same twice. */
export type Step =
  | { readonly _tag: "Produce"; readonly at: number; readonly count: number; readonly acks: "all" | "leader" }
  | { readonly _tag: "Start"; readonly at: number; readonly member: number }
  | { readonly _tag: "Stop"; readonly at: number; readonly member: number }
  | { readonly _tag: "Kill"; readonly at: number; readonly member: number }
  | { readonly _tag: "FreezeMember"; readonly at: number; readonly member: number; readonly millis: number }
  | { readonly _tag: "JumpClock"; readonly at: number; readonly member: number; readonly millis: number }
  | { readonly _tag: "MoveLeader"; readonly at: number; readonly partition: number; readonly node: number }
  | { readonly _tag: "MoveCoordinator"; readonly at: number; readonly node: number }
  | {
      readonly _tag: "StopNode"
      readonly at: number
      readonly node: number
      readonly millis: number
      readonly electAfter: number
      readonly tail: "kept" | "lost"
    }
  | { readonly _tag: "Retain"; readonly at: number; readonly partition: number; readonly last: number }
  | {
      readonly _tag: "Fault"
      readonly at: number
      readonly millis: number
      readonly whom: Whom
      readonly node: number | undefined
      readonly apis: ReadonlyArray<Api> | undefined
      readonly deadLetters: boolean
      readonly probability: number
      readonly fault: Fault
    }

export interface Scenario {
  readonly seed: number
  /** Nothing but joins and clean stops, by handlers that are faster than a rebalance: no record may settle twice. */
  readonly calm: boolean
  readonly nodes: number
  readonly partitions: number
  readonly deadLetterPartitions: number
  /** How many operations a fibre may run before others have their turn. */
  readonly maxOpsBeforeYield: number
  readonly replicationDelay: number
  readonly settings: Settings
  /** What members handle is committed with its results in transactions. */
  readonly transactions: Transactions | undefined
  readonly steps: ReadonlyArray<Step>
  /** When the last step is over. */
  readonly end: number
}

/** Codes that an api may be answered with while brokers, leaders and coordinators come and go. */
const transientCodes: Partial<Record<Api, ReadonlyArray<number>>> = {
  Produce: [Code.NOT_LEADER_OR_FOLLOWER, Code.NOT_ENOUGH_REPLICAS, Code.REQUEST_TIMED_OUT, Code.KAFKA_STORAGE_ERROR],
  Fetch: [Code.NOT_LEADER_OR_FOLLOWER, Code.KAFKA_STORAGE_ERROR, Code.REPLICA_NOT_AVAILABLE, Code.FENCED_LEADER_EPOCH],
  ListOffsets: [Code.NOT_LEADER_OR_FOLLOWER, Code.LEADER_NOT_AVAILABLE, Code.OFFSET_NOT_AVAILABLE],
  FindCoordinator: [Code.COORDINATOR_NOT_AVAILABLE],
  JoinGroup: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE],
  SyncGroup: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.REBALANCE_IN_PROGRESS],
  Heartbeat: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE],
  OffsetCommit: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.REQUEST_TIMED_OUT],
  OffsetFetch: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS]
}

/** Codes that an api may be answered with though it was carried out. */
const codesAfter: Partial<Record<Api, ReadonlyArray<number>>> = {
  Produce: [Code.REQUEST_TIMED_OUT, Code.NOT_ENOUGH_REPLICAS_AFTER_APPEND],
  OffsetCommit: [Code.REQUEST_TIMED_OUT, Code.COORDINATOR_NOT_AVAILABLE]
}

const coordinatorCodes = [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE]

/** The same, of what transactions ask besides. */
const transactionCodes: Partial<Record<Api, ReadonlyArray<number>>> = {
  InitProducerId: [...coordinatorCodes, Code.CONCURRENT_TRANSACTIONS],
  AddPartitionsToTxn: [...coordinatorCodes, Code.CONCURRENT_TRANSACTIONS],
  AddOffsetsToTxn: [...coordinatorCodes, Code.CONCURRENT_TRANSACTIONS],
  TxnOffsetCommit: coordinatorCodes,
  EndTxn: [...coordinatorCodes, Code.CONCURRENT_TRANSACTIONS]
}

/** Each seed has some of these kinds of trouble: what is rare among all is frequent among few. */
const kinds = [
  "delays",
  "losses",
  "disconnects",
  "codes",
  "freezes",
  "deadLetters",
  "members",
  "pauses",
  "clocks",
  "moves",
  "nodes",
  "retention"
] as const

type Kind = (typeof kinds)[number]

const settingsOf = (seed: number, dice: Dice.Dice, calm: boolean, retains: boolean): Settings => {
  const sessionTimeout = dice.between(6, 10) * 1_000
  const rebalanceTimeout = dice.between(8, 20) * 1_000
  return {
    sessionTimeout,
    heartbeatInterval: Math.round(sessionTimeout / dice.between(3, 5)),
    rebalanceTimeout,
    revokeTimeout: calm ? rebalanceTimeout - 1_000 : dice.between(1, 5) * 1_000,
    drainTimeout: calm ? 15_000 : dice.between(1, 10) * 1_000,
    commitInterval: dice.pick([1_000, 2_000, 5_000]),
    handlerTimeout: dice.between(3, 8) * 1_000,
    metadataInterval: dice.pick([5_000, 15_000]),
    fetchMaxWait: dice.pick([10_000, 20_000]),
    maxLaneRecords: dice.pick([1, 10, 500, 500]),
    maxBufferedBytes: dice.pick([30, 200, 64 * 1_024 * 1_024]),
    offsetOutOfRange: retains ? "earliest" : "fail",
    deliveryTimeout: Dice.make(seed, "delivery").pick([1_000, 3_000, 30_000]),
    assignors: [Dice.make(seed, "assignor").pick(["cooperative-sticky", "range"] as const)]
  }
}

/** From dice of its own, so that the rest of a seed is what it is without. */
const transactionsOf = (seed: number, calm: boolean): Transactions | undefined => {
  const dice = Dice.make(seed, "transactions")
  if (!dice.chance(0.3)) return undefined
  return { timeout: dice.between(1, 8) * 1_000, sharedIds: calm || dice.chance(0.7) ? 0 : dice.between(1, 2) }
}

export const make = (seed: number): Scenario => {
  const dice = Dice.make(seed, "scenario")
  const calm = dice.chance(0.2)
  const transactions = transactionsOf(seed, calm)
  const codes = { ...transientCodes, ...(transactions === undefined ? {} : transactionCodes) }
  const answerable = Object.keys(codes) as ReadonlyArray<Api>
  const troubles = new Set<Kind>(calm ? [] : kinds.filter(() => dice.chance(0.3)))
  const nodes = dice.between(1, 3)
  const partitions = dice.between(1, 4)
  const span = dice.between(10, 20) * 1_000
  const steps: Array<Step> = []
  const time = (): number => dice.between(0, span)
  let members = dice.between(1, 3)

  for (let member = 1; member <= members; member++) {
    steps.push({ _tag: "Start", at: dice.chance(0.5) ? 0 : dice.between(0, 4_000), member })
  }
  for (let burst = dice.between(2, 6); burst > 0; burst--) {
    const acks = troubles.has("nodes") && dice.chance(0.3) ? "leader" : "all"
    steps.push({ _tag: "Produce", at: time(), count: dice.between(1, 6), acks })
  }
  const member = (): number => dice.between(1, members)
  const node = (): number => dice.between(1, nodes)
  const replace = (at: number) => {
    members++
    steps.push({ _tag: "Start", at: at + dice.between(0, 2_500), member: members })
  }
  const comingsAndGoings = calm || troubles.has("members") ? dice.between(1, 4) : dice.between(0, 1)
  for (let i = 0; i < comingsAndGoings; i++) {
    const at = time()
    if (dice.chance(0.6)) {
      const kills = !calm && dice.chance(0.5)
      steps.push({ _tag: kills ? "Kill" : "Stop", at, member: member() })
      if (dice.chance(0.7)) replace(at)
    } else replace(at)
  }

  const times = (kind: Kind, most: number, add: () => void) => {
    if (troubles.has(kind)) for (let i = dice.between(1, most); i > 0; i--) add()
  }
  const whom = (): Whom => (dice.chance(0.2) ? "all" : dice.chance(0.2) ? "producers" : member())
  const befall = (fault: Fault, some: Partial<Extract<Step, { readonly _tag: "Fault" }>> = {}) =>
    steps.push({
      _tag: "Fault",
      at: time(),
      millis: dice.between(500, 8_000),
      whom: whom(),
      node: dice.chance(0.4) ? node() : undefined,
      apis: undefined,
      deadLetters: false,
      probability: dice.pick([0.1, 0.3, 1]),
      fault,
      ...some
    })
  const someApis = (): ReadonlyArray<Api> | undefined => (dice.chance(0.5) ? [dice.pick(answerable)] : undefined)

  times("delays", 3, () =>
    befall({ _tag: "Delay", min: 0, max: dice.pick([20, 500, 5_000]) }, { apis: someApis(), probability: 0.5 })
  )
  times("losses", 3, () =>
    befall({ _tag: dice.chance(0.5) ? "LoseRequest" : "LoseResponse" }, { apis: someApis(), probability: 0.3 })
  )
  times("disconnects", 3, () =>
    befall({ _tag: "Disconnect", when: dice.chance(0.5) ? "before" : "after" }, { apis: someApis(), probability: 0.3 })
  )
  times("disconnects", 1, () => befall({ _tag: "Refuse" }))
  times("codes", 3, () => {
    const api = dice.pick(answerable)
    const after = codesAfter[api]
    const fault: Fault =
      after !== undefined && dice.chance(0.4)
        ? { _tag: "Answer", code: dice.pick(after), when: "after" }
        : { _tag: "Answer", code: dice.pick(codes[api]!), when: "instead" }
    befall(fault, { apis: [api] })
  })
  times("freezes", 2, () =>
    befall({ _tag: "Freeze" }, { millis: dice.between(500, 16_000), whom: "all", node: node() })
  )
  times("deadLetters", 2, () =>
    befall(
      dice.chance(0.5)
        ? { _tag: "Answer", code: dice.pick(transientCodes.Produce!), when: "instead" }
        : dice.pick<Fault>([{ _tag: "LoseResponse" }, { _tag: "Disconnect", when: "after" }]),
      { apis: ["Produce"], deadLetters: true, whom: "all", probability: dice.pick([0.5, 1]), node: undefined }
    )
  )
  times("pauses", 2, () =>
    steps.push({ _tag: "FreezeMember", at: time(), member: member(), millis: dice.between(500, 24_000) })
  )
  times("clocks", 2, () =>
    steps.push({
      _tag: "JumpClock",
      at: time(),
      member: member(),
      millis: dice.pick([-3_600_000, -10_000, 10_000, 3_600_000])
    })
  )
  times("moves", 3, () =>
    steps.push(
      dice.chance(0.5)
        ? { _tag: "MoveLeader", at: time(), partition: dice.below(partitions), node: node() }
        : { _tag: "MoveCoordinator", at: time(), node: node() }
    )
  )
  times("nodes", 2, () =>
    steps.push({
      _tag: "StopNode",
      at: time(),
      node: node(),
      millis: dice.between(500, 10_000),
      electAfter: dice.pick([0, 1_000, 3_000]),
      tail: dice.chance(0.5) ? "kept" : "lost"
    })
  )
  times("retention", 2, () =>
    steps.push({ _tag: "Retain", at: time(), partition: dice.below(partitions), last: dice.between(0, 3) })
  )

  steps.sort((one, other) => one.at - other.at)
  return {
    seed,
    calm,
    nodes,
    partitions,
    deadLetterPartitions: dice.between(1, partitions),
    maxOpsBeforeYield: dice.pick([2_048, 2_048, 2_048, 2_048, 200, 30]),
    replicationDelay: troubles.has("nodes") ? dice.pick([100, 3_000]) : 0,
    settings: settingsOf(seed, dice, calm, troubles.has("retention")),
    transactions,
    steps,
    end: Math.max(...steps.map((step) => step.at + ("millis" in step && step._tag !== "JumpClock" ? step.millis : 0)))
  }
}
