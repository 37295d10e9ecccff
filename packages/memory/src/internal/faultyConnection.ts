/**
 * A connection with faults. As on a real connection, requests and answers keep their order, so a delayed one delays
 * those behind it. A request that was sent still arrives after its client has stopped waiting.
 */
import type { Api, Request, Response } from "@spillway/kafka/Protocol"
import { type Connection, type Endpoint, type Role, Wire, WireError, type WireErrorReason } from "@spillway/kafka/Wire"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Ending from "./ending.js"
import type { FaultRules, Mishap, Verdict } from "./faultRules.js"
import type { FaultEvent } from "./faultTypes.js"
import * as PartialRefusal from "./partialRefusal.js"
import * as Refusal from "./refusal.js"
import * as Timers from "./timers.js"

export interface Options {
  /** The network's scope: requests in flight continue when the client's fibers end. */
  readonly runtime: Runtime.Runtime<never>
  readonly clock: Clock.Clock
  readonly rules: FaultRules
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly onFault: (event: FaultEvent) => void
}

/** A request that the broker may park for long. Ending a connection doesn't wait for it. */
const parked = new Set<Api>(["Fetch", "JoinGroup", "SyncGroup"])

/** How long a broker may park a request, by the request's own fields, in milliseconds. */
const brokerWaitMs = (api: Api, request: Request<Api>): number => {
  switch (api) {
    case "Fetch":
      return (request as Request<"Fetch">).maxWaitMs
    case "JoinGroup":
      return (request as Request<"JoinGroup">).rebalanceTimeoutMs
    default:
      return 0
  }
}

export const wrap = (
  wire: Context.Tag.Service<Wire>,
  { clock, connectTimeoutMs, onFault, requestTimeoutMs, rules, runtime }: Options
): Context.Tag.Service<Wire> => {
  const run = Runtime.runFork(runtime)
  const timers = Timers.make(clock, runtime)
  const { now } = timers

  /** The client's side of a connection. */
  const make = (inner: Connection, end: Effect.Effect<void>, to: Endpoint, role: Role) => {
    const endpoint = `${to.host}:${to.port}`
    const ending = Ending.make()
    const waiting = new Set<(error: WireError) => void>()
    /** Requests that are on their way to the broker or being carried out. */
    let underWay = 0
    let arrivesAt = 0
    let answersAt = 0
    /** True when nothing gets through in this direction any more. */
    let deaf = false
    let mute = false
    const silentFrom = rules.silentFrom(now(), to, role)
    const isSilent = () => now() >= silentFrom

    const error = (reason: WireErrorReason, description: string, api?: Api) =>
      new WireError({ reason, endpoint, api, description })
    const cut = () => error("Disconnected", "the connection was cut")

    /** Ends the client's side at once, and the broker's side when every request in flight has been carried out. */
    const disconnect = (reason: WireError) => {
      if (ending.reason() !== undefined) return
      ending.end(reason)
      for (const fail of waiting) fail(reason)
      waiting.clear()
      if (underWay === 0) run(end)
    }

    const arrived = () => {
      underWay--
      if (ending.reason() !== undefined && underWay === 0) run(end)
    }

    /** Applies the faults of a request on the network and at the broker. */
    const carry = <A extends Api>(
      api: A,
      request: Request<A>,
      limitMs: number,
      sentAt: number,
      { delayMs, faults, mishap }: Verdict,
      resume: (answer: Effect.Effect<Response<A>, WireError>) => void
    ): void => {
      for (const fault of faults) onFault({ endpoint, api, fault })
      const fail = (reason: WireError) => resume(Effect.fail(new WireError({ ...reason, api })))
      const answer = (exit: Exit.Exit<Response<A>, WireError>) => {
        waiting.delete(fail)
        resume(exit)
      }
      const deadline = sentAt + Math.min(requestTimeoutMs + brokerWaitMs(api, request), limitMs)
      const timeOut = (): void => {
        timers.after(deadline - now(), () => {
          if (waiting.has(fail)) disconnect(error("Timeout", "no response in time", api))
        })
      }
      waiting.add(fail)

      if (isSilent() && !deaf) {
        deaf = true
        onFault({ endpoint, api, fault: { _tag: "Silence" } })
      }
      if (mishap?._tag === "LoseRequest") deaf = true
      if (mishap?._tag === "LoseResponse") mute = true
      if (deaf) {
        timeOut()
        return
      }
      if (mishap?._tag === "Disconnect" && mishap.when === "before") {
        disconnect(cut())
        return
      }
      const isMute = mute
      arrivesAt = Math.max(arrivesAt, rules.frozenUntil(sentAt + delayMs, to, role))
      const isParked = parked.has(api)
      if (isMute || arrivesAt > deadline || (isParked && limitMs < Number.POSITIVE_INFINITY)) timeOut()

      const refusal = (
        { code, partitions }: Extract<Mishap, { readonly _tag: "Answer" }>,
        answer: Response<A> | undefined
      ): Response<A> =>
        partitions === undefined
          ? Refusal.of(api, request, code)
          : PartialRefusal.merge(api, request, code, partitions, answer)

      const deliver = (exit: Exit.Exit<Response<A>, WireError>): void => {
        if (isMute) return
        if (isSilent()) {
          timeOut()
          return
        }
        if (mishap?._tag === "Disconnect") {
          disconnect(cut())
          return
        }
        const given =
          mishap?._tag === "Answer" && Exit.isSuccess(exit) ? Exit.succeed(refusal(mishap, exit.value)) : exit
        const at = now()
        answersAt = Math.max(answersAt, rules.frozenUntil(at, to, role))
        if (answersAt <= at) answer(given)
        else if (answersAt > deadline) timeOut()
        else timers.after(answersAt - at, () => answer(given))
      }
      /** Carries the request out at the broker. */
      const remaining = (): Request<A> | undefined => {
        if (mishap?._tag !== "Answer" || mishap.when === "after") return request
        const { partitions } = mishap
        return partitions === undefined ? undefined : PartialRefusal.without(api, request, partitions)
      }
      const carriedOut = (exit: Exit.Exit<Response<A>, WireError>) => {
        if (!isParked) arrived()
        deliver(exit)
      }
      const arrive = () => {
        if (isSilent()) {
          arrived()
          timeOut()
          return
        }
        if (isParked) arrived()
        const left = remaining()
        if (left === undefined) carriedOut(Exit.succeed(undefined as never))
        else run(inner.request(api, left)).addObserver(carriedOut)
      }

      underWay++
      if (arrivesAt > sentAt) timers.after(arrivesAt - sentAt, arrive)
      else arrive()
    }

    const request: Connection["request"] = (api, request, limitMs = Number.POSITIVE_INFINITY) =>
      Effect.async((resume) => {
        const ended = ending.reason()
        if (ended !== undefined) return resume(Effect.fail(new WireError({ ...ended, reason: "Disconnected", api })))
        const sentAt = now()
        const verdict = rules.request(sentAt, to, role, api, request)
        const isFree =
          verdict.faults.length === 0 &&
          !(deaf || mute || rules.freezes || silentFrom < Number.POSITIVE_INFINITY) &&
          arrivesAt <= sentAt
        if (isFree) resume(inner.request(api, request, limitMs))
        else carry(api, request, limitMs, sentAt, verdict, resume)
      })

    const connection: Connection = { request, closed: ending.closed }
    return {
      connection,
      /** The broker has ended the connection; a silent one doesn't show it. */
      onClosed: (reason: WireError) => {
        if (!isSilent()) disconnect(reason)
      },
      abandon: Effect.sync(() => disconnect(error("Disconnected", "the client closed the connection")))
    }
  }

  /** The broker's side may outlive the client's, so a fiber of the network opens it and waits for its end. */
  const open = (to: Endpoint, role: Role): Effect.Effect<Connection, WireError, Scope.Scope> =>
    Effect.flatMap(Effect.zip(Effect.scope, Scope.make()), ([scope, innerScope]) =>
      Effect.async<Connection, WireError>((resume) => {
        const end = Scope.close(innerScope, Exit.void)
        const opening = Effect.matchCauseEffect(wire.connect(to, role), {
          onFailure: (cause) => {
            resume(Effect.failCause(cause))
            return end
          },
          onSuccess: (inner) => {
            const { abandon, connection, onClosed } = make(inner, end, to, role)
            resume(Effect.as(Scope.addFinalizer(scope, abandon), connection))
            return Effect.map(inner.closed, onClosed)
          }
        })
        Runtime.runFork(Runtime.provideService(runtime, Scope.Scope, innerScope))(opening)
      })
    ).pipe(Effect.uninterruptible)

  const connect = (to: Endpoint, role: Role): Effect.Effect<Connection, WireError, Scope.Scope> =>
    Effect.suspend(() => {
      const endpoint = `${to.host}:${to.port}`
      const fail = (description: string) =>
        Effect.fail(new WireError({ reason: "ConnectFailed", endpoint, description }))
      const at = now()
      if (rules.refuses(at, to, role)) {
        onFault({ endpoint, api: undefined, fault: { _tag: "Refuse" } })
        return fail("the connection was refused")
      }
      const thawsAt = rules.frozenUntil(at, to, role)
      if (thawsAt <= at) return open(to, role)
      onFault({ endpoint, api: undefined, fault: { _tag: "Freeze" } })
      const timesOut = thawsAt > at + connectTimeoutMs
      return Effect.zipRight(
        clock.sleep(Duration.millis(timesOut ? connectTimeoutMs : thawsAt - at)),
        timesOut ? fail("no answer in time") : open(to, role)
      )
    })

  return Wire.of({ ...wire, connect })
}
