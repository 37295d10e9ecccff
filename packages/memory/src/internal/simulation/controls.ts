/**
 * Controls the running consumers of a simulated world: pauses, resumes and seeks.
 */
import type { ControlError, TopicPartition } from "@spillway/transport/Consumer"
import * as Position from "@spillway/transport/Position"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Members } from "./members.js"
import type { Member } from "./oracle.js"
import type { Stage } from "./stage.js"
import type { Step } from "./steps.js"
import { nameOf } from "./truth.js"

type StepOf<Tag extends Step["_tag"]> = Extract<Step, { readonly _tag: Tag }>

export interface Controls {
  /** Pauses, and resumes after the given time once the pause has been answered. */
  readonly pause: (step: StepOf<"Pause">) => Effect.Effect<void>
  readonly seek: (step: StepOf<"Seek">) => Effect.Effect<void>
}

export const make = (
  { broker, layout, oracle }: Stage,
  members: Members,
  { groupId, topics }: { readonly groupId: string; readonly topics: ReadonlyArray<string> }
): Controls => {
  const placesOf = (partition: number | undefined): ReadonlyArray<TopicPartition> =>
    topics.flatMap((topic) =>
      partition === undefined
        ? Array.from({ length: layout.get(topic) ?? 0 }, (_, partition) => ({ topic, partition }))
        : { topic, partition }
    )

  const outcomeOf = (exit: Exit.Exit<void, ControlError>): "moved" | "unchanged" | "unknown" => {
    if (Exit.isSuccess(exit)) return "moved"
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
    return error === undefined || error.reason === "Rebalancing" ? "unknown" : "unchanged"
  }

  return {
    pause: ({ member, millis, partition }) => {
      const places = placesOf(partition)
      const report = (member: Member, isPaused: boolean) =>
        Effect.sync(() => {
          for (const at of places) oracle.pauses(member, at, isPaused)
        })
      const pause = members.control(member, (consumer, member) =>
        Effect.zipRight(partition === undefined ? consumer.pause() : consumer.pause(places), report(member, true))
      )
      const resume = members.control(member, (consumer, member) =>
        Effect.zipRight(report(member, false), partition === undefined ? consumer.resume() : consumer.resume(places))
      )
      return pause.pipe(Effect.zipRight(Effect.sleep(millis)), Effect.zipRight(resume))
    },
    seek: ({ member, partition, to }) =>
      Effect.gen(function* () {
        const at = { topic: topics[0]!, partition }
        const committed = yield* broker.committed(groupId)
        const from = committed.find((one) => nameOf(one) === nameOf(at))?.offset ?? 0
        const log = (yield* broker.records(at.topic)).filter((record) => record.partition === partition)
        const end = (log.at(-1)?.offset ?? -1) + 1
        const offset = to === "end" ? end : Math.min(end, Math.max(log[0]?.offset ?? 0, from - to))
        yield* members.control(member, (consumer, member) => {
          if (!oracle.seeks(member, at, offset)) return Effect.void
          return Effect.onExit(consumer.seek(Position.offset(offset), [at]), (exit) =>
            Effect.sync(() => oracle.sought(member, at, outcomeOf(exit)))
          )
        })
      })
  }
}
