/**
 * Collects records into batches and decides when a batch may be sent: when it is full, when it has lingered, or when
 * its broker is idle.
 */
import type * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import * as Expiry from "../concurrency/expiry.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Buffer from "./buffer.js"
import * as PartitionQueue from "./partitionQueue.js"
import type { PartitionQueues } from "./partitionQueues.js"
import * as PendingSend from "./pendingSend.js"
import type { Done, Transmit } from "./ports.js"

export interface Accumulator {
  /** Adds a send's records to their batches, as soon as there is room for them, in the order of the sends. */
  readonly place: (send: PendingSend.PendingSend) => void
  /** Removes a settled entry from its batch, if the batch has not been sent. */
  readonly withdraw: (entry: PendingSend.Entry) => void
  /** Frees the room of a batch that has its results. */
  readonly release: (batch: PartitionQueue.Batch) => void
  /** Turns lingering off, or on again. */
  readonly flush: (flushing: boolean) => void
}

export interface Options {
  readonly settings: ProducerSettings
  readonly queues: PartitionQueues
  readonly run: (effect: Effect.Effect<void>) => void
  readonly scheduler: Scheduler.Scheduler
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly transmit: Transmit
  readonly done: Done
}

export const make = ({ done, queues, now, run, scheduler, settings, transmit }: Options): Accumulator => {
  /** Calls that wait for room, in order of arrival. */
  const blocked = new Set<PendingSend.PendingSend>()
  /** Queues with a batch that was opened since the last turn. */
  let fresh: Array<PartitionQueue.PartitionQueue> = []
  /** Queues whose batch has lingered since the last turn. */
  let due: Array<PartitionQueue.PartitionQueue> = []
  let isTurning = false
  let isFlushing = false

  const lingering = Expiry.make<PartitionQueue.Batch>({
    delayMs: settings.lingerMs,
    run,
    now,
    onDue: (batch) => {
      PartitionQueue.setReady(batch)
      due.push(batch.queue)
      turn()
    }
  })

  const blocking = Expiry.make<PendingSend.PendingSend>({
    delayMs: settings.maxBlockMs,
    run,
    now,
    onDue: (send) => {
      blocked.delete(send)
      const description = `no room for it within ${settings.maxBlockMs} ms: the buffer of ${settings.bufferMemory} bytes is full`
      for (const entry of send.entries.slice(send.placed))
        PendingSend.reject(entry, { reason: "BufferFull", description })
    }
  })

  const buffer = Buffer.make(settings.bufferMemory, () => {
    if (blocked.size > 0) turn()
  })

  const isFull = ({ batches }: PartitionQueue.PartitionQueue, entry: PendingSend.Entry): boolean => {
    const last = batches.at(-1)
    return last !== undefined && !last.sent && !PartitionQueue.hasRoom(last, entry, settings.maxBatchRecords)
  }

  /** The batch for a record, opened if needed. */
  const batchFor = (entry: PendingSend.Entry): PartitionQueue.Batch => {
    const isSticky = entry.partition < 0
    let queue = queues.of(entry)
    if (isSticky && isFull(queue, entry)) {
      queues.leaveSticky(queue)
      PendingSend.choosePartition(entry, -1)
      queue = queues.of(entry)
    }
    const last = queue.batches.at(-1)
    if (last !== undefined && !last.sent && !isFull(queue, entry)) return last
    fresh.push(queue)
    return PartitionQueue.open(queue)
  }

  /** False when the buffer is full. */
  const addAll = (send: PendingSend.PendingSend): boolean => {
    const { entries } = send
    for (; send.placed < entries.length; PendingSend.advance(send)) {
      const entry = entries[send.placed]!
      if (entry.settled) continue
      if (!buffer.take(entry.size)) return false
      PartitionQueue.add(batchFor(entry), entry)
    }
    return true
  }

  const unblock = (): void => {
    for (const send of blocked) {
      if (!send.over && !addAll(send)) return
      blocked.delete(send)
      blocking.delete(send)
    }
  }

  /** At the end of the event loop's turn, after all callers of this turn have sent. */
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
    const isReady = ({ queue }: PartitionQueue.Batch) => mayLeave || (settings.isEager && transmit.isIdle(queue))
    const at = now()
    lingering.release(isReady, (batch) => {
      PartitionQueue.setReady(batch)
      woken.push(batch.queue)
    })
    for (const queue of fresh) {
      const last = queue.batches.at(-1)
      if (last === undefined || last.sent) continue
      if (isReady(last)) PartitionQueue.setReady(last)
      else lingering.add(last, at)
    }
    fresh = []
    due = []
    transmit.wake(woken)
  }

  done.listen({ ended: buffer.releaseBatch, idle: turn })

  return {
    place: (send) => {
      if (blocked.size > 0 || !addAll(send)) {
        blocked.add(send)
        blocking.add(send, now())
      }
      turn()
    },
    withdraw: (entry) => {
      const { batch } = entry
      if (batch === undefined || batch.sent) return
      PartitionQueue.withdraw(batch, entry)
      buffer.releaseRecord(entry.size)
    },
    release: buffer.releaseBatch,
    flush: (flushing) => {
      isFlushing = flushing
      turn()
    }
  }
}
