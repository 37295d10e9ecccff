import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { formatEndpoint, parseEndpoint } from "../../src/internal/settings/endpoint.js"

const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant("localhost"))

describe("parseEndpoint", () => {
  it("reads the output of formatEndpoint", () => {
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65535 }), (host, port) => {
        assert.deepStrictEqual(parseEndpoint(formatEndpoint({ host, port })), { host, port })
      })
    )
  })

  const refused = ["", "broker", "broker:", ":9092", "broker:0", "broker:65536", "broker:9092:1", "::1:9092", "[::1]"]
  for (const text of [
    ...refused,
    "[broker]:9092",
    "kafka://broker:9092",
    "user@broker:9092",
    "two brokers:9092",
    "a:9x"
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.isUndefined(parseEndpoint(text)))
  }
})
