/**
 * The declarations that TypeScript emits for a user's program name public types alone: a type of an internal module
 * can't be resolved there, or is silently `any`. Checked on the packed packages.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as ts from "typescript"
import { leaks } from "../docs/leaks.js"
import { packages, unpackInto } from "../packing.js"

const source = `
import { KafkaAdmin, KafkaConsumer, KafkaJsWire, KafkaProducer, KafkaReader, RecordBatch } from "@spillway/kafka"
import { Faults, MemoryBroker, Simulation } from "@spillway/memory"
import { HealthServer, PrometheusServer } from "@spillway/observability"
import * as Telemetry from "@spillway/observability/Telemetry"
import {
  CircuitBreaker, CloudEvent, Codec, DeadLetter, Event, EventPublisher, EventRouter, Headers, Health, Position,
  ReliabilityConfig, RetryPolicy, Topic, TransportMetrics, TransportTracing
} from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export const configs = [
  KafkaAdmin.config(), KafkaConsumer.config(), KafkaConsumer.configTransactional(), KafkaJsWire.config(),
  KafkaProducer.config(), KafkaProducer.configTransactional(), KafkaReader.config(), HealthServer.config(),
  PrometheusServer.config(), Telemetry.config(), EventPublisher.config(), Health.config(), ReliabilityConfig.config(),
  TransportMetrics.config(), TransportTracing.config()
] as const

export const layers = [
  KafkaAdmin.layerConfig(), KafkaJsWire.layerConfig(), KafkaProducer.layerConfig(), HealthServer.layerConfig(),
  KafkaProducer.layerConfigTransactional(), PrometheusServer.layerConfig(), Telemetry.layerConfig(),
  EventPublisher.layerConfig(), Health.layerConfig(), TransportMetrics.layerConfig(), TransportTracing.layerConfig()
] as const

/** Every layerConfig takes defaults, then a namespace. */
export const namespaced = [
  KafkaAdmin.layerConfig({}, "A"), KafkaJsWire.layerConfig({}, "A"), KafkaProducer.layerConfig({}, "A"),
  HealthServer.layerConfig({}, "A"), KafkaProducer.layerConfigTransactional({}, "A"), Telemetry.layerConfig({}, "A"),
  PrometheusServer.layerConfig({}, "A"), EventPublisher.layerConfig({}, "A"), Health.layerConfig({}, "A"),
  TransportMetrics.layerConfig({}, "A"), TransportTracing.layerConfig({}, "A")
] as const

const consumer = {
  groupId: "billing",
  topics: ["orders"],
  value: Codec.json(Schema.Struct({ id: Schema.String })),
  deadLetter: DeadLetter.topic(),
  handler: () => Effect.void
}

export const consumers = [
  KafkaConsumer.make(consumer), KafkaConsumer.layer(consumer), KafkaConsumer.run(consumer),
  Effect.map(KafkaConsumer.make(consumer), ({ breaker, report, changes }) => ({ breaker, report, changes }))
] as const

export const clients = [
  KafkaProducer.make(), KafkaJsWire.make({ brokers: ["a:1"] }), KafkaAdmin.once((admin) => admin.listTopics()),
  KafkaReader.read({ topic: "orders" }), TransportTracing.make(), Health.layer({})
] as const

export const values = [
  Topic.make("orders", { key: Codec.text, value: consumer.value }), DeadLetter.topic(), RetryPolicy.exponential(),
  Position.beginning
] as const

export const memory = { make: MemoryBroker.make, wrap: Faults.wrap, run: Simulation.run }

export const modules = {
  CircuitBreaker, CloudEvent, Codec, DeadLetter, Event, EventPublisher, EventRouter, Headers, Health, Position,
  RecordBatch, ReliabilityConfig, RetryPolicy, Topic
}
`

const folder = mkdtempSync(join(tmpdir(), "spillway-packed-"))

beforeAll(async () => {
  await unpackInto(folder)
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(join(folder, "program.ts"), source)
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

const resolutions = {
  NodeNext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  Bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }
}

const compile = (file: string, options: ts.CompilerOptions): ts.Program => {
  const program = ts.createProgram([join(folder, file)], {
    strict: true,
    exactOptionalPropertyTypes: true,
    target: ts.ScriptTarget.ES2022,
    types: ["node"],
    typeRoots: [join(folder, "node_modules/@types")],
    ...options
  })
  assert.deepStrictEqual(
    ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
    }),
    []
  )
  return program
}

describe("declarations of the packed packages", () => {
  for (const [name, resolution] of Object.entries(resolutions)) {
    it(`let a program name every type that it exports, resolved as ${name}`, async () => {
      const outDir = join(folder, name)
      compile("program.ts", {
        ...resolution,
        skipLibCheck: true,
        declaration: true,
        emitDeclarationOnly: true,
        outDir
      }).emit()
      const declarations = readFileSync(join(outDir, "program.d.ts"), "utf8")
      assert.include(declarations, "KafkaConsumer.ConsumerOptions")
      assert.notInclude(declarations, "/internal/")
      assert.notMatch(declarations, /: any\b/)
      // Vitest's worker must respond between two compilations.
      await setImmediate()
      compile(join(name, "program.d.ts"), { ...resolution, skipLibCheck: false, noEmit: true })
    }, 120_000)
  }

  it("export every type of a public signature by its name", () => {
    const modules = packages.flatMap((name) => {
      const dist = join(folder, "node_modules/@spillway", name, "dist")
      return (readdirSync(dist, { recursive: true }) as ReadonlyArray<string>)
        .filter((file) => file.endsWith(".d.ts") && !file.startsWith("internal"))
        .map((file) => join(dist, file))
    })
    const program = ts.createProgram(modules, { ...resolutions.NodeNext, strict: true, noEmit: true })
    const isPrivate = (file: string) => file.includes("/@spillway/") && file.includes("/internal/")
    assert.deepStrictEqual(leaks(program, modules, isPrivate), [])
  }, 60_000)
})
