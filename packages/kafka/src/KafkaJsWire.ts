/**
 * Wire on real Kafka: Spillway's own TCP connections, with requests laid out by kafkajs's encoder. Supports brokers
 * from Kafka 2.4 on.
 */
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ConnectionEnvironment from "./internal/settings/connectionEnvironment.js"
import type { KafkaJsWireOptions } from "./internal/settings/connectionOptions.js"
import { decodeOptions } from "./internal/settings/connectionSettings.js"
import type { PasswordMechanism, SaslOptions } from "./internal/settings/sasl.js"
import type { TlsOptions } from "./internal/settings/tls.js"
import { connect } from "./internal/wire/connection.js"
import { Wire } from "./Wire.js"

export type { KafkaJsWireOptions, PasswordMechanism, SaslOptions, TlsOptions }

/** A wire to a cluster. Opens no connection by itself: each consumer, producer and other client opens its own. */
export const make = (options: KafkaJsWireOptions): Effect.Effect<Context.Tag.Service<Wire>, InvalidOptions> =>
  Effect.suspend(() => {
    const { issues, options: decoded } = decodeOptions(options)
    const wire = Wire.of({
      bootstrap: decoded.bootstrap,
      maxResponseBytes: decoded.maxResponseBytes,
      connect: (endpoint) => connect(endpoint, decoded)
    })
    return Effect.as(Settings.refuse("KafkaJsWire", issues), wire)
  })

/** `make` as a Layer. */
export const layer = (options: KafkaJsWireOptions): Layer.Layer<Wire, InvalidOptions> =>
  Layer.effect(Wire, make(options))

/**
 * The options from the environment; within a namespace `A` each variable begins with `A_`, such as `A_KAFKA_BROKERS`:
 *
 * - `KAFKA_BROKERS`: a comma-separated list of `host:port`
 * - `KAFKA_CLIENT_ID`, `KAFKA_CONNECT_TIMEOUT`, `KAFKA_REQUEST_TIMEOUT`, `KAFKA_MAX_RESPONSE_BYTES`: as the options
 * - `KAFKA_TLS`: `true` or `false`; by default true when one of the next three is set
 * - `KAFKA_TLS_CA`, `KAFKA_TLS_CERT`, `KAFKA_TLS_KEY`: each a PEM text, or the path of a file that is read when the
 *   layer is built
 * - `KAFKA_SASL_MECHANISM` (`plain`, `scram-sha-256` or `scram-sha-512`), `KAFKA_SASL_USERNAME` and
 *   `KAFKA_SASL_PASSWORD`: all three or none
 */
export const config: (
  defaults?: Partial<KafkaJsWireOptions> | undefined,
  namespace?: string | undefined
) => Config.Config<KafkaJsWireOptions> = ConnectionEnvironment.config

/** `layer` with options from the environment; see `config`. */
export const layerConfig = (
  defaults?: Partial<KafkaJsWireOptions> | undefined,
  namespace?: string | undefined
): Layer.Layer<Wire, InvalidOptions | ConfigError> =>
  Layer.effect(Wire, Effect.flatMap(config(defaults, namespace), make))
