import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { describeOwnKafka, makeCluster, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { Wire } from "../../src/Wire.js"
import * as Fixture from "../support/fixture.js"

describeOwnKafka("A consumer in a rack of three brokers", () => {
  it.scopedLive(
    "reads from the follower in its rack, and from the leader when that is gone",
    () =>
      Effect.gen(function* () {
        const brokers = yield* makeCluster(
          3,
          {
            "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
            "broker.heartbeat.interval.ms": "100",
            "broker.session.timeout.ms": "1000",
            "replica.fetch.wait.max.ms": "100"
          },
          { ofNode: (id) => ({ "broker.rack": `rack-${id}` }) }
        )
        const bootstrap = brokers.map((broker) => broker.bootstrap)
        yield* Fixture.run(bootstrap.join(), () =>
          Effect.gen(function* () {
            const topic = uniqueName("topic")
            yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 1, replicationFactor: 3 }]))
            const cluster = yield* Cluster.make
            yield* cluster.refresh([topic])
            const leader = cluster.leader(topic, 0)!.leader
            const near = (leader % 3) + 1
            const wire = yield* Wire
            const fetches: Array<string> = []
            const handled = Fixture.tally()
            yield* KafkaConsumer.make({
              groupId: uniqueName("group"),
              topics: [topic],
              rackId: `rack-${near}`,
              value: Codec.text,
              handler: (envelope) => Effect.sync(() => handled.add(envelope)),
              deadLetter: DeadLetter.none("stop")
            }).pipe(
              Effect.provideService(Wire, {
                bootstrap: wire.bootstrap,
                connect: (endpoint, role) =>
                  Effect.map(wire.connect(endpoint, role), (connection) => ({
                    ...connection,
                    request: (api, request) => {
                      if (api === "Fetch") fetches.push(`${endpoint.host}:${endpoint.port}`)
                      return connection.request(api, request)
                    }
                  }))
              })
            )
            yield* Fixture.produce(topic, 1, 100)
            yield* handled.reaches(100)
            const at = (node: number) => fetches.filter((broker) => broker === bootstrap[node - 1]).length
            assert.isAbove(at(near), 0)
            assert.strictEqual(at(near) + at(leader), fetches.length)
            const before = at(leader)
            yield* brokers[near - 1]!.kill
            yield* Fixture.produce(topic, 1, 100, 100)
            yield* handled.reaches(200)
            assert.isAbove(at(leader), before)
            assert.strictEqual(handled.duplicates(), 0)
          })
        )
      }),
    120_000
  )
})
