/**
 * Wires that report to the oracle the requests and answers of a member, and the requests that the cluster accepts.
 */
import * as KafkaErrorCode from "@spillway/kafka/KafkaErrorCode"
import { type Api, latestTimestamp, type Request, type Response } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { type Connection, Wire, type WireError } from "@spillway/kafka/Wire"
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Member, Oracle } from "./oracle.js"
import * as Protocol from "./protocol.js"
import { nameOf } from "./truth.js"

const { KafkaErrorCode: Code } = KafkaErrorCode

/** The fields that a member sends about itself. */
interface Identity {
  readonly memberId: string
  readonly generationId: number
}

/** The identity for answers that don't concern the membership. */
const elsewhere: Identity = { memberId: "", generationId: -1 }

type Observe = {
  readonly [A in Api]?: {
    readonly asked?: (request: Request<A>) => void
    readonly answered?: (response: Response<A>, request: Request<A>) => void
    /** It had no answer, though the member waited for one. */
    readonly failed?: () => void
  }
}

const observing = (wire: Context.Tag.Service<Wire>, now: () => number, observe: Observe): Context.Tag.Service<Wire> =>
  Wire.of({
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(wire.connect(endpoint, role), (connection): Connection => {
        const request = <A extends Api>(
          api: A,
          request: Request<A>,
          limitMs?: number
        ): Effect.Effect<Response<A>, WireError> => {
          const observer = observe[api] as Observe[A]
          if (observer === undefined) return connection.request(api, request, limitMs)
          const { answered, asked, failed } = observer
          const onSuccess = (response: Response<A>) => {
            answered?.(response, request)
            return Effect.succeed(response)
          }
          if (failed === undefined) {
            return Effect.suspend(() => {
              asked?.(request)
              return Effect.flatMap(connection.request(api, request, limitMs), onSuccess)
            })
          }
          return Effect.uninterruptibleMask((restore) => {
            asked?.(request)
            const askedAt = now()
            return Effect.matchCauseEffect(restore(connection.request(api, request, limitMs)), {
              onFailure: (cause) => {
                if (!Cause.isInterrupted(cause) || now() > askedAt) failed()
                return Effect.failCause(cause)
              },
              onSuccess
            })
          })
        }
        return { closed: connection.closed, request }
      })
  })

const flatten = <P extends { readonly partition: number }>(
  topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<P> }>
): ReadonlyArray<P & TopicPartition> =>
  topics.flatMap(({ partitions, topic }) => partitions.map((partition) => ({ ...partition, topic })))

/** The member's side: when it learns of each answer, and its requests. */
export const client = (
  wire: Context.Tag.Service<Wire>,
  member: Member,
  oracle: Oracle,
  isEager: boolean,
  onEvent: (event: string) => void
): Context.Tag.Service<Wire> => {
  /** The member id and generation of its last join. */
  let joined: Identity | undefined
  const code = (api: Api, errorCode: number, sent?: Identity) => {
    if (errorCode === Code.NONE) return
    onEvent(`member ${member.number}: ${api} answered ${KafkaErrorCode.nameOf(errorCode)}`)
    const isRebalance = errorCode === Code.REBALANCE_IN_PROGRESS && api === "Heartbeat"
    if (!isRebalance) member.failures++
    // An answer to an earlier membership doesn't concern the current one.
    if (sent !== undefined && (sent.memberId !== joined?.memberId || sent.generationId !== joined.generationId)) return
    if (errorCode === Code.UNKNOWN_MEMBER_ID || errorCode === Code.FENCED_INSTANCE_ID) oracle.lost(member)
    if (isRebalance && isEager && !member.isJoining) oracle.revokes(member)
    if (isRebalance && !isEager) member.mustRejoin = true
    // While it joins, it already belongs to the next generation.
    if (errorCode === Code.ILLEGAL_GENERATION && api === "Heartbeat" && !member.isJoining) oracle.lost(member)
  }
  const failed = (api: Api) => () => {
    member.failures++
    onEvent(`member ${member.number}: ${api} failed`)
  }
  const observed = observing(wire, oracle.now, {
    JoinGroup: {
      asked: ({ protocols }) => oracle.joins(member, Protocol.owned(protocols[0]!.metadata)),
      answered: ({ errorCode, generationId, memberId }) => {
        code("JoinGroup", errorCode)
        if (errorCode === Code.NONE) joined = { generationId, memberId }
      },
      failed: failed("JoinGroup")
    },
    SyncGroup: {
      answered: ({ assignment, errorCode }) => {
        code("SyncGroup", errorCode)
        if (errorCode === Code.NONE) oracle.assigned(member, Protocol.assigned(assignment))
      },
      failed: failed("SyncGroup")
    },
    Heartbeat: {
      answered: ({ errorCode }, sent) => code("Heartbeat", errorCode, sent),
      failed: failed("Heartbeat")
    },
    ListOffsets: {
      answered: (response, { topics }) => {
        const latest = flatten(topics).filter(({ timestamp }) => timestamp === latestTimestamp)
        const names = new Set(latest.map(nameOf))
        for (const at of flatten(response.topics)) {
          if (at.errorCode === Code.NONE && names.has(nameOf(at))) oracle.endsAt(at, at.offset)
        }
      }
    },
    OffsetFetch: {
      answered: ({ errorCode, topics }) => {
        code("OffsetFetch", errorCode)
        for (const at of flatten(topics)) if (at.errorCode === Code.NONE) oracle.positioned(member, at, at.offset)
      }
    },
    OffsetCommit: {
      asked: ({ topics }) => {
        for (const at of flatten(topics)) oracle.commits(member, at, at.offset)
      },
      answered: ({ topics }, sent) => {
        for (const { errorCode } of flatten(topics)) code("OffsetCommit", errorCode, sent)
      },
      failed: failed("OffsetCommit")
    },
    TxnOffsetCommit: {
      answered: ({ topics }) => {
        for (const { errorCode } of flatten(topics)) code("TxnOffsetCommit", errorCode, elsewhere)
      },
      failed: failed("TxnOffsetCommit")
    },
    InitProducerId: {
      failed: () => {
        member.mayFenceItself = true
        failed("InitProducerId")()
      }
    },
    AddPartitionsToTxn: {
      answered: ({ topics }) => {
        for (const { errorCode } of flatten(topics)) code("AddPartitionsToTxn", errorCode, elsewhere)
      },
      failed: failed("AddPartitionsToTxn")
    },
    AddOffsetsToTxn: {
      answered: ({ errorCode }) => code("AddOffsetsToTxn", errorCode, elsewhere),
      failed: failed("AddOffsetsToTxn")
    },
    EndTxn: { answered: ({ errorCode }) => code("EndTxn", errorCode, elsewhere), failed: failed("EndTxn") },
    Produce: {
      answered: ({ topics }) => {
        for (const { errorCode } of flatten(topics)) code("Produce", errorCode, elsewhere)
      },
      failed: failed("Produce")
    },
    Fetch: {
      asked: (request) => oracle.fetches(member, request),
      answered: ({ topics }, request) => {
        for (const at of flatten(topics)) {
          if (at.records.byteLength === 0) continue
          for (const batch of RecordBatch.decode(at.records).batches) oracle.fetched(member, request, at, batch)
        }
      }
    }
  })
  return Wire.of({
    bootstrap: observed.bootstrap,
    connect: (endpoint, role) =>
      Effect.uninterruptibleMask((restore) => {
        member.connecting++
        return Effect.matchCauseEffect(restore(observed.connect(endpoint, role)), {
          onFailure: (cause) => {
            member.connecting--
            member.failures++
            return Effect.failCause(cause)
          },
          onSuccess: (connection) => {
            member.connecting--
            return Effect.succeed(connection)
          }
        })
      })
  })
}

/** The cluster's side: the requests of a member that it has accepted. */
export const cluster = (
  wire: Context.Tag.Service<Wire>,
  member: Member,
  oracle: Oracle,
  /** Whether the group's current generation is the given one, and assigns the partition to another member. */
  isAnothers: (at: TopicPartition, generation: number, memberId: string) => boolean
): Context.Tag.Service<Wire> =>
  observing(wire, oracle.now, {
    OffsetCommit: {
      answered: ({ topics }, { generationId, memberId }) => {
        for (const at of flatten(topics)) {
          if (at.errorCode === Code.NONE) oracle.committed(member, at, isAnothers(at, generationId, memberId))
        }
      }
    }
  })
