import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"

// #region consumer
export const Attention = KafkaConsumer.layer({
  groupId: "attention",
  topics: ["orders-dlq"],
  value: Codec.bytes,
  handler: (letter) => Effect.logError("Dead letter needs attention", DeadLetter.metadata(letter)),
  deadLetter: DeadLetter.none("stop")
})
// #endregion
