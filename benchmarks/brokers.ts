import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Broker from "../scripts/kafka/broker.js"

/** The brokers of `KAFKA_BROKERS`, or one of the run's own. */
export const given = Effect.flatMap(Effect.orDie(Config.option(Config.nonEmptyString("KAFKA_BROKERS"))), (given) =>
  given._tag === "Some"
    ? Effect.succeed(given.value.split(","))
    : Effect.map(Broker.make(), ({ bootstrap }) => [bootstrap])
)
