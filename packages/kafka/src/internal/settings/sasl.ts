import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Check } from "./check.js"
import { checkSecret } from "./tls.js"

/** The SASL mechanisms with a user name and a password: PLAIN (RFC 4616), and SCRAM (RFC 5802, RFC 7677). */
export type PasswordMechanism = "plain" | "scram-sha-256" | "scram-sha-512"

/** The SASL mechanism of a connection and its credentials. */
export type SaslOptions =
  | {
      /** `plain` sends the password as it is: use it with TLS alone. */
      readonly mechanism: PasswordMechanism
      /** The user's name; not empty. */
      readonly username: string
      /** The user's password; not empty. */
      readonly password: Redacted.Redacted<string>
    }
  | {
      /** A bearer token (KIP-255). */
      readonly mechanism: "oauthbearer"
      /**
       * Returns a currently valid token. It runs for each connection, within the connect timeout. If it fails, the
       * connection fails and is retried.
       */
      readonly token: Effect.Effect<Redacted.Redacted<string>, unknown>
    }

export const passwordMechanisms: ReadonlyArray<PasswordMechanism> = ["plain", "scram-sha-256", "scram-sha-512"]

export const isPasswordMechanism = (name: string): name is PasswordMechanism =>
  passwordMechanisms.some((mechanism) => mechanism === name)

/** SASL PLAIN separates its fields by NUL. */
const isField = (text: string): boolean => text !== "" && !text.includes("\u0000")

export const checkSasl = (sasl: SaslOptions | undefined, check: Check): void => {
  if (sasl === undefined) return
  if (sasl.mechanism === "oauthbearer") {
    check(Effect.isEffect(sasl.token), "sasl.token", undefined, "must be an Effect of a Redacted string")
    return
  }
  const mechanisms = [...passwordMechanisms, "oauthbearer"].map((name) => `"${name}"`).join(", ")
  check(isPasswordMechanism(sasl.mechanism), "sasl.mechanism", sasl.mechanism, `must be one of ${mechanisms}`)
  const { password, username } = sasl
  const description = "must have at least one character and no NUL"
  check(typeof username === "string" && isField(username), "sasl.username", username, description)
  if (checkSecret(check, "sasl.password", password)) {
    check(isField(Redacted.value(password)), "sasl.password", password, description)
  }
}
