import { KafkaReader } from "@spillway/kafka"
import { Position } from "@spillway/transport"
import { Stream } from "effect"

// #region read
const hour = 60 * 60 * 1000

/** The records of the last hour, up to the end of the log when the stream starts. */
export const recent = Stream.suspend(() =>
  KafkaReader.read({ topic: "orders", from: Position.timestamp(Date.now() - hour) })
)

export const count = Stream.runCount(recent)
// #endregion
