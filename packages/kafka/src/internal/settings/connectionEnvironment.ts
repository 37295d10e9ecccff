/**
 * The options of `KafkaJsWire` from the environment. TLS and SASL have a variable for each part that text can express.
 * Secrets are redacted before any error can show them.
 */
import { readFileSync } from "node:fs"
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Config from "effect/Config"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Fields from "./connectionFields.js"
import type { KafkaJsWireOptions } from "./connectionOptions.js"
import { passwordMechanisms, type SaslOptions } from "./sasl.js"

const { tls, sasl, ...plain } = Fields.settings.fields

const { prefix } = Fields.settings

/** The parts of `tls` and `sasl` that have variables. */
const parts = {
  tls,
  "tls.ca": {
    meaning: "the certificate authority of the brokers: PEM or a file's path; by default those that Node trusts",
    kafka: ["ssl.truststore.certificates"]
  },
  "tls.cert": {
    meaning: "the client's certificate: PEM or a file's path",
    kafka: ["ssl.keystore.certificate.chain"]
  },
  "tls.key": { meaning: "its private key: PEM or a file's path", kafka: ["ssl.keystore.key"] },
  "sasl.mechanism": {
    meaning: "`plain`, `scram-sha-256`, `scram-sha-512`; in the program also `oauthbearer`",
    kafka: ["sasl.mechanism"]
  },
  "sasl.username": {
    meaning: "the user name; set it together with the mechanism and the password",
    kafka: ["sasl.jaas.config"]
  },
  "sasl.password": { meaning: "the password", kafka: ["sasl.jaas.config"] }
} satisfies Readonly<Record<string, Settings.Documentation>>

type Part = keyof typeof parts

/** The rows of docs/configuration.md. */
export const rows: ReadonlyArray<Settings.Row> = [
  ...Settings.rows({ fields: plain, prefix }),
  ...Object.entries(parts).map(([option, { kafka, meaning }]) => ({
    option,
    variable: Environment.nameOf(prefix, option.replace(".", "_")),
    shown: option === "tls" ? tls.shown : undefined,
    kafka,
    meaning
  }))
]

/** Text without PEM is the path of a file that holds it. */
const readPem = (text: string): Either.Either<string, string> =>
  text.includes("-----BEGIN ")
    ? Either.right(text)
    : Either.try({
        try: () => readFileSync(text.trim(), "utf8"),
        catch: (cause) => {
          const code = cause instanceof Error && "code" in cause ? `: ${String(cause.code)}` : ""
          return `must be PEM or the path of a readable file${code}`
        }
      })

type Given = { readonly [K in Part]: Option.Option<Redacted.Redacted<string>> }

type Secured = Pick<KafkaJsWireOptions, "tls" | "sasl">

/** Reports an issue, and takes the value that it concerns as not set. */
type Report = (part: string, value: unknown, description: string) => undefined

/** A variable's text, if it isn't blank. */
const textOf = (given: Given, part: Part): string | undefined => {
  const text = Option.getOrUndefined(Option.map(given[part], Redacted.value))
  return text?.trim() === "" ? undefined : text
}

const tlsOf = (given: Given, report: Report): Secured["tls"] => {
  const text = textOf(given, "tls")
  const isOn = text === undefined ? undefined : Environment.boolean(text.trim())
  if (isOn !== undefined && Either.isLeft(isOn)) return report("tls", text, isOn.left)
  const pem = (part: "tls.ca" | "tls.cert" | "tls.key"): string | undefined => {
    const text = textOf(given, part)
    if (text === undefined) return undefined
    // A text that isn't a path may be a key that was cut off, so no error shows it.
    return Either.getOrElse(readPem(text), (rule) => report(part, Redacted.make(text), rule))
  }
  const isGiven = (["tls.ca", "tls.cert", "tls.key"] as const).some((part) => textOf(given, part) !== undefined)
  if (isOn?.right === false || !isGiven) return isOn?.right
  const [ca, cert, key] = [pem("tls.ca"), pem("tls.cert"), pem("tls.key")]
  return { ca, cert, key: key === undefined ? undefined : Redacted.make(key) }
}

const saslOf = (given: Given, report: Report): SaslOptions | undefined => {
  const name = textOf(given, "sasl.mechanism")
  const username = textOf(given, "sasl.username")
  const password = textOf(given, "sasl.password")
  if (name === undefined && username === undefined && password === undefined) return undefined
  const mechanism = passwordMechanisms.find((mechanism) => mechanism === name?.trim().toLowerCase())
  const together = "must be set together with the others of SASL"
  if (name === undefined) report("sasl.mechanism", undefined, together)
  else if (mechanism === undefined) {
    report("sasl.mechanism", name, `must be ${passwordMechanisms.join(", ")} (text can't configure others)`)
  }
  if (username === undefined) report("sasl.username", undefined, together)
  if (password === undefined) report("sasl.password", undefined, together)
  if (mechanism === undefined || username === undefined || password === undefined) return undefined
  return { mechanism, username, password: Redacted.make(password) }
}

const secured = (namespace: string | undefined): Config.Config<Secured> => {
  const within = Environment.prefixOf(namespace, prefix)
  const variables = Object.fromEntries(
    Object.keys(parts).map((part) => [
      part,
      Config.option(Config.redacted(Environment.nameOf(within, part.replace(".", "_"))))
    ])
  ) as { readonly [K in Part]: Config.Config<Given[K]> }
  return Config.mapOrFail(Config.all(variables), (given) => {
    const issues: Array<Environment.Issue> = []
    const report: Report = (field, value, description) => {
      issues.push({ field, value, description })
      return undefined
    }
    const options: Secured = { tls: tlsOf(given, report), sasl: saslOf(given, report) }
    const unread = new Set(issues.map(({ field }) => field))
    for (const field of ["tls", "sasl"] as const) {
      Fields.settings.fields[field].decode(options[field], (value, description, path = "") => {
        if (!unread.has(`${field}${path}`)) report(`${field}${path}`, value, description)
      })
    }
    return Option.match(Environment.errorOf(within, issues), {
      onNone: () => Either.right(options),
      onSome: Either.left
    })
  })
}

const readable = { ...Fields.settings, fields: plain }

export const config = (
  { sasl, tls, ...defaults }: Partial<KafkaJsWireOptions> = {},
  namespace?: string | undefined
): Config.Config<KafkaJsWireOptions> =>
  Config.map(
    Config.all([
      Settings.config<Omit<KafkaJsWireOptions, "tls" | "sasl">>(readable, defaults, namespace),
      secured(namespace)
    ]),
    ([options, given]) => ({ ...options, tls: given.tls ?? tls ?? false, sasl: given.sasl ?? sasl })
  )
