/**
 * What every producing contender's process does alike: it sends 100-byte records with keys in four ways, each for some
 * seconds after warming up, and prints the rates as the last line.
 */
export interface ProduceTask {
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
  readonly seconds: number
}

/** 500 callers at once with one record each; one caller with a record, a hundred, a thousand at a time. */
export const ways = ["concurrent", "sequential", "hundreds", "thousands"] as const

export type Way = (typeof ways)[number]

export interface Produced {
  readonly recordsPerSecond: number
  /** User and system time of the process, in microseconds. */
  readonly cpuMicrosPerRecord: number
}

export interface Measured {
  readonly rates: Readonly<Record<Way, Produced>>
  /** Records acknowledged in all. */
  readonly acknowledged: number
}

interface Message {
  readonly key: Buffer
  readonly value: Buffer
}

const keys = 1_000
const recordBytes = 100
const callers = 500
const sizes: Readonly<Record<Way, number>> = { concurrent: 1, sequential: 1, hundreds: 100, thousands: 1_000 }

/** As often as each of them is needed, so that a contender only hands them over. */
const messages: ReadonlyArray<Message> = Array.from({ length: keys }, (_, number) => ({
  key: Buffer.from(`key-${number}`),
  value: Buffer.alloc(recordBytes, "x")
}))

/** Sends messages and ends when all of them are acknowledged. */
export type Send = (messages: ReadonlyArray<Message>) => Promise<unknown>

export interface Contender {
  readonly send: Send
  readonly close: () => Promise<unknown>
}

/** Runs callers that each send one call after the other until it is time. */
export type RunCallers = (
  callers: number,
  call: () => ReadonlyArray<Message>,
  isOver: () => boolean
) => Promise<unknown>

export const task = (): ProduceTask => JSON.parse(process.argv[2] ?? "") as ProduceTask

const promised =
  (send: Send): RunCallers =>
  (callers, call, isOver) =>
    Promise.all(
      Array.from({ length: callers }, async () => {
        while (!isOver()) await send(call())
      })
    )

/** One way's rate, by a contender of its own. */
const rateOf = async (way: Way, run: RunCallers, seconds: number, acknowledge: (records: number) => void) => {
  const size = sizes[way]
  const calls = Array.from({ length: keys / size }, (_, call) => messages.slice(call * size, (call + 1) * size))
  let sent = 0
  const next = () => calls[sent++ % calls.length]!
  const during = async (seconds: number) => {
    const endsAt = performance.now() + seconds * 1_000
    await run(way === "concurrent" ? callers : 1, next, () => performance.now() >= endsAt)
  }
  await during(1)
  acknowledge(sent * size)
  sent = 0
  const startedAt = performance.now()
  const cpu = process.cpuUsage()
  await during(seconds)
  const took = (performance.now() - startedAt) / 1_000
  const used = process.cpuUsage(cpu)
  const records = sent * size
  acknowledge(records)
  return { recordsPerSecond: records / took, cpuMicrosPerRecord: (used.user + used.system) / records }
}

/** Measures all ways, each with a producer of its own, prints the measurement and ends the process. */
export const measureProducing = async (
  make: (way: Way) => Promise<{ readonly run: RunCallers; readonly close: () => Promise<unknown> }>
): Promise<void> => {
  const { seconds } = task()
  const rates: Partial<Record<Way, Produced>> = {}
  let acknowledged = 0
  for (const way of ways) {
    const { close, run } = await make(way)
    rates[way] = await rateOf(way, run, seconds, (records) => {
      acknowledged += records
    })
    await close()
  }
  console.log(JSON.stringify({ rates, acknowledged }))
  process.exit(0)
}

/** As `measureProducing`, for a producer of promises. */
export const measurePromises = (make: (way: Way) => Promise<Contender>): Promise<void> =>
  measureProducing(async (way) => {
    const { close, send } = await make(way)
    return { run: promised(send), close }
  })
