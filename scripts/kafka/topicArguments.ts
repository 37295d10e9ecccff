/**
 * The topics of `npm run kafka -- --topics orders:3,orders-dlq:3`.
 */
import { isTopicName } from "@spillway/transport/runtime/TopicName"
import * as Either from "effect/Either"

export interface TopicArgument {
  readonly topic: string
  readonly partitions: number
}

const parseOne = (text: string): Either.Either<TopicArgument, string> => {
  const [topic = "", count = "1", ...rest] = text.split(":")
  const partitions = /^\d+$/.test(count) ? Number(count) : 0
  return isTopicName(topic) && partitions >= 1 && rest.length === 0
    ? Either.right({ topic, partitions })
    : Either.left(`--topics: must be names with numbers of partitions, such as orders:3,orders-dlq:3, not ${text}`)
}

/** A topic without a number has one partition; a left says which one can't be used. */
export const parse = (text: string): Either.Either<ReadonlyArray<TopicArgument>, string> =>
  text === "" ? Either.right([]) : Either.all(text.split(",").map((one) => parseOne(one.trim())))
