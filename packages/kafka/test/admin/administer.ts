/**
 * Runs a test of `KafkaAdmin` on a broker in memory, with faults between them.
 */
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Administered {
  readonly admin: Context.Tag.Service<KafkaAdmin.KafkaAdmin>
  readonly broker: Context.Tag.Service<MemoryBroker.MemoryBroker>
  /** The faults that have happened. */
  readonly faults: ReadonlyArray<Faults.FaultEvent>
}

export const administer = <A, E>(
  body: (administered: Administered) => Effect.Effect<A, E, Wire | Scope.Scope>,
  options: {
    readonly broker?: MemoryBroker.MemoryBrokerOptions
    readonly rules?: ReadonlyArray<Faults.FaultRule>
  } = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make(options.broker)
      const faults: Array<Faults.FaultEvent> = []
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: options.rules ?? [],
        onFault: (event) => faults.push(event)
      })
      return yield* Effect.provideService(
        Effect.flatMap(KafkaAdmin.make(), (admin) => body({ admin, broker, faults })),
        Wire,
        wire
      )
    })
  )
