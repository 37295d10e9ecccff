import type * as Settings from "@spillway/transport/runtime/Settings"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
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

/** SASL PLAIN separates its fields by NUL. */
const isField = (text: string): boolean => text !== "" && !text.includes("\u0000")

const fieldRule = "must have at least one character and no NUL"

/** Refuses every part of the credentials that can't be used. */
export const checkSasl = (given: unknown, refuse: Settings.Refuse): void => {
  if (given === undefined) return
  const { mechanism, password, token, username } = { ...(given as object) } as Readonly<Record<string, unknown>>
  if (mechanism === "oauthbearer") {
    if (!Effect.isEffect(token)) refuse(undefined, "must be an Effect of a Redacted string", ".token")
    return
  }
  if (!passwordMechanisms.some((name) => name === mechanism)) {
    const mechanisms = [...passwordMechanisms, "oauthbearer"].map((name) => `"${name}"`).join(", ")
    refuse(mechanism, `must be one of ${mechanisms}`, ".mechanism")
  }
  if (typeof username !== "string" || !isField(username)) refuse(username, fieldRule, ".username")
  if (checkSecret(refuse, ".password", password) && !isField(Redacted.value(password))) {
    refuse(password, fieldRule, ".password")
  }
}
