/**
 * A turn: the time in which the lanes of all consumers of a process run before timers and sockets run again. Fibers
 * yield in microtasks, so without turns heartbeats and fetches would wait until every queue is empty.
 */
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Turn {
  /** Whether its clock is that of a real event loop. */
  readonly isLive: boolean
  /** Whether no further attempt may start in it, by the clock. */
  readonly isOver: () => boolean
  /** The same, by the last reading of the clock. */
  readonly wasOver: () => boolean
  /** A reading of the clock by the caller, in monotonic milliseconds. */
  readonly look: (now: number) => void
  /** Ends in a later turn; waiting lanes start in order of arrival. */
  readonly next: Effect.Effect<void>
  /** Calls `start` in a later turn, in order of arrival with `next`. Returns its cancellation. On a real event loop. */
  readonly later: (start: () => void) => () => void
  /** The last reading of the clock, in monotonic milliseconds; -Infinity before the first. */
  readonly now: () => number
}

/** How long lanes may block the event loop, in milliseconds; the attempt in progress still ends. */
const turnMs = 25

const make = (clock: Clock.Clock): Turn => {
  const isLive = clock === Context.get(DefaultServices.liveServices, Clock.Clock)
  const waiting = new Set<() => void>()
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

  const beginNext = () => {
    now = Monotonic.millis(clock)
    begin()
    isOver = false
  }

  const startFirst = (): boolean => {
    for (const first of waiting) {
      if (turn.isOver()) return false
      waiting.delete(first)
      first()
      return true
    }
    return false
  }

  // Plain callbacks: a fiber that serves turns could itself be postponed to one.
  const serveAfterEventLoop = () => afterTimersAndSockets(serveLive)
  const serveLive = () => {
    beginNext()
    serveFirst()
  }
  const serveFirst = () => {
    let hasStarted = true
    try {
      hasStarted = startFirst()
    } finally {
      // The lane runs until it waits or yields, before the next one starts.
      if (hasStarted) queueMicrotask(serveFirst)
      else if (waiting.size > 0) serveAfterEventLoop()
      else isServing = false
    }
  }

  const later = (start: () => void) => {
    waiting.add(start)
    if (!isServing) {
      isServing = true
      serveAfterEventLoop()
    }
    return () => void waiting.delete(start)
  }

  const serveVirtual = Effect.gen(function* () {
    while (waiting.size > 0) {
      yield* clock.sleep(Duration.zero)
      beginNext()
      while (startFirst()) yield* Effect.yieldNow()
    }
    isServing = false
  })

  const nextVirtual = Effect.uninterruptibleMask((restore) => {
    const place = Completion.make<void>()
    const start = () => place.done(Effect.void)
    waiting.add(start)
    const wait = Effect.ensuring(
      restore(place.wait),
      Effect.sync(() => waiting.delete(start))
    )
    if (isServing) return wait
    isServing = true
    return Effect.zipRight(Effect.forkDaemon(serveVirtual), wait)
  })

  const turn: Turn = {
    isLive,
    isOver: () => {
      look(Monotonic.millis(clock))
      return isOver
    },
    wasOver: () => isOver,
    look,
    next: isLive ? Effect.async((resume) => Effect.sync(later(() => resume(Effect.void)))) : nextVirtual,
    later,
    now: () => now
  }
  return turn
}

/** The event loop passes due timers and ready sockets between two immediates. */
const afterTimersAndSockets = (run: () => void): void => {
  setImmediate(() => setImmediate(run))
}

const turns = new WeakMap<Clock.Clock, Turn>()

/** The turn shared by all lanes that run by a clock. */
export const of = (clock: Clock.Clock): Turn => {
  const known = turns.get(clock)
  if (known !== undefined) return known
  const turn = make(clock)
  turns.set(clock, turn)
  return turn
}
