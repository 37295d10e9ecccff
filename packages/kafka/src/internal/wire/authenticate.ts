import * as HandlerError from "@spillway/transport/HandlerError"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import { failureOf } from "@spillway/transport/runtime/Failure"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { type Endpoint, WireError } from "../../Wire.js"
import type { WireOptions } from "../settings/connectionSettings.js"
import { formatEndpoint } from "../settings/endpoint.js"
import type { SaslOptions } from "../settings/sasl.js"
import { type Exchange, makeSaslAuthenticator } from "./kafkajs.js"
import type { Link } from "./socket.js"
import type { VersionRange } from "./versions.js"

/** The fields of a SASL response that kafkajs doesn't return. */
interface Answer {
  readonly enabledMechanisms?: ReadonlyArray<string>
  /** The response's bytes, without their length. */
  readonly authBytes?: Buffer
}

/** kafkajs's credentials object. It lives for one authentication. */
const credentials = (sasl: SaslOptions, token: Redacted.Redacted<string> | undefined): object =>
  sasl.mechanism === "oauthbearer"
    ? { mechanism: sasl.mechanism, oauthBearerProvider: async () => ({ value: token && Redacted.value(token) }) }
    : { mechanism: sasl.mechanism, username: sasl.username, password: Redacted.value(sasl.password) }

const nameOf = (sasl: SaslOptions): string =>
  sasl.mechanism === "oauthbearer" ? "SASL oauthbearer" : `SASL ${sasl.mechanism} as ${JSON.stringify(sasl.username)}`

/** The failure of the token's own effect. */
const causeOf = (cause: Cause.Cause<unknown>): unknown => Diagnosis.carried(failureOf(cause, 1).error)

/** Authenticates on a link; returns for how many milliseconds the broker accepts requests: 0 for unlimited. */
export const authenticate = Effect.fnUntraced(function* (
  link: Link,
  endpoint: Endpoint,
  options: WireOptions,
  sasl: SaslOptions,
  ranges: ReadonlyMap<number, VersionRange>
): Effect.fn.Return<number, WireError> {
  const error = (reason: WireError["reason"], description: string, cause?: unknown) =>
    new WireError({ reason, endpoint: formatEndpoint(endpoint), description: `${nameOf(sasl)}: ${description}`, cause })

  const token =
    sasl.mechanism === "oauthbearer"
      ? yield* Concurrency.raceFirst(
          Effect.catchAllCause(sasl.token, (cause) =>
            Effect.fail(error("ConnectFailed", "no token could be obtained", causeOf(cause)))
          ),
          Effect.flatMap(link.closed, Effect.fail)
        )
      : undefined

  let broken: WireError | undefined
  let answer: Answer = {}

  const send = async ({ request, response }: Exchange): Promise<unknown> => {
    const body = await request.encode()
    const received = await Effect.runPromise(
      Effect.either(
        link.send({
          key: request.apiKey,
          version: request.apiVersion,
          waitMs: options.connectTimeoutMs,
          encode: (out) => {
            out.writeBuffer(body.buffer)
            return []
          },
          decode: (reader) => ({ response: reader.rest(), throttleTimeMs: 0 })
        })
      )
    )
    if (Either.isLeft(received)) {
      broken = received.left
      throw received.left
    }
    const decoded = await response.decode(received.right)
    answer = decoded as Answer
    return response.parse(decoded)
  }

  /** kafkajs's error is not kept as the cause: its message says everything, and it might hold secrets. */
  const refused = (cause: unknown): WireError => {
    if (broken !== undefined) return broken
    const enabled = answer.enabledMechanisms ?? []
    const takes = enabled.length === 0 ? "" : ` (the broker supports ${enabled.join(", ")})`
    return error("Authentication", `${HandlerError.messageOf(cause)}${takes}`)
  }

  const sessionLifetime = yield* Effect.tryPromise({
    try: async () => {
      const connection = { ...endpoint, sasl: credentials(sasl, token), send }
      const versions = Object.fromEntries(
        Array.from(ranges, ([key, { max, min }]) => [key, { minVersion: min, maxVersion: max }])
      )
      const authenticator = await makeSaslAuthenticator(connection, versions)
      await authenticator.authenticate()
      return Number(authenticator.sessionLifetime)
    },
    catch: refused
  })

  // A broker refuses a token by a challenge in a response without an error, which kafkajs doesn't read.
  const challenge = sasl.mechanism === "oauthbearer" ? answer.authBytes?.subarray(4).toString() : undefined
  if (challenge) return yield* error("Authentication", `the broker refused the token: ${challenge}`)
  return sessionLifetime
})
