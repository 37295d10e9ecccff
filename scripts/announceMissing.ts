/** Announces in capitals that a kind of test doesn't run, and why. */
export const announceMissing = (tests: string, reason: string): void => {
  const what = process.env["CI"] === "true" ? "FAILED" : "SKIPPED"
  console.error(`\n${`${tests} tests are ${what}: ${reason}`.toUpperCase()}\n`)
}
