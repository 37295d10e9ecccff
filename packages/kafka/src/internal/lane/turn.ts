/**
 * What the lanes of all consumers of a process run before timers and sockets run again. Fibers yield in microtasks:
 * without it, heartbeats and fetches would wait until every queue is empty.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Completion from "../concurrency/completion.js"
import * as Monotonic from "../concurrency/monotonic.js"

export interface Turn {
  /** Whether no further attempt may start in it, by a look at the clock. */
  readonly isOver: () => boolean
  /** The same, by the last look. */
  readonly wasOver: () => boolean
  /** A look by someone who has just read the clock, in monotonic milliseconds. */
  readonly look: (now: number) => void
  /** Ends in a later turn; the lanes that wait start in the order in which they came. */
  readonly next: Effect.Effect<void>
  /** The last look at the clock, in monotonic milliseconds; before the first, -Infinity. */
  readonly now: () => number
}

/** How long lanes may keep the event loop to themselves, in milliseconds; the attempt that runs then still ends. */
const turnMs = 25

const make = (clock: Clock.Clock): Turn => {
  const isLive = clock === Context.get(DefaultServices.liveServices, Clock.Clock)
  const waiting = new Set<Completion.Result<void>>()
  let isServing = false
  let isOver = false
  let now = -Infinity
  let endsAt = -Infinity
  /** Timers and sockets have run since the last look, as far as can be seen: on a real event loop. */
  let isFresh = true
  let isWatching = false

  const begin = () => {
    isFresh = false
    endsAt = now + turnMs
  }

  const look = (at: number) => {
    now = at
    // A lane that comes now would start before those that wait for their next turn.
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
        // The lane runs before the next one is let in, until it waits or yields.
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

/** Lets due timers and ready sockets run: between two immediates the event loop comes past both. */
const timersAndSockets = (clock: Clock.Clock, isLive: boolean): Effect.Effect<void> =>
  isLive ? Effect.zipRight(immediate, immediate) : clock.sleep(Duration.zero)

const immediate = Effect.async<void>((resume) => {
  const timer = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(timer))
})

const turns = new WeakMap<Clock.Clock, Turn>()

/** The turn that all lanes share that run by a clock. */
export const of = (clock: Clock.Clock): Turn => {
  const known = turns.get(clock)
  if (known !== undefined) return known
  const turn = make(clock)
  turns.set(clock, turn)
  return turn
}
