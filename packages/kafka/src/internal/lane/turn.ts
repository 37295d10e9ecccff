/**
 * A turn: the time in which the lanes of all consumers of a process run before timers and sockets run again. Fibers
 * yield in microtasks, so without turns heartbeats and fetches would wait until every queue is empty.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Completion from "../concurrency/completion.js"
import * as Monotonic from "../concurrency/monotonic.js"

export interface Turn {
  /** Whether no further attempt may start in it, by the clock. */
  readonly isOver: () => boolean
  /** The same, by the last reading of the clock. */
  readonly wasOver: () => boolean
  /** A reading of the clock by the caller, in monotonic milliseconds. */
  readonly look: (now: number) => void
  /** Ends in a later turn; waiting lanes start in order of arrival. */
  readonly next: Effect.Effect<void>
  /** The last reading of the clock, in monotonic milliseconds; -Infinity before the first. */
  readonly now: () => number
}

/** How long lanes may block the event loop, in milliseconds; the attempt in progress still ends. */
const turnMs = 25

const make = (clock: Clock.Clock): Turn => {
  const isLive = clock === Context.get(DefaultServices.liveServices, Clock.Clock)
  const waiting = new Set<Completion.Result<void>>()
  let isServing = false
  let isOver = false
  let now = -Infinity
  let endsAt = -Infinity
  /** Whether timers and sockets have run since the last reading, as far as can be seen: on a real event loop. */
  let isFresh = true
  let isWatching = false

  const begin = () => {
    isFresh = false
    endsAt = now + turnMs
  }

  const look = (at: number) => {
    now = at
    // A lane that arrives now would start before the ones that wait for their next turn.
    if (isFresh && waiting.size === 0) begin()
    isOver = now >= endsAt
    if (!isLive || isWatching) return
    isWatching = true
    setImmediate(() => {
      isWatching = false
      isFresh = true
    })
  }

  const serve = Effect.gen(function* () {
    while (waiting.size > 0) {
      yield* timersAndSockets(clock, isLive)
      now = Monotonic.millis(clock)
      begin()
      isOver = false
      for (const first of waiting) {
        if (turn.isOver()) break
        waiting.delete(first)
        first.done(Effect.void)
        // The lane runs until it waits or yields, before the next one starts.
        yield* Effect.yieldNow()
      }
    }
    isServing = false
  })

  const turn: Turn = {
    isOver: () => {
      look(Monotonic.millis(clock))
      return isOver
    },
    wasOver: () => isOver,
    look,
    next: Effect.uninterruptibleMask((restore) => {
      const place = Completion.make<void>()
      waiting.add(place)
      const wait = Effect.ensuring(
        restore(place.wait),
        Effect.sync(() => waiting.delete(place))
      )
      if (isServing) return wait
      isServing = true
      return Effect.zipRight(Effect.forkDaemon(serve), wait)
    }),
    now: () => now
  }
  return turn
}

/** Lets due timers and ready sockets run: the event loop passes both between two immediates. */
const timersAndSockets = (clock: Clock.Clock, isLive: boolean): Effect.Effect<void> =>
  isLive ? Effect.zipRight(immediate, immediate) : clock.sleep(Duration.zero)

const immediate = Effect.async<void>((resume) => {
  const timer = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(timer))
})

const turns = new WeakMap<Clock.Clock, Turn>()

/** The turn shared by all lanes that run by a clock. */
export const of = (clock: Clock.Clock): Turn => {
  const known = turns.get(clock)
  if (known !== undefined) return known
  const turn = make(clock)
  turns.set(clock, turn)
  return turn
}
