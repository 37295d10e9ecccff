/**
 * The settings of a simulated group's members, drawn from the seed.
 */
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
  /** How long producers of members retry a record, or the end of a transaction. */
  readonly deliveryTimeout: number
  readonly metadataMaxAge: number
  readonly fetchMaxWait: number
  readonly maxLaneRecords: number
  readonly maxBufferedBytes: number
  readonly offsetOutOfRange: "fail" | "earliest"
  readonly assignors: ReadonlyArray<"cooperative-sticky" | "range">
}

export interface Transactions {
  /** In milliseconds. */
  readonly timeout: number
  /** The time from a transaction's end until its offsets count, in milliseconds. */
  readonly completionDelay: number
  /** The number of transactional ids that the members share, fencing each other; 0: each has its own. */
  readonly sharedIds: number
}

export const make = (seed: number, dice: Dice.Dice, calm: boolean, retains: boolean): Settings => {
  const sessionTimeout = dice.between(6, 10) * 1_000
  const rebalanceTimeout = dice.between(8, 20) * 1_000
  return {
    sessionTimeout,
    heartbeatInterval: Math.round(sessionTimeout / dice.between(3, 5)),
    rebalanceTimeout,
    revokeTimeout: calm ? rebalanceTimeout - 1_000 : dice.between(1, 5) * 1_000,
    drainTimeout: calm ? 15_000 : dice.between(1, 10) * 1_000,
    commitInterval: dice.pick([500, 1_000, 1_000, 5_000]),
    handlerTimeout: calm ? 30_000 : dice.pick([1_500, 3_000, 8_000]),
    metadataMaxAge: dice.pick([5_000, 15_000]),
    fetchMaxWait: dice.pick([10_000, 20_000]),
    maxLaneRecords: dice.pick([1, 10, 500, 500]),
    maxBufferedBytes: dice.pick([30, 200, 64 * 1_024 * 1_024]),
    offsetOutOfRange: retains ? "earliest" : "fail",
    deliveryTimeout: Dice.make(seed, "delivery").pick([1_000, 3_000, 30_000]),
    assignors: [Dice.make(seed, "assignor").pick(["cooperative-sticky", "range"] as const)]
  }
}

/** Drawn from its own dice, so that the rest of a seed doesn't change. */
export const transactions = (seed: number, calm: boolean): Transactions | undefined => {
  const dice = Dice.make(seed, "transactions")
  if (!dice.chance(0.3)) return undefined
  return {
    timeout: dice.between(1, 8) * 1_000,
    completionDelay: Dice.make(seed, "completion").pick(calm ? [0, 0, 50] : [0, 0, 0, 50, 2_000]),
    sharedIds: calm || dice.chance(0.7) ? 0 : dice.between(1, 2)
  }
}
