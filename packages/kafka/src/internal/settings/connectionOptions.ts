import { isIPv6 } from "node:net"
import * as Duration from "effect/Duration"
import type { Endpoint } from "../../Wire.js"
import type { Check, ConfigIssue } from "./check.js"
import { checkSasl, type SaslOptions } from "./sasl.js"
import { decodeTls, type TlsOptions, type TlsSettings } from "./tls.js"

/** The longest delay that a Node timer supports. */
export const maxTimerMs = 2 ** 31 - 1

const address = /^(?:\[(?<ipv6>[^\][\s]+)\]|(?<host>[^:/@\][\s]+)):(?<port>\d{1,5})$/

/** Reads `host:port`, or `[::1]:port`. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const { ipv6, host = ipv6, port } = address.exec(text.trim())?.groups ?? {}
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) return undefined
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined
  return { host, port: Number(port) }
}

/** `host:port`, an IPv6 address in brackets. */
export const formatEndpoint = ({ host, port }: Endpoint): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

export interface RawOptions {
  readonly brokers: ReadonlyArray<string>
  readonly clientId?: string | undefined
  readonly connectTimeout?: Duration.DurationInput | undefined
  readonly requestTimeout?: Duration.DurationInput | undefined
  readonly maxResponseBytes?: number | undefined
  readonly tls?: boolean | TlsOptions | undefined
  readonly sasl?: SaslOptions | undefined
}

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
  raw: RawOptions
): { readonly options: WireOptions; readonly issues: Array<ConfigIssue> } => {
  const issues: Array<ConfigIssue> = []
  const check: Check = (valid, field, value, description) => {
    if (!valid) issues.push({ field, value, description })
    return value
  }
  const milliseconds = (field: string, input: Duration.DurationInput) => {
    const ms = Duration.decodeUnknown(input).pipe((decoded) =>
      decoded._tag === "Some" ? Duration.toMillis(decoded.value) : 0
    )
    check(ms >= 1 && ms <= maxTimerMs, field, input, "must be a duration between 1 millisecond and 24 days")
    return ms
  }
  check(raw.brokers.length > 0, "brokers", raw.brokers, "must name at least one broker")
  const bootstrap = raw.brokers.flatMap((broker, index) => {
    const endpoint = parseEndpoint(broker)
    const description = "must be host:port, an IPv6 address in brackets, the port from 1 to 65535"
    check(endpoint !== undefined, `brokers[${index}]`, broker, description)
    return endpoint === undefined ? [] : [endpoint]
  })
  checkSasl(raw.sasl, check)
  const { clientId = "spillway", maxResponseBytes = 100 * 1024 * 1024 } = raw
  const options = {
    bootstrap,
    clientId: check(
      clientId.trim() !== "" && Buffer.byteLength(clientId) <= 249,
      "clientId",
      clientId,
      "must have 1 to 249 bytes"
    ),
    connectTimeoutMs: milliseconds("connectTimeout", raw.connectTimeout ?? "10 seconds"),
    requestTimeoutMs: milliseconds("requestTimeout", raw.requestTimeout ?? "30 seconds"),
    maxResponseBytes: check(
      Number.isInteger(maxResponseBytes) && maxResponseBytes >= 1024 && maxResponseBytes <= 2 ** 31 - 1,
      "maxResponseBytes",
      maxResponseBytes,
      "must be a whole number of bytes from 1024 to 2147483647"
    ),
    quietMs: 10_000,
    probeLimitMs: 5_000,
    tls: decodeTls(raw.tls, check),
    sasl: raw.sasl
  }
  return { options, issues }
}
