/**
 * The error codes of `docs/group-protocol.md` that a real broker can easily be made to answer.
 */
import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import { denyReading } from "../support/deny.js"
import * as Fixture from "../support/fixture.js"
import { password, plainModule, username } from "../support/security.js"

/** The authorizer may refuse Bob's SASL connection. A client on PLAINTEXT may do anything. */
const makeGuardedBroker = makeBroker(
  {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "super.users": "User:ANONYMOUS",
    "group.max.size": "2",
    "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl.plain.sasl.jaas.config": plainModule
  },
  { listeners: { SASL: "SASL_PLAINTEXT" } }
)

describeOwnKafka("A consumer's reaction on Kafka to", () => {
  it.scopedLive(
    "requests that its coordinator and leaders refuse",
    () =>
      Effect.gen(function* () {
        const broker = yield* makeGuardedBroker
        yield* Fixture.run(broker.bootstrap, (journal) =>
          Effect.gen(function* () {
            const started = (groupId: string, topic: string, assignor: "cooperative-sticky" | "range" = "range") => {
              const handled = Fixture.tally()
              return KafkaConsumer.make({
                groupId,
                topics: [topic],
                assignors: [assignor],
                value: Codec.text,
                handler: (envelope) => Effect.sync(() => handled.add(envelope)),
                deadLetter: DeadLetter.none("stop"),
                heartbeatInterval: "200 millis",
                commitInterval: "200 millis"
              }).pipe(
                Effect.map((consumer) => ({ consumer, handled })),
                Effect.provide(KafkaJsWire.layer({ brokers: [broker.listeners["SASL"]!], sasl: password("plain") }))
              )
            }

            for (const resource of ["GROUP", "TOPIC"] as const) {
              const groupId = uniqueName("group")
              const topic = yield* Fixture.createTopic(1)
              const { consumer, handled } = yield* started(groupId, topic)
              yield* Fixture.produce(topic, 1, 3)
              yield* handled.reaches(3)
              yield* denyReading(broker.bootstrap, username, resource, resource === "GROUP" ? groupId : topic)
              const error = yield* Effect.flip(consumer.wait).pipe(Fixture.within(`the end without ${resource}`))
              assert.strictEqual(error.reason, "Authorization")
              assert.include(error.message, `${resource}_AUTHORIZATION_FAILED`)
            }

            const groupId = uniqueName("group")
            const topic = yield* Fixture.createTopic(2)
            const { consumer, handled } = yield* started(groupId, topic)
            const stranger = yield* Effect.flip(started(groupId, topic, "cooperative-sticky"))
            assert(stranger._tag === "ConsumerError")
            assert.strictEqual(stranger.reason, "Refused")
            assert.include(stranger.message, "INCONSISTENT_GROUP_PROTOCOL")
            const second = yield* started(groupId, topic)
            const third = yield* Effect.flip(started(groupId, topic))
            assert(third._tag === "ConsumerError")
            assert.strictEqual(third.reason, "Refused")
            assert.include(third.message, "GROUP_MAX_SIZE_REACHED")
            yield* second.consumer.close

            // UNKNOWN_MEMBER_ID: another client sends LeaveGroup for it.
            const joins = () => journal.entries.filter(({ message }) => message.includes("Joined the group"))
            const [memberId] = joins().flatMap(({ annotations }) =>
              annotations["groupId"] === groupId ? [String(annotations["memberId"])] : []
            )
            const cluster = yield* Cluster.make
            yield* cluster.refresh([])
            const coordinator = yield* cluster.coordinator(groupId)
            const left = yield* cluster.request(coordinator, "group", "LeaveGroup", {
              groupId,
              members: [{ memberId: memberId!, groupInstanceId: null }]
            })
            assert.deepStrictEqual(left, { errorCode: 0 })
            yield* journal.logged("The membership was lost")
            yield* Fixture.produce(topic, 2, 10)
            yield* handled.reaches(10)
            assert.strictEqual(yield* consumer.status, "Running")
            assert.notStrictEqual(joins().at(-1)!.annotations["memberId"], memberId)
          })
        )
      }),
    60_000
  )
})
