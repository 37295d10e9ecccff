/**
 * Reads the parts of a cause in time linear in its size, however deep it is nested and however often parts repeat.
 */
import * as Cause from "effect/Cause"

type Leaf<E> = Cause.Fail<E> | Cause.Die | Cause.Interrupt

/** The failures, defects and interruptions of a cause in order; a part that occurs repeatedly counts once. */
export function* leavesOf<E>(cause: Cause.Cause<E>): Generator<Leaf<E>> {
  const seen = new Set<Cause.Cause<E>>()
  const left = [cause]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    switch (next._tag) {
      case "Empty":
        break
      case "Sequential":
      case "Parallel":
        if (seen.has(next)) break
        seen.add(next)
        left.push(next.right, next.left)
        break
      default:
        yield next
    }
  }
}

/** `Cause.isInterruptedOnly`. */
export const isInterruptedOnly = (cause: Cause.Cause<unknown>): boolean => {
  for (const { _tag } of leavesOf(cause)) if (_tag !== "Interrupt") return false
  return true
}

/** The first typed error, otherwise the first defect, otherwise the interruption. */
export const errorOf = (cause: Cause.Cause<unknown>): unknown => {
  let defect: Cause.Die | undefined
  for (const leaf of leavesOf(cause)) {
    if (leaf._tag === "Fail") return leaf.error
    if (leaf._tag === "Die") defect ??= leaf
  }
  return defect === undefined ? new Cause.InterruptedException("interrupted") : defect.defect
}
