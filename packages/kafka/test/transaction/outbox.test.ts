import { assert, describe, it } from "@effect/vitest"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as FastCheck from "fast-check"
import * as Outbox from "../../src/internal/transaction/outbox.js"
import * as RecordBatch from "../../src/RecordBatch.js"

type Place = { readonly partition: number; readonly offset: number }

type Step =
  | (Place & { readonly _tag: "Put"; readonly count: number })
  | (Place & { readonly _tag: "Keep" | "Repeat" | "Settle" | "Drop" })

const place = { partition: FastCheck.nat(1), offset: FastCheck.nat(6) }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  FastCheck.record({ _tag: FastCheck.constant("Put" as const), ...place, count: FastCheck.nat(2) }),
  FastCheck.record({ _tag: FastCheck.constantFrom("Keep", "Repeat", "Settle", "Drop"), ...place })
)

const at = ({ offset, partition }: Place) => ({ topic: "orders", partition, offset })

const recordOf = (of: Place): ConsumedRecord => ({
  ...at(of),
  timestamp: 0,
  key: new Uint8Array(1),
  value: new Uint8Array(2),
  headers: []
})

/** A record's results, by name, and whether the record is kept. */
interface Held extends Place {
  readonly name: string
  readonly bytes: number
  readonly isKept: boolean
}

const ends = [0, 1].map((partition) => at({ partition, offset: 100 }))

describe("outbox", () => {
  it("keeps the last results of each record that is neither committed nor dropped, in order", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 40 }), (steps) => {
        const outbox = Outbox.make()
        const model = new Map<string, Held>()
        const repeated = new Map<string, Place>()
        const forget = (isForgotten: (place: Place) => boolean) => {
          for (const all of [model, repeated]) {
            for (const [key, place] of all) if (isForgotten(place)) all.delete(key)
          }
        }
        steps.forEach((one, index) => {
          const { offset, partition } = one
          const key = `${partition}-${offset}`
          const held = model.get(key)
          const name = `${index}`
          switch (one._tag) {
            case "Put": {
              const records = Array.from({ length: one.count }, () => ({ topic: "results", value: name }))
              Outbox.put(outbox, { source: at(one), records, bytes: one.count * 10 })
              model.delete(key)
              if (one.count > 0) model.set(key, { partition, offset, name, bytes: one.count * 10, isKept: false })
              break
            }
            case "Keep":
              Outbox.keep(outbox, recordOf(one))
              if (held?.isKept === false)
                model.set(key, { ...held, bytes: held.bytes + RecordBatch.recordSize(recordOf(one)), isKept: true })
              repeated.delete(key)
              break
            case "Repeat": {
              const entry = Outbox.before(outbox, ends).find(
                ({ source }) => source.partition === partition && source.offset === offset
              )
              if (entry === undefined) break
              Outbox.repeat(outbox, entry)
              model.delete(key)
              repeated.set(key, one)
              break
            }
            case "Settle":
              Outbox.settle(outbox, [at(one)])
              forget((place) => place.partition === partition && place.offset < offset)
              break
            case "Drop":
              Outbox.drop(outbox, at(one))
              forget((place) => place.partition === partition)
          }
        })
        const expected = Array.from(model.values()).sort((a, b) => a.partition - b.partition || a.offset - b.offset)
        assert.deepStrictEqual(
          Outbox.before(outbox, ends).map(({ record, records, source }) => [
            source.partition,
            source.offset,
            records[0]?.value,
            record !== undefined
          ]),
          expected.map(({ isKept, name, offset, partition }) => [partition, offset, name, isKept])
        )
        // Partitions that wait for a record to be handled again don't keep other records from starting.
        const waiting = new Set(Array.from(repeated.values(), ({ partition }) => partition))
        assert.strictEqual(
          outbox.bytes,
          expected.reduce((sum, { bytes, partition }) => (waiting.has(partition) ? sum : sum + bytes), 0)
        )
      }),
      { numRuns: 1_000 }
    )
  })
})
