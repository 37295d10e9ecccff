/**
 * Gathers records into batches and says when a batch may leave: when it is full, when it has lingered, or when its broker has
 * nothing else to do.
 */
import type * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import * as Expiry from "../concurrency/expiry.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Buffer from "./buffer.js"
import * as Lane from "./partitionQueue.js"
import type { Lanes } from "./partitionQueues.js"
import * as Call from "./pendingSend.js"
import type { Sender } from "./sender.js"

export interface Accumulator {
  /** Adds a call's records to their batches, as soon as there is room for them, in the order of the calls. */
  readonly place: (call: Call.Call) => void
  /** Takes a settled entry out of its batch, if that has not left yet. */
  readonly withdraw: (entry: Call.Entry) => void
  /** Frees the room of a batch that has its results. */
  readonly release: (batch: Lane.Batch) => void
  /** Looks at the end of the turn for what may leave now. */
  readonly turn: () => void
  /** From now on nothing lingers, or everything again as it should. */
  readonly flush: (flushing: boolean) => void
}

export interface Options {
  readonly settings: ProducerSettings
  readonly lanes: Lanes
  readonly run: (effect: Effect.Effect<void>) => void
  readonly scheduler: Scheduler.Scheduler
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly sender: Sender
}

export const make = ({ lanes, now, run, scheduler, sender, settings }: Options): Accumulator => {
  /** Calls that wait for room, first come first served. */
  const blocked = new Set<Call.Call>()
  /** Lanes that a batch was opened in since the last turn. */
  let fresh: Array<Lane.Lane> = []
  /** Lanes whose batch has lingered since the last turn. */
  let due: Array<Lane.Lane> = []
  let isTurning = false
  let isFlushing = false

  const lingering = Expiry.make<Lane.Batch>({
    delayMs: settings.lingerMs,
    run,
    now,
    onDue: (batch) => {
      batch.ready = true
      due.push(batch.lane)
      turn()
    }
  })

  const blocking = Expiry.make<Call.Call>({
    delayMs: settings.maxBlockMs,
    run,
    now,
    onDue: (call) => {
      blocked.delete(call)
      const description = `no room for it within ${settings.maxBlockMs} ms: the buffer of ${settings.bufferMemory} bytes is full`
      for (const entry of call.entries.slice(call.placed)) Call.reject(entry, { reason: "BufferFull", description })
    }
  })

  const buffer = Buffer.make(settings.bufferMemory, () => {
    if (blocked.size > 0) turn()
  })

  const isFull = ({ batches }: Lane.Lane, entry: Call.Entry): boolean => {
    const last = batches.at(-1)
    return last !== undefined && !last.sent && !Lane.hasRoom(last, entry, settings.maxBatchRecords)
  }

  /** The batch that a record goes to, opened if need be. */
  const batchFor = (entry: Call.Entry): Lane.Batch => {
    const isSticky = entry.partition < 0
    let lane = lanes.of(entry)
    if (isSticky && isFull(lane, entry)) {
      lanes.spend(lane)
      entry.partition = -1
      lane = lanes.of(entry)
    }
    const last = lane.batches.at(-1)
    if (last !== undefined && !last.sent && !isFull(lane, entry)) return last
    fresh.push(lane)
    return Lane.open(lane)
  }

  /** False when the buffer is full. */
  const addAll = (call: Call.Call): boolean => {
    const { entries } = call
    for (; call.placed < entries.length; call.placed++) {
      const entry = entries[call.placed]!
      if (entry.settled) continue
      if (!buffer.take(entry.size)) return false
      Lane.add(batchFor(entry), entry)
    }
    return true
  }

  const unblock = (): void => {
    for (const call of blocked) {
      if (!call.over && !addAll(call)) return
      blocked.delete(call)
      blocking.delete(call)
    }
  }

  /** At the end of the event loop's turn, when whoever is about to send has sent. */
  const turn = (): void => {
    if (isTurning) return
    isTurning = true
    scheduler.scheduleTask(turned, 0)
  }

  const turned = (): void => {
    isTurning = false
    unblock()
    const woken = [...fresh, ...due]
    const mayLeave = isFlushing || settings.lingerMs === 0 || blocked.size > 0
    const isReady = ({ lane }: Lane.Batch) => mayLeave || (settings.isEager && sender.isIdle(lane))
    const at = now()
    lingering.release(isReady, (batch) => {
      batch.ready = true
      woken.push(batch.lane)
    })
    for (const lane of fresh) {
      const last = lane.batches.at(-1)
      if (last === undefined || last.sent) continue
      if (isReady(last)) last.ready = true
      else lingering.add(last, at)
    }
    fresh = []
    due = []
    sender.wake(woken)
  }

  return {
    place: (call) => {
      if (blocked.size > 0 || !addAll(call)) {
        blocked.add(call)
        blocking.add(call, now())
      }
      turn()
    },
    withdraw: (entry) => {
      const { batch } = entry
      if (batch === undefined || batch.sent) return
      Lane.withdraw(batch, entry)
      buffer.releaseRecord(entry.size)
    },
    release: buffer.releaseBatch,
    turn,
    flush: (flushing) => {
      isFlushing = flushing
      turn()
    }
  }
}
