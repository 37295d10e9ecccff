/**
 * The failure of a consumer in a program that may not know of it, such as under `Layer.launch`. A consumer can't end
 * the program that launched it: a layer may be built in another fiber than the one that waits. So it logs an error at a
 * slow interval.
 */
import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"

const intervalSeconds = 60

/** Logs until it is interrupted, or until `isHandled`. */
export const logUntil = (error: ConsumerError, isHandled: () => boolean, seconds = 0): Effect.Effect<void> =>
  Effect.suspend(() =>
    isHandled()
      ? Effect.void
      : Logging.log(
          LogLevel.Error,
          "The program continues without its consumer: start it with Consumer.launch, or use the result of wait",
          { groupId: error.groupId, reason: error.reason, error: error.description, seconds }
        ).pipe(
          Effect.zipRight(Effect.sleep(intervalSeconds * 1_000)),
          Effect.zipRight(logUntil(error, isHandled, seconds + intervalSeconds))
        )
  )
