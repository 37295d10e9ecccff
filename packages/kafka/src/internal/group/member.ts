/**
 * This member's identity for the group's coordinator, and its requests to it.
 */

import { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { Api, Request, Response } from "../../Protocol.js"
import type { Role, WireError } from "../../Wire.js"
import { protocolOf, type RebalanceProtocol } from "../assignors/assignor.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import * as Patience from "../concurrency/patience.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as Decisions from "./decisions.js"

export interface Member {
  readonly protocol: RebalanceProtocol
  phase: Decisions.Phase
  /** Empty until the coordinator has assigned one. */
  memberId: string
  /** -1 before the first. */
  generationId: number
  /** Whether its partitions outlast its generation: see `Decisions.keepsOwnership`. */
  keepsOwnership: boolean
  /** `limitMs`: how long to wait for the response; default: as long as for a heartbeat's. */
  readonly toCoordinator: <A extends Api>(
    role: Role,
    api: A,
    request: Request<A>,
    limitMs?: number | undefined
  ) => Effect.Effect<Response<A>, WireError | ResponseError>
  /** The first fields of every request within a generation. */
  readonly identity: () => {
    readonly groupId: string
    readonly generationId: number
    readonly memberId: string
    readonly groupInstanceId: string | null
  }
  readonly error: (reason: ConsumerError["reason"], description: string, cause?: unknown) => ConsumerError
  /** The error for a code that a retry can't fix. */
  readonly refused: (reaction: Decisions.Fatal, api: Api, code: number) => ConsumerError
  /** The coordinator no longer knows the member's generation, or the member itself: the partitions are lost. */
  readonly lose: (memberIdKept: boolean) => void
  /** Fails the consumer: a retry can't fix the error. */
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  /** Sets the actions of `lose` and `fail`. */
  readonly follow: (membership: Pick<Member, "lose" | "fail">) => void
  /** Fails on an error that a retry can't fix. */
  readonly rejectFatal: (cause: WireError | ResponseError) => Effect.Effect<void, ConsumerError>
  /** Logs with the member's identity as annotations. */
  readonly log: (message: string, annotations?: Readonly<Record<string, unknown>>) => Effect.Effect<void>
}

export const make = (cluster: Cluster, settings: ConsumerSettings): Member => {
  const { groupId } = settings
  const answerLimitMs = Patience.answerLimitMs(settings.sessionTimeoutMs)

  const error: Member["error"] = (reason, description, cause) =>
    new ConsumerError({ reason, groupId, description, cause })

  let followed: Pick<Member, "lose" | "fail"> | undefined

  const member: Member = {
    protocol: protocolOf(settings.assignors),
    phase: "Unjoined",
    memberId: "",
    generationId: -1,
    keepsOwnership: false,
    toCoordinator: (role, api, request, limitMs = answerLimitMs) =>
      cluster.coordinator(groupId, "group", answerLimitMs).pipe(
        Effect.flatMap((nodeId) => cluster.request(nodeId, role, api, request, limitMs)),
        Effect.tapError((cause) =>
          Effect.sync(() => {
            // A coordinator that parks a request beyond the limit is still the coordinator.
            const isParked = role === "join" && cause._tag === "WireError" && cause.reason === "Timeout"
            if (!(isParked && cause.api === api)) cluster.forgetCoordinator(groupId)
          })
        )
      ),
    identity: () => ({
      groupId,
      generationId: member.generationId,
      memberId: member.memberId,
      groupInstanceId: settings.groupInstanceId
    }),
    error,
    refused: ({ reason }, api, code) => error(reason, `${api} answered ${nameOf(code)}${hint(settings, code)}`),
    lose: (memberIdKept) => followed?.lose(memberIdKept),
    fail: (error) => Effect.suspend(() => followed?.fail(error) ?? Effect.void),
    follow: (membership) => {
      followed = membership
    },
    rejectFatal: (cause) => {
      if (cause._tag === "ResponseError") {
        const reaction = Decisions.onFindCoordinator(cause.code)
        return reaction._tag === "Fatal" ? Effect.fail(error(reaction.reason, cause.message, cause)) : Effect.void
      }
      if (cause.reason === "Authentication") return Effect.fail(error("Authorization", cause.message, cause))
      if (cause.reason === "UnsupportedVersion") return Effect.fail(error("UnsupportedBroker", cause.message, cause))
      return Effect.void
    },
    log: (message, annotations) =>
      Effect.suspend(() => {
        const { generationId, memberId } = member
        return Logging.log(LogLevel.Info, message, { groupId, memberId, generationId, ...annotations })
      })
  }
  return member
}

/** The remedy that the error names. */
const hint = (settings: ConsumerSettings, code: number): string => {
  switch (code) {
    case Code.INVALID_SESSION_TIMEOUT:
      return `: sessionTimeout ${settings.sessionTimeoutMs} ms is outside the broker's bounds`
    case Code.INCONSISTENT_GROUP_PROTOCOL:
      return `: other members offer none of the assignors ${settings.assignors.join(", ")}`
    case Code.GROUP_MAX_SIZE_REACHED:
      return ": the group has as many members as the broker's group.max.size allows"
    case Code.FENCED_INSTANCE_ID:
      return `: another member has taken groupInstanceId ${JSON.stringify(settings.groupInstanceId)}`
    default:
      return ""
  }
}
