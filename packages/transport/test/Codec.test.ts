import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as Codec from "../src/Codec.js"
import * as Headers from "../src/Headers.js"

const place: Codec.CodecContext = { topic: "orders", headers: Headers.empty, part: "value" }

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A codec's result without running it. */
const atOnce = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> => {
  assert.isTrue(Exit.isExit(effect))
  return Effect.runSyncExit(effect)
}

const value = <A, E>(effect: Effect.Effect<A, E>): A =>
  Exit.getOrElse(atOnce(effect), (cause) => assert.fail(`${cause}`))

const error = <A, E>(effect: Effect.Effect<A, E>): E =>
  Exit.match(atOnce(effect), {
    onSuccess: () => assert.fail("succeeded"),
    onFailure: (cause) => Option.getOrThrow(Cause.failureOption(cause))
  })

const Order = Schema.Struct({
  id: Schema.NumberFromString,
  lines: Schema.Array(Schema.Struct({ sku: Schema.NonEmptyString, count: Schema.Positive }))
})
const order = Codec.json(Order)

describe("Codec.bytes", () => {
  it("returns the value unchanged", () => {
    const bytes = Uint8Array.of(0xff, 0)
    assert.strictEqual(value(Codec.bytes.decode(bytes, place)), bytes)
    assert.strictEqual(value(Codec.bytes.encode(bytes, place)), bytes)
    assert.isNull(value(Codec.bytes.decode(null, place)))
    assert.isNull(value(Codec.bytes.encode(null, place)))
  })
})

describe("Codec.text", () => {
  it("reads what it writes, including a byte order mark", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.strictEqual(value(Codec.text.decode(value(Codec.text.encode(text, place)), place)), text)
      })
    )
    assert.strictEqual(value(Codec.text.decode(utf8("\uFEFFa"), place)), "\uFEFFa")
  })

  it("fails on bytes that are not UTF-8 and on a tombstone", () => {
    assert.strictEqual(error(Codec.text.decode(Uint8Array.of(0x61, 0xff), place)).reason, "InvalidUtf8")
    assert.strictEqual(error(Codec.text.decode(null, place)).reason, "Null")
  })
})

describe("Codec.json", () => {
  it("reads what it writes", () => {
    const json = '{"id":"7","lines":[{"sku":"a","count":2}]}'
    const decoded = value(order.decode(utf8(json), place))
    assert.deepStrictEqual(decoded, { id: 7, lines: [{ sku: "a", count: 2 }] })
    assert.deepStrictEqual(value(order.encode(decoded, place)), utf8(json))
  })

  it("skips a byte order mark", () => {
    assert.strictEqual(value(Codec.json(Schema.Number).decode(utf8("\uFEFF1"), place)), 1)
  })

  it("reports the error", () => {
    assert.strictEqual(error(order.decode(null, place)).reason, "Null")
    assert.strictEqual(error(order.decode(Uint8Array.of(0xc0), place)).reason, "InvalidUtf8")
    assert.strictEqual(error(order.decode(utf8("{"), place)).reason, "InvalidJson")
    assert.strictEqual(error(order.decode(utf8("{}"), place)).message, 'SchemaMismatch: ["id"]: missing')
  })

  it("names the path and the expectation, never the value", () => {
    const message = (json: string) => error(order.decode(utf8(json), place)).message
    const secret = "hunter2"
    assert.strictEqual(message(`"${secret}"`).includes(secret), false)
    assert.strictEqual(message(`{"id":"${secret}","lines":[]}`), 'SchemaMismatch: ["id"]: expected NumberFromString')
    assert.strictEqual(
      message(`{"id":"1","lines":[{"sku":"a","count":"${secret}"}]}`),
      'SchemaMismatch: ["lines"]["0"]["count"]: expected number'
    )
    assert.strictEqual(
      message('{"id":"1","lines":[{"sku":"a","count":-987}]}'),
      'SchemaMismatch: ["lines"]["0"]["count"]: expected Positive'
    )
    assert.strictEqual(error(order.decode(utf8(secret), place)).message.includes(secret), false)
  })

  it("rejects a value that the schema or JSON can't represent", () => {
    assert.strictEqual(error(order.encode({ id: 1, lines: [{ sku: "", count: 1 }] }, place)).reason, "SchemaMismatch")
    assert.strictEqual(error(Codec.json(Schema.Undefined).encode(undefined, place)).reason, "InvalidJson")
    assert.strictEqual(error(Codec.json(Schema.BigIntFromSelf).encode(1n, place)).reason, "InvalidJson")
  })

  it.effect("runs asynchronous schemas", () =>
    Effect.gen(function* () {
      const Slow = Schema.transformOrFail(Schema.String, Schema.Number, {
        decode: (text) => Effect.as(Effect.yieldNow(), text.length),
        encode: (length) => Effect.as(Effect.yieldNow(), "x".repeat(length))
      })
      const codec = Codec.json(Slow)
      assert.strictEqual(yield* codec.decode(utf8('"four"'), place), 4)
      assert.deepStrictEqual(yield* codec.encode(2, place), utf8('"xx"'))
      assert.strictEqual((yield* Effect.flip(codec.decode(utf8("1"), place))).reason, "SchemaMismatch")
    })
  )
})

describe("A value nested 100,000 levels deep", () => {
  interface Tree {
    readonly child?: Tree | undefined
  }
  const Tree: Schema.Schema<Tree> = Schema.Struct({ child: Schema.optional(Schema.suspend(() => Tree)) })
  const depth = 100_000
  const json = (leaf: string) => utf8(`${'{"child":'.repeat(depth)}${leaf}${"}".repeat(depth)}`)

  it("doesn't decode, and is too deep to encode", () => {
    const found = error(Codec.json(Tree).decode(json("{}"), place))
    assert.strictEqual(found.message, "SchemaMismatch: value: nested too deeply")
    let tree: Tree = {}
    for (let i = 0; i < depth; i++) tree = { child: tree }
    assert.strictEqual(error(Codec.json(Tree).encode(tree, place)).message, "SchemaMismatch: value: nested too deeply")
  })

  it.effect("doesn't decode by an asynchronous schema", () =>
    Effect.gen(function* () {
      const Slow = Schema.transformOrFail(Tree, Schema.Unknown, {
        decode: (tree) => Effect.as(Effect.yieldNow(), tree),
        encode: () => Effect.succeed({})
      })
      const found = yield* Effect.flip(Codec.json(Slow).decode(json("{}"), place))
      assert.strictEqual(found.reason, "SchemaMismatch")
    })
  )

  it("is reported with the start of the path to the mismatch", () => {
    const levels = 1_000
    const deep = utf8(`${'{"child":'.repeat(levels)}7${"}".repeat(levels)}`)
    const { description } = error(Codec.json(Tree).decode(deep, place))
    assert.isTrue(description.startsWith('["child"]["child"]'))
    assert.isBelow(description.length, 1_100)
  })

  it.effect("of a schema that throws doesn't decode, and the error omits the schema's message", () =>
    Effect.gen(function* () {
      const thrown = (): never => {
        throw new TypeError("secret")
      }
      const schemas = [
        Schema.transform(Schema.Number, Schema.Number, { decode: thrown, encode: thrown }),
        Schema.transformOrFail(Schema.Number, Schema.Number, {
          decode: () => Effect.map(Effect.yieldNow(), thrown),
          encode: () => Effect.map(Effect.yieldNow(), thrown)
        })
      ]
      for (const schema of schemas) {
        const codec = Codec.json(schema)
        for (const result of [codec.decode(utf8("1"), place), codec.encode(1, place)]) {
          const { message } = yield* Effect.flip<unknown, { readonly message: string }, never>(result)
          assert.strictEqual(message, "SchemaMismatch: value: the schema threw TypeError")
        }
      }
    })
  )
})

describe("Codec.nullable", () => {
  it("passes tombstones through and delegates the rest to the codec", () => {
    const codec = Codec.nullable(Codec.text)
    assert.isNull(value(codec.decode(null, place)))
    assert.isNull(value(codec.encode(null, place)))
    assert.strictEqual(value(codec.decode(utf8("a"), place)), "a")
    assert.deepStrictEqual(value(codec.encode("a", place)), utf8("a"))
    assert.strictEqual(error(codec.decode(Uint8Array.of(0xff), place)).reason, "InvalidUtf8")
  })
})
