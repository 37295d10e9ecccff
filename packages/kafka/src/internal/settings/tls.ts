import { createPrivateKey, X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls"
import { messageOf } from "@spillway/transport/HandlerError"
import type * as Settings from "@spillway/transport/runtime/Settings"
import * as Redacted from "effect/Redacted"
import type { Endpoint } from "../../Wire.js"

/** How to verify the brokers, and how to identify the client to them. */
export interface TlsOptions {
  /** The certificate authority of the brokers, PEM. Default: those that Node trusts. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** The client's certificate chain, PEM, for brokers that require one. Set together with `key`. */
  readonly cert?: string | undefined
  /** The certificate's private key, PEM. */
  readonly key?: Redacted.Redacted<string> | undefined
  /** The passphrase of `key`. */
  readonly passphrase?: Redacted.Redacted<string> | undefined
  /** The name that the brokers' certificates must have. Default: the host of the connection. */
  readonly servername?: string | undefined
  /** `false` accepts any certificate: for tests only. Default `true`. */
  readonly rejectUnauthorized?: boolean | undefined
  /** The oldest version of TLS to accept. Default `"TLSv1.2"`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
}

/** TLS settings for the socket. */
export interface TlsSettings {
  readonly secureContext: SecureContext
  readonly servername: string | undefined
  readonly rejectUnauthorized: boolean
}

const certificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

const certificatesIn = (pem: unknown): ReadonlyArray<string> => String(pem).match(certificate) ?? []

/** The first line names the kind of PEM and isn't secret. */
const firstLine = (pem: unknown): string => String(pem).split("\n", 1)[0]!.slice(0, 80)

/** OpenSSL would skip certificates that it can't read. */
const isCertificates = (pem: unknown): boolean => {
  const found = certificatesIn(pem)
  try {
    for (const each of found) new X509Certificate(each)
    return found.length > 0
  } catch {
    return false
  }
}

const reveal = (secret: Redacted.Redacted<string> | undefined): string | undefined =>
  secret === undefined ? undefined : Redacted.value(secret)

const isPrivateKey = (key: Redacted.Redacted<string>, passphrase: Redacted.Redacted<string> | undefined): boolean => {
  try {
    createPrivateKey({ key: Redacted.value(key), passphrase: reveal(passphrase) })
    return true
  } catch {
    return false
  }
}

const isSecret = (value: unknown): boolean => Redacted.isRedacted(value) && typeof Redacted.value(value) === "string"

/** Replaces, in errors, a value that should have been redacted. */
const notRedacted = "<not redacted>"

/** Refuses anything but a redacted string. */
export const checkSecret = (
  refuse: Settings.Refuse,
  path: string,
  value: unknown
): value is Redacted.Redacted<string> => {
  if (isSecret(value)) return true
  refuse(value === undefined ? undefined : notRedacted, "must be a Redacted string", path)
  return false
}

const pemRule = "must be certificates in PEM"

/** Decodes the option `tls`; `undefined` without TLS or if a part of the option is refused. */
export const decodeTls = (given: unknown, report: Settings.Refuse): TlsSettings | undefined => {
  if (given === undefined || given === false) return undefined
  let isSound = true
  const refuse: Settings.Refuse = (value, description, path) => {
    isSound = false
    report(value, description, path)
  }
  if (given !== true && (typeof given !== "object" || given === null)) {
    refuse(given, "must be true, false or options")
    return undefined
  }
  const {
    ca,
    cert,
    key,
    minVersion = "TLSv1.2",
    passphrase,
    rejectUnauthorized = true,
    servername
  }: TlsOptions = given === true ? {} : given
  const authorities = ca === undefined ? undefined : Array.isArray(ca) ? (ca as ReadonlyArray<string>) : [ca as string]
  if (authorities?.length === 0) refuse(ca, pemRule, ".ca")
  for (const each of authorities ?? []) if (!isCertificates(each)) refuse(firstLine(each), pemRule, ".ca")
  if (cert !== undefined && !isCertificates(cert)) refuse(firstLine(cert), pemRule, ".cert")
  if ((cert === undefined) !== (key === undefined)) refuse(key, "must be set together with tls.cert", ".key")
  const isPassphrase = passphrase === undefined || checkSecret(refuse, ".passphrase", passphrase)
  if (key !== undefined && checkSecret(refuse, ".key", key) && isPassphrase && !isPrivateKey(key, passphrase)) {
    refuse(key, "must be a private key in PEM, with tls.passphrase if it is encrypted", ".key")
  }
  if (
    servername !== undefined &&
    (typeof servername !== "string" || servername.trim() === "" || isIP(servername) !== 0)
  ) {
    refuse(servername, "must be a host name, not an address", ".servername")
  }
  if (!["TLSv1.2", "TLSv1.3"].includes(minVersion)) {
    refuse(minVersion, `must be "TLSv1.2" or "TLSv1.3"`, ".minVersion")
  }
  if (!isSound) return undefined
  try {
    const secureContext = createSecureContext({
      ca: authorities?.flatMap(certificatesIn),
      cert,
      key: reveal(key),
      passphrase: reveal(passphrase),
      minVersion
    })
    return { secureContext, servername, rejectUnauthorized }
  } catch (cause) {
    refuse(key, `must belong to tls.cert: ${messageOf(cause)}`, ".key")
    return undefined
  }
}

/**
 * How long a connection is quiet before the kernel probes it, in milliseconds. Node allows a silent peer ten more
 * seconds; the kernel's own default is two hours.
 */
export const keepAliveMs = 10_000

export const openTls = ({ host, port }: Endpoint, settings: TlsSettings): TLSSocket => {
  const servername = settings.servername ?? (isIP(host) === 0 ? host : undefined)
  const socket = connect({
    host,
    port,
    secureContext: settings.secureContext,
    rejectUnauthorized: settings.rejectUnauthorized,
    ...(servername === undefined ? {} : { servername })
  })
  return socket.setNoDelay(true).setKeepAlive(true, keepAliveMs)
}

const alert = /ALERT_(BAD_|NO_|UNSUPPORTED_)?CERTIFICATE|ALERT_UNKNOWN_CA|ALERT_ACCESS_DENIED/

/** Whether a socket's error says that one side refused the other's certificate. */
export const isRefusal = (cause: Error, socket: object): boolean => {
  const code = "code" in cause ? String(cause.code) : cause.message
  return alert.test(code) || ("authorizationError" in socket && socket.authorizationError === code)
}
