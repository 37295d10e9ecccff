/**
 * The results that a simulated transactional consumer writes, and the check that each record has exactly one.
 */
import type { ConsumedRecord, Envelope } from "@spillway/transport/Envelope"
import type { ProducerRecord } from "@spillway/transport/Producer"
import type { Source } from "./deadLetters.js"
import type * as Oracle from "./oracle.js"
import type { Acknowledged } from "./producers.js"
import { nameOf } from "./truth.js"

export const topicOf = (groupId: string): string => `${groupId}-results`

const sourceOf = (at: Source): string => `${nameOf(at)}@${at.offset}`

export const of = (groupId: string, envelope: Envelope<unknown>): ProducerRecord => ({
  topic: topicOf(groupId),
  partition: envelope.partition,
  value: sourceOf(envelope)
})

const decoder = new TextDecoder()

/** Reports records without a result, or with several, to the oracle. A dead letter is a result. */
export const check = (
  oracle: Oracle.Oracle,
  records: ReadonlyArray<Acknowledged>,
  results: ReadonlyArray<ConsumedRecord>,
  letters: ReadonlyArray<Source>
): void => {
  const counts = new Map<string, number>()
  for (const source of [...results.map(({ value }) => decoder.decode(value!)), ...letters.map(sourceOf)]) {
    counts.set(source, (counts.get(source) ?? 0) + 1)
  }
  for (const record of records) {
    const count = counts.get(sourceOf(record)) ?? 0
    // A record that was handled but not committed, and has expired meanwhile, can't be handled again.
    if (count > 1 && oracle.mayRepeat(record, record.offset)) continue
    if (count === 1 || (count === 0 && oracle.isExpired(record, record.offset))) continue
    oracle.broken("each record has its result exactly once", `${sourceOf(record)} has ${count}`)
  }
}
