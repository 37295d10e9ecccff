/**
 * Delta debugging: finds a small subset of items that still fails.
 */

/** A subset from which no item can be removed, as far as `attempts` tries show. `fails` holds for all items. */
export const shrink = <A>(
  items: ReadonlyArray<A>,
  fails: (items: ReadonlyArray<A>) => boolean,
  attempts: number
): ReadonlyArray<A> => {
  let kept = items
  let left = attempts
  let size = Math.ceil(kept.length / 2)
  while (size >= 1 && left > 0) {
    let smaller = false
    for (let from = 0; from < kept.length && left > 0; ) {
      const fewer = [...kept.slice(0, from), ...kept.slice(from + size)]
      left--
      if (fails(fewer)) {
        kept = fewer
        smaller = true
      } else from += size
    }
    if (size === 1 && !smaller) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return kept
}
