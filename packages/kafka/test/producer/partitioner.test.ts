import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Partitioner from "../../src/internal/producer/partitioner.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("partitioner", () => {
  it("hashes as Kafka's Java client does", () => {
    // The first six are from Kafka's UtilsTest; the others were computed by Kafka 4.3.1.
    const hashes: ReadonlyArray<readonly [string, number]> = [
      ["21", -973932308],
      ["foobar", -790332482],
      ["a-little-bit-long-string", -985981536],
      ["a-little-bit-longer-string", -1486304829],
      ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
      ["abc", 479470107],
      ["", 275646681],
      ["a", -1563381124],
      ["ab", 316155434],
      ["abcd", -1323649548],
      ["日本", -700811021]
    ]
    for (const [key, hash] of hashes) assert.strictEqual(Partitioner.murmur2(utf8(key)), hash, key)
  })

  it("chooses the partition that Kafka's Java client chooses", () => {
    const partitions: ReadonlyArray<readonly [string, number, number]> = [
      ["21", 0, 340],
      ["foobar", 0, 166],
      ["a-little-bit-longer-string", 5, 819],
      ["", 3, 681],
      ["a", 4, 524],
      ["日本", 3, 627]
    ]
    for (const [key, ofSix, ofThousand] of partitions) {
      assert.strictEqual(Partitioner.partitionOfKey(utf8(key), 6), ofSix, key)
      assert.strictEqual(Partitioner.partitionOfKey(utf8(key), 1_000), ofThousand, key)
    }
  })

  it("chooses an existing partition for every key", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.uint8Array({ maxLength: 30 }),
        FastCheck.integer({ min: 1, max: 12 }),
        (key, partitions) => {
          assert.isUndefined(Partitioner.issueOf(Partitioner.partitionOfKey(key, partitions), partitions))
        }
      )
    )
  })

  it("accepts only an integer below the partition count as a partition", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.anything(), FastCheck.integer({ min: 1, max: 12 }), (value, partitions) => {
        const exists = Array.from({ length: partitions }, (_, i) => i).some((partition) => partition === value)
        assert.strictEqual(Partitioner.issueOf(value, partitions) === undefined, exists)
      })
    )
  })

  it("moves the sticky partition to any other available one", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.option(FastCheck.nat({ max: 15 }), { nil: undefined }),
        FastCheck.uniqueArray(FastCheck.nat({ max: 15 }), { minLength: 1 }),
        FastCheck.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (previous, available, random) => {
          const next = Partitioner.nextSticky(previous, available, random)
          assert.include(available, next)
          if (available.length > 1) assert.notStrictEqual(next, previous)
        }
      )
    )
    const reached = new Set(Array.from({ length: 100 }, (_, i) => Partitioner.nextSticky(1, [0, 1, 2, 3], i / 100)))
    assert.deepStrictEqual(reached, new Set([0, 2, 3]))
    assert.isUndefined(Partitioner.nextSticky(1, [], 0.5))
  })
})
