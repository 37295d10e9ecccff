/**
 * Which part of the broker answers which request.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { Api, BrokerEndpoint, Request, Response } from "@spillway/kafka/Protocol"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Serve } from "./connections.js"
import type { Coordinator } from "./coordinator.js"
import * as Records from "./records.js"
import type { Topics } from "./topics.js"

export interface Parts {
  readonly clock: Clock.Clock
  readonly node: BrokerEndpoint
  readonly topics: Topics
  readonly coordinator: Coordinator
}

type Handlers = {
  readonly [A in Api]: (request: Request<A>, clientId: string) => Effect.Effect<Response<A>>
}

const withCode = (answer: Effect.Effect<number>) => Effect.map(answer, (errorCode) => ({ errorCode }))

export const make = ({ clock, coordinator, node, topics }: Parts): Serve => {
  const handlers: Handlers = {
    Metadata: (request) => Effect.sync(() => topics.metadata(request, node)),
    FindCoordinator: () => Effect.succeed({ errorCode: KafkaErrorCode.NONE, coordinator: node }),
    Produce: (request) => Effect.sync(() => Records.produce(topics, request)),
    Fetch: (request) => Records.fetch(topics, clock, request),
    ListOffsets: (request) => Effect.sync(() => Records.listOffsets(topics, request)),
    JoinGroup: (request, clientId) => coordinator.join(clientId, request),
    SyncGroup: (request) => coordinator.sync(request),
    Heartbeat: (request) => withCode(coordinator.heartbeat(request)),
    LeaveGroup: (request) => withCode(coordinator.leave(request)),
    OffsetCommit: (request) => coordinator.commit(request),
    OffsetFetch: (request) => Effect.sync(() => coordinator.fetchOffsets(request)),
    CreateTopics: (request) => Effect.sync(() => topics.createTopics(request)),
    DeleteTopics: (request) => Effect.sync(() => topics.deleteTopics(request))
  }
  return (clientId, api, request) => Effect.suspend(() => handlers[api](request, clientId))
}
