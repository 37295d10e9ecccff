/**
 * Checks the promises of a simulation. The world reports every event to the oracle, which reports the first broken
 * promise.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Ownership from "./ownership.js"
import * as Truth from "./truth.js"

/** A broken promise of Spillway. */
export interface Violation {
  /** The promise that was broken. */
  readonly promise:
    | "no record is lost"
    | "no record is written twice"
    | "each record has its result exactly once"
    | "records are written in order"
    | "no unsettled record is committed"
    | "only owners commit"
    | "commits never go backwards"
    | "records are handled in order"
    | "a clean drain commits every settled record"
    | "a draining member joins no rebalance"
    | "a calm rebalance repeats no record"
    | "every rebalance ends"
    | "a revoked or lost partition starts no record"
    | "a paused partition starts no record"
    | "a member that is heard from in time stays in the group"
    | "memory is bounded"
    | "transient faults fail no consumer"
    | "every record is handled in the end"
    | "nothing outlives a closed consumer"
  /** How it was broken: the record, partition or member. */
  readonly description: string
  /** Milliseconds since the start. */
  readonly at: number
}

/** The oracle's view of a member. */
export interface Member {
  readonly number: number
  readonly owned: Map<string, Ownership.Ownership>
  /** The paused partitions, and the times of the pauses. */
  readonly paused: Map<string, number>
  /** How often it got an error, no answer, or no connection. */
  failures: number
  /** The number of connections that it waits for. */
  connecting: number
  isStopping: boolean
  /** It has abandoned an InitProducerId, which fences it if it arrives after the next one. */
  mayFenceItself: boolean
  /** When the group last reported the loss of its membership. The member learns of it an instant later. */
  lostAt: number
  /** The partitions that it owned then. */
  lost: ReadonlyMap<string, Ownership.Ownership>
  /** Has asked to join and has no assignment yet. */
  isJoining: boolean
  /** Knows of a rebalance that it joins with partitions of its own, and has no assignment from it yet. */
  mustRejoin: boolean
  /** When it began to drain, in milliseconds since the start; undefined if it was joining then. */
  drainingSince: number | undefined
}

export interface Options extends Pick<Truth.Options, "skips" | "newDeadLetters"> {
  readonly now: () => number
  readonly calm: boolean
  /** How long a member may take to notice an answer while handlers compute, in milliseconds. */
  readonly noticesWithinMs: number
  /** No member is frozen, cut off or lost: each keeps its membership until it leaves. */
  readonly keepsMembership: boolean
  /** The log may lose records that were read, and have other records at their offsets. */
  readonly losesTails: boolean
  /** Whether records from before the group began to read a partition need no outcome. */
  readonly mayBeginAtEnd: (at: TopicPartition) => boolean
  /** Results and dead letters show only when they are committed, some time after the next record has started. */
  readonly outcomesAreDeferred: boolean
  /** A member that holds this many bytes of batches asks for no more; undefined: a fetch may have begun before. */
  readonly maxBytesToAsk: number | undefined
  /** The most bytes of batches that a member may hold. One batch may exceed the fetch's limit. */
  readonly maxBytes: (largestBatch: number) => number
  /** The most records that a member may hold unpacked. */
  readonly maxUnpacked: number
  readonly onEvent: (event: string) => void
}

export interface Oracle extends Pick<Truth.Truth, "outcome" | "findDeadLetters" | "repeated"> {
  /** Milliseconds since the start. */
  readonly now: () => number
  readonly violation: () => Violation | undefined
  readonly broken: (promise: Violation["promise"], description: string) => void
  readonly member: (number: number) => Member
  readonly produced: (at: TopicPartition, offset: number) => void
  readonly expired: (at: TopicPartition, startOffset: number) => void
  readonly isExpired: (at: TopicPartition, offset: number) => boolean

  /** A member begins to drain. */
  readonly drains: (member: Member) => void
  /** A member learns that its partitions are revoked or lost. */
  readonly revokes: (member: Member) => void
  /** A member that was frozen learns now of earlier answers. */
  readonly thaws: (member: Member) => void
  /** A member has paused a partition, or is about to resume it. */
  readonly pauses: (member: Member, at: TopicPartition, isPaused: boolean) => void
  /** A member is about to seek in a partition. Returns false if it doesn't own it or has a pending seek. */
  readonly seeks: (member: Member, at: TopicPartition, to: number) => boolean
  /** The result of the seek: `unchanged` when it was refused before it had an effect. */
  readonly sought: (member: Member, at: TopicPartition, outcome: "moved" | "unchanged" | "unknown") => void
  /** Whether a seek may have led to or before a record, so that it may have several outcomes. */
  readonly mayRepeat: (at: TopicPartition, offset: number) => boolean
  /** A member joins, and lists the partitions that it still owns. */
  readonly joins: (member: Member, owned: ReadonlyArray<TopicPartition>) => void
  readonly assigned: (member: Member, partitions: ReadonlyArray<TopicPartition>) => void
  readonly lost: (member: Member) => void
  /** A member learns the offset from which a partition is read. */
  readonly positioned: (member: Member, at: TopicPartition, offset: number) => void
  /** A member holds `records` unpacked records that haven't started. */
  readonly holds: (member: Member, records: number) => void
  /** A member asks for more records; `request` identifies the answer. */
  readonly fetches: (member: Member, request: object) => void
  readonly fetched: (
    member: Member,
    request: object,
    at: TopicPartition,
    batch: { readonly baseOffset: number; readonly nextOffset: number; readonly sizeInBytes: number }
  ) => void
  readonly started: (member: Member, at: TopicPartition, offset: number, attempt: number) => void
  readonly ended: (
    member: Member,
    at: TopicPartition,
    offset: number,
    /** `late`: it was handled, but when the consumer may have timed the attempt out already. */
    outcome: "handled" | "late" | "failed" | "interrupted"
  ) => void
  readonly commits: (member: Member, at: TopicPartition, offset: number) => void
  /** A group has accepted a commit of a member in its current generation. */
  readonly committed: (member: Member, at: TopicPartition, ownedByAnother: boolean) => void
  /** A member learns where a log ends, to begin there where nothing is committed. */
  readonly endsAt: (at: TopicPartition, offset: number) => void
  /** The records that a member has settled in the partitions that it owns. */
  readonly settledBy: (member: Member) => ReadonlyArray<{ readonly name: string; readonly offset: number }>
}

export const make = (options: Options): Oracle => {
  const {
    calm,
    keepsMembership,
    losesTails,
    mayBeginAtEnd,
    noticesWithinMs,
    outcomesAreDeferred,
    maxBytes,
    maxBytesToAsk,
    maxUnpacked,
    now,
    onEvent
  } = options
  let violation: Violation | undefined
  let largestBatch = 0
  /** The ownerships in which each request for records was made. */
  const asked = new WeakMap<object, ReadonlySet<object>>()

  const broken = (promise: Violation["promise"], description: string) => {
    onEvent(`BROKEN: ${promise}: ${description}`)
    violation ??= { promise, description, at: now() }
  }

  const truth = Truth.make({
    ...options,
    onDeadLetter: (record) => onEvent(`dead letter of ${record}`),
    onSettledAgain: (record) => {
      if (calm) broken("a calm rebalance repeats no record", `${record} settled again`)
    }
  })

  const mayBeSettled = (partition: Truth.Partition, offset: number): boolean =>
    outcomesAreDeferred || truth.isSettled(partition, offset)

  /**
   * Whether a record needn't start: an undecodable record is dead-lettered without a handler, an expired one is gone.
   */
  const mayBeSkipped = ({ isRepeating, partition }: Ownership.Ownership, offset: number): boolean =>
    isRepeating && !losesTails && !outcomesAreDeferred
      ? truth.isOver(partition, offset)
      : mayBeSettled(partition, offset)

  /** Whether a record is the next one, or the last one repeated, in an ownership that continues. */
  const isNext = (ownership: Ownership.Ownership, offset: number): boolean => {
    const { expected, last } = ownership
    if (expected === undefined) return true
    if (offset === last) return outcomesAreDeferred || !ownership.settled.has(offset)
    for (let skipped = expected; skipped < offset; skipped++) if (!mayBeSkipped(ownership, skipped)) return false
    return offset >= expected
  }

  /** The bytes of the batches with records that have neither started nor settled. */
  const heldBytes = (member: Member, limit: number): number => {
    const sum = () => {
      let held = 0
      for (const { batches, endingSince, partition } of member.owned.values()) {
        if (endingSince !== undefined || batches.size === 0) continue
        const settled = truth.settledTo(partition, 0)
        for (const { bytes, nextOffset } of batches.values()) if (nextOffset > settled) held += bytes
      }
      return held
    }
    const held = sum()
    if (held < limit) return held
    // Looks twice, because an undecodable record is dead-lettered without a start.
    truth.findDeadLetters()
    return sum()
  }

  const revokes = (member: Member, isMoving: (name: string) => boolean = () => true) => {
    for (const [name, ownership] of member.owned) if (isMoving(name)) ownership.endingSince ??= now()
  }

  const ownershipOf = (member: Member, at: TopicPartition): Ownership.Ownership => {
    const name = Truth.nameOf(at)
    const known = member.owned.get(name)
    if (known !== undefined) return known
    const ownership = Ownership.make(truth.partition(at))
    member.owned.set(name, ownership)
    return ownership
  }

  return {
    now,
    violation: () => violation,
    broken,
    member: (number) => ({
      number,
      owned: new Map(),
      paused: new Map(),
      failures: 0,
      connecting: 0,
      isStopping: false,
      mayFenceItself: false,
      lostAt: -1,
      lost: new Map(),
      isJoining: false,
      mustRejoin: false,
      drainingSince: undefined
    }),
    produced: (at, offset) => onEvent(`acknowledged ${Truth.nameOf(at)}@${offset}`),
    expired: (at, startOffset) => {
      const partition = truth.partition(at)
      partition.startOffset = Math.max(partition.startOffset, startOffset)
      onEvent(`expired ${partition.name} before ${startOffset}`)
    },
    isExpired: (at, offset) => offset < truth.partition(at).startOffset,
    findDeadLetters: truth.findDeadLetters,
    outcome: truth.outcome,
    repeated: truth.repeated,

    drains: (member) => {
      member.isStopping = true
      member.drainingSince = member.isJoining || member.mustRejoin ? undefined : now()
      if (!member.isJoining) revokes(member)
    },
    revokes,
    thaws: (member) => {
      for (const ownership of member.owned.values())
        if (ownership.endingSince !== undefined) ownership.endingSince = now()
      for (const name of member.paused.keys()) member.paused.set(name, now())
    },
    pauses: (member, at, isPaused) => {
      const name = Truth.nameOf(at)
      onEvent(`member ${member.number} ${isPaused ? "has paused" : "resumes"} ${name}`)
      if (isPaused) member.paused.set(name, now())
      else member.paused.delete(name)
    },
    seeks: (member, at, to) => {
      const ownership = member.owned.get(Truth.nameOf(at))
      if (ownership === undefined || ownership.seek !== undefined) return false
      onEvent(`member ${member.number} seeks ${Truth.nameOf(at)}@${to}`)
      ownership.partition.repeatedFrom = Math.min(ownership.partition.repeatedFrom, to)
      Ownership.beginSeek(ownership, to)
      return true
    },
    sought: (member, at, outcome) => {
      onEvent(`member ${member.number} has sought ${Truth.nameOf(at)}: ${outcome}`)
      const ownership = member.owned.get(Truth.nameOf(at))
      if (outcome !== "moved") member.failures++
      if (ownership === undefined) return
      if (outcome === "moved") Ownership.endSeek(ownership)
      else if (outcome === "unchanged") ownership.seek = undefined
    },
    mayRepeat: (at, offset) => offset >= truth.partition(at).repeatedFrom,
    joins: (member, owned) => {
      member.isJoining = true
      // Both may happen at the same instant.
      if (member.drainingSince !== undefined && now() > member.drainingSince) {
        broken("a draining member joins no rebalance", `member ${member.number} joins while it drains`)
      }
      const names = new Set(owned.map(Truth.nameOf))
      for (const name of member.owned.keys()) if (!names.has(name)) member.owned.delete(name)
    },
    assigned: (member, partitions) => {
      onEvent(`member ${member.number} is assigned ${partitions.map(Truth.nameOf).join(" ")}`)
      member.isJoining = false
      member.mustRejoin = false
      const names = new Set(partitions.map(Truth.nameOf))
      revokes(member, (name) => !names.has(name))
      for (const at of partitions) ownershipOf(member, at).endingSince = undefined
    },
    lost: (member) => {
      if (keepsMembership && !member.isStopping) {
        broken(
          "a member that is heard from in time stays in the group",
          `member ${member.number} has lost its membership`
        )
      }
      member.mustRejoin = false
      member.lost = new Map(member.owned)
      member.owned.clear()
      member.lostAt = now()
    },
    positioned: (member, at, offset) => {
      const ownership = member.owned.get(Truth.nameOf(at))
      if (ownership === undefined || ownership.last !== undefined || ownership.isRepeating) return
      if (offset >= 0) ownership.expected = offset
    },
    holds: (member, records) => {
      if (records <= maxUnpacked) return
      broken("memory is bounded", `member ${member.number} holds ${records} unpacked records of at most ${maxUnpacked}`)
    },
    fetches: (member, request) => {
      // It may have been waiting for its connection since before.
      if (member.lostAt === now()) return
      asked.set(request, new Set(Array.from(member.owned.values(), ({ epoch }) => epoch)))
      if (maxBytesToAsk === undefined) return
      const held = heldBytes(member, maxBytesToAsk)
      if (held < maxBytesToAsk) return
      broken("memory is bounded", `member ${member.number} asks for more while it holds ${held} bytes`)
    },
    fetched: (member, request, at, { baseOffset, nextOffset, sizeInBytes: bytes }) => {
      const ownership = member.owned.get(Truth.nameOf(at))
      // Records that were requested in an earlier ownership are dropped.
      if (ownership === undefined || asked.get(request)?.has(ownership.epoch) !== true) return
      if (nextOffset <= (ownership.last ?? -1) + 1) return
      ownership.batches.set(baseOffset, { nextOffset, bytes })
      largestBatch = Math.max(largestBatch, bytes)
      const most = maxBytes(largestBatch)
      const held = heldBytes(member, most)
      if (held > most) {
        broken("memory is bounded", `member ${member.number} holds ${held} bytes of at most ${most}`)
      }
    },
    started: (member, at, offset, attempt) => {
      const partition = truth.partition(at)
      const record = `${partition.name}@${offset}`
      onEvent(`member ${member.number} starts ${record} attempt ${attempt}`)
      if (member.lostAt === now() && !member.owned.has(partition.name)) return
      const ownership = ownershipOf(member, at)
      const pausedSince = member.paused.get(partition.name)
      if (pausedSince !== undefined && now() > pausedSince) {
        broken(
          "a paused partition starts no record",
          `member ${member.number} starts ${record}, paused at ${pausedSince}`
        )
      }
      Ownership.onStart(ownership, isNext(ownership, offset))
      const { endingSince, expected, last, running } = ownership
      if (endingSince !== undefined && now() > endingSince + noticesWithinMs) {
        broken(
          "a revoked or lost partition starts no record",
          `member ${member.number} starts ${record}, revoked or lost at ${endingSince}`
        )
      }
      const disorder = (description: string) =>
        broken("records are handled in order", `member ${member.number} starts ${record} ${description}`)
      if (running !== undefined) disorder(`while it handles @${running}`)
      else if (last === offset && (outcomesAreDeferred || !ownership.settled.has(offset))) {
        // A retry, an attempt that was interrupted before it began, or one whose result could not be stored in time.
      } else if (attempt > 1) disorder(`by attempt ${attempt}`)
      else if (last !== undefined && !mayBeSettled(partition, last)) disorder(`before @${last} has its outcome`)
      else if (expected !== undefined) {
        if (offset < expected) disorder(`where @${expected} is next`)
        for (let skipped = expected; skipped < offset; skipped++) {
          if (!mayBeSkipped(ownership, skipped)) disorder(`where @${skipped} is next`)
        }
      }
      ownership.last = offset
      ownership.expected = offset + 1
      ownership.running = offset
      for (const [base, { nextOffset }] of ownership.batches)
        if (nextOffset <= offset + 1) ownership.batches.delete(base)
    },
    ended: (member, at, offset, outcome) => {
      const partition = truth.partition(at)
      onEvent(`member ${member.number} ${outcome} ${partition.name}@${offset}`)
      const ownership = member.owned.get(partition.name)
      if (ownership?.running === offset) ownership.running = undefined
      if (outcome === "failed") partition.failed.add(offset)
      if (outcome === "handled" || outcome === "late") truth.settle(partition, offset)
      if (outcome === "handled") ownership?.settled.add(offset)
    },
    commits: (member, at, offset) => {
      const partition = truth.partition(at)
      const commit = `member ${member.number} commits ${partition.name}@${offset}`
      onEvent(commit)
      const known = member.owned.get(partition.name)
      const { seek } = known ?? (member.lostAt === now() ? member.lost.get(partition.name) : undefined) ?? {}
      if (seek !== undefined && offset >= seek.to) truth.skip(partition, seek.to)
      if (truth.settledTo(partition, offset) < offset) {
        broken("no unsettled record is committed", `${commit}, but @${partition.settledTo} has no outcome`)
      }
      if (known === undefined) return
      const goesBack = offset < known.sent && !(seek !== undefined && offset >= seek.to)
      if (goesBack) broken("commits never go backwards", `${commit} after @${known.sent}`)
      known.sent = offset
    },
    committed: (member, at, ownedByAnother) => {
      if (ownedByAnother) {
        broken("only owners commit", `member ${member.number} has committed ${Truth.nameOf(at)}, owned by another`)
      }
    },
    endsAt: (at, offset) => {
      if (mayBeginAtEnd(at)) truth.skip(truth.partition(at), offset)
    },
    settledBy: (member) =>
      Array.from(member.owned).flatMap(([name, { seek, settled }]) =>
        seek === undefined ? Array.from(settled, (offset) => ({ name, offset })) : []
      )
  }
}
