/**
 * What TypeScript infers for users of the packages, and the messages that they see for mistakes.
 */
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as ts from "typescript"
import { locate } from "../docs/files.js"

const prelude = `
import { KafkaConsumer, KafkaProducer, type Wire } from "@spillway/kafka"
import { Codec, DeadLetter, HandlerError, type Producer, Topic } from "@spillway/transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

class Bank extends Context.Tag("Bank")<Bank, { readonly charge: Effect.Effect<void> }>() {}
class Mail extends Context.Tag("Mail")<Mail, { readonly send: Effect.Effect<void> }>() {}
const Order = Codec.json(Schema.Struct({ id: Schema.String, amount: Schema.Number }))
const base = { groupId: "billing", topics: ["orders"], value: Order, deadLetter: DeadLetter.topic() }
const exactly = <A>() => <B>(_: B & ([A] extends [B] ? ([B] extends [A] ? unknown : never) : never)) => {}
`

const cases = {
  "a handler may fail in different ways": `
    export const consumer = KafkaConsumer.layer({
      ...base,
      handler: ({ value }) => value.amount > 0 ? HandlerError.temporary("busy") : HandlerError.nonRetryable("negative")
    })`,
  "a handler may have different requirements": `
    export const consumer = KafkaConsumer.layer({
      ...base,
      handler: ({ value }) =>
        value.amount > 0 ? Effect.flatMap(Bank, (bank) => bank.charge) : Effect.flatMap(Mail, (mail) => mail.send)
    })
    exactly<Layer.Layer.Context<typeof consumer>>()(undefined as unknown as Bank | Mail | Producer.Producer | Wire.Wire)
    `,
  "keys are bytes, or what their codec decodes": `
    export const plain = KafkaConsumer.layer({ ...base, handler: ({ key }) => Effect.log(key?.length) })
    export const decoded = KafkaConsumer.layer({
      ...base, key: Codec.text, handler: ({ key }) => Effect.log(key.toUpperCase())
    })`,
  "a decoder suffices": `
    const decoder: Codec.Decoder<number> = { decode: () => Effect.succeed(1) }
    export const consumer = KafkaConsumer.layer({
      ...base, value: decoder, handler: ({ value }) => Effect.log(value.toFixed(2))
    })`,
  "a transactional handler may fail in different ways": `
    export const consumer = KafkaConsumer.layerTransactional({
      ...base,
      transactionalId: "billing-1",
      handler: ({ value }) =>
        value.amount > 0 ? Effect.succeed([{ topic: "bills", value: value.id }]) : HandlerError.nonRetryable("negative")
    })
    exactly<Layer.Layer.Context<typeof consumer>>()(undefined as unknown as Wire.Wire)`,
  "a topic's records are typed": `
    const orders = Topic.make("orders", { key: Codec.text, value: Order })
    export const sent = Topic.send(orders, { key: "a", value: { id: "a", amount: 1 } })
    exactly<Effect.Effect.Context<typeof sent>>()(undefined as unknown as Producer.Producer)`
}

const mistakes = {
  "a missing deadLetter": [
    `const { deadLetter, ...rest } = base
    export const consumer = KafkaConsumer.layer({ ...rest, handler: () => Effect.void })`,
    "Property 'deadLetter' is missing"
  ],
  "a handler of another type of value": [
    "export const consumer = KafkaConsumer.layer({ ...base, handler: ({ value }) => Effect.log(value.price) })",
    "Property 'price' does not exist on type"
  ],
  "a schema instead of a codec": [
    "export const consumer = KafkaConsumer.layer({ ...base, value: Schema.String, handler: () => Effect.void })",
    "Property 'decode' is missing"
  ],
  "a handler that returns a Promise": [
    "export const consumer = KafkaConsumer.layer({ ...base, handler: () => Promise.resolve(1) })",
    "Type 'Promise<number>' is missing the following properties from type 'Effect<unknown, unknown, unknown>'"
  ],
  "a record that isn't the topic's": [
    `const orders = Topic.make("orders", { key: Codec.text, value: Order })
    export const sent = Topic.send(orders, { key: "a", value: { id: "a", amount: "1" } })`,
    "Type 'string' is not assignable to type 'number'"
  ]
} as const satisfies Readonly<Record<string, readonly [string, string]>>

/** Compiles one file for each source, within the examples, which import the packages as a user does. */
const compile = (sources: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const names = sources.map((_, i) => locate(join("examples/guide/src", `inference-${i}.ts`)))
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: []
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  const textOf = (name: string) => {
    const at = names.indexOf(name)
    return at < 0 ? undefined : prelude + sources[at]!
  }
  host.fileExists = (name) => names.includes(name) || fileExists(name)
  host.readFile = (name) => textOf(name) ?? readFile(name)
  host.getSourceFile = (name, target) => {
    const text = textOf(name)
    return text === undefined ? getSourceFile(name, target) : ts.createSourceFile(name, text, target)
  }
  const program = ts.createProgram(names, options, host)
  return names.map((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))
  )
}

describe("Inference", () => {
  const found = compile([...Object.values(cases), ...Object.values(mistakes).map(([source]) => source)])

  for (const [i, name] of Object.keys(cases).entries()) {
    it(name, () => {
      assert.deepStrictEqual(found[i], [])
    })
  }

  for (const [i, [name, [, expected]]] of Object.entries(mistakes).entries()) {
    it(`${name} is reported in a short message`, () => {
      const messages = found[Object.keys(cases).length + i]!
      assert.include(messages.join("\n"), expected)
      for (const message of messages) assert.isBelow(message.length, 1_000)
    })
  }
})
