import type { HealthChecks, HealthStatus } from "@spillway/transport/Health"
import * as Effect from "effect/Effect"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly status: HealthStatus
    readonly components: { readonly [name: string]: { readonly status: HealthStatus; readonly checks: HealthChecks } }
  }
}

export const readHealth = (
  { host, port }: { readonly host: string; readonly port: number },
  path: string
): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const { headers, status, ...response } = await fetch(`http://${host}:${port}${path}`).then(async (response) => ({
      status: response.status,
      headers: response.headers,
      text: await response.text()
    }))
    return { status, headers, body: response.text === "" ? {} : JSON.parse(response.text) }
  })
