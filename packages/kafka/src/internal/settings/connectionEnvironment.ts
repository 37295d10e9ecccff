/**
 * TLS and SASL from the environment. Secrets are redacted before any error can show them.
 */
import { readFileSync } from "node:fs"
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Check } from "./check.js"
import { checkSasl, isPasswordMechanism, passwordMechanisms, type SaslOptions } from "./sasl.js"
import { decodeTls, type TlsOptions } from "./tls.js"

export const prefix = "KAFKA"

const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(config), Option.getOrUndefined)

/** Fails with everything that a check of the decoded value finds, under the variables' names. */
const checked = <A>(config: Config.Config<A>, find: (value: A, check: Check) => void): Config.Config<A> =>
  Config.mapOrFail(config, (decoded) => {
    const issues: Array<Environment.Issue> = []
    find(decoded, (valid, field, value, description) => {
      if (!valid) issues.push({ field, value, description })
      return value
    })
    return Option.match(Environment.errorOf(prefix, issues), {
      onNone: () => Either.right(decoded),
      onSome: Either.left
    })
  })

/** Text without PEM is the path of a file that holds it. */
const readPem = (path: Array<string>, text: string): Either.Either<string, ConfigError.ConfigError> =>
  text.includes("-----BEGIN ")
    ? Either.right(text)
    : Either.try({
        try: () => readFileSync(text.trim(), "utf8"),
        catch: (cause) => {
          // A text that isn't a path may be a key that was cut off: don't show it.
          const code = cause instanceof Error && "code" in cause ? `: ${String(cause.code)}` : ""
          return ConfigError.InvalidData(path, `must be PEM or the path of a readable file${code}`)
        }
      })

const pem = (name: string, description: string): Config.Config<string | undefined> =>
  optional(Config.mapOrFail(Config.string(name), (text) => readPem([], text)).pipe(Config.withDescription(description)))

const privateKey = (name: string, description: string): Config.Config<Redacted.Redacted<string> | undefined> =>
  optional(
    Config.mapOrFail(Config.redacted(name), (text) =>
      Either.map(readPem([name], Redacted.value(text)), Redacted.make)
    ).pipe(Config.withDescription(description))
  )

const givenTls: Config.Config<boolean | TlsOptions> = Config.all({
  isOn: optional(
    Config.boolean("KAFKA_TLS").pipe(
      Config.withDescription("Whether to use TLS; by default true if another KAFKA_TLS_ variable is set")
    )
  ),
  ca: pem("KAFKA_TLS_CA", "The certificate authority of the brokers: PEM or a file's path"),
  cert: pem("KAFKA_TLS_CERT", "The client's certificate: PEM or a file's path"),
  key: privateKey("KAFKA_TLS_KEY", "The client certificate's private key: PEM or a file's path")
}).pipe(
  Config.map(({ ca, cert, isOn, key }) => {
    const isGiven = ca !== undefined || cert !== undefined || key !== undefined
    return (isOn ?? isGiven) && (isGiven ? { ca, cert, key } : true)
  })
)

export const tls = checked(givenTls, decodeTls)

const missing = (name: string) =>
  Either.left(
    ConfigError.MissingData([name], "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD go together")
  )

const givenSasl: Config.Config<SaslOptions | undefined> = Config.all({
  mechanism: optional(
    Config.mapOrFail(Config.string("KAFKA_SASL_MECHANISM"), (name) => {
      const mechanism = name.trim().toLowerCase()
      if (isPasswordMechanism(mechanism)) return Either.right(mechanism)
      const description = `must be ${passwordMechanisms.join(", ")} (text can't configure others), not ${name}`
      return Either.left(ConfigError.InvalidData([], description))
    }).pipe(Config.withDescription(`The SASL mechanism: ${passwordMechanisms.join(", ")}; none by default`))
  ),
  username: optional(Config.string("KAFKA_SASL_USERNAME").pipe(Config.withDescription("The user's name"))),
  password: optional(Config.redacted("KAFKA_SASL_PASSWORD").pipe(Config.withDescription("The user's password")))
}).pipe(
  Config.mapOrFail(
    ({ mechanism, password, username }): Either.Either<SaslOptions | undefined, ConfigError.ConfigError> => {
      if (mechanism === undefined && username === undefined && password === undefined) return Either.right(undefined)
      if (mechanism === undefined) return missing("KAFKA_SASL_MECHANISM")
      if (username === undefined) return missing("KAFKA_SASL_USERNAME")
      if (password === undefined) return missing("KAFKA_SASL_PASSWORD")
      return Either.right({ mechanism, username, password })
    }
  )
)

export const sasl = checked(givenSasl, checkSasl)
