/** The items of each key, in their order. */
export const groupBy = <A, K>(items: ReadonlyArray<A>, keyOf: (item: A) => K): Map<K, ReadonlyArray<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
