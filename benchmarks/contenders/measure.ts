/**
 * What every contender's process does alike: it consumes a preloaded topic once with a handler that only counts, and
 * prints its measurement as the last line.
 */
export interface Task {
  readonly brokers: string
  readonly topic: string
  readonly groupId: string
  readonly records: number
}

export interface Measurement {
  readonly recordsPerSecond: number
  /** User and system time of the process, in microseconds. */
  readonly cpuMicrosPerRecord: number
}

export const task = JSON.parse(process.argv[2] ?? "") as Task

let seen = 0
let startedAt = 0
let cpu: NodeJS.CpuUsage | undefined
let done: (measurement: Measurement) => void

/** Settles when the last record has been seen. */
export const measured = new Promise<Measurement>((resolve) => {
  done = resolve
})

/** Counts one record; the time runs from the first to the last. */
export const count = (): void => {
  if (seen === 0) {
    startedAt = performance.now()
    cpu = process.cpuUsage()
  }
  if (++seen !== task.records) return
  const seconds = (performance.now() - startedAt) / 1_000
  const used = process.cpuUsage(cpu)
  done({ recordsPerSecond: task.records / seconds, cpuMicrosPerRecord: (used.user + used.system) / task.records })
}

/** Prints the measurement, after `close`, and ends the process; fails when a record came twice. */
export const finish = async (close: () => Promise<unknown>): Promise<void> => {
  const measurement = await measured
  await close()
  if (seen !== task.records) throw new Error(`saw ${seen} of ${task.records} records`)
  console.log(JSON.stringify(measurement))
  process.exit(0)
}
