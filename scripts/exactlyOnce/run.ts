/**
 * Exactly once: a transactional pipeline on real Kafka whose process is killed at moments drawn from a seed, and an
 * account of every result and dead letter, read committed.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { IsolationLevel } from "@spillway/kafka/Protocol"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { PCGRandom } from "effect/Utils"
import * as Inspect from "../kafka/inspect.js"
import type { ProgramOptions } from "./program.js"

export interface ExactlyOnceOptions {
  readonly brokers: ReadonlyArray<string>
  readonly records: number
  readonly kills: number
  readonly seed: number
  readonly onEvent: (line: string) => void
}

export interface ExactlyOnceReport {
  readonly records: number
  readonly kills: number
  readonly seed: number
  /** With read committed. */
  readonly results: number
  readonly deadLetters: number
  /** Numbers without a result or dead letter. */
  readonly missing: number
  /** Results and dead letters beyond the first of a number. */
  readonly doubled: number
  /** Numbers with a wrong result or dead letter. */
  readonly wrong: number
  /** Aborted records, from transactions that a kill left open. */
  readonly aborted: number
  readonly seconds: number
}

export const isExact = ({ doubled, missing, wrong }: ExactlyOnceReport): boolean => missing + doubled + wrong === 0

const partitions = 4

const program = fileURLToPath(new URL("program.ts", import.meta.url))

/** The pipeline as a process, killed when the scope closes. When it fails by itself, its logs are reported. */
const start = (options: ProgramOptions, onEvent: (line: string) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(
        process.execPath,
        ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(options)],
        { stdio: ["ignore", "ignore", "pipe"] }
      )
      const logs: Array<string> = []
      child.stderr.on("data", (chunk) => logs.push(String(chunk)))
      child.on("close", (code) => {
        if (code !== null && code !== 0) onEvent(`the pipeline ended with ${code}: ${logs.join("")}`)
      })
      return child
    }),
    (child) => end(child, "SIGKILL")
  )

const end = (child: ChildProcess, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("close", () => resume(Effect.void))
    child.kill(signal)
  })

/** How often a topic holds each number. */
const numbersIn = (topic: string, isolationLevel: IsolationLevel, numberOf: (value: string) => number) =>
  Effect.suspend(() => {
    const times = new Map<number, number>()
    const count = ({ value }: { readonly value: Uint8Array | null }) => {
      const number = numberOf(Buffer.from(value ?? []).toString())
      times.set(number, (times.get(number) ?? 0) + 1)
    }
    return Effect.as(Inspect.forEachRecord(topic, count, isolationLevel), times)
  })

const sum = (times: ReadonlyMap<number, number>): number =>
  Array.from(times.values()).reduce((all, one) => all + one, 0)

export const run = ({ brokers, kills, onEvent, records, seed }: ExactlyOnceOptions) =>
  Effect.gen(function* () {
    const startedAt = Date.now()
    const id = `exactly-once-${crypto.randomUUID().slice(0, 8)}`
    const options: ProgramOptions = {
      brokers,
      groupId: id,
      input: `${id}-input`,
      output: `${id}-output`,
      deadLetterTopic: `${id}-dlq`
    }
    const { deadLetterTopic, groupId, input, output } = options
    yield* KafkaAdmin.once((admin) =>
      admin.createTopics([input, output, deadLetterTopic].map((topic) => ({ topic, partitions })))
    )
    const producer = yield* Producer
    const numbers = Array.from({ length: records }, (_, number) => number)
    yield* producer.sendAll(
      numbers.map((number) => ({ topic: input, partition: number % partitions, value: `${number}` }))
    )

    const done = Effect.map(Inspect.committedOffsets(groupId), (offsets) =>
      offsets.reduce((all, { offset }) => all + Math.max(0, offset), 0)
    ).pipe(Effect.orElseSucceed(() => 0))
    const reaches = (count: number) =>
      Effect.repeat(done, { schedule: Schedule.spaced("10 millis"), until: (handled) => handled >= count })

    const random = new PCGRandom(seed)
    const moments = Array.from({ length: kills }, () => Math.floor(random.number() * records)).sort((a, b) => a - b)
    for (const moment of moments) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const child = yield* start(options, onEvent)
          // After it has started to work: a kill must hit transactions, not starts.
          const before = yield* done
          yield* reaches(Math.min(records, Math.max(moment, before + 1)))
          yield* Effect.sleep(random.number() * 60)
          yield* end(child, "SIGKILL")
          onEvent(`killed, ${yield* done} of ${records} committed`)
        })
      )
    }
    yield* Effect.scoped(
      Effect.gen(function* () {
        const child = yield* start(options, onEvent)
        yield* reaches(records)
        yield* end(child, "SIGTERM")
      })
    )

    const halved = (value: string) => Number(value) / 2
    const results = yield* numbersIn(output, "read_committed", halved)
    const letters = yield* numbersIn(deadLetterTopic, "read_committed", Number)
    const written =
      sum(yield* numbersIn(output, "read_uncommitted", halved)) +
      sum(yield* numbersIn(deadLetterTopic, "read_uncommitted", Number))
    const found = sum(results) + sum(letters)
    const report: ExactlyOnceReport = {
      records,
      kills,
      seed,
      results: sum(results),
      deadLetters: sum(letters),
      missing: numbers.filter((number) => !results.has(number) && !letters.has(number)).length,
      doubled: found - new Set([...results.keys(), ...letters.keys()]).size,
      wrong: [...results.keys()].filter((number) => number % 100 === 13 || !(number < records)).length,
      aborted: written - found,
      seconds: Math.round((Date.now() - startedAt) / 100) / 10
    }
    return report
  }).pipe(Effect.provide(Layer.provideMerge(KafkaProducer.layer(), KafkaJsWire.layer({ brokers }))), Effect.scoped)
