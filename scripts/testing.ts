/**
 * Suites that need something that isn't on every machine.
 */
import { describe, it } from "vitest"

/** `describe` where nothing is missing. Else the suite is skipped; under `CI=true` it fails. Whoever finds it missing says so. */
export const describeUnless = (missing: string | undefined, name: string, define: () => void): void => {
  if (missing === undefined) {
    describe(name, define)
  } else if (process.env["CI"] === "true") {
    describe(name, () => {
      it("has what it needs", () => {
        throw new Error(missing)
      })
    })
  } else {
    describe.skip(name, define)
  }
}
