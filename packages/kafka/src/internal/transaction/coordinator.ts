/**
 * Requests to the coordinator of a transactional id, or of a group whose offsets are part of a transaction: repeated
 * while the answer may change.
 */
import * as Effect from "effect/Effect"
import { nameOf } from "../../KafkaErrorCode.js"
import type { Api, Request, Response, TransactionalProducer } from "../../Protocol.js"
import { TransactionError, type TransactionErrorReason } from "../../Transaction.js"
import type { WireError } from "../../Wire.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import { answerLimitMs } from "../concurrency/patience.js"
import type { Retry } from "../concurrency/retries.js"
import type { ProducerIdAndEpoch } from "../producer/sequence.js"
import * as Decisions from "./decisions.js"

export interface Asked<A extends Api> {
  readonly api: A
  readonly request: () => Request<A>
  /** The answer's error code; if it has several, the first that isn't 0. */
  readonly codeOf: (response: Response<A>) => number
  /** Default: `Decisions.onCode`. */
  readonly react?: ((code: number) => Decisions.Reaction) | undefined
  /** The owner of the coordinator, if not the transactional id. */
  readonly groupId?: string
  /** Called before each request is sent. */
  readonly onSent?: () => void
  /** Whether the request contains no cluster-specific ids. Default: false. */
  readonly isOfAnyCluster?: boolean
}

/** A permanent answer, or a change of the cluster. */
export interface Refusal {
  readonly reaction:
    | Exclude<Decisions.Reaction, { readonly _tag: "Ok" | "Retry" | "FindCoordinator" }>
    | { readonly _tag: "Moved" }
  readonly error: TransactionError
}

export interface Coordinator {
  readonly error: (
    reason: TransactionErrorReason,
    description: string,
    more?: { readonly code?: number; readonly cause?: unknown }
  ) => TransactionError
  /** The first fields of every request in a transaction. */
  readonly producerOf: (identity: ProducerIdAndEpoch) => TransactionalProducer
  /** Why a transaction of a previous cluster can't be committed. */
  readonly moved: () => TransactionError
  /** Repeats the request until it has a final answer. */
  readonly ask: <A extends Api>(asked: Asked<A>) => Effect.Effect<Response<A>, Refusal>
}

/** Brokers complete a transaction within some milliseconds. */
const firstDelayMs = 20

export const make = (cluster: Cluster, transactionalId: string, transactionTimeoutMs: number): Coordinator => {
  // With later answers, the transaction would be aborted before they arrive.
  const limitMs = answerLimitMs(transactionTimeoutMs)

  const error: Coordinator["error"] = (reason, description, more) =>
    new TransactionError({ reason, transactionalId, description, ...more })

  const fatal = (reason: TransactionErrorReason, cause: WireError | ResponseError): Refusal => ({
    reaction: { _tag: "Fatal", reason },
    error: error(reason, cause.message, { cause })
  })

  const moved = () => error("Aborted", "the brokers are those of another cluster, which doesn't know the transaction")

  const refusalOf = (api: Api, code: number, reaction: Refusal["reaction"]): Refusal => {
    const reason = "reason" in reaction ? reaction.reason : reaction._tag === "Fenced" ? "Fenced" : "Aborted"
    return { reaction, error: error(reason, `${api} was answered with ${nameOf(code)}`, { code }) }
  }

  const ask: Coordinator["ask"] = <A extends Api>(asked: Asked<A>) =>
    cluster.retries.during(asked.api, transactionalId, (retry) => repeat(asked, retry))

  const repeat = Effect.fnUntraced(function* <A extends Api>(
    asked: Asked<A>,
    retry: Retry
  ): Effect.fn.Return<Response<A>, Refusal> {
    const { api, codeOf, groupId, onSent, react = Decisions.onCode, request } = asked
    const key: readonly [string, "group" | "transaction"] =
      groupId === undefined ? [transactionalId, "transaction"] : [groupId, "group"]
    const backoff = Backoff.make(firstDelayMs, 1_000)
    let moves = cluster.moves()
    while (true) {
      if (moves !== cluster.moves() && asked.isOfAnyCluster !== true) {
        return yield* Effect.fail<Refusal>({ reaction: { _tag: "Moved" }, error: moved() })
      }
      moves = cluster.moves()
      const answer = yield* Effect.either(
        Effect.flatMap(cluster.coordinator(...key, limitMs), (nodeId) => {
          onSent?.()
          // An abandoned request that arrives after its retry would fence this producer.
          return cluster.request(nodeId, "group", api, request(), api === "InitProducerId" ? undefined : limitMs)
        })
      )
      if (moves !== cluster.moves()) continue
      if (answer._tag === "Right") {
        const code = codeOf(answer.right)
        const reaction = react(code)
        if (reaction._tag === "Ok") return answer.right
        if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(...key)
        else if (reaction._tag !== "Retry") return yield* Effect.fail(refusalOf(api, code, reaction))
        yield* retry.failed(`${api} was answered with ${nameOf(code)}`)
      } else {
        const { left } = answer
        cluster.forgetCoordinator(...key)
        if (left._tag === "WireError") {
          if (left.reason === "Authentication") return yield* Effect.fail(fatal("Authorization", left))
          if (left.reason === "UnsupportedVersion") return yield* Effect.fail(fatal("UnsupportedBroker", left))
        } else {
          const reaction = react(left.code)
          if (reaction._tag === "Fatal" || reaction._tag === "Abort") {
            return yield* Effect.fail(refusalOf(left.api, left.code, reaction))
          }
        }
        yield* retry.failed(left)
      }
      yield* backoff.next
    }
  })

  return {
    error,
    moved,
    producerOf: ({ producerEpoch, producerId }) => ({ transactionalId, producerId, producerEpoch }),
    ask
  }
}
