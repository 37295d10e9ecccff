/**
 * Measures how long a group takes to continue after a broker or a member stops or starts, beside Kafka's own Java
 * client: two groups on one topic of three real brokers, at the same time, with the same session timeout and heartbeat
 * interval.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { Codec, DeadLetter } from "@spillway/transport"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Broker from "../scripts/kafka/broker.js"
import { classPath } from "../scripts/kafka/distribution.js"
import { durable, inSync } from "../scripts/kafka/durable.js"
import * as Inspect from "../scripts/kafka/inspect.js"
import { median, numberArgument } from "./arguments.js"

const topic = "recovery"
const partitions = 12
const everyMs = 20
const groupId = "recovery"

/** The records that one group has handled. */
interface Group {
  /** The last offset handled, by partition. */
  readonly reached: Map<number, number>
  /** Starts a member; ends when it has handled its first record. */
  readonly join: Effect.Effect<{ readonly leave: Effect.Effect<void> }>
}

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.repeat(Effect.sync(condition), { schedule: Schedule.spaced("5 millis"), until: (is) => is }).pipe(
    Effect.asVoid
  )

const reach = (reached: Map<number, number>, partition: number, offset: number): void => {
  reached.set(partition, Math.max(offset, reached.get(partition) ?? -1))
}

const wireOf = (brokers: ReadonlyArray<string>) => KafkaJsWire.layer({ brokers })

interface MemberOptions {
  readonly handlerMs?: number | undefined
  /** A static member's `group.instance.id`. */
  readonly instance?: string | undefined
}

type Client = (groupId: string, options?: MemberOptions) => Group

const spillway =
  (brokers: ReadonlyArray<string>): Client =>
  (groupId, { handlerMs = 1, instance } = {}) => {
    const reached = new Map<number, number>()
    return {
      reached,
      join: Effect.gen(function* () {
        const scope = yield* Scope.make()
        let hasHandled = false
        yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.bytes,
          deadLetter: DeadLetter.none("stop"),
          sessionTimeout: "6 seconds",
          heartbeatInterval: "300 millis",
          metadataMaxAge: "2 seconds",
          groupInstanceId: instance,
          handler: ({ offset, partition }) =>
            Effect.map(Effect.sleep(handlerMs), () => {
              hasHandled = true
              reach(reached, partition, offset)
            })
        }).pipe(Scope.extend(scope), Effect.provide(wireOf(brokers)), Effect.orDie)
        yield* until(() => hasHandled)
        return { leave: Scope.close(scope, Exit.void) }
      })
    }
  }

/** The members of `JavaMembers.java`, which the tests of mixed groups use. */
const java = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>) {
  const source = fileURLToPath(new URL("../packages/kafka/test/support/JavaMembers.java", import.meta.url))
  const classes = yield* classPath
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("java", ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, source, brokers.join()])),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  child.stderr.resume()
  const stopped = new Set<string>()
  const onHandled = new Map<string, (partition: number, offset: number) => void>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [id = "", event, ...numbers] = line.trim().split(" ")
    if (event === "stopped" || event === "failed") stopped.add(id)
    if (event === "handled") onHandled.get(id)?.(Number(numbers[0]), Number(numbers[1]))
  })
  let count = 0
  const client: Client = (groupId, { handlerMs = 1, instance = "" } = {}) => {
    const reached = new Map<number, number>()
    return {
      reached,
      join: Effect.gen(function* () {
        const id = `java-${++count}`
        let hasHandled = false
        onHandled.set(id, (partition, offset) => {
          hasHandled = true
          reach(reached, partition, offset)
        })
        child.stdin.write(`start ${id} ${groupId} ${topic} cooperative-sticky ${handlerMs} ${instance}\n`)
        yield* until(() => hasHandled)
        return {
          leave: Effect.suspend(() => {
            child.stdin.write(`stop ${id}\n`)
            return until(() => stopped.has(id))
          })
        }
      })
    }
  }
  return client
})

const spread = (values: ReadonlyArray<number>) => ({
  runs: values.length,
  min: Math.round(Math.min(...values)),
  median: Math.round(median(values)),
  max: Math.round(Math.max(...values))
})

export const recovery = Effect.gen(function* () {
  const rounds = numberArgument("rounds", 5)
  const brokers = yield* Broker.makeCluster(3, durable)
  const addresses = brokers.map(({ bootstrap }) => bootstrap)
  yield* Effect.provide(
    KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions, replicationFactor: 3 }])),
    wireOf(addresses)
  )

  /** The last offset acknowledged, by partition. Each partition gets a record every 20 ms. */
  const written = new Map<number, number>()
  const { sendAllEither } = yield* Effect.provide(KafkaProducer.make(), wireOf(addresses))
  const tick = Effect.map(
    sendAllEither(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, value: "x" }))),
    (results) => {
      for (const result of results) {
        if (result._tag === "Right") reach(written, result.right.partition, result.right.offset)
      }
    }
  )
  yield* Effect.forkScoped(Effect.repeat(Effect.fork(tick), Schedule.spaced(everyMs)))

  const coordinatorOf = (groupId: string) =>
    Inspect.coordinatorOf(groupId).pipe(
      Effect.retry(Schedule.spaced("200 millis")),
      Effect.provide(wireOf(addresses)),
      Effect.orDie
    )
  // A group with the same coordinator, so that both meet the same fault.
  const coordinating = yield* coordinatorOf(groupId)
  let javaGroupId = `${groupId}-java`
  while ((yield* coordinatorOf(javaGroupId)) !== coordinating) javaGroupId = `${javaGroupId}-`
  const clients = { spillway: spillway(addresses), java: yield* java(addresses) }
  const groups = { spillway: clients.spillway(groupId), java: clients.java(javaGroupId) }
  const names = ["spillway", "java"] as const
  const joined = yield* Effect.forEach(names, (name) =>
    Effect.replicateEffect(groups[name].join, 2, { concurrency: "unbounded" })
  )
  const members = joined.flat()

  /** Ends when the group has handled, in each partition, a record that was written from now on. */
  const continues = ({ reached }: Group) =>
    Effect.suspend(() => {
      const from = new Map(written)
      return until(() => Array.from(from).every(([partition, offset]) => (reached.get(partition) ?? -1) > offset))
    })
  const timed = <A>(effect: Effect.Effect<A>) =>
    Effect.map(Effect.timed(effect), ([duration, value]) => [Duration.toMillis(duration), value] as const)
  const results = new Map<string, Map<string, Array<number>>>()
  const note = (event: string, name: string, ms: number) => {
    console.error(`${event}: ${name} ${Math.round(ms)} ms`)
    const ofEvent = results.get(event) ?? new Map<string, Array<number>>()
    results.set(event, ofEvent.set(name, [...(ofEvent.get(name) ?? []), ms]))
  }
  /** How long each group takes to continue after an event. */
  const both = (event: string) =>
    Effect.forEach(
      names,
      (name) => Effect.tap(timed(continues(groups[name])), ([ms]) => Effect.sync(() => note(event, name, ms))),
      {
        concurrency: "unbounded",
        discard: true
      }
    )

  /** A static member closes and starts again; ends when it has handled a record. */
  const staticRestart = Effect.fnUntraced(function* (name: (typeof names)[number]) {
    const member = (instance: string) => clients[name](`${name}-static`, { instance })
    const other = yield* member("static-2").join
    const restarting = member("static-1")
    const first = yield* restarting.join
    const [ms, second] = yield* timed(Effect.zipRight(first.leave, restarting.join))
    note("staticMemberRestarts", name, ms)
    yield* Effect.zipRight(second.leave, other.leave)
  })

  /** Four members whose handlers take 200 ms drain at the same time. */
  const drain = Effect.fnUntraced(function* (name: (typeof names)[number]) {
    const slow = clients[name](`${name}-slow`, { handlerMs: 200 })
    const members = yield* Effect.replicateEffect(slow.join, 4, { concurrency: "unbounded" })
    yield* Effect.forEach(
      members,
      ({ leave }) => Effect.tap(timed(leave), ([ms]) => Effect.sync(() => note("memberDrains", name, ms))),
      { concurrency: "unbounded", discard: true }
    )
  })

  const settle = Effect.zipRight(
    inSync(addresses),
    Effect.forEach(names, (name) => continues(groups[name]))
  )
  const kill = (nodeId: number, event: string) =>
    Effect.gen(function* () {
      const broker = brokers[nodeId - 1]!
      yield* settle
      yield* broker.kill
      yield* both(event)
      yield* Effect.zipRight(broker.start, settle)
    })
  for (let round = 0; round < rounds; round++) {
    // A broker that leads a third of the partitions but coordinates neither group.
    yield* kill(((yield* coordinatorOf(groupId)) % brokers.length) + 1, "leaderKilled")
    yield* kill(yield* coordinatorOf(groupId), "coordinatorKilled")
    for (const name of names) {
      yield* settle
      const [ms, { leave }] = yield* timed(groups[name].join)
      note("memberJoins", name, ms)
      const left = Effect.tap(timed(continues(groups[name])), ([ms]) =>
        Effect.sync(() => note("memberLeaves", name, ms))
      )
      yield* Effect.all([leave, left], { concurrency: "unbounded" })
    }
    yield* Effect.forEach(names, staticRestart)
    yield* Effect.forEach(names, drain)
  }
  yield* Effect.forEach(members, ({ leave }) => leave, { concurrency: "unbounded", discard: true })
  console.log(
    JSON.stringify({
      benchmark: "recovery",
      unit: "ms",
      events: Object.fromEntries(
        Array.from(results, ([event, byName]) => [
          event,
          Object.fromEntries(Array.from(byName, ([name, values]) => [name, spread(values)]))
        ])
      )
    })
  )
}).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))
