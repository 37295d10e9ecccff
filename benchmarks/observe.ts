/**
 * Measures the cost of telemetry: the consume benchmark with nothing on; with metrics; with metrics, health and log
 * lines; and with traces too, on records of unsampled traces and of traces of which one in a hundred is sampled.
 */
import * as Http from "node:http"
import * as Effect from "effect/Effect"
import { median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import { measure } from "./contender.js"
import type { Task } from "./contenders/measure.js"
import * as Preload from "./preload.js"

interface Case {
  readonly name: string
  readonly topic: "unsampled" | "sampled"
  readonly variant: NonNullable<Task["observed"]>["variant"]
}

const cases: ReadonlyArray<Case> = [
  { name: "off", topic: "unsampled", variant: "off" },
  { name: "metrics", topic: "unsampled", variant: "metrics" },
  { name: "metrics, health and logs", topic: "unsampled", variant: "watched" },
  { name: "on, unsampled", topic: "unsampled", variant: "on" },
  { name: "on, 1% sampled", topic: "sampled", variant: "on" }
]

const traceOf = (number: number, sampled: boolean) => ({
  traceparent: `00-0af7651916cd43dd8448eb211c80319c-${(number + 1).toString(16).padStart(16, "0")}-0${sampled ? 1 : 0}`
})

/** An OTLP receiver that drops everything. */
const receiver = Effect.acquireRelease(
  Effect.async<Http.Server>((resume) => {
    const server = Http.createServer((request, response) => {
      request.resume().on("end", () => response.end("{}"))
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close().closeAllConnections())
)

const endpointOf = (server: Http.Server): string => {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the receiver has no port")
  return `http://127.0.0.1:${address.port}`
}

const compare = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>) {
  const records = numberArgument("records", 300_000)
  const rounds = numberArgument("rounds", 5)
  const topics = {
    unsampled: yield* Preload.topic(brokers, records, { headersOf: (number) => traceOf(number, false) }),
    sampled: yield* Preload.topic(brokers, records, { headersOf: (number) => traceOf(number, number % 100 === 0) })
  }
  const endpoint = endpointOf(yield* receiver)
  const measured = new Map(cases.map(({ name }) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < cases.length; turn++) {
      const { name, topic, variant } = cases[(round + turn) % cases.length]!
      const groupId = crypto.randomUUID()
      const observed = { endpoint, variant }
      const one = yield* measure("observed", { brokers, topic: topics[topic], records, groupId, observed })
      measured.get(name)!.push(one.cpuMicrosPerRecord)
      console.error(`round ${round + 1}: ${name} ${one.cpuMicrosPerRecord.toFixed(2)} µs CPU a record`)
    }
  }
  const off = median(measured.get("off")!)
  console.log(
    JSON.stringify({
      benchmark: "observe",
      cases: Array.from(measured, ([name, values]) => ({
        name,
        cpuMicrosPerRecord: Number(median(values).toFixed(3)),
        ratio: Number((median(values) / off).toFixed(3))
      }))
    })
  )
})

export const observe = Effect.scoped(Effect.flatMap(Brokers.given, compare))
