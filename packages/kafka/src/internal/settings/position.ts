/**
 * Checks of positions, which may come from untyped code.
 */

/** Whether a value can be an offset or a timestamp. */
export const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

export const isPosition = (value: unknown): boolean => {
  const { _tag, offset, timestamp } = (value ?? {}) as Record<string, unknown>
  return (
    _tag === "Beginning" ||
    _tag === "End" ||
    (_tag === "Offset" && isOffset(offset)) ||
    (_tag === "Timestamp" && isOffset(timestamp))
  )
}
