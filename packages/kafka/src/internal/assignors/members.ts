/**
 * The members of a group, as assignors see them.
 */

export interface Member {
  readonly memberId: string
  /** A static member's id. It sorts by this, so that a restart moves nothing. */
  readonly groupInstanceId: string | null
  readonly topics: ReadonlyArray<string>
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Static members by their instance ids, then the others by their member ids. */
export const compareMembers = (a: Member, b: Member): number => {
  if (a.groupInstanceId !== null && b.groupInstanceId !== null) return compareText(a.groupInstanceId, b.groupInstanceId)
  if (a.groupInstanceId !== null) return -1
  if (b.groupInstanceId !== null) return 1
  return compareText(a.memberId, b.memberId)
}
