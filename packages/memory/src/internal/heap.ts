/**
 * A binary heap: removes the first item of an order in logarithmic time.
 */
export interface Heap<A> {
  readonly items: Array<A>
  readonly before: (one: A, other: A) => boolean
}

export const make = <A>(before: (one: A, other: A) => boolean): Heap<A> => ({ items: [], before })

export const add = <A>({ before, items }: Heap<A>, item: A): void => {
  let at = items.length
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!before(item, items[parent]!)) break
    items[at] = items[parent]!
    at = parent
  }
  items[at] = item
}

/** Takes the first item. */
export const take = <A>({ before, items }: Heap<A>): A | undefined => {
  const first = items[0]
  const moved = items.pop()
  if (first === undefined || moved === undefined || items.length === 0) return first
  let at = 0
  while (true) {
    let child = 2 * at + 1
    if (child >= items.length) break
    if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child++
    if (!before(items[child]!, moved)) break
    items[at] = items[child]!
    at = child
  }
  items[at] = moved
  return first
}
