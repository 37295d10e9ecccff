import { typeOf } from "../HandlerError.js"
import { truncate } from "./truncate.js"

const other = "other"

/** Names error classes for a label: the first `limit` by name, later ones as `other`. */
export const make = (limit: number): ((error: unknown) => string) => {
  const seen = new Set([other])
  return (error) => {
    const name = nameOf(error)
    if (seen.has(name)) return name
    if (seen.size > limit) return other
    seen.add(name)
    return name
  }
}

const nameOf = (error: unknown): string => truncate(typeOf(error), 100) || other
