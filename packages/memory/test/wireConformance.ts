/**
 * The behaviour that every `Wire` must have, in memory and on real Kafka: this suite keeps the broker in memory
 * faithful.
 */
import { describe } from "@effect/vitest"
import { admin } from "./conformance/admin.js"
import { consumers } from "./conformance/consumers.js"
import { groups } from "./conformance/groups.js"
import type { Suite } from "./conformance/harness.js"
import { idempotence } from "./conformance/idempotence.js"
import { offsets } from "./conformance/offsets.js"
import { readers } from "./conformance/readers.js"
import { records } from "./conformance/records.js"
import { transactions } from "./conformance/transactions.js"

export type { Harness, HarnessClient, Suite } from "./conformance/harness.js"

export const wireConformance = (suite: Suite): void => {
  describe(`${suite.name}: records`, () => records(suite))
  describe(`${suite.name}: idempotence`, () => idempotence(suite))
  describe(`${suite.name}: groups`, () => groups(suite))
  describe(`${suite.name}: offsets`, () => offsets(suite))
  describe(`${suite.name}: transactions`, () => transactions(suite))
  describe(`${suite.name}: readers`, () => readers(suite))
  describe(`${suite.name}: admin`, () => admin(suite))
  describe(`${suite.name}: consumers`, () => consumers(suite))
}
