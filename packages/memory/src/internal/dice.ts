/**
 * Random numbers from a seed, the same in every run. Each part of a simulation has its own dice, so draws that one part
 * skips don't change the others.
 */
import type * as Random from "effect/Random"
import * as EffectRandom from "effect/Random"

export interface Dice {
  /** From 0 to 1, exclusive. */
  readonly next: () => number
  /** A whole number from 0 to `count`, exclusive. */
  readonly below: (count: number) => number
  /** A whole number from `min` to `max`, both inclusive. */
  readonly between: (min: number, max: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(from: ReadonlyArray<A>) => A
}

/** FNV-1a over the parts' text. */
const hash = (parts: ReadonlyArray<string | number>): number => {
  let state = 0x811c9dc5
  for (const byte of parts.join("/")) state = Math.imul(state ^ byte.charCodeAt(0), 0x01000193)
  return state >>> 0
}

/** Dice for one part of the simulation, derived from the seed and the part's name. */
export const make = (seed: number, ...part: ReadonlyArray<string | number>): Dice => {
  // splitmix32
  let state = hash([seed, ...part])
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  const below = (count: number): number => Math.floor(next() * count)
  return {
    next,
    below,
    between: (min, max) => min + below(max - min + 1),
    chance: (probability) => next() < probability,
    pick: (from) => from[below(from.length)]!
  }
}

/** Effect's `Random` for the fibers of a part. */
export const random = (seed: number, ...part: ReadonlyArray<string | number>): Random.Random =>
  EffectRandom.make([seed, ...part].join("/"))
