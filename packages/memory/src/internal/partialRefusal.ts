/**
 * The response of a broker that refuses some partitions of a request and answers the others as usual.
 */
import type { Api, Request, Response } from "@spillway/kafka/Protocol"
import * as Refusal from "./refusal.js"

type Partition = number | { readonly partition: number }

interface Topic<P> {
  readonly topic: string
  readonly partitions: ReadonlyArray<P>
}

type Topics<P> = ReadonlyArray<Topic<P>>

const apis = new Set<Api>([
  "Produce",
  "Fetch",
  "ListOffsets",
  "OffsetForLeaderEpoch",
  "OffsetCommit",
  "OffsetFetch",
  "AddPartitionsToTxn",
  "TxnOffsetCommit",
  "DeleteRecords"
])

const numberOf = (partition: Partition): number => (typeof partition === "number" ? partition : partition.partition)

const topicsOf = (message: object): Topics<Partition> => ("topics" in message ? (message.topics ?? []) : []) as never

const select = <P extends Partition>(topics: Topics<P>, isWanted: (partition: number) => boolean): Topics<P> =>
  topics
    .map(({ partitions, topic }) => ({ topic, partitions: partitions.filter((one) => isWanted(numberOf(one))) }))
    .filter(({ partitions }) => partitions.length > 0)

/** Whether the request names one of the partitions and its response has an error code for each. */
export const concerns = (api: Api, request: Request<Api>, partitions: ReadonlyArray<number>): boolean =>
  apis.has(api) && select(topicsOf(request), (partition) => partitions.includes(partition)).length > 0

/** The request without the partitions; undefined when nothing is left of it. */
export const without = <A extends Api>(
  api: A,
  request: Request<A>,
  partitions: ReadonlyArray<number>
): Request<A> | undefined => {
  const topics = select(topicsOf(request), (partition) => !partitions.includes(partition))
  if (topics.length === 0) return undefined
  // A partition's error is answered at once, even if the request could wait for records.
  return { ...request, topics, ...(api === "Fetch" ? { maxWaitMs: 0 } : {}) } as Request<A>
}

const refused = <A extends Api>(api: A, request: Request<A>, errorCode: number): Topics<Partition> => {
  if (api !== "OffsetFetch") return topicsOf(Refusal.of(api, request, errorCode))
  return topicsOf(request).map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map((partition) => ({
      partition: numberOf(partition),
      errorCode,
      offset: -1,
      leaderEpoch: -1,
      metadata: ""
    }))
  }))
}

/** The response to the whole request, built from the response to the accepted part, if that was carried out. */
export const merge = <A extends Api>(
  api: A,
  request: Request<A>,
  errorCode: number,
  partitions: ReadonlyArray<number>,
  answer: Response<A> | undefined
): Response<A> => {
  const bad = select(topicsOf(request), (partition) => partitions.includes(partition))
  const refusal = refused(api, { ...request, topics: bad } as Request<A>, errorCode)
  const good = select(topicsOf(answer ?? {}), (partition) => !partitions.includes(partition))
  const names = new Set([...refusal, ...good].map(({ topic }) => topic))
  const topics = Array.from(names, (topic) => ({
    topic,
    partitions: [...refusal, ...good].filter((one) => one.topic === topic).flatMap((one) => one.partitions)
  }))
  return {
    ...(answer ?? Refusal.of(api, request, errorCode)),
    ...(api === "OffsetFetch" ? { errorCode: 0 } : {}),
    topics
  }
}
