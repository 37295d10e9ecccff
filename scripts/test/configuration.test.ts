/**
 * Checks that docs/configuration.md names every variable that the Layers read, under its option, with the default in
 * the code, and the Kafka setting that the option replaces.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import * as HealthServer from "@spillway/observability/HealthServer"
import * as PrometheusServer from "@spillway/observability/PrometheusServer"
import * as Telemetry from "@spillway/observability/Telemetry"
import * as EventPublisher from "@spillway/transport/EventPublisher"
import * as Health from "@spillway/transport/Health"
import { Producer } from "@spillway/transport/Producer"
import * as ReliabilityConfig from "@spillway/transport/ReliabilityConfig"
import * as CircuitBreaker from "@spillway/transport/runtime/CircuitBreaker"
import * as DeadLetters from "@spillway/transport/runtime/DeadLetter"
import * as Environment from "@spillway/transport/runtime/Environment"
import { failureOf } from "@spillway/transport/runtime/Failure"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Cause from "effect/Cause"
import type * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as PathPatch from "effect/ConfigProviderPathPatch"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as AdminSettings from "../../packages/kafka/src/internal/admin/adminSettings.js"
import * as ReadSettings from "../../packages/kafka/src/internal/reader/readSettings.js"
import { decodeOptions } from "../../packages/kafka/src/internal/settings/connectionSettings.js"
import * as ConsumerSettings from "../../packages/kafka/src/internal/settings/consumerSettings.js"
import * as ProducerSettings from "../../packages/kafka/src/internal/settings/producerSettings.js"
import * as TransactionalSettings from "../../packages/kafka/src/internal/settings/transactionSettings.js"
import * as HealthServerSettings from "../../packages/observability/src/internal/healthServerSettings.js"
import * as TelemetrySettings from "../../packages/observability/src/internal/telemetrySettings.js"
import * as ScheduleCursor from "../../packages/transport/src/internal/scheduleCursor.js"
import { tables as generatedTables, render } from "../docs/settings.js"

interface Row {
  readonly option: string
  readonly variable: string
  readonly default: string | undefined
  /** The settings of Kafka's Java client, or `–`; absent if the row lacks that column. */
  readonly kafka: string | undefined
}

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8")

/** The rows of each section's table. */
const tables = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section): readonly [string, ReadonlyArray<Row>] => [
      /^`(\w+)`/.exec(section)![1]!,
      Array.from(
        section.matchAll(/^\| `([^`]+)` \| `([A-Z_]+)` \| (?:`([^`]*)` )?\|(?: (–|`[a-z.]+`(?:, `[a-z.]+`)*) \|)?/gm),
        ([, option, variable, text, kafka]) => ({
          option: option!,
          variable: variable!,
          default: text,
          kafka
        })
      )
    ])
)

/** The Layers whose variables a Layer reads besides its own. */
const readsToo: Readonly<Record<string, ReadonlyArray<string>>> = {
  TransactionalProducer: ["KafkaProducer"],
  TransactionalConsumer: ["KafkaConsumer", "KafkaProducer", "TransactionalProducer"]
}

/** The Layers whose options have Kafka's names. */
const clients = ["KafkaJsWire", "KafkaConsumer", "KafkaProducer", "TransactionalProducer", "TransactionalConsumer"]

/** The options that it doesn't have: transactions are idempotent. */
const notOfTransactions = "KAFKA_PRODUCER_IDEMPOTENT"

/** The variables that a Config asks for. */
const asked = (config: Config.Config<unknown>): ReadonlyArray<string> => {
  const names = new Set<string>()
  const recording = ConfigProvider.makeFlat({
    load: (path) => {
      names.add(path.join("_"))
      return Effect.fail(ConfigError.MissingData([...path], "recorded"))
    },
    enumerateChildren: () => Effect.succeed(HashSet.empty()),
    patch: PathPatch.empty
  })
  Effect.runSync(
    Effect.ignore(
      Effect.withConfigProvider(
        Effect.suspend(() => config),
        ConfigProvider.fromFlat(recording)
      )
    )
  )
  return Array.from(names)
}

interface Documented {
  readonly prefix: string
  readonly config: Config.Config<unknown>
  /** The settings read from the variables, with the defaults filled in. */
  readonly effective: (variables: Readonly<Record<string, string>>) => Effect.Effect<unknown, unknown>
}

const documented = <A>(
  prefix: string,
  config: Config.Config<A>,
  effective: (options: A) => Effect.Effect<unknown, unknown>
): Documented => ({
  prefix,
  config,
  effective: (variables) =>
    Effect.flatMap(
      Effect.suspend(() => config),
      effective
    ).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
})

const brokers = { KAFKA_BROKERS: "kafka:9092" }

/** The delays of a policy's retries, and the dead letters of a policy. */
const policyOf = ({ circuitBreaker = {}, deadLetter, metrics, retry }: ReliabilityConfig.Reliability<Producer>) =>
  Effect.gen(function* () {
    const { isFailure: _, ...breaker } = CircuitBreaker.check(circuitBreaker).settings
    const delays: Array<unknown> = []
    const failure = failureOf(Cause.fail("failed"), 1)
    let step = yield* ScheduleCursor.make(retry).next(failure)
    while (Option.isSome(step)) {
      delays.push(step.value.delay)
      step = yield* step.value.cursor.next(failure)
    }
    const destination = yield* deadLetter.destination
    if (destination._tag === "None") return { breaker, delays, metrics, destination }
    const record = { topic: "t", partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
    const failed = { record, error: "e", attempts: 1, failedAt: 0, groupId: "g" }
    const { headers, tooLarge } = destination
    return {
      breaker,
      delays,
      metrics,
      tooLarge,
      letter: DeadLetters.record(failed, { topic: destination.topicOf("t"), headers })
    }
  }).pipe(Effect.withRandom(Random.fixed([0])))

const producer: Producer["Type"] = {
  send: () => Effect.die("unused"),
  sendAll: () => Effect.die("unused"),
  sendAllEither: () => Effect.die("unused"),
  partitions: () => Effect.die("unused")
}

const layers: Readonly<Record<string, Documented>> = {
  KafkaJsWire: documented("KAFKA", KafkaJsWire.config(), (options) =>
    Effect.sync(() => decodeOptions(options).options)
  ),
  KafkaConsumer: documented("KAFKA_CONSUMER", KafkaConsumer.config({ groupId: "g", topics: ["t"] }), (options) =>
    Effect.sync(() => ConsumerSettings.check(options).settings)
  ),
  ReliabilityConfig: documented("RELIABILITY", ReliabilityConfig.config(), (options) =>
    Effect.provideService(policyOf(ReliabilityConfig.options(options)), Producer, producer)
  ),
  KafkaProducer: documented("KAFKA_PRODUCER", KafkaProducer.config(), ProducerSettings.decode),
  TransactionalProducer: documented(
    "KAFKA_PRODUCER",
    KafkaProducer.configTransactional({ transactionalId: "t" }),
    TransactionalSettings.decode
  ),
  TransactionalConsumer: documented(
    "KAFKA_CONSUMER",
    KafkaConsumer.configTransactional({ groupId: "g", topics: ["t"], transactionalId: "t" }),
    ({ maxTransactionBytes = 8 * 1024 * 1024, producer, transactionTimeout, transactionalId, ...options }) =>
      Effect.map(TransactionalSettings.decode({ ...producer, transactionTimeout, transactionalId }), (settings) => ({
        ...settings,
        ...ConsumerSettings.check(options).settings,
        maxTransactionBytes
      }))
  ),
  TransportMetrics: documented("METRICS", TransportMetrics.config({ service: "s" }), Effect.succeed),
  PrometheusServer: documented("PROMETHEUS", PrometheusServer.config(), (options) =>
    // Only the port is omitted, because another program may use it.
    Effect.scoped(Effect.map(PrometheusServer.make({ ...options, port: 0 }), ({ host, path }) => ({ host, path })))
  ),
  KafkaReader: documented("KAFKA_READER", KafkaReader.config({ topic: "t" }), (options) =>
    ReadSettings.decode(options, undefined)
  ),
  KafkaAdmin: documented("KAFKA_ADMIN", KafkaAdmin.config(), AdminSettings.decode),
  EventPublisher: documented("EVENT_PUBLISHER", EventPublisher.config({ source: "/s", topic: "t" }), Effect.succeed),
  Health: documented("HEALTH", Health.config(), (options) =>
    Effect.map(Health.make(options), ({ stalledAfter }) => Duration.toMillis(stalledAfter))
  ),
  HealthServer: documented("HEALTH", HealthServer.config(), (options) =>
    Settings.decode(HealthServerSettings.settings, options)
  ),
  Telemetry: documented("OTEL", Telemetry.config({ serviceName: "s" }), TelemetrySettings.decode),
  TransportTracing: documented("TRACING", TransportTracing.config(), ({ recordKeys = false, relation = "parent" }) =>
    Effect.succeed({ recordKeys, relation })
  )
}

describe("docs/configuration.md", () => {
  for (const [name, { config, effective, prefix }] of Object.entries(layers)) {
    const rows = tables.get(name) ?? []

    it(`names the variables of ${name}`, () => {
      const others = (readsToo[name] ?? []).flatMap((other) => tables.get(other)!.map(({ variable }) => variable))
      assert.sameMembers(
        [...rows.map(({ variable }) => variable), ...others.filter((variable) => variable !== notOfTransactions)],
        [...asked(config)]
      )
      // OpenTelemetry names its variables itself.
      for (const { option, variable } of name === "Telemetry" ? [] : rows) {
        assert.strictEqual(variable, Environment.nameOf(prefix, option.replace(".", "_")))
      }
    })

    it.live(`has the defaults of ${name}`, () =>
      Effect.gen(function* () {
        const required = name === "KafkaJsWire" ? brokers : {}
        const unset = yield* effective(required)
        for (const { default: text, variable } of rows) {
          if (text === undefined) continue
          assert.deepStrictEqual(yield* effective({ ...required, [variable]: text }), unset, variable)
        }
      })
    )
  }

  it("has Kafka's name of each option of a client, or –", () => {
    const nameless = clients.flatMap((name) => tables.get(name)!.filter(({ kafka }) => kafka === undefined))
    assert.deepStrictEqual(nameless, [])
  })

  it("is generated from the descriptions that check and parse the options", () => {
    assert.strictEqual(render(page), page, "run npm run docs")
    const generated = Array.from(page.matchAll(/^<!-- settings (\w+) -->$/gm), ([, module]) => module)
    assert.sameMembers(generated, Object.keys(generatedTables))
    assert.sameMembers(generated, Object.keys(layers))
  })

  it("names no variable of another Layer", () => {
    const others = Array.from(tables.keys()).filter((name) => tables.get(name)!.length > 0 && !(name in layers))
    assert.deepStrictEqual(others, [])
  })
})
