/**
 * The common part of every contender's process: it consumes a preloaded topic once with a handler that only checks
 * records off, and prints its measurement as the last line.
 */
export interface Task {
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
  readonly groupId: string
  readonly records: number
  /**
   * Measure from the start of the process instead of the first record, so that joining and the first response count.
   */
  readonly fromStart?: boolean
  /** For `observed`: the address of an OTLP receiver, and the telemetry that is on. */
  readonly observed?: { readonly endpoint: string; readonly variant: "off" | "metrics" | "watched" | "on" } | undefined
}

export interface Measurement {
  readonly recordsPerSecond: number
  /** User and system time of the process, in microseconds. */
  readonly cpuMicrosPerRecord: number
}

export const task = JSON.parse(process.argv[2] ?? "") as Task

/** Counts how often each record was seen. A record's number is the first four bytes of its value. */
const times = new Uint8Array(task.records)
let seen = 0
let startedAt = performance.now()
let cpu = process.cpuUsage()
let done: (measurement: Measurement) => void

/** Settles when the last record has been seen. */
export const measured = new Promise<Measurement>((resolve) => {
  done = resolve
})

/** Checks one record off by its value. The time runs from the first record to the last. */
export const count = (value: Uint8Array | null): void => {
  if (seen === 0 && task.fromStart !== true) {
    startedAt = performance.now()
    cpu = process.cpuUsage()
  }
  if (value !== null) times[((value[0]! << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!) >>> 0]!++
  if (++seen !== task.records) return
  const seconds = (performance.now() - startedAt) / 1_000
  const used = process.cpuUsage(cpu)
  done({ recordsPerSecond: task.records / seconds, cpuMicrosPerRecord: (used.user + used.system) / task.records })
}

/** Prints the measurement after `close` and ends the process. Fails unless every record was seen exactly once. */
export const finish = async (close: () => Promise<unknown>): Promise<void> => {
  const measurement = await measured
  await close()
  const once = times.filter((n) => n === 1).length
  if (once !== task.records || seen !== task.records) {
    throw new Error(`saw ${once} of ${task.records} records exactly once, and ${seen} in all`)
  }
  console.log(JSON.stringify(measurement))
  process.exit(0)
}
