import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as ConsumerProtocol from "../../src/internal/group/consumerProtocol.js"

/** Bytes in the layout of Java's ConsumerProtocol, field by field. */
const bytes = (...parts: ReadonlyArray<string>): Uint8Array =>
  Uint8Array.from(Buffer.from(parts.join("").replaceAll(" ", ""), "hex"))

const v = (version: number) => version.toString(16).padStart(4, "0")
const topicsAB = "00000002 0001 61 0001 62"
const nullUserData = "ffffffff"
const emptyUserData = "00000000"
const userData = "00000003 010203"
const ownsNothing = "00000000"
const ownsA02 = "00000001 0001 61 00000002 00000000 00000002"
const generation7 = "00000007"
const generationUserData = "00000004 00000007"
const nullRack = "ffff"
const rackEu = "0002 6575"

const owned = [
  { topic: "a", partition: 0 },
  { topic: "a", partition: 2 }
]

const topic = FastCheck.string({ unit: "grapheme", maxLength: 12 })
const partitions = FastCheck.uniqueArray(topic, { maxLength: 4 }).chain((topics) =>
  FastCheck.tuple(
    ...topics.map((topic) =>
      FastCheck.array(FastCheck.nat(0x7fffffff), { minLength: 1, maxLength: 5 }).map((numbers) =>
        numbers.map((partition) => ({ topic, partition }))
      )
    )
  ).map((all) => all.flat())
)
const subscription = FastCheck.record({
  topics: FastCheck.array(topic, { maxLength: 5 }),
  ownedPartitions: partitions,
  generationId: FastCheck.integer({ min: -1, max: 0x7fffffff }),
  rackId: FastCheck.option(topic)
})

describe("subscription", () => {
  it.each([
    ["v0, null user data", bytes(v(0), topicsAB, nullUserData), [], -1, null],
    ["v0, empty user data", bytes(v(0), topicsAB, emptyUserData), [], -1, null],
    ["v0, user data", bytes(v(0), topicsAB, userData), [], -1, null],
    ["v1, nothing owned", bytes(v(1), topicsAB, nullUserData, ownsNothing), [], -1, null],
    ["v1, owned partitions after user data", bytes(v(1), topicsAB, userData, ownsA02), owned, -1, null],
    ["v1, the generation as user data", bytes(v(1), topicsAB, generationUserData, ownsA02), owned, 7, null],
    ["v2", bytes(v(2), topicsAB, nullUserData, ownsA02, generation7), owned, 7, null],
    ["v3, null rack", bytes(v(3), topicsAB, emptyUserData, ownsA02, generation7, nullRack), owned, 7, null],
    ["v3, rack", bytes(v(3), topicsAB, nullUserData, ownsA02, generation7, rackEu), owned, 7, "eu"],
    ["a later version", bytes(v(9), topicsAB, nullUserData, ownsA02, generation7, rackEu, "00112233"), owned, 7, "eu"]
  ])("reads Java's layout of %s", (_name, encoded, ownedPartitions, generationId, rackId) => {
    assert.deepStrictEqual(ConsumerProtocol.decodeSubscription(encoded), {
      topics: ["a", "b"],
      ownedPartitions,
      generationId,
      rackId
    })
  })

  it.each([
    [null, nullRack],
    ["eu", rackEu]
  ])("is written in Java's layout of v3, rack %s", (rackId, rack) => {
    assert.deepStrictEqual(
      ConsumerProtocol.encodeSubscription({ topics: ["a", "b"], ownedPartitions: owned, generationId: 7, rackId }),
      bytes(v(3), topicsAB, generationUserData, ownsA02, generation7, rack)
    )
  })

  it("is read as it was written, at any offset of a buffer", () => {
    FastCheck.assert(
      FastCheck.property(subscription, FastCheck.nat(7), (subscription, shift) => {
        const encoded = ConsumerProtocol.encodeSubscription(subscription)
        const inside = new Uint8Array(encoded.length + 2 * shift).fill(0xff)
        inside.set(encoded, shift)
        const read = ConsumerProtocol.decodeSubscription(inside.subarray(shift, shift + encoded.length))
        assert.deepStrictEqual(read, subscription)
      })
    )
  })

  it("of more elements than bytes throws a RangeError before it allocates them", () => {
    const lie = Uint8Array.of(0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0)
    assert.throws(() => ConsumerProtocol.decodeSubscription(lie), /2147483647 elements don't fit in 8 bytes/)
  })

  it("that is cut off within its topics throws a RangeError", () => {
    FastCheck.assert(
      FastCheck.property(subscription, FastCheck.nat(), (subscription, cut) => {
        const encoded = ConsumerProtocol.encodeSubscription({ ...subscription, ownedPartitions: [], rackId: null })
        // Without the 18 bytes that follow, it would still be complete.
        const short = encoded.subarray(0, cut % (encoded.length - 18))
        assert.throws(() => ConsumerProtocol.decodeSubscription(short), RangeError)
      })
    )
  })
})

describe("assignment", () => {
  it.each([
    ["v0, null user data", bytes(v(0), ownsA02, nullUserData)],
    ["v0, empty user data", bytes(v(0), ownsA02, emptyUserData)],
    ["v1, user data", bytes(v(1), ownsA02, userData)],
    ["a later version", bytes(v(9), ownsA02, nullUserData, "00112233")]
  ])("reads Java's layout of %s", (_name, encoded) => {
    assert.deepStrictEqual(ConsumerProtocol.decodeAssignment(encoded), owned)
  })

  it("is written in Java's layout of v0", () => {
    assert.deepStrictEqual(ConsumerProtocol.encodeAssignment(owned), bytes(v(0), ownsA02, nullUserData))
  })

  it("is written with user data, and read by itself", () => {
    const userData = new Uint8Array([1, 2, 3])
    const encoded = ConsumerProtocol.encodeAssignment(owned, userData)
    assert.deepStrictEqual(encoded, bytes(v(0), ownsA02, "00000003", "010203"))
    assert.deepStrictEqual(ConsumerProtocol.decodeAssignment(encoded), owned)
    assert.deepStrictEqual(ConsumerProtocol.userDataOf(encoded), userData)
    for (const without of [new Uint8Array(0), bytes(v(0), ownsA02, nullUserData), bytes(v(0), ownsA02)]) {
      assert.strictEqual(ConsumerProtocol.userDataOf(without).byteLength, 0)
    }
  })

  it("without bytes or without partitions is empty", () => {
    assert.deepStrictEqual(ConsumerProtocol.decodeAssignment(new Uint8Array(0)), [])
    assert.deepStrictEqual(ConsumerProtocol.decodeAssignment(bytes(v(0), ownsNothing, nullUserData)), [])
  })

  it("is read as it was written", () => {
    FastCheck.assert(
      FastCheck.property(partitions, (partitions) => {
        assert.deepStrictEqual(
          ConsumerProtocol.decodeAssignment(ConsumerProtocol.encodeAssignment(partitions)),
          partitions
        )
      })
    )
  })
})
