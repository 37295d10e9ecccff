/**
 * Gives the real-broker tests of one run their broker: the user's `KAFKA_BROKERS`, else one of their own, which is
 * started only when a selected test file needs it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import * as Broker from "./broker.js"

declare module "vitest" {
  interface ProvidedContext {
    /** The bootstrap list, or why there is none. */
    readonly kafka: { readonly brokers: string } | { readonly unavailable: string }
  }
}

export const setup = async (project: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const given = process.env["KAFKA_BROKERS"]
  if (given !== undefined && given !== "") {
    project.provide("kafka", { brokers: given })
    return undefined
  }
  if (!project.vitest.state.getPaths().some((file) => file.endsWith(".kafka.test.ts"))) {
    project.provide("kafka", { unavailable: "no selected test file needs a broker" })
    return undefined
  }
  const scope = Effect.runSync(Scope.make())
  const started = await Effect.runPromise(Effect.either(Scope.extend(Broker.make(), scope)))
  if (started._tag === "Left") {
    const reason = started.left.message
    console.error(`\nREAL-BROKER TESTS ARE ${inCi ? "FAILED" : "SKIPPED"}: ${reason.toUpperCase()}\n`)
    project.provide("kafka", { unavailable: reason })
  } else {
    project.provide("kafka", { brokers: started.right.bootstrap })
  }
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}

const inCi = process.env["CI"] === "true"
