/**
 * Gives the real-broker tests of one run their broker: that of `KAFKA_BROKERS`, otherwise one of their own, which is
 * started only when a selected test file needs it.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import { announceMissing } from "../announceMissing.js"
import * as Broker from "./broker.js"
import { classPath } from "./distribution.js"

declare module "vitest" {
  interface ProvidedContext {
    /** The bootstrap list, or why no broker can run. */
    readonly kafka: { readonly brokers: string } | Unavailable
    /** Whether tests can start brokers of their own. */
    readonly ownKafka: { readonly available: true } | Unavailable
  }
}

interface Unavailable {
  readonly unavailable: string
}

const announce = (reason: string): Unavailable => {
  announceMissing("real-broker", reason)
  return { unavailable: reason }
}

export const setup = async (project: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const given = process.env["KAFKA_BROKERS"] ?? ""
  if (given !== "") project.provide("kafka", { brokers: given })
  if (!project.vitest.state.getPaths().some((file) => file.endsWith(".kafka.test.ts"))) {
    const unneeded = { unavailable: "no selected test file needs a broker" }
    if (given === "") project.provide("kafka", unneeded)
    project.provide("ownKafka", unneeded)
    return undefined
  }
  const jars = await Effect.runPromise(Effect.either(classPath))
  project.provide("ownKafka", Either.isRight(jars) ? { available: true } : announce(jars.left.message))
  if (given !== "") return undefined
  const scope = Effect.runSync(Scope.make())
  const started = await Effect.runPromise(Effect.either(Scope.extend(Broker.make(), scope)))
  if (Either.isRight(started)) project.provide("kafka", { brokers: started.right.bootstrap })
  else
    project.provide("kafka", Either.isLeft(jars) ? { unavailable: jars.left.message } : announce(started.left.message))
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}
