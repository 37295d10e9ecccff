/**
 * Produce requests and their responses, batch by batch.
 */
import type { ProduceRequest, ProduceResponse } from "../../Protocol.js"
import * as RecordBatch from "../../RecordBatch.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import type { Batch } from "./partitionQueue.js"

/** A broker's answer for one batch. */
export type Answer = ProduceResponse["topics"][number]["partitions"][number]

export const requestOf = (
  batches: ReadonlyArray<Batch>,
  { acknowledgeTimeoutMs, compression }: ProducerSettings,
  transactionalId: string | null
): ProduceRequest => {
  const byTopic = new Map<string, Array<ProduceRequest["topics"][number]["partitions"][number]>>()
  for (const { entries, queue, numbers } of batches) {
    const { partition, topic } = queue
    const records = RecordBatch.encode(
      entries.map((entry) => entry.record),
      { compression, ...numbers }
    )
    const partitions = byTopic.get(topic)
    if (partitions === undefined) byTopic.set(topic, [{ partition, records }])
    else partitions.push({ partition, records })
  }
  return {
    transactionalId,
    acks: -1,
    timeoutMs: acknowledgeTimeoutMs,
    topics: Array.from(byTopic, ([topic, partitions]) => ({ topic, partitions }))
  }
}

/** Finds the answer for a batch; `undefined` when the broker left it out. */
export const answersOf = ({ topics }: ProduceResponse): ((batch: Batch) => Answer | undefined) => {
  const answers = new Map<string, Map<number, Answer>>()
  for (const { partitions, topic } of topics) {
    const ofTopic = answers.get(topic) ?? new Map<number, Answer>()
    answers.set(topic, ofTopic)
    for (const answer of partitions) ofTopic.set(answer.partition, answer)
  }
  return ({ queue }) => answers.get(queue.topic)?.get(queue.partition)
}
