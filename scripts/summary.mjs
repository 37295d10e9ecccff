// Prints the closing line of a vitest JSON report; fails when no test ran.
import { readFileSync } from "node:fs"

const text = readFileSync(process.argv[2], "utf8")
const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = text === "" ? {} : JSON.parse(text)
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`)
if (numPassedTests + numFailedTests === 0) process.exit(1)
