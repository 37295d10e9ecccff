/**
 * The tables of options in Markdown, generated from the descriptions that check and parse the options. A comment
 * `<!-- settings KafkaConsumer -->` stands in the line before a table.
 */
import * as AdminSettings from "../../packages/kafka/src/internal/admin/adminSettings.js"
import * as ReadFields from "../../packages/kafka/src/internal/reader/readFields.js"
import * as ConnectionEnvironment from "../../packages/kafka/src/internal/settings/connectionEnvironment.js"
import * as ConsumerFields from "../../packages/kafka/src/internal/settings/consumerFields.js"
import * as ProducerFields from "../../packages/kafka/src/internal/settings/producerFields.js"
import * as TransactionFields from "../../packages/kafka/src/internal/settings/transactionFields.js"
import * as HealthServerSettings from "../../packages/observability/src/internal/healthServerSettings.js"
import * as PrometheusSettings from "../../packages/observability/src/internal/prometheusSettings.js"
import * as TelemetryConfig from "../../packages/observability/src/internal/telemetryConfig.js"
import * as TelemetrySettings from "../../packages/observability/src/internal/telemetrySettings.js"
import * as Breaker from "../../packages/transport/src/internal/circuitBreaker/settings.js"
import * as EventPublisherSettings from "../../packages/transport/src/internal/eventPublisherSettings.js"
import * as MetricsSettings from "../../packages/transport/src/internal/metricsSettings.js"
import * as ReliabilitySettings from "../../packages/transport/src/internal/reliabilitySettings.js"
import * as TracingSettings from "../../packages/transport/src/internal/tracingSettings.js"
import * as HealthSettings from "../../packages/transport/src/runtime/HealthSettings.js"
import * as Settings from "../../packages/transport/src/runtime/Settings.js"

/** The rows of each table. */
export const tables: Readonly<Record<string, ReadonlyArray<Settings.Row>>> = {
  KafkaJsWire: ConnectionEnvironment.rows,
  KafkaConsumer: Settings.rows(ConsumerFields.settings),
  ReliabilityConfig: Settings.rows(ReliabilitySettings.settings).flatMap((row) =>
    row.option === "circuitBreaker" ? [row, ...Settings.rows(Breaker.settings, "circuitBreaker.")] : [row]
  ),
  KafkaProducer: Settings.rows(ProducerFields.settings),
  TransactionalProducer: Settings.rows({ ...TransactionFields.producer, fields: TransactionFields.added }),
  TransactionalConsumer: Settings.rows(TransactionFields.consumer),
  KafkaReader: Settings.rows(ReadFields.settings),
  KafkaAdmin: Settings.rows(AdminSettings.settings),
  EventPublisher: Settings.rows(EventPublisherSettings.settings),
  TransportMetrics: Settings.rows(MetricsSettings.settings),
  PrometheusServer: Settings.rows(PrometheusSettings.settings),
  Health: Settings.rows(HealthSettings.settings),
  HealthServer: Settings.rows(HealthServerSettings.settings),
  TransportTracing: Settings.rows(TracingSettings.settings),
  Telemetry: [...Settings.rows(TelemetrySettings.settings), ...TelemetryConfig.rows]
}

/** Modules whose options replace settings of Kafka's Java client. */
const hasKafka = new Set([
  "KafkaJsWire",
  "KafkaConsumer",
  "KafkaProducer",
  "TransactionalProducer",
  "TransactionalConsumer",
  "KafkaReader",
  "KafkaAdmin"
])

const code = (text: string): string => `\`${text}\``

const line = (cells: ReadonlyArray<string>): string =>
  `|${cells.map((cell) => (cell === "" ? " " : ` ${cell} `)).join("|")}|`

const tableOf = (module: string, rows: ReadonlyArray<Settings.Row>): string => {
  const withKafka = hasKafka.has(module)
  const columns = ["option", "environment", "default", ...(withKafka ? ["Kafka's name"] : []), "meaning"]
  return [
    line(columns),
    `|${"---|".repeat(columns.length)}`,
    ...rows.map(({ kafka, meaning, option, shown, variable }) =>
      line([
        code(option),
        code(variable),
        shown === undefined ? "" : code(shown),
        ...(withKafka ? [kafka?.map(code).join(", ") ?? "–"] : []),
        meaning
      ])
    )
  ].join("\n")
}

const table = /^<!-- settings (\w+) -->\n(?:\|.*\n)*/gm

/** The Markdown with each table replaced by that of its module. A module that has none stays as it is. */
export const render = (markdown: string): string =>
  markdown.replaceAll(table, (found: string, module: string) => {
    const rows = tables[module]
    return rows === undefined ? found : `<!-- settings ${module} -->\n${tableOf(module, rows)}\n`
  })
