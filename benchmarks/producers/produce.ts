/**
 * The common part of every producing contender's process. Messages from the parent say how and how long to send; the
 * process answers with the records it reached. Contenders take turns of a second, so other load on the machine affects
 * all of them.
 */
export interface ProduceTask {
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
}

/** 500 concurrent callers with one record each; one caller with 1, 100 or 1,000 records at a time. */
export const ways = ["concurrent", "sequential", "hundreds", "thousands"] as const

/** One caller with transactions of 1, 100 or 1,000 records. */
export const transactionWays = ["transactionsOf1", "transactionsOf100", "transactionsOf1000"] as const

export type Way = (typeof ways)[number] | (typeof transactionWays)[number]

export const isTransactional = (way: Way): boolean => transactionWays.some((each) => each === way)

/** Sent by the parent. Without a message the contender closes. */
export interface Turn {
  readonly way: Way
  readonly milliseconds: number
}

/** The answer to a turn: the number of acknowledged records. */
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

/** Created once, so that a contender only passes them on. */
const messages: ReadonlyArray<Message> = Array.from({ length: keys }, (_, number) => ({
  key: Buffer.from(`key-${number}`),
  value: Buffer.alloc(recordBytes, "x")
}))

/** The records of each call of a way, in turn. */
const callsOf = (way: Way): ReadonlyArray<ReadonlyArray<Message>> => {
  const size = sizes[way]
  return Array.from({ length: keys / size }, (_, call) => messages.slice(call * size, (call + 1) * size))
}

/** Runs callers that send one call after the other, each waiting for its acknowledgement, until the turn is over. */
export type RunCallers = (
  callers: number,
  call: () => ReadonlyArray<Message>,
  isOver: () => boolean
) => Promise<unknown>

/** `RunCallers` from a function that sends messages and ends when all of them are acknowledged. */
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

/** Serves turns until the parent asks it to close. */
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
