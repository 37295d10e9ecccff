/**
 * Chunks that were read and not yet taken, in order, up to a number of bytes. Many fibers fill it, one empties it.
 */
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Signal from "../concurrency/signal.js"

export interface Buffer<in out A, in out E> {
  /** Waits until it holds fewer bytes than its limit. */
  readonly room: Effect.Effect<void>
  readonly push: (chunk: Chunk.Chunk<A>, bytes: number) => void
  /** Nothing follows the chunks that it holds, besides the failure. The first call counts. */
  readonly end: (exit: Effect.Effect<void, E>) => Effect.Effect<void>
  /**
   * Waits for the next chunk; fails with `none` after the last. The bytes of a chunk are released when the next one is
   * asked for.
   */
  readonly take: Effect.Effect<Chunk.Chunk<A>, Option.Option<E>>
}

export const make = <A, E>(maxBytes: number): Buffer<A, E> => {
  const chunks: Array<{ readonly chunk: Chunk.Chunk<A>; readonly bytes: number }> = []
  const changed = Signal.make()
  let held = 0
  let taken = 0
  let end: Effect.Effect<void, E> | undefined

  const room: Effect.Effect<void> = Effect.suspend(() =>
    held < maxBytes ? Effect.void : Effect.zipRight(changed.wait(), room)
  )

  const next: Buffer<A, E>["take"] = Effect.suspend(() => {
    const first = chunks.shift()
    if (first !== undefined) {
      taken = first.bytes
      return Effect.succeed(first.chunk)
    }
    if (end === undefined) return Effect.zipRight(changed.wait(), next)
    return Effect.zipRight(Effect.mapError(end, Option.some), Effect.fail(Option.none()))
  })

  return {
    room,
    push: (chunk, bytes) => {
      held += bytes
      chunks.push({ chunk, bytes })
      changed.notify()
    },
    end: (exit) =>
      Effect.sync(() => {
        end ??= exit
        changed.notify()
      }),
    take: Effect.suspend(() => {
      held -= taken
      taken = 0
      changed.notify()
      return next
    })
  }
}
