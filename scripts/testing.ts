/**
 * Suites that need programs that not every machine has.
 */
import { describe, it } from "vitest"

/**
 * `describe` if nothing is missing. Otherwise the suite is skipped, or fails under `CI=true`. The check prints the
 * missing programs.
 */
export const describeUnless = (missing: string | undefined, name: string, define: () => void): void => {
  if (missing === undefined) {
    describe(name, define)
  } else if (process.env["CI"] === "true") {
    describe(name, () => {
      it("has the programs it needs", () => {
        throw new Error(missing)
      })
    })
  } else {
    describe.skip(name, define)
  }
}
