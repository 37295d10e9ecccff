import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as v from "valibot"
import * as Codec from "../src/Codec.js"
import * as Headers from "../src/Headers.js"
import { Producer, type ProducerRecord } from "../src/Producer.js"
import * as Topic from "../src/Topic.js"

const orders = Topic.make("orders", {
  key: Codec.text,
  value: Codec.json(Schema.Struct({ id: Schema.String, amount: Schema.Number }))
})

const sending = () => {
  const sent: Array<ProducerRecord> = []
  const send = (record: ProducerRecord) =>
    Effect.sync(() => {
      sent.push(record)
      return { topic: record.topic, partition: record.partition ?? 0, offset: sent.length - 1, timestamp: 0 }
    })
  const layer = Layer.succeed(Producer, {
    send,
    sendAll: (records) => Effect.forEach(records, send),
    sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
    partitions: () => Effect.succeed(1)
  })
  return { sent, layer }
}

const text = (bytes: string | Uint8Array | null | undefined): string => Buffer.from(bytes as Uint8Array).toString()

describe("Topic", () => {
  it.effect("publishes typed records with its codecs", () =>
    Effect.gen(function* () {
      const { layer, sent } = sending()
      const metadata = yield* Topic.send(orders, {
        key: "a",
        value: { id: "a", amount: 1 },
        headers: { trace: "t" },
        partition: 2
      }).pipe(Effect.provide(layer))
      assert.strictEqual(metadata.partition, 2)
      assert.deepStrictEqual([text(sent[0]!.key), text(sent[0]!.value)], ["a", '{"id":"a","amount":1}'])
      assert.deepStrictEqual([sent[0]!.topic, sent[0]!.headers], ["orders", { trace: "t" }])
    })
  )

  it.effect("publishes none of several records if one can't be encoded", () =>
    Effect.gen(function* () {
      const { layer, sent } = sending()
      const record = (amount: number) => ({ key: "a", value: { id: "a", amount } })
      const mismatch = record("1" as unknown as number)
      const error = yield* Effect.flip(Topic.sendAll(orders, [record(1), mismatch])).pipe(Effect.provide(layer))
      assert.strictEqual(error._tag, "EncodeError")
      assert.strictEqual(sent.length, 0)
      yield* Topic.sendAll(orders, [record(1), record(2)]).pipe(Effect.provide(layer))
      assert.strictEqual(sent.length, 2)
    })
  )

  it.effect("passes a codec the topic, the headers and the part", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string, number]> = []
      const codec: Codec.Encoder<string> = {
        encode: (_, { headers, part, topic }) => {
          seen.push([topic, part, headers.length])
          return Effect.succeed(null)
        }
      }
      const topic = Topic.make("payments", { key: codec, value: codec })
      const { layer } = sending()
      yield* Topic.send(topic, { key: "k", value: "v", headers: { a: "1", b: "2" } }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(seen, [
        ["payments", "key", 2],
        ["payments", "value", 2]
      ])
    })
  )
})

describe("Codec.standard", () => {
  const place: Codec.CodecContext = { topic: "orders", headers: Headers.empty, part: "value" }
  const utf8 = (value: string) => new TextEncoder().encode(value)
  const amount = v.pipe(
    v.string(),
    v.transform((text) => Number(text))
  )
  const codec = Codec.standard(v.object({ id: v.string(), lines: v.array(v.object({ amount })) }))

  it.effect("decodes with a Valibot schema, and names the place of a mismatch without the value", () =>
    Effect.gen(function* () {
      const decoded = yield* codec.decode(utf8('{"id":"a","lines":[{"amount":"12"}]}'), place)
      assert.deepStrictEqual(decoded, { id: "a", lines: [{ amount: 12 }] })
      const error = yield* Effect.flip(
        codec.decode(utf8('{"id":4711,"lines":[{"amount":"1"},{"amount":4711}]}'), place)
      )
      assert.strictEqual(error.reason, "SchemaMismatch")
      assert.match(error.description, /^\["id"\]: doesn't match and 1 more$/)
      assert.strictEqual((yield* Effect.flip(codec.decode(utf8("{"), place))).reason, "InvalidJson")
      assert.strictEqual((yield* Effect.flip(codec.decode(null, place))).reason, "Null")
    })
  )

  it.effect("encodes a valid input as it is", () =>
    Effect.gen(function* () {
      const encoded = yield* codec.encode({ id: "a", lines: [{ amount: "12" }] }, place)
      assert.strictEqual(text(encoded), '{"id":"a","lines":[{"amount":"12"}]}')
      const wrong = { id: "a", lines: [{ amount: 12 as unknown as string }] }
      const error = yield* Effect.flip(codec.encode(wrong, place))
      assert.strictEqual(error.message, 'SchemaMismatch: ["lines"][0]["amount"]: doesn\'t match')
    })
  )

  it.effect("awaits asynchronous schemas, and treats those that throw as mismatches", () =>
    Effect.gen(function* () {
      const known = v.pipeAsync(
        v.string(),
        v.checkAsync((id) => Promise.resolve(id === "a"))
      )
      const asynchronous = Codec.standard(known)
      assert.strictEqual(yield* asynchronous.decode(utf8('"a"'), place), "a")
      assert.strictEqual((yield* Effect.flip(asynchronous.decode(utf8('"b"'), place))).reason, "SchemaMismatch")
      const throwing = Codec.standard(
        v.pipe(
          v.string(),
          v.transform((): string => {
            throw new Error("4711")
          })
        )
      )
      const error = yield* Effect.flip(throwing.decode(utf8('"x"'), place))
      assert.strictEqual(error.description, "value: the schema threw Error")
    })
  )
})
