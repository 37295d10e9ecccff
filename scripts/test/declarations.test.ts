/**
 * The declarations that TypeScript emits for a user's program name public types alone: a type of an internal module
 * can't be resolved there, or is silently `any`.
 */
import { assert, it } from "@effect/vitest"
import * as ts from "typescript"
import { locate } from "../docs/files.js"

const name = locate("examples/guide/src/declarations.ts")

const source = `
import { KafkaAdmin, KafkaConsumer, KafkaJsWire, KafkaProducer, KafkaReader } from "@spillway/kafka"
import { HealthServer, PrometheusServer, Telemetry } from "@spillway/observability"
import { EventPublisher, Health, ReliabilityConfig, TransportMetrics, TransportTracing } from "@spillway/transport"

export const configs = [
  KafkaAdmin.config(), KafkaConsumer.config(), KafkaConsumer.transactionalConfig(), KafkaJsWire.config(),
  KafkaProducer.config(), KafkaProducer.transactionalConfig(), KafkaReader.config(), HealthServer.config(),
  PrometheusServer.config(), Telemetry.config(), EventPublisher.config(), Health.config(), ReliabilityConfig.config(),
  TransportMetrics.config(), TransportTracing.config()
] as const

export const layers = [
  KafkaAdmin.layerConfig(), KafkaJsWire.layerConfig(), KafkaProducer.layerConfig(), HealthServer.layerConfig(),
  KafkaProducer.layerTransactionalConfig(), PrometheusServer.layerConfig(), Telemetry.layerConfig(),
  EventPublisher.layerConfig(), Health.layerConfig(), TransportMetrics.layerConfig(), TransportTracing.layerConfig()
] as const

/** Every layerConfig takes defaults, then a namespace. */
export const namespaced = [
  KafkaAdmin.layerConfig({}, "A"), KafkaJsWire.layerConfig({}, "A"), KafkaProducer.layerConfig({}, "A"),
  HealthServer.layerConfig({}, "A"), KafkaProducer.layerTransactionalConfig({}, "A"), Telemetry.layerConfig({}, "A"),
  PrometheusServer.layerConfig({}, "A"), EventPublisher.layerConfig({}, "A"), Health.layerConfig({}, "A"),
  TransportMetrics.layerConfig({}, "A"), TransportTracing.layerConfig({}, "A")
] as const
`

it("declarations of a user's program name no internal type", () => {
  const options: ts.CompilerOptions = {
    strict: true,
    declaration: true,
    emitDeclarationOnly: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: []
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile } = host
  host.fileExists = (file) => file === name || fileExists(file)
  host.getSourceFile = (file, target) =>
    file === name ? ts.createSourceFile(file, source, target) : getSourceFile(file, target)
  let declarations = ""
  host.writeFile = (_, text) => {
    declarations += text
  }
  const program = ts.createProgram([name], options, host)
  const problems = ts.getPreEmitDiagnostics(program, program.getSourceFile(name))
  assert.deepStrictEqual(
    problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    []
  )
  program.emit()
  assert.include(declarations, "KafkaConsumer.ConsumerOptions")
  assert.notInclude(declarations, "/internal/")
  assert.notInclude(declarations, "any")
}, 60_000)
