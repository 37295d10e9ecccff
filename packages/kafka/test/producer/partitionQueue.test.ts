import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { Failure, Verdict } from "../../src/internal/producer/decisions.js"
import * as Numbering from "../../src/internal/producer/numbering.js"
import * as PartitionQueue from "../../src/internal/producer/partitionQueue.js"
import * as PendingSend from "../../src/internal/producer/pendingSend.js"
import type { BatchNumbers } from "../../src/internal/producer/sequence.js"
import type { Batch, Entry } from "../../src/internal/producer/types.js"

/** The broker's handling of the oldest request. */
type Fault =
  | "none"
  /** It is processed and answered with a retriable error; the others stay in flight. */
  | "uncertain"
  /** It is answered with a retriable error and not processed; the others stay in flight. */
  | "unready"
  | "tooLarge"
  | "badRecord"
  | "refused"
  | "fenced"

type Step =
  | { readonly _tag: "Add"; readonly records: number; readonly opens: boolean }
  | { readonly _tag: "Withdraw"; readonly at: number }
  /** The callers of all records of a sent batch were interrupted. */
  | { readonly _tag: "Abandon"; readonly at: number }
  | { readonly _tag: "Take" }
  | { readonly _tag: "Land"; readonly fault: Fault }
  /**
   * The connection ends: of the requests in flight, the oldest ones are processed, and none is answered. A new leader
   * remembers the producer's last batch only.
   */
  | { readonly _tag: "Disconnect"; readonly written: number; readonly isNewLeader: boolean }
  | { readonly _tag: "Resume" }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  {
    weight: 4,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Add" as const),
      records: FastCheck.integer({ min: 1, max: 4 }),
      opens: FastCheck.boolean()
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Withdraw" as const), at: FastCheck.nat(20) }) },
  { weight: 1, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Abandon" as const), at: FastCheck.nat(4) }) },
  { weight: 8, arbitrary: FastCheck.constant({ _tag: "Take" as const }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Land" as const),
      fault: FastCheck.oneof(
        { weight: 6, arbitrary: FastCheck.constant<Fault>("none") },
        {
          weight: 5,
          arbitrary: FastCheck.constantFrom<Array<Fault>>("uncertain", "unready", "tooLarge", "badRecord", "refused")
        },
        { weight: 1, arbitrary: FastCheck.constant<Fault>("fenced") }
      )
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Disconnect" as const),
      written: FastCheck.nat(5),
      isNewLeader: FastCheck.boolean()
    })
  },
  { weight: 3, arbitrary: FastCheck.constant({ _tag: "Resume" as const }) }
)

interface Known {
  readonly epoch: number
  /** First and last sequence of its last batches, at most five. */
  batches: Array<readonly [first: number, last: number]>
}

/** A request: a batch's content when it was sent. */
interface Sent {
  readonly batch: Batch
  readonly entries: ReadonlyArray<Entry>
  readonly numbers: BatchNumbers
}

/** A partition's leader, which checks producer id, epoch and sequence as Kafka does. */
const makeBroker = () => {
  const log: Array<Entry> = []
  /** The numbers of the batches in the log. */
  const numbersOf = new Map<Entry, { readonly producerId: bigint; readonly epoch: number; readonly sequence: number }>()
  const known = new Map<bigint, Known>()
  const fenced = new Set<bigint>()
  const write = ({ entries, numbers }: Sent): "Written" | "Duplicate" | "OutOfOrder" | "Fenced" => {
    const { baseSequence: first, producerEpoch: epoch, producerId } = numbers
    const last = first + entries.length - 1
    const state = known.get(producerId)
    const isKnown = state?.epoch === epoch
    if (fenced.has(producerId)) return "Fenced"
    if (isKnown && state.batches.some((batch) => batch[0] === first && batch[1] === last)) return "Duplicate"
    if (state !== undefined && epoch < state.epoch) throw new Error(`epoch ${epoch} after ${state.epoch}`)
    const expected = isKnown ? state.batches.at(-1)![1] + 1 : 0
    // A broker that doesn't know the producer accepts any sequence.
    if (state !== undefined && first !== expected) return "OutOfOrder"
    known.set(producerId, { epoch, batches: [...(isKnown ? state.batches : []), [first, last] as const].slice(-5) })
    log.push(...entries)
    for (const [i, entry] of entries.entries()) numbersOf.set(entry, { producerId, epoch, sequence: first + i })
    return "Written"
  }
  return {
    log,
    numbersOf,
    write,
    fence: ({ numbers }: Sent): void => void fenced.add(numbers.producerId),
    takeOver: () => {
      for (const state of known.values()) state.batches = state.batches.slice(-1)
    }
  }
}

const broker = (reason: Failure["reason"]): Failure => ({ reason, description: "by the test" })
const retry: Verdict = { _tag: "Retry", failure: broker("Broker"), unknownTopic: false }
const verdicts = {
  outOfOrder: { _tag: "OutOfOrder", failure: broker("Broker") },
  tooLarge: { _tag: "TooLarge", failure: broker("RecordTooLarge") },
  badRecord: { _tag: "BadRecord", failure: broker("InvalidRecord") },
  refused: { _tag: "Fail", failure: broker("Broker") },
  fenced: { _tag: "Fail", failure: broker("Fenced") }
} as const satisfies Record<string, Verdict>

/** Batches wait until they are full, unless none lingers. */
const play = (steps: ReadonlyArray<Step>, isTransactional: boolean, lingers = true) => {
  const queue = PartitionQueue.make("orders", 0, 1_000)
  const broker = makeBroker()
  const added: Array<Entry> = []
  const acknowledged = new Set<Entry>()
  /** Failed records, and the ones among them whose callers were interrupted. */
  const failed = new Set<Entry>()
  const givenUp = new Set<Entry>()
  /** Records that failed as not written. */
  const unwritten = new Set<Entry>()
  /** Sent and not processed, in order. */
  const inFlight: Array<Sent> = []
  let producerId = 1n
  let producerEpoch = 0
  /** A transaction in which a record has failed sends nothing more. */
  let isAborted = false

  const add = (opens: boolean) => {
    const send = PendingSend.make([{ topic: "orders", value: null }], 0, () => {})
    const record = { key: null, value: null, headers: [], timestamp: 0 }
    PendingSend.addEntry(send, 0, "orders", 0, record, 100)
    const entry = send.entries[0]!
    const last = queue.batches.at(-1)
    const fits = last !== undefined && !last.sent && PartitionQueue.hasRoom(last, entry, 5)
    PartitionQueue.add(fits && !opens ? last : PartitionQueue.open(queue), entry)
    added.push(entry)
  }

  const failAll = (entries: ReadonlyArray<Entry>) => {
    for (const entry of entries) {
      if (entry.settled) continue
      failed.add(entry)
      PendingSend.reject(entry, { reason: "Broker", description: "by the test" })
    }
  }

  const abandon = (entries: ReadonlyArray<Entry>) => {
    for (const entry of entries) if (!entry.settled) givenUp.add(entry)
    failAll(entries)
  }

  const reject = (batch: Batch) => {
    if (!Numbering.mayBeWritten(batch)) for (const entry of batch.entries) unwritten.add(entry)
    failAll(batch.entries)
    PartitionQueue.reject(batch)
    isAborted = isTransactional
  }

  const acknowledge = (batch: Batch) => {
    for (const entry of batch.entries) {
      if (entry.settled) continue
      acknowledged.add(entry)
      PendingSend.acknowledge(entry, { topic: "orders", partition: 0, offset: -1, timestamp: 0 })
    }
    PartitionQueue.remove(batch)
  }

  const confirm = (batch: Batch) => {
    for (const written of PartitionQueue.acknowledged(batch)) acknowledge(written)
  }

  const pauseBy = (reason: PartitionQueue.Retry) => PartitionQueue.pause(queue, reason, 0, 1)

  const fail = (batch: Batch, verdict: Verdict) => {
    const reaction = PartitionQueue.failed(batch, verdict, isTransactional)
    if (reaction._tag === "Pause") return pauseBy(reaction.retry)
    if (reaction._tag === "Reject") for (const one of reaction.batches) reject(one)
    if (reaction._tag === "Written") acknowledge(batch)
    if (queue.retrying === undefined) PartitionQueue.recovered(queue)
    else pauseBy(queue.retrying)
  }

  const next = (): Batch | undefined => {
    while (true) {
      const batch = PartitionQueue.next(queue)
      if (batch === undefined || isTransactional || !PartitionQueue.isAbandoned(batch)) return batch
      PartitionQueue.reject(batch)
    }
  }

  const take = () => {
    const batch = isAborted ? undefined : next()
    if (batch === undefined) return false
    if (queue.sequence === undefined) {
      if (queue.exhaustedId === producerId) producerId++
      PartitionQueue.beginSequence(queue, { producerId, producerEpoch, isTransactional })
    }
    assert.include(queue.batches, batch)
    PartitionQueue.take(batch, 1)
    inFlight.push({ batch, entries: batch.entries, numbers: batch.numbers! })
    assert.strictEqual(queue.inFlight, inFlight.length)
    assert.isAtMost(inFlight.length, queue.sequence?.isEstablished === true ? 5 : 1)
    if (queue.probed !== batch) {
      const sent = inFlight.map(({ batch }) => batch)
      assert.deepStrictEqual(queue.batches.slice(0, sent.length), sent, "sent in their order")
    }
    checkNumbers(batch)
    return true
  }

  const checkNumbers = ({ entries, numbers, whole }: Batch) => {
    for (const [i, entry] of entries.entries()) {
      const written = broker.numbersOf.get(entry)
      if (written === undefined || whole !== undefined) continue
      const now = {
        producerId: numbers!.producerId,
        epoch: numbers!.producerEpoch,
        sequence: numbers!.baseSequence + i
      }
      assert.deepStrictEqual(now, written, "what is written is sent under the numbers that it was written with")
    }
    const numbered = queue.batches.filter((one) => one.numbers !== undefined)
    assert.deepStrictEqual(numbered, queue.batches.slice(0, numbered.length), "numbered in their order")
    for (const [index, { numbers }] of numbered.entries()) {
      const before = numbered[index - 1]
      if (before === undefined) continue
      // Batches between them may have been acknowledged meanwhile; the broker checks that none is missing.
      assert.isAtLeast(numbers!.baseSequence, before.numbers!.baseSequence + before.entries.length)
      assert.strictEqual(numbers!.producerEpoch, before.numbers!.producerEpoch)
    }
  }

  const write = (sent: Sent): void => {
    const result = broker.write(sent)
    if (result === "OutOfOrder") fail(sent.batch, verdicts.outOfOrder)
    else if (result === "Fenced") fail(sent.batch, verdicts.fenced)
    else confirm(sent.batch)
  }

  const disconnect = (written: number): void => {
    for (const [index, sent] of inFlight.splice(0).entries()) {
      if (index < written) broker.write(sent)
      fail(sent.batch, retry)
    }
  }

  const land = (fault: Fault): boolean => {
    const sent = inFlight.shift()
    if (sent === undefined) return false
    if (fault === "fenced") broker.fence(sent)
    if (fault === "none" || fault === "fenced") write(sent)
    else if (fault === "uncertain") {
      const result = broker.write(sent)
      if (result === "OutOfOrder") fail(sent.batch, verdicts.outOfOrder)
      else if (result === "Fenced") fail(sent.batch, verdicts.fenced)
      else fail(sent.batch, retry)
    } else if (fault === "unready") fail(sent.batch, retry)
    // A broker looks at the records before their numbers.
    else fail(sent.batch, verdicts[fault])
    return true
  }

  /** The transaction ends, and the next one begins under another epoch. */
  const abort = (): void => {
    abandon(added)
    PartitionQueue.reset(queue, true)
    producerEpoch++
    isAborted = false
  }

  for (const one of steps) {
    switch (one._tag) {
      case "Add":
        for (let i = 0; i < one.records; i++) add(one.opens && i === 0)
        if (!lingers) PartitionQueue.setReady(queue.batches.at(-1)!)
        break
      case "Withdraw": {
        const entry = added[one.at]
        if (entry === undefined || entry.settled || entry.batch!.sent) break
        assert.isUndefined(entry.batch!.numbers, "a numbered batch loses no record")
        PendingSend.drop(entry)
        failed.add(entry)
        givenUp.add(entry)
        PartitionQueue.withdraw(entry.batch!, entry)
        break
      }
      case "Abandon": {
        const batch = queue.batches[one.at]
        if (batch?.sent === true) abandon(batch.entries)
        break
      }
      case "Take":
        take()
        break
      case "Land":
        land(one.fault)
        break
      case "Disconnect":
        disconnect(one.written)
        if (one.isNewLeader) broker.takeOver()
        break
      case "Resume":
        if (inFlight.length === 0) PartitionQueue.resume(queue)
    }
    if (isAborted && inFlight.length === 0) abort()
  }
  // From here on, every request succeeds.
  for (const batch of queue.batches) if (!batch.sent) PartitionQueue.setReady(batch)
  for (let turn = 0; queue.batches.length > 0 || inFlight.length > 0; turn++) {
    assert.isBelow(turn, 1_000, "it doesn't end")
    if (!take() && !land("none")) PartitionQueue.resume(queue)
    if (isAborted && inFlight.length === 0) abort()
  }
  // A delay may outlast the last batch.
  PartitionQueue.resume(queue)
  return { queue, log: broker.log, added, acknowledged, failed, givenUp, unwritten }
}

const check = ({ acknowledged, added, failed, log, queue, unwritten }: ReturnType<typeof play>): void => {
  assert.isTrue(PartitionQueue.isIdle(queue))
  const written = log.map((entry) => added.indexOf(entry))
  assert.strictEqual(new Set(written).size, written.length, "written once")
  assert.deepStrictEqual(
    written,
    [...written].sort((a, b) => a - b),
    "in order"
  )
  for (const entry of added) assert.isTrue(acknowledged.has(entry) || failed.has(entry), "has its result")
  for (const entry of acknowledged) assert.include(log, entry)
  for (const entry of unwritten) assert.notInclude(log, entry, "failed as not written")
}

const isHarmless = (one: Step): boolean => one._tag !== "Land" || ["none", "uncertain", "unready"].includes(one.fault)

/** A batch of new records; the first step of each example establishes the sequence. */
const add = (records: number): Step => ({ _tag: "Add", records, opens: true })
const send = (...records: ReadonlyArray<number>): ReadonlyArray<Step> => [
  ...records.map(add),
  ...records.map(() => take)
]
const take: Step = { _tag: "Take" }
const resume: Step = { _tag: "Resume" }
const land = (fault: Fault): Step => ({ _tag: "Land", fault })
const disconnect = (written: number, isNewLeader: boolean): Step => ({ _tag: "Disconnect", written, isNewLeader })
const resend: ReadonlyArray<Step> = [resume, take, take]

/** Rare cases: their steps, and the records, by their place, that fail as possibly written and as not written. */
const examples: Readonly<
  Record<
    string,
    {
      readonly steps: ReadonlyArray<Step>
      readonly perhaps?: ReadonlyArray<number>
      readonly unwritten?: ReadonlyArray<number>
    }
  >
> = {
  "a batch behind one in doubt is split": {
    steps: [...send(1, 2, 1), land("uncertain"), land("tooLarge"), land("none")]
  },
  "a batch behind one in doubt is refused": {
    steps: [...send(1, 1, 1), land("uncertain"), land("refused"), land("none")],
    unwritten: [2]
  },
  "one in doubt is forgotten, and one behind it was acknowledged": {
    steps: [...send(1, 1), land("uncertain"), land("none"), disconnect(0, true), ...resend, land("none")]
  },
  "one in doubt is forgotten, and what the broker remembers is abandoned": {
    steps: [...send(1, 1), disconnect(5, true), { _tag: "Abandon", at: 1 }, ...resend, land("none"), land("none")]
  },
  "one in doubt is forgotten, and what the broker remembers is refused": {
    steps: [...send(1, 1), disconnect(5, true), ...resend, land("unready"), land("refused"), ...resend, land("none")],
    perhaps: [1, 2]
  },
  "the batch that was to decide is refused": {
    steps: [...send(1, 1), disconnect(5, true), resume, take, land("none"), resume, take, land("refused")],
    perhaps: [1, 2]
  },
  "one in doubt is split, and wasn't written": {
    steps: [...send(4), disconnect(0, false), ...resend, land("tooLarge"), take, land("none"), take, land("none")]
  },
  "one in doubt is split, and was written": {
    steps: [...send(2), disconnect(1, false), ...resend, land("tooLarge")],
    perhaps: [1, 2]
  },
  "one in doubt is split, and was written as one behind it shows": {
    steps: [...send(2, 1), disconnect(2, false), ...resend, land("tooLarge"), land("none")]
  },
  "one in doubt is split, and its first part refused": {
    steps: [...send(2), disconnect(0, false), ...resend, land("badRecord"), take, land("badRecord")],
    perhaps: [1]
  },
  "one in doubt is split, and a part refused behind one that is acknowledged": {
    steps: [
      ...send(2, 1),
      disconnect(0, false),
      resume,
      take,
      land("badRecord"),
      take,
      land("none"),
      take,
      land("badRecord")
    ],
    unwritten: [2]
  },
  "the producer is fenced behind one in doubt": {
    steps: [...send(1, 1, 1), land("uncertain"), land("fenced"), land("none")],
    perhaps: [1],
    unwritten: [2, 3]
  }
}

describe("a partition queue", () => {
  for (const isTransactional of [false, true]) {
    it(`writes each record once and in order, and loses none, ${isTransactional ? "in" : "outside"} transactions`, () => {
      FastCheck.assert(
        FastCheck.property(FastCheck.array(step, { maxLength: 60, size: "max" }), (steps) =>
          check(play(steps, isTransactional))
        ),
        { numRuns: 400 }
      )
    })
  }

  describe("outside transactions, fails only the necessary records and writes nothing twice, if", () => {
    for (const [name, { steps, perhaps = [], unwritten = [] }] of Object.entries(examples)) {
      it(name, () => {
        const played = play([...send(1), land("none"), ...steps], false, false)
        check(played)
        const places = (entries: Iterable<Entry>) => Array.from(entries, (entry) => played.added.indexOf(entry))
        assert.sameMembers(places(played.unwritten), [...unwritten], "as not written")
        const failed = [...played.failed].filter((entry) => !played.givenUp.has(entry))
        assert.sameMembers(places(failed), [...perhaps, ...unwritten], "in all")
      })
    }
  })

  it("fails no record while brokers lose requests, answers and their producer state", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step.filter(isHarmless), { maxLength: 60, size: "max" }), (steps) => {
        const played = play(steps, false)
        check(played)
        for (const entry of played.failed) assert.isTrue(played.givenUp.has(entry))
      }),
      { numRuns: 200 }
    )
  })
})
