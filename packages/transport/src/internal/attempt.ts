import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DecodeError, Decoder } from "../Codec.js"
import type { ConsumedRecord } from "../Envelope.js"
import type { Handler } from "../Handler.js"
import * as Envelope from "./envelope.js"
import { isExit } from "./exit.js"

/** Tells a value that didn't decode from a `DecodeError` of the handler's own. */
export class Undecodable extends Data.TaggedError("Undecodable")<{ readonly error: DecodeError }> {}

const undecodable = (error: DecodeError): Undecodable => new Undecodable({ error })

/** The error as the decoder had it. */
export const decodeErrorOf = (error: unknown): unknown => (error instanceof Undecodable ? error.error : error)

export type Attempt<R> = (record: ConsumedRecord, attempt: number) => Effect.Effect<unknown, unknown, R>

/** Decodes and handles. A decoder or handler that throws makes a defect. */
export const make =
  <A, E, R>(decoder: Decoder<A>, handler: Handler<A, E, R>): Attempt<R> =>
  (record, attempt) => {
    try {
      const decoded = decoder.decode(record.value)
      if (!isExit(decoded)) {
        return Effect.flatMap(Effect.mapError(decoded, undecodable), (value) =>
          handler(Envelope.make(record, value, attempt))
        )
      }
      return Exit.isSuccess(decoded)
        ? handler(Envelope.make(record, decoded.value, attempt))
        : Exit.failCause(Cause.map(decoded.cause, undecodable))
    } catch (defect) {
      return Exit.die(defect)
    }
  }
