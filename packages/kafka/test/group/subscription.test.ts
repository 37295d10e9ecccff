import { assert, describe, it } from "@effect/vitest"
import { matching } from "../../src/internal/group/subscription.js"

const none = () => undefined

const topics = (...names: ReadonlyArray<string>) =>
  names.map((topic) => ({ topic, errorCode: 0, isInternal: topic.startsWith("__") }))

describe("matching", () => {
  it("matches topics by name, except internal ones and ones with an error", () => {
    const all = [
      ...topics("orders.b", "orders.a", "__orders.c", "payments"),
      { ...topics("orders.d")[0]!, errorCode: 5 }
    ]
    assert.deepStrictEqual(matching(/orders/, all, none), ["orders.a", "orders.b"])
  })

  it("leaves out the dead letter topics of matching topics", () => {
    const own = (topic: string) => `${topic}-dlq`
    assert.deepStrictEqual(matching(/./, topics("a", "a-dlq", "b"), own), ["a", "b"])
    // Its source topic doesn't match: a consumer that names the topic reads the dead letters.
    assert.deepStrictEqual(matching(/-dlq$/, topics("a", "a-dlq"), own), ["a-dlq"])
    assert.deepStrictEqual(
      matching(/./, topics("a", "letters"), () => "letters"),
      ["a"]
    )
  })
})
