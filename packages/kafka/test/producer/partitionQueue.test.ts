import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { Failure, Verdict } from "../../src/internal/producer/decisions.js"
import * as PartitionQueue from "../../src/internal/producer/partitionQueue.js"
import * as PendingSend from "../../src/internal/producer/pendingSend.js"
import type { Batch, Entry } from "../../src/internal/producer/types.js"

/** The broker's handling of a request, and whether its response arrives. */
type Fault =
  | "none"
  /** The connection ends with no request, the oldest one, or all processed. */
  | "loseRequest"
  | "loseResponse"
  | "loseResponses"
  | "tooLarge"
  | "badRecord"
  | "refused"
  | "fenced"
  /** All responses are lost, and the new leader remembers the producer's last batch only. */
  | "failover"

type Step =
  | { readonly _tag: "Add"; readonly records: number; readonly opens: boolean }
  | { readonly _tag: "Withdraw"; readonly at: number }
  | { readonly _tag: "Take" }
  | { readonly _tag: "Land"; readonly fault: Fault }
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
  { weight: 6, arbitrary: FastCheck.constant({ _tag: "Take" as const }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Land" as const),
      fault: FastCheck.oneof(
        { weight: 6, arbitrary: FastCheck.constant<Fault>("none") },
        {
          weight: 5,
          arbitrary: FastCheck.constantFrom<Array<Fault>>(
            "loseRequest",
            "loseResponse",
            "loseResponses",
            "tooLarge",
            "badRecord",
            "refused",
            "failover"
          )
        },
        { weight: 1, arbitrary: FastCheck.constant<Fault>("fenced") }
      )
    })
  },
  { weight: 2, arbitrary: FastCheck.constant({ _tag: "Resume" as const }) }
)

interface Known {
  readonly epoch: number
  /** First and last sequence of its last batches, at most five. */
  batches: Array<readonly [first: number, last: number]>
}

/** A partition's leader, which checks producer id, epoch and sequence as Kafka does. */
const makeBroker = () => {
  const log: Array<Entry> = []
  const known = new Map<bigint, Known>()
  const write = ({ entries, numbers }: Batch): "Written" | "Duplicate" | "OutOfOrder" => {
    const { baseSequence: first, producerEpoch: epoch, producerId } = numbers!
    const last = first + entries.length - 1
    const state = known.get(producerId)
    const isKnown = state?.epoch === epoch
    if (isKnown && state.batches.some((batch) => batch[0] === first && batch[1] === last)) return "Duplicate"
    if (state !== undefined && epoch < state.epoch) throw new Error(`epoch ${epoch} after ${state.epoch}`)
    const expected = isKnown ? state.batches.at(-1)![1] + 1 : 0
    // A broker that doesn't know the producer takes any sequence.
    if (state !== undefined && first !== expected) return "OutOfOrder"
    known.set(producerId, { epoch, batches: [...(isKnown ? state.batches : []), [first, last] as const].slice(-5) })
    log.push(...entries)
    return "Written"
  }
  return {
    log,
    write,
    takeOver: () => {
      for (const state of known.values()) state.batches = state.batches.slice(-1)
    },
    /** Whether the batch is the next one in sequence. */
    expects: ({ numbers }: Batch): boolean => {
      const state = known.get(numbers!.producerId)
      if (state === undefined) return true
      const isKnown = state.epoch === numbers!.producerEpoch
      return numbers!.baseSequence === (isKnown ? state.batches.at(-1)![1] + 1 : 0)
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

const play = (steps: ReadonlyArray<Step>, isTransactional: boolean) => {
  const queue = PartitionQueue.make("orders", 0, 1_000)
  const broker = makeBroker()
  const added: Array<Entry> = []
  const acknowledged = new Set<Entry>()
  const failed = new Set<Entry>()
  /** Sent and not processed, in order. */
  const inFlight: Array<Batch> = []
  let producerId = 1n

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

  const reject = (batch: Batch) => {
    for (const entry of batch.entries) if (!acknowledged.has(entry)) failed.add(entry)
    const failure = { reason: "Broker", description: "by the test" } as const
    for (const entry of batch.entries) PendingSend.reject(entry, failure)
    PartitionQueue.reject(batch)
  }

  const confirm = (batch: Batch) => {
    for (const written of PartitionQueue.acknowledged(batch)) {
      for (const entry of written.entries) {
        acknowledged.add(entry)
        PendingSend.acknowledge(entry, { topic: "orders", partition: 0, offset: -1, timestamp: 0 })
      }
      PartitionQueue.remove(written)
    }
  }

  const pauseBy = (reason: PartitionQueue.Retry) => PartitionQueue.pause(queue, reason, 0, 1)

  const fail = (batch: Batch, verdict: Verdict) => {
    const reaction = PartitionQueue.failed(batch, verdict, isTransactional)
    if (reaction._tag === "Pause") return pauseBy(reaction.retry)
    if (reaction._tag === "Reject") reject(batch)
    if (queue.retrying === undefined) PartitionQueue.recovered(queue)
    else pauseBy(queue.retrying)
  }

  const take = () => {
    const batch = PartitionQueue.next(queue)
    if (batch === undefined) return false
    if (queue.sequence === undefined) {
      if (queue.exhaustedId === producerId) producerId++
      PartitionQueue.beginSequence(queue, { producerId, producerEpoch: 0, isTransactional })
    }
    PartitionQueue.take(batch, 1)
    inFlight.push(batch)
    assert.strictEqual(queue.inFlight, inFlight.length)
    assert.isAtMost(inFlight.length, queue.sequence?.isEstablished === true ? 5 : 1)
    const numbered = queue.batches.flatMap(({ entries, numbers }) =>
      numbers === undefined ? [] : [{ entries, numbers }]
    )
    for (const [index, { numbers }] of numbered.entries()) {
      const before = numbered[index - 1]
      if (before === undefined) continue
      // Batches between them may have been acknowledged meanwhile; the broker checks that none is missing.
      assert.isAtLeast(numbers.baseSequence, before.numbers.baseSequence + before.entries.length)
      assert.strictEqual(numbers.producerEpoch, before.numbers.producerEpoch)
    }
    return true
  }

  const write = (batch: Batch): void => {
    if (broker.write(batch) === "OutOfOrder") fail(batch, verdicts.outOfOrder)
    else confirm(batch)
  }

  /** The connection ends: requests behind a lost one are lost; requests behind a processed one may be. */
  const disconnect = (written: number): void => {
    for (const [index, batch] of inFlight.splice(0).entries()) {
      if (index < written) broker.write(batch)
      fail(batch, retry)
    }
  }

  const land = (fault: Fault): boolean => {
    if (inFlight.length === 0) return false
    if (fault === "loseRequest") disconnect(0)
    else if (fault === "loseResponse") disconnect(1)
    else if (fault === "loseResponses") disconnect(5)
    else if (fault === "failover") {
      disconnect(5)
      broker.takeOver()
    } else {
      const batch = inFlight.shift()!
      // A broker checks for duplicates and sequence before it looks at the records.
      if (fault === "none" || !broker.expects(batch)) write(batch)
      else fail(batch, verdicts[fault])
    }
    return true
  }

  for (const one of steps) {
    switch (one._tag) {
      case "Add":
        for (let i = 0; i < one.records; i++) add(one.opens && i === 0)
        break
      case "Withdraw": {
        const entry = added[one.at]
        if (entry === undefined || entry.settled || entry.batch!.sent) break
        PendingSend.drop(entry)
        failed.add(entry)
        PartitionQueue.withdraw(entry.batch!, entry)
        break
      }
      case "Take":
        take()
        break
      case "Land":
        land(one.fault)
        break
      case "Resume":
        if (inFlight.length === 0) PartitionQueue.resume(queue)
    }
  }
  // From here on, every request succeeds.
  for (const batch of queue.batches) if (!batch.sent) PartitionQueue.setReady(batch)
  for (let turn = 0; queue.batches.length > 0 || inFlight.length > 0; turn++) {
    assert.isBelow(turn, 1_000, "it doesn't end")
    if (!take() && !land("none")) PartitionQueue.resume(queue)
  }
  // A delay may outlast the last batch.
  PartitionQueue.resume(queue)
  return { queue, log: broker.log, added, acknowledged, failed }
}

describe("a partition queue", () => {
  for (const isTransactional of [false, true]) {
    it(`writes each record once and in order, and loses none, ${isTransactional ? "in" : "outside"} transactions`, () => {
      FastCheck.assert(
        FastCheck.property(FastCheck.array(step, { maxLength: 60, size: "max" }), (steps) => {
          const { acknowledged, added, failed, log, queue } = play(steps, isTransactional)
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
        }),
        { numRuns: 300 }
      )
    })
  }
})
