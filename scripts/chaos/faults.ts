/**
 * The faults of a chaos run, drawn from a seed: the same seed draws the same faults.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import type { Broker, BrokerFailed } from "../kafka/broker.js"
import type { Members } from "./members.js"
import type { Proxy } from "./proxy.js"

export const kinds = [
  "brokerKilled",
  "brokerFrozen",
  "memberKilled",
  "memberFrozen",
  "connectionsCut",
  "connectionsStalled",
  "connectionsHalfOpened",
  "joinsHalfOpened"
] as const

export type FaultKind = (typeof kinds)[number]

/**
 * The length of faults that last, in milliseconds: some outlive a session of 6 seconds, some a broker's session of 9.
 */
const durations: Readonly<Record<FaultKind, readonly [number, number]>> = {
  brokerKilled: [500, 8_000],
  brokerFrozen: [1_000, 14_000],
  memberKilled: [0, 0],
  memberFrozen: [500, 12_000],
  connectionsCut: [0, 0],
  connectionsStalled: [500, 10_000],
  connectionsHalfOpened: [0, 0],
  joinsHalfOpened: [500, 10_000]
}

export interface Node {
  readonly broker: Broker
  readonly proxy: Proxy
}

export interface Options {
  readonly seed: number
  readonly nodes: ReadonlyArray<Node>
  readonly members: Members
  /** Ends when every replica is in sync. */
  readonly inSync: Effect.Effect<void>
  readonly onFault: (kind: FaultKind, target: string, milliseconds: number) => void
}

/**
 * Makes faults, one to three seconds apart, for `milliseconds`, and returns when all are repaired. Only one broker at a
 * time is killed or frozen, until all replicas are in sync again: a fault drawn before that is skipped.
 */
export const run = ({ inSync, members, nodes, onFault, seed }: Options, milliseconds: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const random = Random.make(seed)
      const faults = yield* FiberSet.make<void, BrokerFailed>()
      const oneBroker = Effect.unsafeMakeSemaphore(1)
      const stalled = new Set<Proxy>()

      const onBroker = (kind: FaultKind, target: string, lasts: number, fault: Effect.Effect<void, BrokerFailed>) =>
        oneBroker.withPermitsIfAvailable(1)(
          Effect.sync(() => onFault(kind, target, lasts)).pipe(Effect.zipRight(fault), Effect.zipRight(inSync))
        )

      const make = (kind: FaultKind, choice: number, lasts: number): Effect.Effect<unknown, BrokerFailed> => {
        const index = Math.floor(choice * nodes.length)
        const { broker, proxy } = nodes[index]!
        const target = `broker ${index + 1}`
        const sleep = Effect.sleep(lasts)
        switch (kind) {
          case "brokerKilled":
            return onBroker(
              kind,
              target,
              lasts,
              broker.kill.pipe(Effect.zipRight(sleep), Effect.zipRight(broker.start))
            )
          case "brokerFrozen":
            return onBroker(
              kind,
              target,
              lasts,
              broker.freeze.pipe(Effect.zipRight(sleep), Effect.zipRight(broker.resume))
            )
          case "memberKilled":
            return Effect.map(members.replace(choice), (name) => onFault(kind, name, lasts))
          case "memberFrozen":
            return members.freeze(choice, lasts, (name) => onFault(kind, name, lasts))
          case "connectionsCut":
            onFault(kind, target, lasts)
            return proxy.cut
          case "connectionsHalfOpened":
            onFault(kind, target, lasts)
            return proxy.halfOpen
          case "joinsHalfOpened":
            // Only one of the brokers coordinates the group.
            onFault(kind, "the group's joins", lasts)
            return Effect.forEach(nodes, ({ proxy }) => proxy.halfOpenJoins(choice < 0.5 ? "request" : "answer", lasts))
          case "connectionsStalled": {
            if (stalled.has(proxy)) return Effect.void
            stalled.add(proxy)
            onFault(kind, target, lasts)
            return proxy.stall.pipe(
              Effect.zipRight(sleep),
              Effect.zipRight(proxy.flow),
              Effect.tap(() => Effect.sync(() => stalled.delete(proxy)))
            )
          }
        }
      }

      const draw = Effect.gen(function* () {
        const pause = yield* random.nextRange(1_000, 3_000)
        const kind = kinds[yield* random.nextIntBetween(0, kinds.length)]!
        const choice = yield* random.next
        const lasts = yield* random.nextRange(...durations[kind])
        yield* Effect.sleep(pause)
        yield* FiberSet.run(faults, Effect.asVoid(Effect.suspend(() => make(kind, choice, Math.round(lasts)))))
      })

      yield* Effect.forever(draw).pipe(Effect.raceFirst(FiberSet.join(faults)), Effect.timeoutOption(milliseconds))
      yield* Effect.raceFirst(FiberSet.awaitEmpty(faults), FiberSet.join(faults))
    })
  )
