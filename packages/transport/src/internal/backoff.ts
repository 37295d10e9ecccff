/** Delays in milliseconds that grow by a factor up to a maximum. */
export interface Backoff {
  readonly base: number
  readonly factor: number
  readonly cap: number
  readonly jitter: boolean
}

/**
 * The delay before a retry; the first retry is 0. `random` in [0, 1) shortens it by up to one half, after the maximum
 * applies: so no delay exceeds the maximum, and retries at the maximum don't run in lockstep. Whole milliseconds, as
 * clocks and timers count them.
 */
export const delay = ({ base, factor, cap, jitter }: Backoff, retry: number, random: number): number => {
  const full = base === 0 ? 0 : Math.floor(Math.min(cap, base * factor ** retry))
  return jitter ? Math.ceil(full * (1 - random / 2)) : full
}
