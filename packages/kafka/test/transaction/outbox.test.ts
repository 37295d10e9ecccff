import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Outbox from "../../src/internal/transaction/outbox.js"

type Step =
  | { readonly _tag: "Put"; readonly partition: number; readonly offset: number; readonly count: number }
  | { readonly _tag: "Settle"; readonly partition: number; readonly offset: number }
  | { readonly _tag: "Drop"; readonly partition: number; readonly offset: number }

const place = { partition: FastCheck.nat(1), offset: FastCheck.nat(6) }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  FastCheck.record({ _tag: FastCheck.constant("Put" as const), ...place, count: FastCheck.nat(2) }),
  FastCheck.record({ _tag: FastCheck.constant("Settle" as const), ...place }),
  FastCheck.record({ _tag: FastCheck.constant("Drop" as const), ...place })
)

const at = ({ offset, partition }: { readonly partition: number; readonly offset: number }) => ({
  topic: "orders",
  partition,
  offset
})

describe("outbox", () => {
  it("holds what last came of each record that is neither committed nor dropped, in order, and counts its bytes", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 40 }), (steps) => {
        const outbox = Outbox.make()
        const model = new Map<string, { readonly partition: number; readonly offset: number; readonly name: number }>()
        steps.forEach((one, name) => {
          const { offset, partition } = one
          if (one._tag === "Put") {
            const records = Array.from({ length: one.count }, () => ({ topic: "results", value: `${name}` }))
            Outbox.put(outbox, { source: at(one), records, bytes: one.count * 10 })
            model.delete(`${partition}-${offset}`)
            if (one.count > 0) model.set(`${partition}-${offset}`, { partition, offset, name })
          } else if (one._tag === "Settle") Outbox.settle(outbox, [at(one)])
          else Outbox.drop(outbox, at(one), offset)
          if (one._tag === "Put") return
          for (const [key, held] of model) {
            const isBefore = held.offset < offset
            if (held.partition === partition && isBefore === (one._tag === "Settle")) model.delete(key)
          }
        })
        const expected = Array.from(model.values()).sort((a, b) => a.partition - b.partition || a.offset - b.offset)
        const held = Outbox.before(
          outbox,
          [0, 1].map((partition) => at({ partition, offset: 100 }))
        )
        assert.deepStrictEqual(
          held.map(({ records, source }) => [source.partition, source.offset, records[0]?.value]),
          expected.map(({ name, offset, partition }) => [partition, offset, `${name}`])
        )
        assert.strictEqual(
          outbox.bytes,
          held.reduce((sum, { records }) => sum + records.length * 10, 0)
        )
      })
    )
  })
})
