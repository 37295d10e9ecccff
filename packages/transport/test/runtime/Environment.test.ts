import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Environment from "../../src/runtime/Environment.js"
import { problemsOf, read } from "../support/environment.js"

interface Options {
  readonly name?: string | undefined
  readonly hosts?: ReadonlyArray<string> | undefined
  readonly maxDelay?: Duration.DurationInput | undefined
  readonly mode?: "slow" | "fast" | undefined
}

const parsers: Environment.Parsers<Options> = {
  name: Environment.text,
  hosts: Environment.list,
  maxDelay: Environment.duration,
  mode: Environment.oneOf("slow", "fast")
}

const check = ({ hosts = [], name }: Options): ReadonlyArray<Environment.Issue> => [
  ...(name === "anonymous" ? [{ field: "name", value: name, description: "must be known" }] : []),
  ...hosts.flatMap((host, i) =>
    host === "nowhere" ? [{ field: `hosts[${i}]`, value: host, description: "must be somewhere" }] : []
  )
]

const config = Environment.options({ prefix: "TEST", parsers, check })

describe("Environment", () => {
  it("parses each kind of text, or says what it must be", () => {
    const { boolean, duration, list, number, oneOf, text } = Environment
    const table: ReadonlyArray<readonly [Environment.Parser<unknown>, string, Either.Either<unknown, string>]> = [
      [text, "a b", Either.right("a b")],
      [list, "a, b", Either.right(["a", "b"])],
      [number, "-1.5", Either.right(-1.5)],
      [number, "Infinity", Either.right(Number.POSITIVE_INFINITY)],
      [number, "1k", Either.left("must be a number")],
      ...["true", "YES", "on", "1"].map((yes) => [boolean, yes, Either.right(true)] as const),
      ...["false", "No", "off", "0"].map((no) => [boolean, no, Either.right(false)] as const),
      [boolean, "maybe", Either.left("must be true or false")],
      [duration, "1.5 seconds", Either.right(Duration.millis(1_500))],
      [duration, "-1 seconds", Either.left('must be a duration such as "30 seconds"')],
      [duration, "soon", Either.left('must be a duration such as "30 seconds"')],
      [oneOf("a", "b"), "b", Either.right("b")],
      [oneOf("a", "b"), "c", Either.left("must be one of a, b")]
    ]
    for (const [parse, given, expected] of table) assert.deepStrictEqual(parse(given), expected, given)
  })

  it.effect("returns the options that are set, ignores blank ones, and applies the defaults", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read(config, {}), {})
      assert.deepStrictEqual(yield* read(config, { TEST_NAME: "n", TEST_MAX_DELAY: " 1 second ", TEST_MODE: "" }), {
        name: "n",
        maxDelay: Duration.seconds(1)
      })
      const defaults = { name: "default", mode: "slow" } as const
      const over = Environment.options({ prefix: "A_TEST", parsers, defaults, check })
      assert.deepStrictEqual(yield* read(over, { A_TEST_MODE: "fast" }), { name: "default", mode: "fast" })
    })
  )

  it.effect("reports every problem at once, with variable, option and value", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        read(config, {
          TEST_NAME: "anonymous",
          TEST_HOSTS: "here,nowhere",
          TEST_MAX_DELAY: "soon",
          TEST_MODE: "medium"
        })
      )
      assert.deepStrictEqual(problemsOf(error), [
        'TEST_MAX_DELAY: maxDelay must be a duration such as "30 seconds", not "soon"',
        'TEST_MODE: mode must be one of slow, fast, not "medium"',
        'TEST_NAME: name must be known, not "anonymous"',
        'TEST_HOSTS: hosts[1] must be somewhere, not "nowhere"'
      ])
    })
  )

  it("shows values of any type, and no secrets", () => {
    const shown = [Number.NaN, 2n, Duration.seconds(90), ["a"], undefined, Redacted.make("s3cret")].map((value) =>
      Environment.describe({ field: "f", value, description: "is wrong" })
    )
    assert.deepStrictEqual(shown, [
      "f is wrong, not NaN",
      "f is wrong, not 2",
      "f is wrong, not 1m 30s",
      'f is wrong, not ["a"]',
      "f is wrong, but isn't set",
      'f is wrong, not "<redacted>"'
    ])
  })
})
