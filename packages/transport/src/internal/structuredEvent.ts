/** CloudEvents in structured mode: attributes and data in one JSON value. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import { type Issue, isName, isStandard, type TextAttributes } from "./cloudEventAttributes.js"
import { isJson } from "./mediaType.js"

const decoder = new TextDecoder("utf-8", { fatal: true })
const encoder = new TextEncoder()

interface Read {
  readonly attributes: TextAttributes
  readonly data: Uint8Array | null
}

const issue = (reason: Issue["reason"], description: string): Either.Either<never, Issue> =>
  Either.left({ reason, description })

export const read = (contentType: string, value: Uint8Array | null): Either.Either<Read, Issue> => {
  if (!/^\s*application\/cloudevents\+json\s*(;|$)/i.test(contentType)) {
    return issue("UnsupportedFormat", "the only supported structured format is application/cloudevents+json")
  }
  if (value === null) return issue("InvalidJson", "expected an event, got a tombstone")
  let event: unknown
  try {
    event = JSON.parse(decoder.decode(value))
  } catch {
    return issue("InvalidJson", `${value.length} bytes`)
  }
  if (typeof event !== "object" || event === null || Array.isArray(event)) {
    return issue("NotCloudEvent", "the value is not a JSON object")
  }
  const members = new Map<string, unknown>(Object.entries(event))
  return Either.flatMap(attributesOf(members), (attributes) =>
    Either.map(dataOf(members, attributes.get("datacontenttype")), (data) => ({ attributes, data }))
  )
}

const attributesOf = (members: ReadonlyMap<string, unknown>): Either.Either<TextAttributes, Issue> => {
  const attributes = new Map<string, string>()
  for (const [attribute, value] of members) {
    if (!isName(attribute) || value === null) continue
    const isText = typeof value === "string"
    if (!isText && (isStandard(attribute) || (typeof value !== "number" && typeof value !== "boolean"))) {
      return Either.left({ reason: "InvalidAttribute", attribute, description: "has the wrong type" })
    }
    attributes.set(attribute, String(value))
  }
  return Either.right(attributes)
}

/** The data's bytes as binary mode has them: JSON as JSON, other media types' text unchanged. */
const dataOf = (
  members: ReadonlyMap<string, unknown>,
  contentType: string | undefined
): Either.Either<Uint8Array | null, Issue> => {
  const base64 = members.get("data_base64") ?? undefined
  if (base64 !== undefined) {
    const attribute = "data_base64"
    if (members.has("data")) {
      return Either.left({ reason: "InvalidAttribute", attribute, description: "can't be combined with data" })
    }
    return typeof base64 === "string"
      ? Either.mapLeft(Encoding.decodeBase64(base64), () => ({
          reason: "InvalidAttribute",
          attribute,
          description: "is not Base64"
        }))
      : Either.left({ reason: "InvalidAttribute", attribute, description: "is not Base64" })
  }
  if (!members.has("data")) return Either.right(null)
  const data = members.get("data")
  if (typeof data === "string" && !isJson(contentType)) return Either.right(encoder.encode(data))
  try {
    return Either.right(encoder.encode(JSON.stringify(data)))
  } catch {
    return Either.left({ reason: "InvalidJson", attribute: "data", description: "is nested too deeply" })
  }
}
