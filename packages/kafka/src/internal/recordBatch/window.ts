/**
 * A decoder's latest output, which it can copy from and delivers piece by piece.
 */
export interface Window {
  /** How far back copies may reach, in bytes. */
  readonly size: number
  buffer: Uint8Array
  /** Where the next byte goes. */
  at: number
  /** Where the bytes begin that copies may reach. */
  from: number
  /** Where the undelivered bytes begin. */
  next: number
}

/** The approximate size of a piece. */
export const pieceBytes = 64 * 1024

export const make = (size: number): Window => ({ size, buffer: new Uint8Array(0), at: 0, from: 0, next: 0 })

/** Copies no longer reach back past this point. */
export const reset = (window: Window): void => {
  window.from = window.at
}

/** How far back copies may reach now. */
export const reach = (window: Window): number => Math.min(window.at - window.from, window.size)

/**
 * Makes room for this many bytes. The buffer grows with the data written, never with a size in a header, and each byte
 * is moved about twice at most.
 */
export const reserve = (window: Window, bytes: number): void => {
  if (window.at + bytes <= window.buffer.length) return
  const kept = Math.max(reach(window), window.at - window.next)
  const needed = kept + bytes
  const target = needed + Math.max(kept >> 1, 4 * pieceBytes)
  const shift = window.at - kept
  if (target <= window.buffer.length) window.buffer.copyWithin(0, shift, window.at)
  else {
    const grown = new Uint8Array(target)
    grown.set(window.buffer.subarray(shift, window.at))
    window.buffer = grown
  }
  window.at = kept
  window.from = Math.max(0, window.from - shift)
  window.next -= shift
}

/** Appends bytes from elsewhere; there must be room. */
export const append = (window: Window, bytes: Uint8Array, from: number, to: number): void => {
  const { at, buffer } = window
  const count = to - from
  window.at = at + count
  // A short run costs less than the view that `set` would need.
  if (count > 32) buffer.set(bytes.subarray(from, to), at)
  else for (let i = 0; i < count; i++) buffer[at + i] = bytes[from + i]!
}

/** Appends bytes that begin `distance` before the end; there must be room. */
export const repeat = (window: Window, distance: number, length: number): void => {
  if (distance === 0 || distance > reach(window)) throw new RangeError(`it refers to ${distance} bytes before`)
  const { buffer } = window
  let at = window.at
  const end = at + length
  window.at = end
  // The output of a long copy is copied in turn, so that it doubles each time.
  if (length > 32) {
    const start = at - distance
    while (at < end) {
      const count = Math.min(at - start, end - at)
      buffer.copyWithin(at, start, start + count)
      at += count
    }
  } else for (; at < end; at++) buffer[at] = buffer[at - distance]!
}

/** Takes the bytes written since the last call: a view that is valid until more is written. */
export const take = (window: Window): Uint8Array => {
  const piece = window.buffer.subarray(window.next, window.at)
  window.next = window.at
  return piece
}
