import { assert, describe, it } from "@effect/vitest"
import { Codec, type Consumer, DeadLetter, HandlerError, Producer, RetryPolicy } from "@spillway/transport"
import * as Processor from "@spillway/transport/runtime/Processor"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

class CardDeclined extends Data.TaggedError("CardDeclined")<{ readonly card: string }> {}

class Billing extends Context.Tag("Billing")<
  Billing,
  { readonly charge: (order: Order) => Effect.Effect<void, CardDeclined> }
>() {}

const Order = Schema.Struct({ id: Schema.String, card: Schema.String })
type Order = typeof Order.Type

const orders = Processor.make({
  groupId: "billing",
  topics: ["orders"],
  value: Codec.json(Order),
  handler: ({ value }) =>
    Effect.flatMap(Billing, (billing) => billing.charge(value)).pipe(
      Effect.catchTag("CardDeclined", HandlerError.nonRetryable)
    ),
  retry: RetryPolicy.exponential({ retries: 3 }),
  deadLetter: DeadLetter.topic("dead-orders"),
  handlerTimeout: Duration.minutes(5)
})

describe("@spillway/transport", () => {
  it.effect("composes a consumer from its modules, with all requirements in its type", () =>
    Effect.gen(function* () {
      const needs: Effect.Effect<Processor.Processor<Billing>, Consumer.ConsumerError, Producer.Producer> = orders
      const sent: Array<Producer.ProducerRecord> = []
      const send = (record: Producer.ProducerRecord) =>
        Effect.sync(() => ({ topic: record.topic, partition: 0, offset: sent.push(record), timestamp: 0 }))
      const processor = yield* Effect.provideService(needs, Producer.Producer, {
        send,
        sendAll: (records) => Effect.forEach(records, send),
        sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
        partitions: () => Effect.succeed(1)
      })
      const record = {
        topic: "orders",
        partition: 0,
        offset: 7,
        timestamp: 0,
        key: null,
        value: new TextEncoder().encode('{"id":"o-1","card":"c-1"}'),
        headers: []
      }
      const outcome = yield* Effect.catchAllCause(processor.attempt(record), (cause) =>
        processor.recover(record, { cause, retry: undefined }, { wait: () => Effect.succeed(true) })
      ).pipe(Effect.provideService(Billing, { charge: ({ card }) => new CardDeclined({ card }) }))
      assert.deepStrictEqual(outcome, { _tag: "Settled", outcome: "deadLettered" })
      assert.deepStrictEqual(
        sent.map(({ topic, value }) => [topic, value]),
        [["dead-orders", record.value]]
      )
    })
  )
})
