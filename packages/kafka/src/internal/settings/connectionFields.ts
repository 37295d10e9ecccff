/**
 * The options of `KafkaJsWire`: their rules, defaults, variables and documentation.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import type { Endpoint } from "../../Wire.js"
import type { KafkaJsWireOptions } from "./connectionOptions.js"
import { parseEndpoint } from "./endpoint.js"
import { checkSasl, type SaslOptions } from "./sasl.js"
import { decodeTls, type TlsOptions, type TlsSettings } from "./tls.js"

const brokers: Settings.Setting<ReadonlyArray<string>, ReadonlyArray<Endpoint>> = {
  meaning: "the bootstrap servers: `host:port`, at least one",
  kafka: ["bootstrap.servers"],
  shown: undefined,
  parse: Environment.list,
  decode: (given, refuse) => {
    if (!Array.isArray(given) || given.length === 0) {
      refuse(given, "must name at least one broker")
      return []
    }
    return given.flatMap((broker: unknown, index) => {
      const endpoint = typeof broker === "string" ? parseEndpoint(broker) : undefined
      if (endpoint !== undefined) return [endpoint]
      refuse(broker, "must be host:port, an IPv6 address in brackets, the port from 1 to 65535", `[${index}]`)
      return []
    })
  }
}

const tls: Settings.Setting<boolean | TlsOptions, TlsSettings | undefined> = {
  meaning: "whether to use TLS; `true` if one of the next three is set",
  kafka: ["security.protocol"],
  shown: "false",
  parse: undefined,
  decode: (given, refuse) => decodeTls(given, refuse)
}

const sasl: Settings.Setting<SaslOptions, SaslOptions | undefined> = {
  meaning: "the SASL credentials",
  kafka: ["sasl.mechanism"],
  shown: undefined,
  parse: undefined,
  decode: (given, refuse) => {
    checkSasl(given, refuse)
    return given as SaslOptions | undefined
  }
}

const fields = {
  brokers,
  clientId: Settings.or(
    Settings.text(
      { meaning: "the client id in the broker's logs, metrics and quotas", kafka: ["client.id"] },
      (text) => Buffer.byteLength(text) <= 249,
      "must have 1 to 249 bytes"
    ),
    "spillway"
  ),
  connectTimeout: Settings.or(
    Settings.duration(
      {
        meaning: "for the TCP connection and all handshakes on it",
        kafka: ["socket.connection.setup.timeout.ms"]
      },
      1
    ),
    "10 seconds"
  ),
  requestTimeout: Settings.or(
    Settings.duration(
      {
        meaning:
          "for a response, on top of the wait that the request asks for (for a producer's request, including that wait)",
        kafka: ["request.timeout.ms"]
      },
      1
    ),
    "30 seconds"
  ),
  maxResponseBytes: Settings.or(
    Settings.whole(
      {
        meaning:
          "a larger response ends the connection; the limit is half of this for a response without records; must be 64 KiB above every consumer's `fetchMaxBytes` and `fetchMaxPartitionBytes`"
      },
      1024,
      Settings.maxInt32
    ),
    100 * 1024 * 1024
  ),
  tls,
  sasl
} satisfies Settings.FieldsOf<KafkaJsWireOptions>

export const settings: Settings.Settings<typeof fields> = { module: "KafkaJsWire", prefix: "KAFKA", fields }
