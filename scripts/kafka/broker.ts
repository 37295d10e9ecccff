/**
 * Apache Kafka brokers in KRaft mode on free ports of 127.0.0.1, with their data in temporary folders.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { classPath, type KafkaUnavailable } from "./distribution.js"

export interface Broker {
  /** `127.0.0.1:port`, unchanged by a restart. */
  readonly bootstrap: string
  /** The address of each additional listener. */
  readonly listeners: Readonly<Record<string, string>>
  /** Starts the stopped or killed broker again, on the same port and data. */
  readonly start: Effect.Effect<void, BrokerFailed>
  /** Stops it cleanly (SIGTERM) and waits until it has exited. */
  readonly stop: Effect.Effect<void>
  /** Kills it (SIGKILL) and waits until it has exited. */
  readonly kill: Effect.Effect<void>
  /** Sends SIGSTOP: the process hangs, its sockets stay open. */
  readonly freeze: Effect.Effect<void>
  /** Sends SIGCONT. */
  readonly resume: Effect.Effect<void>
}

/** The broker's process exited before it had started. `output` is what it printed. */
export class BrokerFailed extends Data.TaggedError("BrokerFailed")<{ readonly output: string }> {
  override get message(): string {
    return `the broker did not start:\n${this.output}`
  }
}

const jvmOptions = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

/**
 * Free ports, all different: each is held until the last is found. They are below the ephemeral range (32,768 and up),
 * so that no connection takes one before the broker listens on it.
 */
const freePorts = (count: number): Effect.Effect<Array<number>> => {
  const hold = Effect.async<number, "taken", Scope.Scope>((resume) => {
    const server = createServer()
    const port = 10_000 + Math.floor(Math.random() * 22_768)
    server.once("error", () => resume(Effect.fail("taken")))
    server.listen(port, "127.0.0.1", () =>
      resume(
        Effect.as(
          Effect.addFinalizer(() => Effect.async<void>((closed) => void server.close(() => closed(Effect.void)))),
          port
        )
      )
    )
  })
  return Effect.scoped(Effect.replicateEffect(Effect.eventually(hold), count))
}

const accepts = (port: number): Effect.Effect<void, "refused"> =>
  Effect.async((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.on("error", () => resume(Effect.fail("refused")))
  })

const format = (
  classes: string,
  directory: string,
  clusterId: string,
  extra: ReadonlyArray<string>
): Effect.Effect<void, BrokerFailed> =>
  Effect.async((resume) => {
    const tool = spawn("java", [
      ...jvmOptions,
      ...["-cp", classes, "kafka.tools.StorageTool", "format"],
      // With "=", because an id may begin with a dash.
      ...[`--cluster-id=${clusterId}`, "-c", join(directory, "server.properties")],
      ...extra
    ])
    let output = ""
    for (const stream of [tool.stdout, tool.stderr]) stream.on("data", (chunk) => (output += String(chunk)))
    tool.on("close", (code) => resume(code === 0 ? Effect.void : Effect.fail(new BrokerFailed({ output }))))
    return Effect.sync(() => tool.kill("SIGKILL"))
  })

export interface BrokerOptions {
  /** Listeners besides the plaintext one: each name's security protocol. */
  readonly listeners?: Readonly<Record<string, "PLAINTEXT" | "SASL_PLAINTEXT" | "SSL" | "SASL_SSL">>
  /** Puts a proxy in front of a listener's address. Returns the address that the broker advertises instead. */
  readonly advertise?: (address: string) => Effect.Effect<string, never, Scope.Scope>
  /** Additional arguments of the storage tool's `format`. */
  readonly format?: ReadonlyArray<string>
  /** The broker's heap, as `-Xmx` takes it. Default: "512m". */
  readonly heap?: string
  /** Properties of single nodes, by node id. */
  readonly ofNode?: (id: number) => Readonly<Record<string, string>>
}

/** The address of one of a cluster's nodes. */
interface Place {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  readonly listenerPorts: ReadonlyArray<number>
}

const startNode = Effect.fnUntraced(function* (
  { controllerPort, id, listenerPorts, port }: Place,
  cluster: { readonly id: string; readonly voters: string; readonly size: number },
  properties: Readonly<Record<string, string>>,
  options: BrokerOptions
): Effect.fn.Return<Broker, BrokerFailed | KafkaUnavailable, Scope.Scope> {
  const classes = yield* classPath
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-kafka-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const protocols = Object.entries(options.listeners ?? {})
  const bootstrap = `127.0.0.1:${port}`
  const bound = Object.fromEntries(protocols.map(([name], index) => [name, `127.0.0.1:${listenerPorts[index]}`]))
  const listeners = yield* Effect.all(Record.map(bound, options.advertise ?? Effect.succeed))
  const urls = (addresses: Readonly<Record<string, string>>) =>
    Object.entries({ PLAINTEXT: bootstrap, ...addresses }).map(([name, at]) => `${name}://${at}`)
  const securityProtocols = [["PLAINTEXT", "PLAINTEXT"], ["CONTROLLER", "PLAINTEXT"], ...protocols]
  const replicas = String(Math.min(3, cluster.size))
  const settings = {
    "process.roles": "broker,controller",
    "node.id": String(id),
    "controller.quorum.voters": cluster.voters,
    listeners: [...urls(bound), `CONTROLLER://127.0.0.1:${controllerPort}`].join(),
    "advertised.listeners": urls(listeners).join(),
    "listener.security.protocol.map": securityProtocols.map(([name, protocol]) => `${name}:${protocol}`).join(),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": join(directory, "data"),
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": cluster.size > 2 ? "2" : "1",
    "transaction.state.log.num.partitions": "3",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "100",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    ...properties
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  writeFileSync(join(directory, "server.properties"), `${lines.join("\n")}\n`)
  yield* format(classes, directory, cluster.id, options.format ?? [])

  const heap = options.heap === undefined ? [] : [`-Xmx${options.heap}`]
  const config = join(directory, "server.properties")
  let running: ChildProcess | undefined

  const spawned = Effect.async<never, BrokerFailed>((resume) => {
    const broker = spawn("java", [...jvmOptions, ...heap, "-cp", classes, "kafka.Kafka", config], {
      cwd: directory
    })
    running = broker
    let output = ""
    for (const stream of [broker.stdout, broker.stderr]) stream.on("data", (chunk) => (output += String(chunk)))
    broker.on("close", () => {
      if (running === broker) running = undefined
      resume(Effect.fail(new BrokerFailed({ output })))
    })
  })

  // Kafka opens its listener when it is ready to serve.
  const listening = Effect.retry(accepts(port), Schedule.spaced("50 millis")).pipe(
    Effect.timeout("3 minutes"),
    Effect.mapError(() => new BrokerFailed({ output: "it did not listen within 3 minutes" }))
  )

  const start = Effect.raceFirst(spawned, listening)

  const signal = (name: NodeJS.Signals) => Effect.sync(() => running?.kill(name))

  const end = (name: NodeJS.Signals) =>
    Effect.async<void>((resume) => {
      const ending = running
      if (ending === undefined) return resume(Effect.void)
      ending.once("close", () => resume(Effect.void))
      ending.kill(name)
    })

  yield* Effect.addFinalizer(() => end("SIGKILL"))
  yield* start
  return {
    bootstrap,
    listeners,
    start,
    stop: end("SIGTERM"),
    kill: end("SIGKILL"),
    freeze: Effect.asVoid(signal("SIGSTOP")),
    resume: Effect.asVoid(signal("SIGCONT"))
  }
})

/**
 * Running brokers of one cluster. When the scope closes they are killed and their data removed. `properties` override
 * the defaults.
 */
export const makeCluster = Effect.fnUntraced(function* (
  size: number,
  properties: Readonly<Record<string, string>> = {},
  options: BrokerOptions = {}
): Effect.fn.Return<ReadonlyArray<Broker>, BrokerFailed | KafkaUnavailable, Scope.Scope> {
  const perNode = 2 + Object.keys(options.listeners ?? {}).length
  const ports = yield* freePorts(size * perNode)
  const places = Array.from({ length: size }, (_, index): Place => {
    const [port = 0, controllerPort = 0, ...listenerPorts] = ports.slice(index * perNode, (index + 1) * perNode)
    return { id: index + 1, port, controllerPort, listenerPorts }
  })
  const cluster = {
    id: Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex").toString("base64url"),
    voters: places.map(({ controllerPort, id }) => `${id}@127.0.0.1:${controllerPort}`).join(),
    size
  }
  return yield* Effect.forEach(
    places,
    (place) => startNode(place, cluster, { ...properties, ...options.ofNode?.(place.id) }, options),
    {
      concurrency: "unbounded"
    }
  )
})

/** A cluster of one broker. */
export const make = (
  properties?: Readonly<Record<string, string>> | undefined,
  options?: BrokerOptions | undefined
): Effect.Effect<Broker, BrokerFailed | KafkaUnavailable, Scope.Scope> =>
  Effect.map(makeCluster(1, properties, options), ([broker]) => broker!)
