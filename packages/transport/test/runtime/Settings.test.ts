import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "fast-check"
import * as Settings from "../../src/runtime/Settings.js"
import { problemsOf, read } from "../support/environment.js"

interface Options {
  readonly name: string
  readonly wait?: Duration.DurationInput | undefined
  readonly size?: number | undefined
  readonly limit?: number | undefined
  readonly key?: string | undefined
  readonly pick?: (() => void) | undefined
}

const fields = {
  name: Settings.text({ meaning: "a name" }),
  wait: Settings.or(Settings.duration({ meaning: "a wait", kafka: ["wait.ms"] }), "1 second"),
  size: Settings.or(Settings.whole({ meaning: "a size" }, 1, 10), 3),
  limit: Settings.optional(Settings.whole({ meaning: "a limit" }), "none"),
  key: {
    ...Settings.named(Settings.optional(Settings.text({ meaning: "a key" })), "SECRET_KEY", (text) =>
      text.startsWith("k") ? Either.right(text) : Either.left("must begin with k")
    ),
    isSecret: true
  },
  pick: Settings.optional(Settings.code<() => void>({ meaning: "code" }))
} satisfies Settings.FieldsOf<Options>

const settings: Settings.Settings<typeof fields> = {
  module: "Module",
  prefix: "MODULE",
  fields,
  rules: ({ limit, size }, refuse) => {
    if (limit !== undefined && size > limit) refuse("size", `must not be above limit (${limit})`)
  }
}

const config = (defaults?: Partial<Options>) => Settings.config<Options>(settings, defaults, "A")

describe("Settings", () => {
  it("decodes options with their defaults", () => {
    assert.deepStrictEqual(Settings.check(settings, { name: "n", wait: "2 seconds" }), {
      issues: [],
      values: { name: "n", wait: 2_000, size: 3, limit: undefined, key: undefined, pick: undefined }
    })
  })

  it("reports every issue at once, and rules with the value as it was given, or its default", () => {
    const fieldsOf = (options: unknown) =>
      Settings.check(settings, options).issues.map(({ field, value }) => [field, value])
    assert.deepStrictEqual(fieldsOf({ name: " ", wait: 0, size: 11, limit: 0, pick: 1 }), [
      ["name", " "],
      ["wait", 0],
      ["size", 11],
      ["limit", 0],
      ["pick", 1]
    ])
    assert.deepStrictEqual(fieldsOf({ name: "n", wait: null }), [["wait", null]])
    assert.deepStrictEqual(fieldsOf({ name: "n", size: 4, limit: 3 }), [["size", 4]])
    assert.deepStrictEqual(fieldsOf({ name: "n", limit: 2 }), [["size", "3"]])
  })

  it("refuses options that aren't an object", () => {
    for (const wrong of [null, 5, "orders", [], () => 1]) {
      const [issue] = Settings.check(settings, wrong).issues
      assert.deepStrictEqual(issue, { field: "options", value: wrong, description: "must be an object" })
    }
  })

  it("never throws, whatever it is given", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.anything(),
        FastCheck.object({ key: FastCheck.constantFrom(...Object.keys(fields)) }),
        (any, given) => {
          assert.isAbove(Settings.check(settings, any).issues.length, 0)
          Settings.check(settings, given)
        }
      )
    )
  })

  it("reads negative durations as durations that can't be used", () => {
    const { decode } = Settings.finiteDuration({ meaning: "" })
    const refused: ReadonlyArray<unknown> = [-1, -1n, "-1 seconds", [-1, 0], Number.NaN, "soon", null, undefined]
    const issues: Array<unknown> = []
    for (const value of refused) assert.isNaN(decode(value, (given) => issues.push(given)))
    assert.deepStrictEqual(issues, [...refused])
  })

  it.effect("reads variables within a namespace, over defaults", () =>
    Effect.gen(function* () {
      const variables = { A_MODULE_NAME: "v", A_MODULE_SECRET_KEY: "key", A_MODULE_LIMIT: " ", MODULE_SIZE: "9" }
      assert.deepStrictEqual(yield* read(config({ name: "n", size: 2, limit: undefined }), variables), {
        name: "v",
        size: 2,
        key: "key"
      })
    })
  )

  it.effect("names every variable at once, each once, and shows no secret", () =>
    Effect.gen(function* () {
      const wrong = { A_MODULE_SECRET_KEY: "s3cret", A_MODULE_SIZE: "many", A_MODULE_WAIT: "0 seconds" }
      assert.deepStrictEqual(problemsOf(yield* Effect.flip(read(config(), wrong))), [
        'A_MODULE_SIZE: size must be a number, not "many"',
        'A_MODULE_SECRET_KEY: key must begin with k, not "<redacted>"',
        "A_MODULE_NAME: name must not be empty, but isn't set",
        'A_MODULE_WAIT: wait must be a duration above zero and below 25 days, not "0 seconds"'
      ])
    })
  )

  it("has a row for each option that a variable can express", () => {
    assert.deepStrictEqual(
      Settings.rows(settings).map(({ option, shown, variable }) => [option, variable, shown]),
      [
        ["name", "MODULE_NAME", undefined],
        ["wait", "MODULE_WAIT", "1 second"],
        ["size", "MODULE_SIZE", "3"],
        ["limit", "MODULE_LIMIT", "none"],
        ["key", "MODULE_SECRET_KEY", undefined]
      ]
    )
  })
})
