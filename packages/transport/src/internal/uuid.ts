import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/**
 * A UUID of version 7: the timestamp distinguishes processes whose `Random` has the same seed, since Effect draws its
 * default seed from only 32 bits.
 */
export const make: Effect.Effect<string> = Effect.gen(function* () {
  const time = hex(yield* Clock.currentTimeMillis, 12)
  const high = hex(yield* Random.nextIntBetween(0, 2 ** 12), 3)
  const variant = hex(0x8000 + (yield* Random.nextIntBetween(0, 2 ** 14)), 4)
  const low = hex(yield* Random.nextIntBetween(0, 2 ** 24), 6) + hex(yield* Random.nextIntBetween(0, 2 ** 24), 6)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${high}-${variant}-${low}`
})

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0")
