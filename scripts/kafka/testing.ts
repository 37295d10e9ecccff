/**
 * Support for tests on a real broker, in files named `*.kafka.test.ts`.
 */
import { describe, inject } from "vitest"
import { describeUnless } from "../testing.js"
import "./globalSetup.js"

export { type Broker, make as makeBroker, makeCluster } from "./broker.js"

/**
 * `describe` with the bootstrap list of the run's broker. Without one the suite is skipped (the reason was printed in
 * capitals); under `CI=true` it fails.
 */
export const describeKafka = (name: string, define: (brokers: string) => void): void => {
  const kafka = inject("kafka")
  if ("brokers" in kafka) describe(name, () => define(kafka.brokers))
  else describeUnless(kafka.unavailable, name, () => define(""))
}

/** `describeKafka` for suites that start brokers of their own with `makeBroker`. */
export const describeOwnKafka = (name: string, define: () => void): void => {
  const kafka = inject("ownKafka")
  describeUnless("unavailable" in kafka ? kafka.unavailable : undefined, name, define)
}

/** A name that no other test of the run uses. */
export const uniqueName = (prefix: string): string => `${prefix}-${crypto.randomUUID().slice(0, 8)}`
