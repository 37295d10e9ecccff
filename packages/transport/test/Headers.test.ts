import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
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

  it("shares no headers that one holder could change for all others", () => {
    assert.throws(() => (Headers.fromInput() as Array<Headers.Header>).push(["x", null]))
    assert.deepStrictEqual(Headers.empty, [])
  })

  it("returns the last value of a name", () => {
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

  it("distinguishes an absent name from a null value, except as text", () => {
    const made = Headers.make([["a", null]])
    assert.deepStrictEqual(Headers.get(made, "a"), Option.some(null))
    assert.deepStrictEqual(Headers.get(made, "b"), Option.none())
    assert.deepStrictEqual(Headers.getText(made, "a"), Option.none())
  })

  it("takes pairs of text, also from an array whose type was inferred", () => {
    const pairs = [
      ["a", "1"],
      ["b", "ü"]
    ]
    assert.deepStrictEqual(Headers.toText(Headers.fromInput(pairs)), [
      ["a", "1"],
      ["b", "ü"]
    ])
    const literal: Headers.HeadersInput = [
      ["a", "1"],
      ["b", null],
      ["c", new TextEncoder().encode("3")]
    ]
    assert.deepStrictEqual(Headers.toText(Headers.fromInput(literal)), [
      ["a", "1"],
      ["b", null],
      ["c", "3"]
    ])
    assert.throws(() => Headers.fromInput([["a", "1", "2"]]), "header 0 must be a pair of name and value")
  })

  it("set replaces all values of a name by one at the end and keeps the others", () => {
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

  it("append keeps the existing headers", () => {
    const made = Headers.append(Headers.append(Headers.empty, "a", "1"), "a", "2")
    assert.deepStrictEqual(Headers.getAll(made, "a"), [bytes("1"), bytes("2")])
  })

  it("accepts an object, a Map or any pairs, and rejects every other shape", () => {
    const expected = [
      ["a", bytes("1")],
      ["b", null],
      ["c", Uint8Array.of(2)]
    ]
    const pairs: ReadonlyArray<readonly [string, Headers.HeaderValue]> = [
      ["a", "1"],
      ["b", null],
      ["c", Uint8Array.of(2)]
    ]
    class Own {
      a = "1"
      b = null
      c = Uint8Array.of(2)
    }
    const bare = Object.assign(Object.create(null), Object.fromEntries(pairs))
    for (const input of [pairs, new Map(pairs), new Set(pairs), Object.fromEntries(pairs), bare, new Own()]) {
      assert.deepStrictEqual(Headers.fromInput(input as Headers.HeadersInput), expected as never)
    }
    assert.deepStrictEqual(Headers.toText(Headers.fromInput(new URLSearchParams("a=1&a=2"))), [
      ["a", "1"],
      ["a", "2"]
    ])
    for (const nothing of [undefined, null, {}, [], new Map()]) {
      assert.deepStrictEqual(Headers.decodeUnknown(nothing), Either.right([]))
    }
    const throwing = {
      get a() {
        throw new Error("no")
      }
    }
    const refused: ReadonlyArray<readonly [input: unknown, word: string]> = [
      ["a=1", "an object, a Map"],
      [1, "an object, a Map"],
      [() => pairs, "an object, a Map"],
      [new Date(0), "an object, a Map"],
      [Promise.resolve({ a: "1" }), "an object, a Map"],
      [Uint8Array.of(1), "an object, a Map"],
      [new WeakMap(), "an object, a Map"],
      [new Map(pairs).entries(), "an object, a Map"],
      [throwing, "can't be read: no"],
      [new Set(["ab"]), "header 0"],
      [[["a"]], "header 0"],
      [
        [
          ["a", "1"],
          ["b", "2", "3"]
        ],
        "header 1"
      ],
      [[[1, "1"]], "name of header 0"],
      [{ a: 1 }, 'header "a"'],
      [{ a: undefined }, 'header "a"'],
      [new Map([["a", new ArrayBuffer(1)]]), 'header "a"']
    ]
    for (const [input, word] of refused) {
      const decoded = Headers.decodeUnknown(input)
      assert.isTrue(Either.isLeft(decoded), String(word))
      if (Either.isLeft(decoded)) assert.include(decoded.left, word)
      assert.throws(() => Headers.fromInput(input as never), TypeError)
    }
  })

  it("copies the given bytes", () => {
    for (const made of [Uint8Array.of(1, 2), Buffer.from([1, 2])]) {
      const [header] = Headers.fromInput([["a", made]])
      made.fill(0)
      assert.deepStrictEqual(Array.from(header![1]!), [1, 2])
    }
  })
})
