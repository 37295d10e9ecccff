/**
 * What every producing contender's process does alike: it is told by messages how to send for how long, and answers with
 * what it reached. So contenders take turns of a second, and what else the machine does meets all of them.
 */
export interface ProduceTask {
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
}

/** 500 callers at once with one record each; one caller with a record, a hundred, a thousand at a time. */
export const ways = ["concurrent", "sequential", "hundreds", "thousands"] as const

/** One caller with transactions of a record, a hundred, a thousand. */
export const transactionWays = ["transactionsOf1", "transactionsOf100", "transactionsOf1000"] as const

export type Way = (typeof ways)[number] | (typeof transactionWays)[number]

export const isTransactional = (way: Way): boolean => transactionWays.some((each) => each === way)

/** From the parent; without one, the contender closes. */
export interface Turn {
  readonly way: Way
  readonly milliseconds: number
}

/** The answer to a turn: records acknowledged. */
export interface Produced {
  readonly records: number
  readonly seconds: number
  /** User and system time of the process. */
  readonly cpuSeconds: number
}

interface Message {
  readonly key: Buffer
  readonly value: Buffer
}

const keys = 1_000
const recordBytes = 100
const callers = 500
const sizes: Readonly<Record<Way, number>> = {
  concurrent: 1,
  sequential: 1,
  hundreds: 100,
  thousands: 1_000,
  transactionsOf1: 1,
  transactionsOf100: 100,
  transactionsOf1000: 1_000
}

/** Made once, so that a contender only hands them over. */
const messages: ReadonlyArray<Message> = Array.from({ length: keys }, (_, number) => ({
  key: Buffer.from(`key-${number}`),
  value: Buffer.alloc(recordBytes, "x")
}))

/** What each call of a way sends, in turn. */
const callsOf = (way: Way): ReadonlyArray<ReadonlyArray<Message>> => {
  const size = sizes[way]
  return Array.from({ length: keys / size }, (_, call) => messages.slice(call * size, (call + 1) * size))
}

/** Runs callers that each send one call after the other, waiting for its acknowledgement, until it is over. */
export type RunCallers = (
  callers: number,
  call: () => ReadonlyArray<Message>,
  isOver: () => boolean
) => Promise<unknown>

/** `RunCallers` by a function that sends messages and ends when all of them are acknowledged. */
export const promised =
  (send: (messages: ReadonlyArray<Message>) => Promise<unknown>): RunCallers =>
  (callers, call, isOver) =>
    Promise.all(
      Array.from({ length: callers }, async () => {
        while (!isOver()) await send(call())
      })
    )

const take = async ({ milliseconds, way }: Turn, run: RunCallers): Promise<Produced> => {
  const calls = callsOf(way)
  let sent = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const isOver = () => performance.now() - startedAt >= milliseconds
  await run(way === "concurrent" ? callers : 1, () => calls[sent++ % calls.length]!, isOver)
  const seconds = (performance.now() - startedAt) / 1_000
  const { system, user } = process.cpuUsage(cpu)
  return { records: sent * sizes[way], seconds, cpuSeconds: (user + system) / 1e6 }
}

export const task = (): ProduceTask => JSON.parse(process.argv[2] ?? "") as ProduceTask

/** Serves turns until told to close. */
export const serve = (contender: {
  readonly run: (way: Way) => RunCallers
  readonly close: () => Promise<unknown>
}) => {
  process.on("message", (turn: Turn | null) => {
    if (turn === null) void contender.close().then(() => process.exit(0))
    else void take(turn, contender.run(turn.way)).then((produced) => process.send!(produced))
  })
  process.send!("ready")
}
