/**
 * The options of `KafkaJsWire` with defaults applied and checked: every issue at once, with field and value.
 */
import type { OptionIssue } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import type { Endpoint } from "../../Wire.js"
import { settings } from "./connectionFields.js"
import type { KafkaJsWireOptions } from "./connectionOptions.js"
import type { SaslOptions } from "./sasl.js"
import type { TlsSettings } from "./tls.js"

export interface WireOptions {
  readonly bootstrap: ReadonlyArray<Endpoint>
  readonly clientId: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly maxResponseBytes: number
  /** A connection that has been quiet for this long, in milliseconds, is probed before the next request. */
  readonly quietMs: number
  /** How long the broker may take to answer a probe, in milliseconds. */
  readonly probeLimitMs: number
  /** Absent: plaintext. */
  readonly tls: TlsSettings | undefined
  readonly sasl: SaslOptions | undefined
}

/** Decodes the options and reports every issue. */
export const decodeOptions = (
  options: KafkaJsWireOptions
): { readonly options: WireOptions; readonly issues: ReadonlyArray<OptionIssue> } => {
  const { issues, values } = Settings.check(settings, options)
  return {
    options: {
      bootstrap: values.brokers,
      clientId: values.clientId,
      connectTimeoutMs: values.connectTimeout,
      requestTimeoutMs: values.requestTimeout,
      maxResponseBytes: values.maxResponseBytes,
      quietMs: 10_000,
      probeLimitMs: 5_000,
      tls: values.tls,
      sasl: values.sasl
    },
    issues
  }
}
