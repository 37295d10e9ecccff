import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const Issuer = { token: Effect.sync(() => Redacted.make("token")) }

export const secured = (ca: string, cert: string, key: string) =>
  // #region options
  KafkaJsWire.layer({
    brokers: ["kafka-1:9093", "kafka-2:9093"],
    tls: { ca, cert, key: Redacted.make(key) },
    sasl: { mechanism: "oauthbearer", token: Issuer.token } // an Effect of a Redacted, run for each connection
  })
// #endregion
