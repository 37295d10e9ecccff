import { connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Turn from "../../src/internal/lane/turn.js"

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

describe("turn", () => {
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
