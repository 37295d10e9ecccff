/**
 * Wire on real Kafka: Spillway's own TCP connections, with requests laid out by kafkajs's encoder. Supports brokers
 * from Kafka 2.4 on.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Secure from "./internal/settings/connectionEnvironment.js"
import { decodeOptions } from "./internal/settings/connectionOptions.js"
import type { SaslOptions } from "./internal/settings/sasl.js"
import type { TlsOptions } from "./internal/settings/tls.js"
import { connect } from "./internal/wire/connection.js"
import { Wire } from "./Wire.js"

export type { SaslOptions, TlsOptions }

/** The addresses of a cluster, and how to connect to its brokers. */
export interface KafkaJsWireOptions {
  /** The bootstrap servers: `host:port`, an IPv6 address in brackets. At least one. */
  readonly brokers: ReadonlyArray<string>
  /** The client id in brokers' logs, metrics and quotas. Default `"spillway"`. */
  readonly clientId?: string | undefined
  /** For the TCP connection and all handshakes on it. Default 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** For a response, on top of the wait that the request itself asks for. Default 30 seconds. */
  readonly requestTimeout?: Duration.DurationInput | undefined
  /**
   * A larger response ends the connection with `Malformed`. The limit is half of this for a response without records,
   * and 1 MiB during a handshake; a response of more than a million values is refused too. Must be 64 KiB above the
   * `fetchMaxBytes` and `maxPartitionBytes` of its consumers. Default 100 MiB.
   */
  readonly maxResponseBytes?: number | undefined
  /**
   * Whether to use TLS, and how. Default `false`. If either side refuses the other's certificate, the connection fails
   * with `Authentication`.
   */
  readonly tls?: boolean | TlsOptions | undefined
  /**
   * The SASL credentials. Default: none. If the broker refuses them, the connection fails with `Authentication`. If the
   * broker limits SASL sessions, Spillway opens a new connection before the session expires.
   */
  readonly sasl?: SaslOptions | undefined
}

/** The options can't be used; lists every issue. */
export class KafkaConfigError extends Data.TaggedError("KafkaConfigError")<{
  /** An option is missing, or has a value that can't be used. */
  readonly reason: "InvalidOptions"
  /** The options that can't be used; at least one. */
  readonly issues: ReadonlyArray<{
    /** The option's name, such as `tls.key`. */
    readonly field: string
    /** The value that can't be used; secrets stay redacted. */
    readonly value: unknown
    /** The rule that the value breaks, such as `must not be empty`. */
    readonly description: string
  }>
}> {
  override get message(): string {
    const issues = this.issues.map(
      ({ field, value, description }) => `${field} ${description}, not ${Environment.show(value)}`
    )
    return `${this.reason}: ${issues.join("; ")}`
  }
}

/** A wire to a cluster. Opens no connection by itself: each consumer, producer and other client opens its own. */
export const make = (options: KafkaJsWireOptions): Effect.Effect<Context.Tag.Service<Wire>, KafkaConfigError> =>
  Effect.suspend(() => {
    const { issues, options: decoded } = decodeOptions(options)
    if (issues.length > 0) return Effect.fail(new KafkaConfigError({ reason: "InvalidOptions", issues }))
    return Effect.succeed(
      Wire.of({
        bootstrap: decoded.bootstrap,
        maxResponseBytes: decoded.maxResponseBytes,
        connect: (endpoint) => connect(endpoint, decoded)
      })
    )
  })

/** `make` as a Layer. */
export const layer = (options: KafkaJsWireOptions): Layer.Layer<Wire, KafkaConfigError> =>
  Layer.effect(Wire, make(options))

const parsers: Environment.Parsers<Omit<KafkaJsWireOptions, "tls" | "sasl">> = {
  brokers: Environment.list,
  clientId: Environment.text,
  connectTimeout: Environment.duration,
  requestTimeout: Environment.duration,
  maxResponseBytes: Environment.number
}

/**
 * The options from the environment:
 *
 * - `KAFKA_BROKERS`: a comma-separated list of `host:port`
 * - `KAFKA_CLIENT_ID`, `KAFKA_CONNECT_TIMEOUT`, `KAFKA_REQUEST_TIMEOUT`, `KAFKA_MAX_RESPONSE_BYTES`: as the options
 * - `KAFKA_TLS`: `true` or `false`; by default true when one of the next three is set
 * - `KAFKA_TLS_CA`, `KAFKA_TLS_CERT`, `KAFKA_TLS_KEY`: each a PEM text, or the path of a file that is read when the
 *   layer is built
 * - `KAFKA_SASL_MECHANISM` (`plain`, `scram-sha-256` or `scram-sha-512`), `KAFKA_SASL_USERNAME` and
 *   `KAFKA_SASL_PASSWORD`: all three or none
 */
export const config: Config.Config<KafkaJsWireOptions> = Config.map(
  Config.all([
    Environment.options({
      prefix: Secure.prefix,
      parsers,
      defaults: { brokers: [] },
      check: (options) => decodeOptions(options).issues
    }),
    Secure.tls,
    Secure.sasl
  ]),
  ([options, tls, sasl]) => ({ ...options, tls, sasl })
)

/** The layer from the program's configuration; without an argument, from `config`. */
export const layerConfig = (
  options: Config.Config.Wrap<KafkaJsWireOptions> = config
): Layer.Layer<Wire, KafkaConfigError | ConfigError> => Layer.effect(Wire, Effect.flatMap(Config.unwrap(options), make))
