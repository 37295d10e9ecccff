/**
 * The options of `EventPublisher`: their rules, variables and documentation.
 */
import type { Occurrence } from "../Event.js"
import * as Environment from "../runtime/Environment.js"
import * as Settings from "../runtime/Settings.js"
import { isTopicName } from "../runtime/TopicName.js"
import { isUriReference } from "./cloudEventAttributes.js"

const fields = {
  source: Settings.text(
    { meaning: "the source of the events, a URI reference such as `/billing`" },
    isUriReference,
    "must be a URI reference"
  ),
  topic: Settings.make<string | ((event: Occurrence) => string)>(
    { meaning: "the topic of the events" },
    Environment.text,
    (given) => typeof given === "function" || (typeof given === "string" && isTopicName(given)),
    "must be a legal topic name"
  )
}

export const settings: Settings.Settings<typeof fields> = {
  module: "EventPublisher",
  prefix: "EVENT_PUBLISHER",
  fields
}
