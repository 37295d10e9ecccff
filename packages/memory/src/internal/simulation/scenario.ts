/**
 * The scenario of a simulation, drawn from its seed before it starts: the cluster, the members' settings, and a
 * schedule of steps. It is plain data, so that it can be printed, and steps can be omitted to find those that matter.
 */
import { KafkaErrorCode as Code } from "@spillway/kafka/KafkaErrorCode"
import type { Api } from "@spillway/kafka/Protocol"
import type { Fault } from "../../Faults.js"
import * as Dice from "../dice.js"
import * as Codes from "./codes.js"
import * as Rare from "./rare.js"
import * as Settings from "./settings.js"
import type { FaultStep, Step, Target } from "./steps.js"

export interface Scenario {
  readonly seed: number
  /** Only joins and clean stops, with handlers that are faster than a rebalance: no record may settle twice. */
  readonly calm: boolean
  readonly nodes: number
  readonly partitions: number
  readonly deadLetterPartitions: number
  /** How many operations a fiber may run before it yields to others. */
  readonly maxOpsBeforeYield: number
  readonly replicationDelay: number
  readonly settings: Settings.Settings
  /** The members' results are committed in transactions with the offsets. */
  readonly transactions: Settings.Transactions | undefined
  readonly rare: Omit<Rare.Rare, "steps">
  readonly steps: ReadonlyArray<Step>
  /** When the last step is over. */
  readonly end: number
}

/** Each seed has some of these kinds of faults: a kind that is rare in all seeds is frequent in few. */
const kinds = [
  "delays",
  "losses",
  "disconnects",
  "codes",
  "sends",
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

/** The amounts of everything. Times are in milliseconds, from minimum to maximum. */
interface Size {
  readonly nodes: ReadonlyArray<number>
  readonly partitions: ReadonlyArray<number>
  readonly members: ReadonlyArray<number>
  readonly produces: readonly [number, number]
  /** How many members join or leave in seeds with those faults. */
  readonly turns: readonly [number, number]
  /** When steps happen, and how long they last. */
  readonly span: readonly [number, number]
  readonly lasting: readonly [number, number]
  /** Longer than a session. */
  readonly frozen: readonly [number, number]
}

/** Much happens to few members within a short time: most of a member's cost is joining and leaving. */
const dense: Size = {
  nodes: [1, 1, 2, 2, 3],
  partitions: [1, 1, 1, 2, 2, 3, 4],
  members: [1, 1, 1, 2, 2],
  produces: [1, 3],
  turns: [1, 2],
  span: [1_000, 5_000],
  lasting: [300, 3_000],
  frozen: [6_000, 12_000]
}

/** For scenarios that need many members or a long time. */
const large: Size = {
  nodes: [1, 2, 3],
  partitions: [1, 2, 3, 4],
  members: [1, 2, 3],
  produces: [2, 6],
  turns: [1, 4],
  span: [10_000, 20_000],
  lasting: [500, 8_000],
  frozen: [6_000, 24_000]
}

export const make = (seed: number): Scenario => {
  const dice = Dice.make(seed, "scenario")
  const size = dice.chance(0.04) ? large : dense
  const calm = dice.chance(0.2)
  const transactions = Settings.transactions(seed, calm)
  const codes = { ...Codes.transient, ...(transactions === undefined ? {} : Codes.ofTransactions) }
  const answerable = Object.keys(codes) as ReadonlyArray<Api>
  const faults = new Set<Kind>(calm ? [] : kinds.filter(() => dice.chance(0.3)))
  const nodes = dice.pick(size.nodes)
  const partitions = dice.pick(size.partitions)
  const span = dice.between(...size.span)
  const steps: Array<Step> = []
  const time = (): number => dice.between(0, span)
  let members = dice.pick(size.members)
  const instances = new Map<number, number>()

  for (let member = 1; member <= members; member++) {
    steps.push({ _tag: "Start", at: dice.chance(0.5) ? 0 : dice.between(0, 3_000), member, instance: member })
    instances.set(member, member)
  }
  const produce = (at: number) => {
    const acks = faults.has("nodes") && dice.chance(0.3) ? "leader" : "all"
    steps.push({ _tag: "Produce", at, count: dice.between(1, 5), acks })
  }
  for (let i = dice.between(...size.produces); i > 0; i--) produce(time())
  const member = (): number => dice.between(1, members)
  const node = (): number => dice.between(1, nodes)
  const replace = (at: number, replaced?: number) => {
    members++
    const instance = instances.get(replaced ?? members) ?? members
    instances.set(members, instance)
    steps.push({ _tag: "Start", at: at + dice.between(0, 2_500), member: members, instance })
  }
  const turns = calm || faults.has("members") ? dice.between(...size.turns) : dice.chance(0.3) ? 1 : 0
  for (let i = 0; i < turns; i++) {
    const at = time()
    if (dice.chance(0.6)) {
      const kills = !calm && dice.chance(0.5)
      const leaving = member()
      steps.push({ _tag: kills ? "Kill" : "Stop", at, member: leaving })
      if (dice.chance(0.7)) replace(at, leaving)
    } else replace(at)
  }

  const times = (kind: Kind, most: number, add: () => void) => {
    if (faults.has(kind)) for (let i = dice.between(1, most); i > 0; i--) add()
  }
  const lasting = (): number => dice.between(...size.lasting)
  const frozen = (): number => (dice.chance(0.5) ? lasting() : dice.between(...size.frozen))
  const target = (): Target => (dice.chance(0.2) ? "all" : dice.chance(0.2) ? "producers" : member())
  /** Often just before another step. */
  const about = (): number => (dice.chance(0.5) ? time() : Math.max(0, dice.pick(steps).at - dice.between(0, 300)))
  const addFault = (fault: Fault, some: Partial<FaultStep> = {}) =>
    steps.push({
      _tag: "Fault",
      at: about(),
      millis: lasting(),
      target: target(),
      node: dice.chance(0.4) ? node() : undefined,
      apis: undefined,
      deadLetters: false,
      probability: dice.pick([0.1, 0.3, 1]),
      fault,
      ...some
    })
  /** A fault of all requests, or of one kind. */
  const befallSome = (fault: Fault, probability: number) => {
    const some = target()
    const apis: ReadonlyArray<Api> = [some === "producers" ? "Produce" : dice.pick(answerable)]
    addFault(fault, { target: some, apis: dice.chance(0.5) ? apis : undefined, probability })
  }

  times("delays", 3, () => befallSome({ _tag: "Delay", min: 0, max: dice.pick([20, 500, 5_000]) }, 0.5))
  times("losses", 3, () => befallSome({ _tag: dice.chance(0.5) ? "LoseRequest" : "LoseResponse" }, 0.3))
  times("disconnects", 3, () => befallSome({ _tag: "Disconnect", when: dice.chance(0.5) ? "before" : "after" }, 0.3))
  times("disconnects", 1, () => addFault({ _tag: "Refuse" }))
  times("codes", 3, () => {
    const api = dice.chance(0.3) ? "OffsetCommit" : dice.pick(answerable)
    const after = Codes.after[api]
    const fault: Fault =
      after !== undefined && dice.chance(0.4)
        ? { _tag: "Answer", code: dice.pick(after), when: "after" }
        : { _tag: "Answer", code: dice.pick(codes[api]!), when: "instead" }
    // Commits are infrequent.
    const millis = api === "OffsetCommit" ? dice.between(1_000, 8_000) : lasting()
    addFault(fault, { apis: [api], target: dice.chance(0.5) ? "all" : target(), millis })
  })
  // Records that are sent while the broker is frozen are in flight together.
  times("sends", 2, () => {
    const at = time()
    addFault({ _tag: "Freeze" }, { at, apis: ["Produce"], target: "producers", node: undefined })
    for (let i = 1; i <= 2; i++) produce(at + dice.between(0, 200))
  })
  times("freezes", 2, () => addFault({ _tag: "Freeze" }, { millis: frozen(), target: "all", node: node() }))
  times("deadLetters", 2, () =>
    addFault(
      dice.pick<Fault>([
        { _tag: "Answer", code: dice.pick(Codes.transient.Produce!), when: "instead" },
        { _tag: "Answer", code: Code.POLICY_VIOLATION, when: "instead" },
        { _tag: "LoseResponse" },
        { _tag: "Disconnect", when: "after" }
      ]),
      {
        millis: dice.between(500, 6_000),
        target: "all",
        node: undefined,
        apis: ["Produce"],
        deadLetters: true,
        probability: dice.pick([0.5, 1])
      }
    )
  )
  times("pauses", 2, () => steps.push({ _tag: "FreezeMember", at: time(), member: member(), millis: frozen() }))
  times("clocks", 2, () =>
    steps.push({
      _tag: "JumpClock",
      at: time(),
      member: member(),
      millis: dice.pick([-3_600_000, -10_000, -5, 10_000, 3_600_000])
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
      millis: lasting(),
      electAfter: dice.pick([0, 1_000, 3_000]),
      tail: dice.chance(0.5) ? "kept" : "lost"
    })
  )
  times("retention", 3, () =>
    steps.push({ _tag: "Retain", at: time(), partition: dice.below(partitions), last: dice.between(0, 2) })
  )

  const { steps: more, ...rare } = Rare.make({
    seed,
    calm,
    isTransactional: transactions !== undefined,
    nodes,
    partitions,
    members,
    span,
    steps
  })
  steps.push(...more)
  steps.sort((one, other) => one.at - other.at)
  return {
    seed,
    calm,
    nodes,
    partitions,
    deadLetterPartitions: dice.between(1, partitions),
    maxOpsBeforeYield: dice.pick([2_048, 2_048, 2_048, 2_048, 200, 30]),
    replicationDelay: faults.has("nodes") ? dice.pick([100, 3_000]) : 0,
    settings: { ...Settings.make(seed, dice, calm, faults.has("retention")), ...Rare.settings(rare) },
    transactions,
    rare,
    steps,
    end: Math.max(...steps.map((step) => step.at + ("millis" in step && step._tag !== "JumpClock" ? step.millis : 0)))
  }
}

/**
 * The scenario of a user's consumer: without steps that need something from its program, its handler or its records.
 */
export const forUser = (seed: number): Scenario => {
  const scenario = make(seed)
  const ofProgram = new Set<Step["_tag"]>(["Pause", "Seek", "Outage", "AddPartition", "CreateTopic"])
  return {
    ...scenario,
    transactions: undefined,
    rare: { ...scenario.rare, breaker: undefined, computes: 0, latest: false, packed: undefined },
    steps: scenario.steps.filter((step) => !ofProgram.has(step._tag))
  }
}
