/**
 * The options of `KafkaJsWire`.
 */
import type * as Duration from "effect/Duration"
import type { SaslOptions } from "./sasl.js"
import type { TlsOptions } from "./tls.js"

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
   * `fetchMaxBytes` and `fetchMaxPartitionBytes` of its consumers. Default 100 MiB.
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
