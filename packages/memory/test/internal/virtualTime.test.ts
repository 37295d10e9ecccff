import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Dice from "../../src/internal/dice.js"
import * as VirtualTime from "../../src/internal/virtualTime.js"

const random = Dice.random(1, "test")

const monotonic = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6 - VirtualTime.epoch)

const wall = Effect.map(Clock.currentTimeMillis, (millis) => millis - VirtualTime.epoch)

const make = () => VirtualTime.make({ dice: Dice.make(1, "order") })

/** Plays an effect in a process, and returns its notes with the world's time. */
const play = (
  run: (
    time: VirtualTime.VirtualTime,
    process: VirtualTime.Process,
    note: (event: string) => Effect.Effect<void>
  ) => Effect.Effect<unknown>,
  options?: VirtualTime.ProcessOptions
): ReadonlyArray<string> => {
  const time = make()
  const process = time.process(options)
  const notes: Array<string> = []
  const note = (event: string) =>
    Effect.sync(() => {
      notes.push(`${time.now() - VirtualTime.epoch} ${event}`)
    })
  time.run(time.fork(process, run(time, process, note), random))
  return notes
}

describe("virtual time", () => {
  it("fires timers early by less than a millisecond, if a process asks for it", () => {
    const notes = play(
      (_, __, note) =>
        Effect.gen(function* () {
          yield* Effect.sleep(20)
          yield* note(`wall ${yield* wall}, monotonic ${(yield* monotonic).toFixed(2)}`)
          yield* Effect.sleep(0)
          yield* note("at once")
        }),
      { early: () => 0.75 }
    )
    assert.deepStrictEqual(notes, ["19.25 wall 19, monotonic 19.25", "19.25 at once"])
  })

  it("steps a process's wall clock without its timers or its monotonic clock", () => {
    const notes = play((_, process, note) =>
      Effect.gen(function* () {
        yield* Effect.sleep(100)
        process.jump(-5)
        yield* note(`wall ${yield* wall}, monotonic ${yield* monotonic}`)
        yield* Effect.sleep(10)
        yield* note("later")
      })
    )
    assert.deepStrictEqual(notes, ["100 wall 95, monotonic 100", "110 later"])
  })

  it("blocks all of a process that computes, and nothing else", () => {
    const notes = play((time, _, note) =>
      Effect.gen(function* () {
        const other = time.process()
        time.fork(other, Effect.zipRight(Effect.sleep(50), note("another process")), random)
        yield* Effect.fork(Effect.zipRight(Effect.sleep(50), note("a timer")))
        yield* Effect.yieldNow()
        yield* VirtualTime.compute(300)
        yield* note(`wall ${yield* wall}`)
        yield* VirtualTime.compute(300)
        yield* note("twice")
        yield* Effect.sleep(0)
        yield* note("a turn later")
      })
    )
    assert.deepStrictEqual(notes, [
      "50 another process",
      "300 wall 300",
      "600 twice",
      "600 a timer",
      "600 a turn later"
    ])
  })
})
