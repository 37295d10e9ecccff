/**
 * The producers of a simulated world, and the check of the log at the end: each acknowledged record is at its
 * acknowledged offset, in the order of sending, and none is written twice.
 */
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Dice from "../dice.js"
import type { Stage } from "./stage.js"
import type { SimulatedRecord } from "./subject.js"
import { nameOf } from "./truth.js"

/** An acknowledged record. */
export interface Acknowledged extends TopicPartition {
  readonly offset: number
  readonly value: Uint8Array | null
}

export interface Producers {
  /** Records sent by the producer under test, or with `acks: "leader"` directly to the leader, which may lose them. */
  readonly produce: (count: number, acks: "all" | "leader") => Effect.Effect<void>
  /** Records that are written to a partition without the producer. */
  readonly write: (at: TopicPartition, count: number) => Effect.Effect<void>
  readonly isSending: () => boolean
  /** In the order of sending. */
  readonly acknowledged: () => ReadonlyArray<Acknowledged>
  /** Reports the errors in the log to the oracle at the end. */
  readonly check: (log: ReadonlyArray<ConsumedRecord>) => void
  readonly close: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (
  { broker, faulty, fork, note, oracle, scenario, time }: Stage,
  options: {
    readonly topics: ReadonlyArray<string>
    readonly record: (index: number, dice: Dice.Dice) => SimulatedRecord
  }
): Effect.fn.Return<Producers> {
  const { topics } = options
  const process = time.process()
  const scope = yield* Scope.make()
  const client = yield* broker.client("producers")
  const dice = Dice.make(scenario.seed, "records")
  /** In the order of sending; some are missing. */
  const acknowledged: Array<Acknowledged> = []
  /** The offsets that were written without the producer. */
  const others = new Set<string>()
  let sent = 0
  let sending = 0
  /** Records whose send failed. Each may have been written anyway. */
  let inDoubt = 0

  const context = Context.add(Context.make(Wire, faulty(client.wire, "producers")), Scope.Scope, scope)
  const made = Effect.provide(
    Effect.orDie(
      KafkaProducer.make({
        deliveryTimeout: "10 minutes",
        compression: scenario.rare.packed === undefined ? "none" : "gzip"
      })
    ),
    context
  )
  const producer = yield* Fiber.join(fork(process, made, "producer"))

  const produce = (count: number, acks: "all" | "leader") =>
    Effect.suspend(() => {
      const first = sent
      const records = Array.from({ length: count }, () => ({
        ...options.record(sent++, dice),
        topic: topics.length === 1 ? topics[0]! : dice.pick(topics),
        partition: dice.below(scenario.partitions)
      }))
      if (acks === "leader") {
        return Effect.forEach(
          records,
          ({ key, headers, partition, topic, value }) =>
            Effect.map(broker.produce(topic, [{ key, value, headers, partition }], { acks }), ([written]) => {
              others.add(placeOf({ topic, partition, offset: written!.offset }))
            }),
          { discard: true }
        ).pipe(Effect.orDie)
      }
      sending++
      const send = Effect.map(producer.sendAllEither(records), (results) => {
        sending--
        for (const [i, result] of results.entries()) {
          if (Either.isLeft(result)) {
            inDoubt++
            note(`sending failed: ${result.left.message}`)
            continue
          }
          const { offset, partition, topic } = result.right
          acknowledged[first + i] = { topic, partition, offset, value: records[i]!.value }
          oracle.produced({ topic, partition }, offset)
        }
      })
      fork(process, send, "send", first)
      return Effect.void
    })

  const write = ({ partition, topic }: TopicPartition, count: number) =>
    Effect.suspend(() => {
      const first = sent
      const records = Array.from({ length: count }, () => ({ ...options.record(sent++, dice), partition }))
      return Effect.map(broker.produce(topic, records), (written) => {
        for (const [i, { offset }] of written.entries()) {
          acknowledged[first + i] = { topic, partition, offset, value: records[i]!.value }
          oracle.produced({ topic, partition }, offset)
        }
      })
    }).pipe(Effect.orDie)

  const all = () => acknowledged.filter((record) => record !== undefined)

  const checkOrder = (): void => {
    const last = new Map<string, number>()
    for (const at of all()) {
      const name = nameOf(at)
      const before = last.get(name) ?? -1
      if (at.offset <= before) {
        oracle.broken("records are written in order", `${placeOf(at)} was sent after ${name}@${before}`)
      }
      last.set(name, at.offset)
    }
  }

  const check = (log: ReadonlyArray<ConsumedRecord>): void => {
    const stored = new Map(log.map((record) => [placeOf(record), record.value]))
    for (const { value, ...at } of all()) {
      const found = stored.get(placeOf(at))
      if (found !== undefined && Buffer.compare(found ?? nothing, value ?? nothing) !== 0) {
        oracle.broken("no record is lost", `${placeOf(at)} is another record than the one acknowledged`)
      }
    }
    checkOrder()
    const known = new Set(all().map(placeOf))
    const unknown = Array.from(stored.keys()).filter((place) => !known.has(place) && !others.has(place))
    if (unknown.length > inDoubt) {
      oracle.broken("no record is written twice", `${unknown.join(" ")} was acknowledged to no producer`)
    }
  }

  return {
    produce,
    write,
    isSending: () => sending > 0,
    acknowledged: all,
    check,
    close: Scope.close(scope, Exit.void)
  }
})

const placeOf = (at: TopicPartition & { readonly offset: number }): string => `${nameOf(at)}@${at.offset}`

const nothing = new Uint8Array(0)
