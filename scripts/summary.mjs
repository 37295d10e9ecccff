// Prints the closing line of a vitest JSON report; fails when a test failed or none ran.
import { readFileSync } from "node:fs"

const text = readFileSync(process.argv[2], "utf8")
const {
  numPassedTests = 0,
  numFailedTests = 0,
  numPendingTests = 0,
  numTodoTests = 0,
  testResults = []
} = text === "" ? {} : JSON.parse(text)

const failed = ({ status }) => status === "failed"
// A file whose import or hook failed has no failed test of its own to be counted by.
const broken = testResults.filter((file) => failed(file) && !file.assertionResults.some(failed)).length

const failures = numFailedTests + broken
console.log(`${numPassedTests} passed, ${failures} failed, ${numPendingTests + numTodoTests} skipped`)
if (failures > 0 || numPassedTests === 0) process.exit(1)
