/**
 * Requests about groups, each to the group's coordinator.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"
import type { ResponseError } from "../cluster/cluster.js"
import * as Parallel from "../concurrency/parallel.js"
import type { Operation } from "./client.js"
import * as Failures from "./failures.js"
import { groupBy } from "./groupBy.js"
import * as PerItem from "./perItem.js"

/** A request to one group's coordinator. Looks the coordinator up again after it failed. */
export const request = <A>(
  { cluster }: Operation,
  groupId: string,
  send: (nodeId: number) => Effect.Effect<A, WireError>
): Effect.Effect<A, WireError | ResponseError> =>
  Effect.tapError(Effect.flatMap(cluster.coordinator(groupId), send), () =>
    Effect.sync(() => cluster.forgetCoordinator(groupId))
  )

/** The outcome of a group's item that was answered with an error code other than NONE. */
export const refusal = ({ cluster }: Operation, groupId: string, subject: Failures.Subject, code: number) => {
  if (Failures.coordinatorCodes.has(code)) cluster.forgetCoordinator(groupId)
  return Failures.ofCode({ ...subject, groupId }, code)
}

/** A group's part of a response. */
export interface Answer {
  readonly groupId: string
  readonly errorCode: number
}

/** Asks the coordinators of groups, each for all of its groups at once. */
export const ask = Effect.fnUntraced(function* <B extends Answer, A>(
  operation: Operation,
  groupIds: ReadonlyArray<string>,
  repeatable: Failures.Repeatable,
  send: (nodeId: number, groupIds: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<B>, WireError>,
  outcomeOf: (answer: B, nodeId: number) => Failures.Outcome<A>
): Effect.fn.Return<PerItem.Outcomes<string, A>> {
  const { cluster } = operation
  const located = yield* Parallel.forEach(groupIds, (groupId) => Effect.either(cluster.coordinator(groupId)))
  const nodes = new Map(groupIds.map((groupId, index) => [groupId, located[index]!]))
  const outcomes = Array.from(nodes).flatMap(([groupId, found]) =>
    found._tag === "Left" ? [[groupId, Failures.ofError({ groupId }, found.left)] as const] : []
  )
  const byNode = groupBy(groupIds, (groupId) => Either.getOrUndefined(nodes.get(groupId)!))
  byNode.delete(undefined)
  const answers = yield* Parallel.forEach(Array.from(byNode), ([nodeId, asked]) =>
    Effect.match(send(nodeId!, asked), {
      onFailure: (error) =>
        PerItem.all(asked, (groupId) => {
          cluster.forgetCoordinator(groupId)
          return Failures.ofError({ groupId }, error, repeatable)
        }),
      onSuccess: (answers) =>
        PerItem.match(
          asked,
          (groupId) => groupId,
          answers.map((answer) => [answer.groupId, answer]),
          (answer, groupId) =>
            answer.errorCode === Code.NONE
              ? outcomeOf(answer, nodeId!)
              : refusal(operation, groupId, {}, answer.errorCode)
        )
    })
  )
  return [...outcomes, ...answers.flat()]
})
