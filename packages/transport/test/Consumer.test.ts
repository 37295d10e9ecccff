import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Consumer from "../src/Consumer.js"

const failure = new Consumer.ConsumerError({ reason: "Authorization", groupId: "billing", description: "no access" })

/** A consumer that reports a failure on request, and records when it is closed. */
const consumer = (fail: Deferred.Deferred<void>, closed: Deferred.Deferred<void>) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const supervisor = yield* Consumer.ConsumerSupervisor
      yield* Effect.addFinalizer(() => Deferred.succeed(closed, undefined))
      yield* Effect.forkScoped(Effect.zipRight(Deferred.await(fail), supervisor!.failed(failure)))
    })
  )

describe("Consumer.launch", () => {
  it.effect("ends with the error of a failed consumer, and closes the others", () =>
    Effect.gen(function* () {
      const [fail, never, closed, otherClosed] = yield* Effect.all(
        Array.from({ length: 4 }, () => Deferred.make<void>())
      )
      const fiber = yield* Effect.fork(
        Consumer.launch(Layer.mergeAll(consumer(fail!, closed!), consumer(never!, otherClosed!)))
      )
      yield* Deferred.succeed(fail!, undefined)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail(failure))
      assert.isTrue(yield* Deferred.isDone(closed!))
      assert.isTrue(yield* Deferred.isDone(otherClosed!))
    })
  )

  it.effect("fails if the layer can't be built", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(Consumer.launch(Layer.fail("broken"))), "broken")
    })
  )

  it.effect("closes everything when interrupted", () =>
    Effect.gen(function* () {
      const [never, closed, started] = yield* Effect.all(Array.from({ length: 3 }, () => Deferred.make<void>()))
      const Started = Layer.effectDiscard(Deferred.succeed(started!, undefined))
      const fiber = yield* Effect.fork(Consumer.launch(Layer.provideMerge(Started, consumer(never!, closed!))))
      yield* Deferred.await(started!)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.isTrue(yield* Deferred.isDone(closed!))
    })
  )

  it("describes its error", () => {
    assert.strictEqual(failure.message, "Authorization: group billing: no access")
  })
})
