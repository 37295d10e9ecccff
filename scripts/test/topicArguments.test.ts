import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { parse } from "../kafka/topicArguments.js"

describe("--topics of npm run kafka", () => {
  it("names topics and their numbers of partitions", () => {
    assert.deepStrictEqual(
      parse("orders:3, orders-dlq"),
      Either.right([
        { topic: "orders", partitions: 3 },
        { topic: "orders-dlq", partitions: 1 }
      ])
    )
    assert.deepStrictEqual(parse(""), Either.right([]))
  })

  it.each(["orders:0", "orders:x", "or ders:1", ":3", "a:1:2", "a,,b"])("refuses %s", (text) => {
    const refused = Either.getOrThrow(Either.flip(parse(text)))
    assert.include(refused, "--topics: must be names with numbers of partitions")
  })
})
