import { Producer } from "@spillway/transport/Producer"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Card, type Order, ordersTopic } from "./Order.js"

const place = (order: Order) =>
  Producer.pipe(
    Effect.flatMap((producer) =>
      producer.send({
        topic: ordersTopic,
        key: order.id,
        value: JSON.stringify(order),
        headers: { "x-event-id": order.id }
      })
    ),
    Effect.flatMap(({ offset, partition }) =>
      Effect.annotateLogs(Effect.logInfo("Order placed"), { partition, offset })
    ),
    Effect.catchTag("ProducerError", (error) => Effect.logError("Order lost", error)),
    Effect.annotateLogs({ order: order.id, card: order.card })
  )

/** `ORDER_CARDS`: the kinds of cards to order with. Default: all; `valid` alone makes a program without failures. */
const cards = Config.array(Config.literal(...Card.literals)(), "ORDER_CARDS").pipe(Config.withDefault(Card.literals))

/** Places an order at each interval, with each kind of card in turn. */
export const layer = (interval: Duration.DurationInput): Layer.Layer<never, ConfigError, Producer> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const kinds = yield* cards
      // Ids stay unique when the program restarts.
      const start = (yield* Clock.currentTimeMillis).toString(36)
      let count = 0
      const next = Effect.suspend(() => {
        const card = kinds[count % kinds.length]!
        count += 1
        return place({ id: `${start}-${count}`, card, amount: 10 * count })
      })
      yield* Effect.forkScoped(Effect.repeat(next, Schedule.fixed(interval)))
    })
  )
