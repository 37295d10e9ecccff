/**
 * Measures how fast records are produced, beside the peers. Each contender has a process of its own; they take turns of
 * a second on one broker, way by way and round after round.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { choicesArgument, median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import * as Preload from "./preload.js"
import {
  isTransactional,
  type Produced,
  type ProduceTask,
  type Turn,
  transactionWays,
  type Way,
  ways
} from "./producers/produce.js"

type Name = "spillway" | "kafkajs" | "platformatic"

interface Contender {
  readonly name: Name
  readonly take: (turn: Turn) => Effect.Effect<Produced, Error>
  /** Closes the contender. Its topic must hold exactly the acknowledged records. */
  readonly close: Effect.Effect<void, Error>
}

const start = Effect.fnUntraced(function* (
  name: Name,
  brokers: ReadonlyArray<string>,
  recordsIn: typeof Preload.recordsIn
) {
  const topic = yield* Preload.emptyTopic(brokers, "produce")
  const task: ProduceTask = { brokers, topic }
  const program = fileURLToPath(new URL(`producers/${name}.ts`, import.meta.url))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(program, [JSON.stringify(task)], {
        // Runs compiled packages, as users do: running the sources adds a call to each function that is created.
        execArgv: ["--import", "tsx"],
        env: { ...process.env, KAFKAJS_NO_PARTITIONER_WARNING: "1" }
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const ended = Effect.async<never, Error>((resume) => {
    const onClose = (code: number | null) => resume(Effect.fail(new Error(`${name}: exit code ${code}`)))
    child.once("close", onClose)
    return Effect.sync(() => child.off("close", onClose))
  })
  const answer = Effect.async<Produced>((resume) => {
    child.once("message", (message) => resume(Effect.succeed(message as Produced)))
  })
  const ask = (message: Turn | null) => Effect.sync(() => child.send(message as Turn))
  yield* Effect.raceFirst(answer, ended)
  let acknowledged = 0
  const contender: Contender = {
    name,
    take: (turn) =>
      Effect.zipRight(ask(turn), Effect.raceFirst(answer, ended)).pipe(
        Effect.tap(({ records }) =>
          Effect.sync(() => {
            acknowledged += records
          })
        )
      ),
    close: Effect.gen(function* () {
      yield* Effect.flip(Effect.zipRight(ask(null), ended))
      const written = yield* recordsIn(brokers, topic)
      if (written === acknowledged) return
      yield* Effect.fail(new Error(`${name}: ${written} records, of which ${acknowledged} are acknowledged`))
    })
  }
  return contender
})

const rateOf = ({ records, seconds }: Produced): number => records / seconds

const compare = Effect.fnUntraced(function* (
  benchmark: string,
  names: ReadonlyArray<Name>,
  choices: ReadonlyArray<Way>,
  brokers: ReadonlyArray<string>
) {
  const rounds = numberArgument("rounds", 15)
  const milliseconds = numberArgument("milliseconds", 1_000)
  const ways = choicesArgument("ways", choices)
  // Transaction markers take offsets, too.
  const recordsIn = choices.some(isTransactional) ? Preload.committedIn : Preload.recordsIn
  const contenders = yield* Effect.forEach(names, (name) => start(name, brokers, recordsIn))
  const measured = new Map(ways.map((way) => [way, new Map(names.map((name) => [name, [] as Array<Produced>]))]))
  // The first two rounds warm up.
  for (let round = -1; round <= rounds; round++) {
    for (const way of ways) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(round + 1 + turn) % contenders.length]!
        const produced = yield* contender.take({ way, milliseconds })
        if (round > 0) measured.get(way)!.get(contender.name)!.push(produced)
      }
    }
    console.error(round > 0 ? `round ${round}: ${shown(measured)}` : "warming up")
  }
  for (const contender of contenders) yield* contender.close
  const cases = ways.map((way) => {
    const turns = (name: Name) => measured.get(way)!.get(name)!
    /** The median of the ratio in the same round. */
    const ratio = (peer: Name) =>
      Number(median(turns("spillway").map((turn, round) => rateOf(turn) / rateOf(turns(peer)[round]!))).toFixed(2))
    return {
      case: way,
      contenders: names.map((name) => ({
        name,
        recordsPerSecond: Math.round(median(turns(name).map(rateOf))),
        cpuMicrosPerRecord: Number(
          median(turns(name).map(({ cpuSeconds, records }) => (cpuSeconds * 1e6) / records)).toFixed(2)
        )
      })),
      ratios: {
        vsKafkaJs: ratio("kafkajs"),
        ...(names.includes("platformatic") ? { vsPlatformatic: ratio("platformatic") } : {})
      }
    }
  })
  console.log(JSON.stringify({ benchmark, cases }))
})

const shown = (measured: ReadonlyMap<Way, ReadonlyMap<Name, ReadonlyArray<Produced>>>): string =>
  Array.from(
    measured,
    ([way, byName]) => `${way} ${Array.from(byName.values(), (turns) => Math.round(rateOf(turns.at(-1)!))).join(" / ")}`
  ).join(", ")

export const produce = Effect.scoped(
  Effect.flatMap(Brokers.given, (brokers) => compare("produce", ["spillway", "kafkajs", "platformatic"], ways, brokers))
)

export const transactions = Effect.scoped(
  Effect.flatMap(Brokers.given, (brokers) => compare("transactions", ["spillway", "kafkajs"], transactionWays, brokers))
)
