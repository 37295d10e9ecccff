/**
 * Which faults of a plan apply to a request. Requests are decided in order of arrival, and each rule has its own dice.
 */
import type { Api, Request } from "@spillway/kafka/Protocol"
import type { Endpoint, Role } from "@spillway/kafka/Wire"
import * as Duration from "effect/Duration"
import * as Dice from "./dice.js"
import type { Fault, FaultPlan, FaultRule } from "./faultTypes.js"
import * as PartialRefusal from "./partialRefusal.js"

/** The faults that exclude each other: a request meets at most one. */
export type Mishap = Exclude<Fault, { readonly _tag: "Delay" | "Freeze" | "Silence" | "Refuse" }>

export interface Verdict {
  readonly delayMs: number
  readonly mishap: Mishap | undefined
  /** All faults of the request, delays included. */
  readonly faults: ReadonlyArray<Fault>
}

export interface FaultRules {
  readonly request: (now: number, to: Endpoint, role: Role, api: Api, request: Request<Api>) => Verdict
  /** Whether a connection is refused. */
  readonly refuses: (now: number, to: Endpoint, role: Role) => boolean
  /** The time from which a new connection is silent; infinity means never. */
  readonly silentFrom: (now: number, to: Endpoint, role: Role) => number
  /** Whether any rule freezes brokers. */
  readonly freezes: boolean
  /** When a frozen broker continues; `now` when it isn't frozen. */
  readonly frozenUntil: (now: number, to: Endpoint, role: Role) => number
}

const none: Verdict = { delayMs: 0, mishap: undefined, faults: [] }

const topicsOf = (request: Request<Api>): ReadonlyArray<string> => {
  const topics = "topics" in request ? request.topics : undefined
  return (topics ?? []).map((topic) => (typeof topic === "string" ? topic : topic.topic))
}

/** Times are in milliseconds of the clock that `origin` was read from. */
export const make = ({ rules, seed }: FaultPlan, origin: number): FaultRules => {
  const timed = rules.map((rule, index) => ({
    rule,
    dice: Dice.make(seed, "rule", index),
    from: origin + Duration.toMillis(rule.from ?? 0),
    until: rule.until === undefined ? Number.POSITIVE_INFINITY : origin + Duration.toMillis(rule.until),
    left: rule.times ?? Number.POSITIVE_INFINITY
  }))

  const concerns = ({ ports, roles }: FaultRule, to: Endpoint, role: Role): boolean =>
    (ports === undefined || ports.includes(to.port)) && (roles === undefined || roles.includes(role))

  const matches = ({ apis, fault, topics }: FaultRule, api: Api, request: Request<Api>): boolean => {
    if (apis !== undefined && !apis.includes(api)) return false
    const partitions = fault._tag === "Answer" ? fault.partitions : undefined
    if (partitions !== undefined && !PartialRefusal.concerns(api, request, partitions)) return false
    if (topics === undefined) return true
    const named = topicsOf(request)
    return named.length > 0 && named.every((topic) => topics.includes(topic))
  }

  return {
    freezes: rules.some(({ fault }) => fault._tag === "Freeze"),
    request: (now, to, role, api, request) => {
      let delayMs = 0
      let mishap: Mishap | undefined
      let faults: Array<Fault> | undefined
      for (const entry of timed) {
        const { dice, from, left, rule, until } = entry
        if (left === 0 || now < from || now >= until || !concerns(rule, to, role)) continue
        const { fault, probability = 1 } = rule
        if (fault._tag === "Freeze" || fault._tag === "Refuse" || fault._tag === "Silence") continue
        if (!matches(rule, api, request)) continue
        if (fault._tag !== "Delay" && mishap !== undefined) continue
        if (probability < 1 && !dice.chance(probability)) continue
        entry.left--
        if (fault._tag === "Delay") {
          const min = Duration.toMillis(fault.min)
          delayMs += Math.round(min + dice.next() * (Duration.toMillis(fault.max) - min))
        } else mishap = fault
        faults = [...(faults ?? []), fault]
      }
      return faults === undefined ? none : { delayMs, mishap, faults }
    },
    refuses: (now, to, role) => {
      for (const entry of timed) {
        const { dice, from, left, rule, until } = entry
        if (rule.fault._tag !== "Refuse" || left === 0 || now < from || now >= until) continue
        if (!concerns(rule, to, role) || !dice.chance(rule.probability ?? 1)) continue
        entry.left--
        return true
      }
      return false
    },
    silentFrom: (now, to, role) => {
      let at = Number.POSITIVE_INFINITY
      for (const entry of timed) {
        const { dice, from, left, rule, until } = entry
        if (rule.fault._tag !== "Silence" || left === 0 || now >= until) continue
        if (!concerns(rule, to, role) || !dice.chance(rule.probability ?? 1)) continue
        entry.left--
        at = Math.min(at, Math.max(now, from))
      }
      return at
    },
    frozenUntil: (now, to, role) => {
      let at = now
      for (const { from, rule, until } of timed) {
        if (rule.fault._tag === "Freeze" && at >= from && at < until && concerns(rule, to, role)) at = until
      }
      return at
    }
  }
}
