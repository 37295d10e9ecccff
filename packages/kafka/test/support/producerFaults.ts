/**
 * A wire by which a test decides on each Produce request before the broker receives it.
 */
import type { Request, Response } from "@spillway/kafka/Protocol"
import { Wire, type WireError } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

type Produce = Request<"Produce">
type Produced = Response<"Produce">
type Forward = (request: Produce) => Effect.Effect<Produced, WireError>

export type Decide = (request: Produce, forward: Forward) => Effect.Effect<Produced, WireError>

export const partitionsOf = (request: Produce): ReadonlyArray<string> =>
  request.topics.flatMap(({ partitions, topic }) => partitions.map(({ partition }) => `${topic}-${partition}`))

/** Answers the chosen partitions with an error code and forwards the others. */
export const refusing =
  (codeOf: (topic: string, partition: number) => number | undefined): Decide =>
  (request, forward) => {
    const split = (refused: boolean) =>
      request.topics
        .map(({ partitions, topic }) => ({
          topic,
          partitions: partitions.filter(({ partition }) => (codeOf(topic, partition) !== undefined) === refused)
        }))
        .filter(({ partitions }) => partitions.length > 0)
    const answers = split(true).map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({
        partition,
        errorCode: codeOf(topic, partition) ?? 0,
        baseOffset: -1,
        logAppendTimeMs: -1
      }))
    }))
    const forwarded = split(false)
    return forwarded.length === 0
      ? Effect.succeed({ topics: answers })
      : Effect.map(forward({ ...request, topics: forwarded }), ({ topics }) => ({ topics: [...topics, ...answers] }))
  }

export const intercept = (wire: Context.Tag.Service<Wire>, decide: Decide): Context.Tag.Service<Wire> =>
  Wire.of({
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(wire.connect(endpoint, role), (connection) => ({
        closed: connection.closed,
        request: (api, request) =>
          api === "Produce"
            ? (decide(request as Produce, (request) => connection.request("Produce", request)) as ReturnType<
                typeof connection.request<typeof api>
              >)
            : connection.request(api, request)
      }))
  })
