/**
 * A chaos run: three brokers and the members of a group under load, with one fault after the other, and an account of
 * every record at the end.
 */
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { makeCluster } from "../kafka/broker.js"
import { durable, inSync } from "../kafka/durable.js"
import * as Inspect from "../kafka/inspect.js"
import * as Account from "./account.js"
import * as Faults from "./faults.js"
import * as Load from "./load.js"
import * as Members from "./members.js"
import * as Proxy from "./proxy.js"

export interface ChaosOptions {
  readonly seed: number
  /** How long faults are made. */
  readonly milliseconds: number
  readonly recordsPerSecond: number
  readonly onEvent: (line: string) => void
}

export interface ChaosReport extends Account.Account {
  readonly seed: number
  readonly faults: Readonly<Record<string, number>>
  /** Records whose send failed. */
  readonly refused: number
  /** How often records were dead-lettered again. */
  readonly deadLetteredAgain: number
  /** The longest time without a handled record. */
  readonly longestPauseMs: number
  /** Each member ended by itself with everything committed. */
  readonly drained: boolean
}

/** After a longer time without a handled record, every member's log is shown. */
const longPauseMs = 60_000

const listener = "CLIENTS"
const partitions = 12
const memberCount = 3
/** With the request timeout, the time until a half-open connection is noticed. */
const acknowledgeTimeout = "3 seconds"

const recordOf = (value: Uint8Array | null): number => Number.parseInt(Buffer.from(value ?? []).toString(), 10)

/** How often a topic holds each record, and its partitions' end offsets. */
const contentOf = Effect.fnUntraced(function* (topic: string) {
  const times = new Map<number, number>()
  const ends = new Map<number, number>()
  yield* Inspect.forEachRecord(topic, ({ offset, partition, value }) => {
    const record = recordOf(value)
    times.set(record, (times.get(record) ?? 0) + 1)
    ends.set(partition, offset + 1)
  })
  return { times, ends }
})

export const run = ({ milliseconds, onEvent, recordsPerSecond, seed }: ChaosOptions) =>
  Effect.gen(function* () {
    const proxies = new Map<string, Proxy.Proxy>()
    const brokers = yield* makeCluster(3, durable, {
      listeners: { [listener]: "PLAINTEXT" },
      advertise: (address) =>
        Effect.map(Proxy.make(address), (proxy) => {
          proxies.set(proxy.address, proxy)
          return proxy.address
        })
    })
    const addresses = brokers.map(({ listeners }) => listeners[listener]!)
    const nodes = brokers.map((broker, index) => ({ broker, proxy: proxies.get(addresses[index]!)! }))
    const wire = KafkaJsWire.layer({ brokers: addresses, requestTimeout: "5 seconds" })
    const [topic, deadLetterTopic, groupId] = ["orders", "orders-dlq", "billing"] as const

    return yield* Effect.gen(function* () {
      yield* KafkaAdmin.once((admin) =>
        admin.createTopics([topic, deadLetterTopic].map((topic) => ({ topic, partitions, replicationFactor: 3 })))
      )
      const members = yield* Members.make({ brokers: addresses, groupId, topic, deadLetterTopic })
      yield* Effect.replicateEffect(members.start, memberCount)
      const load = Load.make(topic, recordsPerSecond)
      const loading = yield* Effect.fork(Effect.provide(load.run, KafkaProducer.layer({ acknowledgeTimeout })))

      yield* Effect.repeat(
        Effect.sync(() => members.handlings.size),
        {
          schedule: Schedule.spaced("100 millis"),
          until: (handled) => handled > 0
        }
      )
      const counts: Record<string, number> = Object.fromEntries(Faults.kinds.map((kind) => [kind, 0]))
      const startedAt = Date.now()
      const note = (event: string) =>
        onEvent(
          `${((Date.now() - startedAt) / 1_000).toFixed(1)} s: ${event}; ` +
            `${load.acknowledged.size} acknowledged, ${members.handlings.size} handled`
        )
      yield* Faults.run(
        {
          seed,
          nodes,
          members,
          inSync: inSync(brokers.map(({ bootstrap }) => bootstrap)),
          onFault: (kind, target, lasts) => {
            counts[kind]!++
            note(lasts === 0 ? `${kind}: ${target}` : `${kind}: ${target}, for ${lasts} ms`)
          }
        },
        milliseconds
      )
      yield* Fiber.interrupt(loading)
      note("calm")

      const { ends, times: written } = yield* contentOf(topic)
      const isSettled = Effect.map(Inspect.committedOffsets(groupId), (offsets) => {
        const committed = new Map(offsets.map(({ offset, partition }) => [partition, offset]))
        return [...ends].every(([partition, end]) => committed.get(partition) === end)
      })
      const settled = Effect.repeat(isSettled, { schedule: Schedule.spaced("500 millis"), until: (is) => is })
      yield* settled.pipe(Effect.retry(Schedule.spaced("1 second")), Effect.timeoutOption("2 minutes"))
      note("settled")
      const codes = yield* members.stop
      const { times: deadLetters } = yield* contentOf(deadLetterTopic)
      const drained = codes.every((code) => code === 0) && (yield* isSettled)
      if (!drained) onEvent(`exit codes ${codes.join(", ")}`)

      const account = Account.account({
        acknowledged: load.acknowledged,
        handlings: members.handlings,
        deadLettered: new Set(deadLetters.keys()),
        written,
        history: members.history
      })
      for (const [record, before, again] of account.unexplained) {
        onEvent(`record ${record} was handled by ${JSON.stringify(before)}, then by ${JSON.stringify(again)}`)
      }
      for (const name of new Set(account.unexplained.map(([, before]) => before.member))) {
        for (const line of members.logsOf(name)) onEvent(`${name}: ${line}`)
      }
      const pause = Account.longestPause(members.handlings) ?? { from: 0, until: 0 }
      const longestPauseMs = pause.until - pause.from
      if (longestPauseMs > longPauseMs) {
        onEvent(`no record was handled from ${new Date(pause.from).toISOString()} for ${longestPauseMs} ms`)
        for (const name of members.names()) for (const line of members.logsOf(name)) onEvent(`${name}: ${line}`)
      }
      const again = (times: ReadonlyMap<number, number>) => [...times.values()].reduce((sum, n) => sum + n - 1, 0)
      const report: ChaosReport = {
        seed,
        faults: counts,
        refused: load.refused(),
        ...account,
        deadLetteredAgain: again(deadLetters),
        longestPauseMs,
        drained
      }
      return report
    }).pipe(Effect.provide(wire))
  }).pipe(Effect.scoped)

/** No record was lost, written twice or handled twice without a reason, and every member ended normally. */
export const isGood = ({ drained, lost, unexplained, writtenTwice }: ChaosReport): boolean =>
  drained && lost.length === 0 && writtenTwice.length === 0 && unexplained.length === 0
