import type * as Effect from "effect/Effect"
import type { Measurement, Task } from "./contenders/measure.js"
import * as Program from "./program.js"

/** Runs a consuming contender in a process of its own. */
export const measure = (contender: string, task: Task): Effect.Effect<Measurement, Error> =>
  Program.run(`contenders/${contender}`, task)
