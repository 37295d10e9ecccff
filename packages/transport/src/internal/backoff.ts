/** Delays in milliseconds that grow by a factor up to a cap. */
export interface Backoff {
  readonly base: number
  readonly factor: number
  readonly cap: number
  readonly jitter: boolean
}

/**
 * The delay before a retry, the first being 0. `random` in [0, 1) shortens it by up to one half, after the cap: so
 * neither exceeds the cap nor retries at the cap in lockstep. Whole milliseconds, as clocks and timers count them.
 */
export const delay = ({ base, factor, cap, jitter }: Backoff, retry: number, random: number): number => {
  const full = base === 0 ? 0 : Math.floor(Math.min(cap, base * factor ** retry))
  return jitter ? Math.ceil(full * (1 - random / 2)) : full
}
