/**
 * Checks after every test of the packages that run consumers and producers that no fiber, timer or socket is left over.
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { afterEach, beforeEach, expect } from "vitest"

const timers = new Set<unknown>()

/** Keeps track of timers that are set and neither cleared nor due yet. */
const watchTimers = (): void => {
  const { clearInterval, clearTimeout, setInterval, setTimeout } = globalThis
  const set = (original: typeof setTimeout | typeof setInterval, repeats: boolean) => {
    const watched = (callback: (...args: ReadonlyArray<unknown>) => void, ms?: number, ...given: Array<unknown>) => {
      const timer = original(
        (...args: ReadonlyArray<unknown>) => {
          if (!repeats) timers.delete(timer)
          callback(...args)
        },
        ms,
        ...given
      )
      timers.add(timer)
      return timer
    }
    return Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original))
  }
  const clear = (original: typeof clearTimeout) => (timer: Parameters<typeof clearTimeout>[0]) => {
    timers.delete(timer)
    original(timer)
  }
  Object.assign(globalThis, {
    setTimeout: set(setTimeout, false),
    setInterval: set(setInterval, true),
    clearTimeout: clear(clearTimeout),
    clearInterval: clear(clearInterval)
  })
}

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((type) => type === "TCPSocketWrap" || type === "TLSWrap").length

/** Fibers without a parent; the others end with their parent. */
const roots = (): ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> => Effect.runSync(Fiber.roots)

/** Waits a little for resources that end by themselves: destroyed sockets last until the event loop's next turn. */
const patienceMs = 2_000

if (/\/packages\/(?:kafka|memory)\/test\//.test(expect.getState().testPath ?? "")) {
  watchTimers()
  let before = { fibers: new Set(roots()), timers: new Set(timers), sockets: sockets() }

  beforeEach(() => {
    before = { fibers: new Set(roots()), timers: new Set(timers), sockets: sockets() }
  })

  afterEach(async () => {
    const until = performance.now() + patienceMs
    while (true) {
      // The fiber that looks is among them, and has ended.
      const fibers = roots().filter((fiber) => !before.fibers.has(fiber) && fiber.unsafePoll() === null)
      const running = Array.from(timers).filter((timer) => !before.timers.has(timer))
      const open = sockets() - before.sockets
      if (fibers.length === 0 && running.length === 0 && open <= 0) return
      if (performance.now() > until) {
        const ids = fibers.map((fiber) => `#${fiber.id().id}`).join(" ")
        throw new Error(`left behind: ${fibers.length} fibers ${ids}, ${running.length} timers, ${open} sockets`)
      }
      await sleep(5)
    }
  })
}
