import { assert, describe, it } from "@effect/vitest"
import * as KnownTopics from "../../src/internal/cluster/knownTopics.js"
import { KafkaErrorCode } from "../../src/KafkaErrorCode.js"
import type { TopicMetadata } from "../../src/Protocol.js"

const topic = (topicId: string, leaderEpoch = 0, leader = 1, name = "orders"): TopicMetadata => ({
  errorCode: KafkaErrorCode.NONE,
  topic: name,
  topicId,
  isInternal: false,
  partitions: [{ errorCode: KafkaErrorCode.NONE, partition: 0, leader, leaderEpoch }]
})

const unknown = (name = "orders"): TopicMetadata => ({
  errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  topic: name,
  topicId: "",
  isInternal: false,
  partitions: []
})

describe("knownTopics", () => {
  it("accepts an older leader epoch once, and only for a partition in doubt", () => {
    const topics = KnownTopics.make()
    const epochs = (...all: ReadonlyArray<number>): TopicMetadata => ({
      ...topic("a"),
      partitions: all.map((leaderEpoch, partition) => ({
        errorCode: KafkaErrorCode.NONE,
        partition,
        leader: 1,
        leaderEpoch
      }))
    })
    const known = () => topics.get("orders")?.partitions.map(({ leaderEpoch }) => leaderEpoch)
    topics.learn(epochs(5, 5), 0)
    topics.doubt("orders", 0)
    assert.deepStrictEqual(known(), [5, 5])
    assert.isTrue(topics.learn(epochs(4, 4), 1))
    assert.deepStrictEqual(known(), [4, 5])
    topics.learn(epochs(3, 3), 2)
    assert.deepStrictEqual(known(), [4, 5])
  })

  it("ignores the id of a replaced topic, until every response has agreed with it for a while", () => {
    const topics = KnownTopics.make()
    assert.isFalse(topics.learn(topic("a"), 0))
    assert.isFalse(topics.learn(topic("b"), 1))
    assert.isTrue(topics.isRecreated("orders"))
    assert.isTrue(topics.learn(topic("a"), 2))
    assert.strictEqual(topics.get("orders")?.topicId, "b")
    // An answer that isn't outdated ends the doubt.
    assert.isFalse(topics.learn(topic("b"), KnownTopics.doubtMs))
    assert.isTrue(topics.learn(topic("a"), KnownTopics.doubtMs + 3))
    assert.isTrue(topics.learn(topic("a"), 2 * KnownTopics.doubtMs + 2))
    assert.isFalse(topics.learn(topic("a"), 2 * KnownTopics.doubtMs + 3))
    assert.strictEqual(topics.get("orders")?.topicId, "a")
    assert.isTrue(topics.learn(topic("b"), 2 * KnownTopics.doubtMs + 4), "the id counts as replaced now")
  })

  for (const id of ["", "a"]) {
    it(`keeps the leader of the later epoch, not forever (topic id ${JSON.stringify(id)})`, () => {
      const topics = KnownTopics.make()
      topics.learn(topic(id, 5, 1), 0)
      assert.isTrue(topics.learn(topic(id, 3, 2), 1))
      assert.strictEqual(topics.get("orders")?.partitions[0]?.leader, 1)
      assert.isTrue(topics.learn(topic(id, 3, 2), KnownTopics.doubtMs))
      assert.isFalse(topics.learn(topic(id, 3, 2), KnownTopics.doubtMs + 1))
      assert.strictEqual(topics.get("orders")?.partitions[0]?.leader, 2)
    })
  }

  it("forgets topics that a complete response lacks, but not the ids that were replaced", () => {
    const topics = KnownTopics.make()
    topics.learn(topic("a"), 0)
    topics.learn(topic("b"), 0)
    topics.retain([topic("x", 0, 1, "other")])
    assert.isUndefined(topics.get("orders"))
    assert.isTrue(topics.learn(topic("a"), 1))
    assert.isUndefined(topics.get("orders"))
  })

  it("remembers a bounded number of deleted topics and replaced ids", () => {
    const topics = KnownTopics.make()
    for (const id of ["a", "b"]) topics.learn(topic(id), 0)
    topics.learn(unknown(), 0)
    for (let i = 0; i <= 1_000; i++) {
      topics.learn(topic("x", 0, 1, `other-${i}`), 0)
      topics.learn(unknown(`other-${i}`), 0)
    }
    assert.isFalse(topics.isRecreated("orders"), "the oldest is forgotten")
    for (let i = 0; i < 20; i++) topics.learn(topic(`id-${i}`), 0)
    assert.isTrue(topics.learn(topic("id-18"), 0))
    assert.isFalse(topics.learn(topic("id-0"), 0), "it was replaced long ago")
  })
})
