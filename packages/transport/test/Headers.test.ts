import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as Headers from "../src/Headers.js"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const headers = fc.array(
  fc.tuple(fc.constantFrom("a", "b", "c"), fc.option(fc.uint8Array({ maxLength: 3 })))
) as fc.Arbitrary<Headers.Headers>

describe("Headers", () => {
  it("keeps order and repeats, and encodes text as UTF-8", () => {
    const made = Headers.make([
      ["b", "é"],
      ["a", null],
      ["b", Uint8Array.of(1)]
    ])
    assert.deepStrictEqual(made, [
      ["b", bytes("é")],
      ["a", null],
      ["b", Uint8Array.of(1)]
    ])
    assert.deepStrictEqual(Headers.fromRecord({ x: "1", y: null }), [
      ["x", bytes("1")],
      ["y", null]
    ])
    assert.deepStrictEqual(Headers.toText(Headers.fromRecord({ x: "1", y: null })), [
      ["x", "1"],
      ["y", null]
    ])
  })

  it("gives the last value of a name", () => {
    fc.assert(
      fc.property(headers, (headers) => {
        const all = Headers.getAll(headers, "a")
        assert.strictEqual(Headers.has(headers, "a"), all.length > 0)
        assert.deepStrictEqual(
          Headers.get(headers, "a"),
          all.length === 0 ? Option.none() : Option.some(all[all.length - 1]!)
        )
      })
    )
  })

  it("tells an absent name from a null value, except as text", () => {
    const made = Headers.make([["a", null]])
    assert.deepStrictEqual(Headers.get(made, "a"), Option.some(null))
    assert.deepStrictEqual(Headers.get(made, "b"), Option.none())
    assert.deepStrictEqual(Headers.getText(made, "a"), Option.none())
  })

  it("set replaces every value of a name by one at the end and leaves the others as they are", () => {
    fc.assert(
      fc.property(headers, (headers) => {
        const set = Headers.set(headers, "a", "new")
        assert.deepStrictEqual(Headers.getAll(set, "a"), [bytes("new")])
        assert.deepStrictEqual(set.slice(0, -1), Headers.remove(headers, "a"))
        assert.deepStrictEqual(
          Headers.remove(headers, "a"),
          headers.filter(([name]) => name !== "a")
        )
      })
    )
  })

  it("append keeps what is there", () => {
    const made = Headers.append(Headers.append(Headers.empty, "a", "1"), "a", "2")
    assert.deepStrictEqual(Headers.getAll(made, "a"), [bytes("1"), bytes("2")])
  })
})
