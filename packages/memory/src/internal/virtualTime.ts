/**
 * Time and concurrency of a simulation: one thread that runs tasks in an order drawn from a seed and, when none is
 * left, advances the time to the next timer. Nothing waits in real time, and the same seed makes the same run.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scheduler from "effect/Scheduler"
import type * as Dice from "./dice.js"
import * as Heap from "./heap.js"

/** A process of the simulated world. Fibers that are forked under it run, freeze and die with it. */
export interface Process {
  readonly clock: Clock.Clock
  readonly scheduler: Scheduler.Scheduler
  /** Like SIGSTOP: nothing in it runs and due timers wait, while the world continues. */
  readonly freeze: () => void
  /** Like SIGCONT. */
  readonly thaw: () => void
  /** Like SIGKILL: nothing in it ever runs again, not even finalizers. */
  readonly kill: () => void
  /** Moves its wall clock by this many milliseconds, but neither its timers nor its monotonic clock. */
  readonly jump: (millis: number) => void
  /**
   * Blocks it for `millis` milliseconds, as code that computes does: its clocks advance at once, and nothing else in it
   * runs before that time is over. Then ready tasks run before due timers, as in Node's event loop.
   */
  readonly compute: (millis: number) => void
  /** Whether nothing in it runs now. */
  readonly isHeldUp: () => boolean
  /** Timers that are waited for and tasks that are ready. */
  readonly pending: () => number
}

export interface VirtualTime {
  /** Milliseconds since the simulation's epoch. */
  readonly now: () => number
  readonly process: (options?: ProcessOptions) => Process
  /** Starts an effect under a process, without logs. */
  readonly fork: <A, E>(
    process: Process,
    effect: Effect.Effect<A, E>,
    random: Random.Random
  ) => Fiber.RuntimeFiber<A, E>
  /**
   * Runs everything until the fiber has ended. Returns undefined when nothing is left that could end it, time stands
   * still forever, or `giveUp` returns true.
   */
  readonly run: <A, E>(
    fiber: Fiber.RuntimeFiber<A, E>,
    giveUp?: (() => boolean) | undefined
  ) => Exit.Exit<A, E> | undefined
}

export interface ProcessOptions {
  /** How many milliseconds, below 1, before its time the next timer fires, as Node's timers may. Default: none. */
  readonly early?: (() => number) | undefined
}

/** 2024-01-01T00:00:00Z */
export const epoch = 1_704_067_200_000

interface Task {
  readonly process: State
  readonly run: () => void
}

interface Timer extends Task {
  readonly at: number
  /** Orders timers with the same time. */
  readonly order: number
  readonly owner: Fiber.RuntimeFiber<unknown, unknown> | undefined
}

interface State {
  phase: "running" | "frozen" | "dead"
  readonly held: Array<Task>
  offset: number
  pending: number
  /** The time until which it computes. */
  busyUntil: number
  /** It has computed, and the tasks that had to wait for that have not run yet. */
  isBusy: boolean
  /** Tasks that wait until it has computed. */
  readonly tasks: Array<Task>
  /** Timers that came due while it computed, in order. */
  readonly due: Array<Timer>
}

const newState = (): State => ({
  phase: "running",
  held: [],
  offset: 0,
  pending: 0,
  busyUntil: 0,
  isBusy: false,
  tasks: [],
  due: []
})

export interface Options {
  /** Chooses the ready task that runs next. */
  readonly dice: Dice.Dice
  /** How many operations a fiber may run before it yields. Default: Effect's 2,048. */
  readonly maxOpsBeforeYield?: number | undefined
}

/** Effect's own metrics of simulated fibers are never read. */
const fork = Runtime.runFork(Runtime.disableRuntimeFlag(Runtime.defaultRuntime, RuntimeFlags.RuntimeMetrics))

/** The number of tasks and timers that may run while time stands still before it counts as an endless loop. */
const maxTasksAtOnce = 100_000

/** The computing function of a process's clock. */
const computing = new WeakMap<Clock.Clock, Process["compute"]>()

/** Computes for `millis` milliseconds in a simulated process. Elsewhere it takes no time. */
export const compute = (millis: number): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Effect.zipRight(
      Effect.sync(() => computing.get(clock)?.(millis)),
      Effect.yieldNow()
    )
  )

const before = (one: Timer, other: Timer): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order)

/** A timer isn't removed when its fiber is interrupted: it fires without effect. */
const isOrphan = ({ owner }: Timer): boolean => owner?.unsafePoll() != null

export const make = ({ dice, maxOpsBeforeYield }: Options): VirtualTime => {
  const ready: Array<Task> = []
  const timers = Heap.make(before)
  let now = epoch
  let order = 0
  let tasksLeft = maxTasksAtOnce

  const takeReady = (): Task | undefined => {
    const last = ready.length - 1
    if (last < 0) return undefined
    const index = last === 0 ? 0 : dice.below(last + 1)
    const task = ready[index]!
    ready[index] = ready[last]!
    ready.length = last
    return task
  }

  const perform = (task: Task): void => {
    const { process } = task
    if (process.phase === "frozen") {
      process.held.push(task)
      return
    }
    if (process.isBusy && process.phase === "running") {
      if ("at" in task) {
        process.due.push(task as Timer)
        return
      }
      if (now < process.busyUntil) {
        process.tasks.push(task)
        return
      }
    }
    process.pending--
    if (process.phase === "running") task.run()
  }

  const world = newState()

  const wakeLater = (state: State): void =>
    Heap.add(timers, {
      process: world,
      at: Math.max(now, state.busyUntil),
      order: ++order,
      owner: undefined,
      run: () => wake(state)
    })

  /** Continues a process that has computed. Timers fire when it has no task left. */
  const wake = (state: State): void => {
    if (now < state.busyUntil || state.tasks.length > 0) {
      if (now >= state.busyUntil) ready.push(...state.tasks.splice(0))
      wakeLater(state)
      return
    }
    state.isBusy = false
    for (const timer of state.due.splice(0)) perform(timer)
  }

  /** Returns false when it never becomes idle. */
  const runReady = (): boolean => {
    while (tasksLeft-- > 0) {
      const task = takeReady()
      if (task === undefined) return true
      perform(task)
    }
    return false
  }

  /** Returns false when nothing is left to wait for. */
  const moveOn = (): boolean => {
    const timer = Heap.take(timers)
    if (timer === undefined) return false
    if (timer.at > now) {
      now = timer.at
      tasksLeft = maxTasksAtOnce
    }
    perform(timer)
    return true
  }

  const process = ({ early }: ProcessOptions = {}): Process => {
    const state = newState()
    /** The current time as the process sees it. */
    const present = () => Math.max(now, state.busyUntil)

    const sleep = (duration: Duration.Duration): Effect.Effect<void> => {
      const millis = Duration.toMillis(duration)
      // As in Effect's own clock, a delay beyond the timer range never ends.
      if (millis > 2 ** 31 - 1) return Effect.never
      return Effect.async<void>((resume) => {
        state.pending++
        Heap.add(timers, {
          process: state,
          at: present() + Math.max(0, early === undefined || millis < 1 ? millis : millis - early()),
          order: ++order,
          owner: Option.getOrUndefined(Fiber.getCurrentFiber()),
          run: () => resume(Effect.void)
        })
      })
    }
    const unsafeCurrentTimeMillis = () => Math.floor(present() + state.offset)
    const unsafeCurrentTimeNanos = () => BigInt(Math.round(present() * 1_000_000))
    const clock: Clock.Clock = {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis,
      unsafeCurrentTimeNanos,
      currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis),
      currentTimeNanos: Effect.sync(unsafeCurrentTimeNanos),
      sleep
    }
    const scheduler = Scheduler.make(
      (run) => {
        if (state.phase === "dead") return
        state.pending++
        ready.push({ process: state, run })
      },
      maxOpsBeforeYield === undefined ? undefined : (fiber) => (fiber.currentOpCount > maxOpsBeforeYield ? 0 : false)
    )

    const compute = (millis: number): void => {
      state.busyUntil = present() + millis
      if (state.isBusy) return
      state.isBusy = true
      wakeLater(state)
    }
    computing.set(clock, compute)

    return {
      clock,
      scheduler,
      freeze: () => {
        if (state.phase === "running") state.phase = "frozen"
      },
      thaw: () => {
        if (state.phase !== "frozen") return
        state.phase = "running"
        ready.push(...state.held)
        state.held.length = 0
      },
      kill: () => {
        state.phase = "dead"
        state.held.length = 0
        state.tasks.length = 0
        state.due.length = 0
      },
      jump: (millis) => {
        state.offset += millis
      },
      compute,
      isHeldUp: () => state.phase === "frozen" || state.isBusy,
      pending: () => {
        const orphans = [...timers.items, ...state.due].filter((timer) => timer.process === state && isOrphan(timer))
        return state.pending - orphans.length
      }
    }
  }

  return {
    now: () => now,
    process,
    fork: ({ clock, isHeldUp, scheduler }, effect, random) => {
      const services = Context.add(Context.add(DefaultServices.liveServices, Clock.Clock, clock), Random.Random, random)
      return fork(effect, {
        immediate: !isHeldUp(),
        scheduler,
        updateRefs: (refs, fiberId) =>
          FiberRefs.updateManyAs(refs, {
            entries: [
              [DefaultServices.currentServices, [[fiberId, services]]],
              [FiberRef.currentMinimumLogLevel, [[fiberId, LogLevel.None]]]
            ]
          })
      })
    },
    run: (fiber, giveUp = () => false) =>
      leavingNothing(() => {
        while (!giveUp()) {
          const rests = runReady()
          const exit = fiber.unsafePoll()
          if (exit !== null) return exit
          if (!rests || !moveOn()) return undefined
        }
        return undefined
      })
  }
}

/**
 * A killed process leaves nothing behind: no interval, with which `Effect.never` keeps Node alive, and no fiber among
 * Effect's roots, where an endless one would keep its whole world in memory.
 */
const leavingNothing = <A>(run: () => A): A => {
  const { setInterval } = globalThis
  const before = new Set(rootFibers())
  globalThis.setInterval = (() => undefined) as never
  try {
    return run()
  } finally {
    globalThis.setInterval = setInterval
    for (const fiber of rootFibers()) if (!before.has(fiber) && fiber.unsafePoll() === null) end(fiber)
  }
}

const rootFibers = () => Effect.runSync(Fiber.roots)

/** Ends a fiber without running another step of it. Effect has no public way, because only a simulation may do it. */
const end = (fiber: Fiber.RuntimeFiber<unknown, unknown>): void => {
  const runtime = fiber as unknown as { readonly setExitValue: (exit: Exit.Exit<never>) => void }
  runtime.setExitValue(Exit.interrupt(FiberId.none))
}
