/**
 * The account of every record: how often it was handled or dead-lettered, and why it was repeated.
 */

/** One record handled by one member. */
export interface Handling {
  readonly member: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly partition: number
  readonly offset: number
}

/** The faults of the members; times in milliseconds since the epoch. */
export interface History {
  /** The times at which each member was killed. */
  readonly killed: ReadonlyMap<string, number>
  readonly frozen: ReadonlyArray<{ readonly member: string; readonly from: number; readonly until: number }>
  /** The times at which each member noticed that it had lost its membership. */
  readonly lost: ReadonlyArray<{ readonly member: string; readonly at: number }>
}

/**
 * Why a record was handled again: the member that handled it before was killed or lost its session before the commit,
 * while it was frozen or while the brokers or the network were failing.
 */
export type Why = "memberKilled" | "memberFrozen" | "sessionLost" | "unexplained"

/** A member learns of the loss of its session when it reaches its coordinator again. */
const learnsWithin = 60_000

export const why = ({ frozen, killed, lost }: History, before: Handling, again: Handling): Why => {
  const killedAt = killed.get(before.member)
  if (killedAt !== undefined && killedAt <= again.at && killedAt >= before.at) return "memberKilled"
  const wasFrozen = (member: string, since: number, to: number) =>
    frozen.some(({ from, member: of, until }) => of === member && from <= to && until >= since)
  const hasLost = (member: string) => {
    const learns = (at: number) => at <= again.at + learnsWithin
    // A member that was killed before it could report it had lost its session, too.
    const diedAt = killed.get(member)
    const died = diedAt !== undefined && diedAt >= again.at && learns(diedAt)
    return died || lost.some((one) => one.member === member && one.at >= before.at && learns(one.at))
  }
  // A handler that a freeze held up may end after the handler of the partition's next owner.
  const wasHeldUp = wasFrozen(again.member, before.at, before.at) && hasLost(again.member)
  if (wasHeldUp || (wasFrozen(before.member, before.at, again.at) && hasLost(before.member))) return "memberFrozen"
  return hasLost(before.member) ? "sessionLost" : "unexplained"
}

/** The longest time in which no record was handled, in milliseconds since the epoch; undefined before two records. */
export const longestPause = (
  handlings: ReadonlyMap<number, ReadonlyArray<Handling>>
): { readonly from: number; readonly until: number } | undefined => {
  const times = [...handlings.values()].flatMap((all) => all.map(({ at }) => at)).sort((a, b) => a - b)
  let longest: { readonly from: number; readonly until: number } | undefined
  for (let i = 1; i < times.length; i++) {
    const [from, until] = [times[i - 1]!, times[i]!]
    if (longest === undefined || until - from > longest.until - longest.from) longest = { from, until }
  }
  return longest
}

export interface Account {
  readonly acknowledged: number
  readonly handled: number
  readonly deadLettered: number
  /** Acknowledged records that were neither handled nor dead-lettered. */
  readonly lost: ReadonlyArray<number>
  /** Records that the log holds more than once. */
  readonly writtenTwice: ReadonlyArray<number>
  /** How often records were handled again. */
  readonly handledAgain: Readonly<Record<Why, number>>
  readonly unexplained: ReadonlyArray<readonly [number, Handling, Handling]>
}

export const account = (options: {
  readonly acknowledged: ReadonlySet<number>
  /** By record, in order of time. */
  readonly handlings: ReadonlyMap<number, ReadonlyArray<Handling>>
  readonly deadLettered: ReadonlySet<number>
  /** How often the log holds each record. */
  readonly written: ReadonlyMap<number, number>
  readonly history: History
}): Account => {
  const { acknowledged, deadLettered, handlings, history, written } = options
  const handledAgain: Record<Why, number> = { memberKilled: 0, memberFrozen: 0, sessionLost: 0, unexplained: 0 }
  const unexplained: Array<readonly [number, Handling, Handling]> = []
  for (const [record, times] of handlings) {
    for (let i = 1; i < times.length; i++) {
      const reason = why(history, times[i - 1]!, times[i]!)
      handledAgain[reason]++
      if (reason === "unexplained") unexplained.push([record, times[i - 1]!, times[i]!])
    }
  }
  return {
    acknowledged: acknowledged.size,
    handled: handlings.size,
    deadLettered: deadLettered.size,
    lost: [...acknowledged].filter((record) => !handlings.has(record) && !deadLettered.has(record)),
    writtenTwice: [...written].filter(([, times]) => times > 1).map(([record]) => record),
    handledAgain,
    unexplained
  }
}
