/**
 * The options of a consumer that are code: its codecs, its handler and its failure policy.
 */
import type { Decoder } from "@spillway/transport/Codec"
import type { DeadLetterPolicy, Destination } from "@spillway/transport/DeadLetter"
import type { Handler } from "@spillway/transport/Handler"
import type { Classify } from "@spillway/transport/HandlerError"
import type { OptionIssue } from "@spillway/transport/InvalidOptions"
import type { RetryPolicy } from "@spillway/transport/RetryPolicy"
import { carriedBy } from "@spillway/transport/runtime/CarriedIssues"
import { checkHeaders } from "@spillway/transport/runtime/DeadLetter"
import * as Settings from "@spillway/transport/runtime/Settings"
import { isTopicName } from "@spillway/transport/runtime/TopicName"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const partOf = (given: unknown, field: string): unknown =>
  typeof given === "object" && given !== null ? (given as Readonly<Record<string, unknown>>)[field] : undefined

const isDecoder = (given: unknown): boolean => typeof partOf(given, "decode") === "function"

const isPolicy = (given: unknown): given is DeadLetterPolicy<unknown> => Effect.isEffect(partOf(given, "destination"))

const policyRule = "must be a policy, such as DeadLetter.topic() or DeadLetter.none"

const fields = {
  value: Settings.make<Decoder<unknown>>({ meaning: "decodes values" }, undefined, isDecoder, "must be a decoder"),
  key: Settings.optional(
    Settings.make<Decoder<unknown>>({ meaning: "decodes keys" }, undefined, isDecoder, "must be a decoder")
  ),
  handler: Settings.code<Handler<never, unknown, unknown>>({ meaning: "handles a record" }),
  classify: Settings.optional(Settings.code<Classify>({ meaning: "decides whether a failure is retried" })),
  retry: Settings.optional(
    Settings.make<RetryPolicy>({ meaning: "when to retry" }, undefined, Schedule.isSchedule, "must be a Schedule")
  ),
  deadLetter: Settings.make<DeadLetterPolicy<unknown>>({ meaning: "" }, undefined, isPolicy, policyRule),
  metrics: Settings.optional(Settings.boolean({ meaning: "whether the consumer counts in the metrics" }))
}

const settings: Settings.Settings<typeof fields> = { module: "KafkaConsumer", prefix: "", fields }

/** Every issue with the code of a consumer, and those that its policies, codecs and routers carry. */
export const check = (options: unknown): ReadonlyArray<OptionIssue> => {
  const { issues, values } = Settings.check(settings, options)
  const { deadLetter, retry, value } = values
  return [...issues, ...carriedBy(value), ...carriedBy(retry), ...carriedBy(deadLetter)]
}

/** The destination of a policy that has no issues so far; `undefined` for any other. */
export const destinationOf = <R>(
  policy: DeadLetterPolicy<R> | undefined
): Effect.Effect<Destination | undefined, never, R> =>
  isPolicy(policy) && carriedBy(policy).length === 0 ? policy.destination : Effect.succeed(undefined)

/** Every issue with the destination of dead letters, for the topics that are known. */
export const checkDestination = (
  destination: Destination | undefined,
  topics: ReadonlyArray<string>
): ReadonlyArray<OptionIssue> => {
  const issues: Array<OptionIssue> = []
  const refuse = (value: unknown, description: string, path = "") => {
    issues.push({ field: `deadLetter${path}`, value, description })
  }
  if (destination === undefined) return issues
  if (destination._tag === "None") {
    const { otherwise } = destination
    if (otherwise !== "stop" && otherwise !== "skip") refuse(otherwise, policyRule)
    return issues
  }
  const { headers, tooLarge, topicOf } = destination
  for (const { description, field, value } of checkHeaders(headers)) refuse(value, description, `.headers.${field}`)
  if (tooLarge !== "block" && tooLarge !== "stop") refuse(tooLarge, "must be one of block, stop", ".tooLarge")
  for (const topic of topics) {
    try {
      const name = topicOf(topic)
      if (!isTopicName(name)) refuse(name, `must name a legal topic for ${topic}`)
      else if (name === topic) refuse(name, "must not be the topic that is consumed")
    } catch (thrown) {
      refuse(thrown, `must name a topic for ${topic}`)
    }
  }
  return issues
}
