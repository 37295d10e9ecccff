/**
 * Every version of the requests that have several layouts, on a broker.
 */
import { assert, it } from "@effect/vitest"
import type { FetchRequest, MetadataResponse } from "@spillway/kafka/Protocol"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import { decodeOptions } from "../../src/internal/settings/connectionSettings.js"
import { parseEndpoint } from "../../src/internal/settings/endpoint.js"
import type { Codec } from "../../src/internal/wire/api.js"
import { Fetch } from "../../src/internal/wire/fetchApi.js"
import { Metadata } from "../../src/internal/wire/metadataApi.js"
import { openLink } from "../../src/internal/wire/socket.js"
import * as RecordBatch from "../../src/RecordBatch.js"
import * as Fixture from "../support/fixture.js"

describeKafka("Every version on a broker", (brokers) => {
  const connect = Effect.acquireRelease(
    Effect.sync(() => {
      const { options } = decodeOptions({ brokers: brokers.split(",") })
      return openLink(parseEndpoint(brokers.split(",")[0]!)!, options)
    }),
    (link) => Effect.sync(() => link.destroy("done"))
  )

  const versionsOf = <I, O>({ versions }: Codec<I, O>, from = versions.min) =>
    Array.from({ length: versions.max - from + 1 }, (_, index) => from + index)

  const send = <I, O>(codec: Codec<I, O>, request: I) =>
    Effect.map(
      connect,
      (link) => (version: number) =>
        link.send({
          key: codec.key,
          version,
          waitMs: codec.waitMs(request, 30_000),
          encode: (out) => codec.encode(out, request, version),
          decode: (reader) => codec.decode(reader, version, request)
        })
    )

  it.scopedLive("of Metadata returns the same, from v10 on with topic ids", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(2)
        const idless = ({ topics, ...rest }: MetadataResponse) => ({
          ...rest,
          topics: topics.map((one) => ({ ...one, topicId: "" })).sort((a, b) => (a.topic < b.topic ? -1 : 1))
        })
        for (const topics of [[topic, uniqueName("missing")], [topic], null]) {
          const ask = yield* send(Metadata, { topics })
          const expected = idless(yield* ask(7))
          assert.include(
            expected.topics.map(({ topic }) => topic),
            topic
          )
          for (const version of versionsOf(Metadata)) {
            const response = yield* ask(version)
            if (topics !== null) assert.deepStrictEqual(idless(response), expected, `v${version}`)
            const { topicId } = response.topics.find((one) => one.topic === topic)!
            assert.match(topicId, version < 10 ? /^$/ : /^[\w-]{22}$/)
          }
        }
      })
    )
  )

  it.scopedLive("of Fetch reads the same", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(1)
        yield* Fixture.produce(topic, 1, 3)
        const { topics } = yield* (yield* send(Metadata, { topics: [topic] }))(12)
        const partition = { partition: 0, currentLeaderEpoch: -1, fetchOffset: 1, maxBytes: 1_000_000 }
        const request = (topicId: string): FetchRequest => ({
          maxWaitMs: 100,
          minBytes: 1,
          maxBytes: 1_000_000,
          isolationLevel: "read_committed",
          rackId: "a",
          topics: [{ topic, topicId, partitions: [partition] }]
        })
        const ask = yield* send(Fetch, request(topics[0]!.topicId))
        for (const version of versionsOf(Fetch)) {
          const response = yield* ask(version)
          assert.deepStrictEqual(
            response.topics.map((one) => one.topic),
            [topic],
            `v${version}`
          )
          const { records, ...answer } = response.topics[0]!.partitions[0]!
          assert.deepStrictEqual(answer, {
            partition: 0,
            errorCode: 0,
            highWatermark: 3,
            lastStableOffset: 3,
            logStartOffset: 0,
            abortedTransactions: [],
            preferredReadReplica: -1
          })
          assert.strictEqual(RecordBatch.decode(records).batches.at(-1)?.nextOffset, 3)
        }
        const other = yield* (yield* send(Fetch, request("AAAAAAAAAAAAAAAAAAAAAQ")))(13)
        assert.deepStrictEqual(
          other.topics[0]?.partitions.map(({ errorCode }) => errorCode),
          [100]
        )
      })
    )
  )
})
