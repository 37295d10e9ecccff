import { connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Turn from "../../src/internal/lane/turn.js"
import { inTurns } from "../../src/internal/lane/turnScheduler.js"

const compute = (millis: number) => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

/** Both ends of a connection. */
const connection = Effect.acquireRelease(
  Effect.async<readonly [near: Socket, far: Socket]>((resume) => {
    const server = createServer((far) => {
      server.close()
      resume(Effect.succeed([near, far]))
    })
    let near: Socket
    server.listen(0, () => {
      near = connect((server.address() as { readonly port: number }).port)
    })
  }),
  (sockets) =>
    Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
    })
)

const eventLoopRuns = Effect.async<void>((resume) => {
  setTimeout(() => setImmediate(() => resume(Effect.void)), 1)
})

/** Counts calls between two passes of the event loop; `most` is the highest count. */
const callsInOneGo = Effect.gen(function* () {
  let calls = 0
  let most = 0
  const watch = () => {
    calls = 0
    immediate = setImmediate(watch)
  }
  let immediate = setImmediate(watch)
  yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(immediate)))
  return {
    call: () => {
      most = Math.max(most, ++calls)
    },
    most: () => most
  }
})

describe("turn", () => {
  for (const [waited, wait] of [
    ["slept", Effect.sleep("10 millis")],
    ["awaited a promise", Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 10)))],
    ["yielded", Effect.yieldNow()]
  ] as const) {
    it.scopedLive(`ends for fibers that have ${waited} and compute, before all of them have continued`, () =>
      Effect.gen(function* () {
        const turn = Turn.of(yield* Effect.clock)
        const goes = yield* callsInOneGo
        const each = Effect.map(wait, () => {
          goes.call()
          compute(10)
        })
        const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.fork(inTurns(turn)(each)))
        yield* Fiber.joinAll(fibers)
        assert.isAtMost(goes.most(), 5)
      })
    )
  }

  it.scopedLive("comes for fibers that yield wherever they are, also when they ask for it", () =>
    Effect.gen(function* () {
      const turn = Turn.of(yield* Effect.clock)
      const lane = Effect.gen(function* () {
        for (let record = 0; record < 3; record++) {
          if (turn.isOver()) yield* turn.next
          yield* Effect.sync(() => compute(4))
          yield* Effect.sleep("1 millis")
        }
      })
      // Every budget of operations puts the yield at another operation of the lane. Effect stands still below about 10.
      const budgets = Array.from({ length: 60 }, (_, index) => 20 + index)
      const fibers = yield* Effect.forEach(budgets, (budget) =>
        Effect.fork(Effect.withMaxOpsBeforeYield(inTurns(turn)(lane), budget))
      )
      yield* Fiber.joinAll(fibers)
    })
  )

  it.live("ends when the event loop was blocked for 25 ms, and the next one starts after the loop has run", () =>
    Effect.gen(function* () {
      const turn = Turn.of(yield* Effect.clock)
      yield* eventLoopRuns
      assert.isFalse(turn.isOver())
      compute(30)
      assert.isTrue(turn.isOver())
      assert.isTrue(turn.wasOver())
      yield* eventLoopRuns
      assert.isFalse(turn.isOver())
    })
  )

  it.scopedLive("lets due timers and ready sockets run before the next one", () =>
    Effect.gen(function* () {
      const [near, far] = yield* connection
      const turn = Turn.of(yield* Effect.clock)
      const seen: Array<string> = []
      near.on("data", () => seen.push("socket"))
      // In a timer: after it, Node runs timers that have become due before any socket.
      yield* Effect.sleep("1 millis")
      far.write("x")
      setTimeout(() => seen.push("timer"), 10)
      const next = Effect.zipRight(
        turn.next,
        Effect.sync(() => seen.push("lane"))
      )
      const lane = yield* Effect.fork(next)
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      compute(30)
      yield* lane.await
      assert.strictEqual(seen.pop(), "lane")
      assert.deepStrictEqual(seen.sort(), ["socket", "timer"])
    })
  )
})
