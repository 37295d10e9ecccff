/**
 * A broker whose listeners each require a different authentication, and its certificates.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { makeBroker } from "../../../../scripts/kafka/testing.js"
import type * as KafkaJsWire from "../../src/KafkaJsWire.js"

export const username = "bob"
export const secret = "b0b's own \u00e4 secret"
export const keyPassphrase = "the-key's-own-secret"

export interface Certificates {
  /** Paths of files, PEM. */
  readonly caFile: string
  readonly keystoreFile: string
  readonly clientCertFile: string
  readonly clientKeyFile: string
  readonly ca: string
  /** A CA that signed nothing. */
  readonly otherCa: string
  readonly clientCert: string
  readonly clientKey: string
  /** `clientKey` encrypted with `keyPassphrase`. */
  readonly encryptedClientKey: string
}

/** Made by openssl in a folder that is deleted with the scope. The broker's certificate is for 127.0.0.1 and localhost. */
export const makeCertificates = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-tls-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder): Certificates => {
    const at = (name: string) => join(folder, name)
    const read = (name: string) => readFileSync(at(name), "utf8")
    const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" })
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    const authority = (name: string) =>
      openssl("req", "-x509", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.crt`)
    const signed = (name: string) => {
      const extension = "subjectAltName=IP:127.0.0.1,DNS:localhost"
      openssl(
        ...["req", "-x509", ...ec, "-subj", `/CN=${name}`, "-CA", "ca.crt", "-CAkey", "ca.key"],
        ...["-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE"],
        ...["-keyout", `${name}.key`, "-out", `${name}.crt`]
      )
    }
    authority("ca")
    authority("other")
    signed("broker")
    signed("client")
    openssl("pkcs8", "-topk8", "-in", "client.key", "-out", "client.enc.key", "-passout", `pass:${keyPassphrase}`)
    writeFileSync(at("broker.pem"), ["broker.key", "broker.crt", "ca.crt"].map(read).join(""))
    return {
      caFile: at("ca.crt"),
      keystoreFile: at("broker.pem"),
      clientCertFile: at("client.crt"),
      clientKeyFile: at("client.key"),
      ca: read("ca.crt"),
      otherCa: read("other.crt"),
      clientCert: read("client.crt"),
      clientKey: read("client.key"),
      encryptedClientKey: read("client.enc.key")
    }
  }
)

const modules = "org.apache.kafka.common.security"
/** As Java reads properties. */
const escaped = (text: string): string =>
  text.replaceAll(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
export const plainModule = `${modules}.plain.PlainLoginModule required user_${username}="${escaped(secret)}";`
const scramModule = `${modules}.scram.ScramLoginModule required;`
const oauthModule = `${modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`

/** How long the broker accepts requests on a connection to its listener `REAUTH`, in milliseconds. */
export const sessionMs = 3_000

/**
 * - `SASL`: plain and both kinds of scram; `REAUTH`: plain, in sessions of three seconds; `OAUTH`: a token
 * - `TLS`; `MUTUAL`: TLS with a client's certificate; `BOTH`: TLS and scram-sha-512
 */
export const makeSecureBroker = (certificates: Certificates) => {
  const keystore = (listener: string) => ({
    [`listener.name.${listener}.ssl.keystore.type`]: "PEM",
    [`listener.name.${listener}.ssl.keystore.location`]: certificates.keystoreFile
  })
  return makeBroker(
    {
      "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
      "listener.name.sasl.plain.sasl.jaas.config": plainModule,
      "listener.name.sasl.scram-sha-256.sasl.jaas.config": scramModule,
      "listener.name.sasl.scram-sha-512.sasl.jaas.config": scramModule,
      "listener.name.reauth.sasl.enabled.mechanisms": "PLAIN",
      "listener.name.reauth.plain.sasl.jaas.config": plainModule,
      "listener.name.reauth.plain.connections.max.reauth.ms": String(sessionMs),
      "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
      "listener.name.oauth.oauthbearer.sasl.jaas.config": oauthModule,
      ...keystore("tls"),
      ...keystore("mutual"),
      "listener.name.mutual.ssl.truststore.type": "PEM",
      "listener.name.mutual.ssl.truststore.location": certificates.caFile,
      "listener.name.mutual.ssl.client.auth": "required",
      ...keystore("both"),
      "listener.name.both.sasl.enabled.mechanisms": "SCRAM-SHA-512",
      "listener.name.both.scram-sha-512.sasl.jaas.config": scramModule
    },
    {
      listeners: {
        SASL: "SASL_PLAINTEXT",
        REAUTH: "SASL_PLAINTEXT",
        OAUTH: "SASL_PLAINTEXT",
        TLS: "SSL",
        MUTUAL: "SSL",
        BOTH: "SASL_SSL"
      },
      format: ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
        "--add-scram",
        `${mechanism}=[name=${username},password=${secret}]`
      ])
    }
  )
}

export const password = (
  mechanism: "plain" | "scram-sha-256" | "scram-sha-512",
  password: string = secret
): KafkaJsWire.SaslOptions => ({ mechanism, username, password: Redacted.make(password) })

/** A token that Kafka's unsecured validator accepts for an hour. */
export const token = (expiresInSeconds = 3_600): string => {
  const now = Math.floor(Date.now() / 1_000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  return `${part({ alg: "none" })}.${part({ sub: username, iat: now - 7_200, exp: now + expiresInSeconds })}.`
}

export const oauth = (expiresInSeconds?: number): KafkaJsWire.SaslOptions => ({
  mechanism: "oauthbearer",
  token: Effect.sync(() => Redacted.make(token(expiresInSeconds)))
})
