/**
 * Measures the progress that a rebalance stops: 64 partitions and 4 members, one of which leaves or joins every two
 * seconds for a minute, with handlers of 20 ms, for both protocols. Each record is accounted for, and each time a
 * partition with records made no progress.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { Codec, DeadLetter, Producer } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import * as Preload from "./preload.js"

const partitions = 64
const memberCount = 4
const handlerMs = 20
const changeEveryMs = 2_000

type Assignor = "cooperative-sticky" | "range"

interface Handled {
  readonly partition: number
  readonly offset: number
  readonly member: number
  readonly timestamp: number
  readonly startedAt: number
  readonly endedAt: number
  /** The time since which the member has owned the partition without a break. */
  readonly ownedSince: number
}

interface Member {
  readonly scope: Scope.CloseableScope
  /** The time since which it has owned each of its partitions. */
  readonly owned: Map<number, number>
}

/** How long a partition made no progress, in milliseconds, and whether it moved to another member meanwhile. */
interface Stop {
  readonly ms: number
  readonly moved: boolean
}

/**
 * The longest stop of each partition between two changes of the group: from when its last record was done, or the next
 * one was written if that was later, until the next one was begun.
 */
const stopsOf = (handled: ReadonlyArray<Handled>, changes: ReadonlyArray<number>): ReadonlyArray<Stop> => {
  const byPartition = new Map<number, Array<Handled>>()
  for (const one of handled) {
    const others = byPartition.get(one.partition)
    if (others === undefined) byPartition.set(one.partition, [one])
    else others.push(one)
  }
  const longest = new Map<string, Stop>()
  for (const [partition, records] of byPartition) {
    records.sort((a, b) => a.startedAt - b.startedAt)
    for (let i = 1; i < records.length; i++) {
      const before = records[i - 1]!
      const next = records[i]!
      const change = changes.findLastIndex((at) => at <= next.startedAt)
      if (change < 0) continue
      const ms = Math.max(0, next.startedAt - Math.max(before.endedAt, next.timestamp))
      const moved = before.member !== next.member || next.ownedSince > before.endedAt
      const key = `${partition}/${change}/${moved}`
      if (ms >= (longest.get(key)?.ms ?? 0)) longest.set(key, { ms, moved })
    }
  }
  return [...longest.values()]
}

const distribution = (stops: ReadonlyArray<Stop>) => {
  const sorted = stops.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (quantile: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}

const measure = Effect.fnUntraced(function* (assignor: Assignor, brokers: ReadonlyArray<string>) {
  const records = numberArgument("records", 100_000)
  const changeForMs = numberArgument("seconds", 60) * 1_000
  const topic = yield* Preload.emptyTopic(brokers, "rebalance", partitions)
  const groupId = crypto.randomUUID()
  const handled: Array<Handled> = []
  const settled = new Set<string>()
  const random = Random.make(1)
  const members: Array<Member> = []
  const moving = yield* FiberSet.make()
  let count = 0

  const join = Effect.gen(function* () {
    const number = ++count
    const scope = yield* Scope.make()
    const owned = new Map<number, number>()
    members.push({ scope, owned })
    const consumer = yield* KafkaConsumer.make({
      groupId,
      topics: [topic],
      value: Codec.bytes,
      assignors: [assignor],
      handler: ({ offset, partition, timestamp }) =>
        Effect.suspend(() => {
          const startedAt = Date.now()
          return Effect.map(Effect.sleep(handlerMs), () => {
            settled.add(`${partition}-${offset}`)
            const ownedSince = owned.get(partition) ?? startedAt
            handled.push({ partition, offset, member: number, timestamp, startedAt, endedAt: Date.now(), ownedSince })
          })
        }),
      deadLetter: DeadLetter.none("stop")
    }).pipe(Scope.extend(scope))
    const look = Effect.map(consumer.assignment, (assignment) => {
      const now = new Set(assignment.map(({ partition }) => partition))
      for (const partition of owned.keys()) if (!now.has(partition)) owned.delete(partition)
      for (const partition of now) if (!owned.has(partition)) owned.set(partition, Date.now())
    })
    yield* Effect.forkIn(Effect.repeat(look, Schedule.spaced("20 millis")), scope)
  })

  const close = ({ scope }: Member) => Scope.close(scope, Exit.void)

  const leave = Effect.gen(function* () {
    const [member] = members.splice(yield* random.nextIntBetween(0, members.length), 1)
    if (member !== undefined) yield* close(member)
  })

  yield* Effect.replicateEffect(join, memberCount, { concurrency: "unbounded" })
  yield* Effect.addFinalizer(() => Effect.forEach(members, close))

  const { sendAll } = yield* Producer.Producer
  const everyMs = 50
  const perTurn = Math.ceil((records * everyMs) / changeForMs)
  let sent = 0
  const load = Effect.repeat(
    Effect.suspend(() => {
      const first = sent
      sent = Math.min(records, sent + perTurn)
      const numbers = Array.from({ length: sent - first }, (_, i) => first + i)
      return sendAll(numbers.map((number) => ({ topic, partition: number % partitions, value: String(number) })))
    }),
    { schedule: Schedule.fixed(everyMs), until: () => sent === records }
  )

  const changes: Array<number> = []
  const change = Effect.suspend(() => {
    changes.push(Date.now())
    return FiberSet.run(moving, members.length < memberCount ? join : leave)
  })
  const all = Effect.repeat(
    Effect.sync(() => settled.size),
    { schedule: Schedule.spaced("200 millis"), until: (n) => n === records }
  )
  const startedAt = Date.now()
  const eventLoop = monitorEventLoopDelay({ resolution: 10 })
  eventLoop.enable()
  yield* Effect.all(
    [load, Effect.repeat(change, { schedule: Schedule.fixed(changeEveryMs), times: changeForMs / changeEveryMs })],
    { concurrency: "unbounded" }
  )
  yield* Effect.timeoutOption(all, "1 minute")
  yield* FiberSet.awaitEmpty(moving)
  const stops = stopsOf(handled, changes)
  return {
    assignor,
    changes: changes.length,
    records,
    seconds: Math.round((Date.now() - startedAt) / 1_000),
    lost: records - settled.size,
    settledTwice: handled.length - settled.size,
    stoppedMs: {
      stayed: distribution(stops.filter(({ moved }) => !moved)),
      moved: distribution(stops.filter(({ moved }) => moved))
    },
    /** The timer delay that the machine alone causes, which every figure above includes. */
    eventLoopMs: { p99: Math.round(eventLoop.percentile(99) / 1e6), max: Math.round(eventLoop.max / 1e6) }
  }
}, Effect.scoped)

export const rebalance = Effect.gen(function* () {
  const brokers = yield* Brokers.given
  const wire = KafkaJsWire.layer({ brokers })
  const protocols = yield* Effect.forEach(["cooperative-sticky", "range"] as const, (assignor) =>
    measure(assignor, brokers).pipe(
      Effect.provide(KafkaProducer.layer()),
      Effect.provide(Layer.merge(wire, Logger.minimumLogLevel(LogLevel.None))),
      Effect.tap((measured) => Effect.sync(() => console.error(JSON.stringify(measured))))
    )
  )
  console.log(JSON.stringify({ benchmark: "rebalance", protocols }))
}).pipe(Effect.scoped)
