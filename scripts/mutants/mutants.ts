/**
 * Ways to break Spillway, one at a time: each must be caught by the simulation, or by the tests that hold it.
 */
export interface Mutant {
  /** The fault. */
  readonly name: string
  /** The end of the source file's path. */
  readonly file: string
  /** Text that occurs once in the file. */
  readonly replace: string
  readonly by: string
  /** The test files that catch it if the simulation can't: paths from the repository's root. */
  readonly heldBy?: ReadonlyArray<string>
}

const kafka = "packages/kafka/src/internal"
const transport = "packages/transport/src/internal"

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "a record is settled when it starts",
    file: `${kafka}/lane/lane.ts`,
    replace: "    return processor.attempt(current)",
    by: '    settlement.settled(current, "handled", chunk)\n    return processor.attempt(current)'
  },
  {
    name: "a commit passes the first unsettled record",
    file: `${kafka}/lane/ledger.ts`,
    replace: "ledger.offsets[ledger.head]! : ledger.end",
    by: "ledger.offsets[ledger.head]! + 1 : ledger.end"
  },
  {
    name: "fetched records count as settled",
    file: `${kafka}/lane/ledger.ts`,
    replace: "  ledger.head < ledger.offsets.length ? ledger.offsets[ledger.head]! : ledger.end",
    by: "  ledger.end"
  },
  {
    name: "partitions are revoked while their records are handled",
    file: `${kafka}/consumer/assignment.ts`,
    replace: `      yield* Concurrency.timeoutOption(
        Effect.forEach(ending, ({ ended }) => ended, { discard: true }),
        timeoutMs
      )
      yield* warnOfCutOff(ending, { option, timeoutMs })
      yield* abortEach(ending)
`,
    by: ""
  },
  {
    name: "partitions are revoked without a commit",
    file: `${kafka}/consumer/assignment.ts`,
    replace: "if (committer.isBehind()) yield* Concurrency.timeoutOption(committer.flush, commitMsAfter(settledInMs))",
    by: ""
  },
  {
    name: "ended ownerships are committed",
    file: `${kafka}/lane/assignedPartitions.ts`,
    replace: "      all.delete(partition)\n",
    by: ""
  },
  {
    name: "revoked lanes continue",
    file: `${kafka}/lane/assignedPartitions.ts`,
    replace: "      partition.close()\n",
    by: ""
  },
  {
    name: "a drain has no time for its last commit",
    file: `${kafka}/consumer/consumer.ts`,
    replace: "Exit.isFailure(asked) ? finalCommitMs : Math.max(finalCommitMs, settings.drainTimeoutMs - settledInMs)",
    by: "0",
    // In a simulation a commit takes no time unless it meets a fault.
    heldBy: ["packages/kafka/test/consumer/drain.test.ts"]
  },
  {
    name: "a refused commit counts as acknowledged",
    file: `${kafka}/consumer/committer.ts`,
    replace: "        if (errorCode === 0) {",
    by: "        if (errorCode >= 0) {"
  },
  {
    name: "commits go backwards",
    file: `${kafka}/consumer/committer.ts`,
    replace: "  return offset > assigned.committed ? offset : undefined",
    by: "  return offset > assigned.committed ? offset : assigned.committed > 1 ? assigned.committed - 1 : undefined"
  },
  {
    name: "a drain leaves before it has settled",
    file: `${kafka}/consumer/consumer.ts`,
    replace: "    yield* membership.stop\n",
    by: "    yield* membership.leave\n"
  },
  {
    name: "a rebalance isn't noticed",
    file: `${kafka}/group/heartbeats.ts`,
    replace: "          options.onRebalance()\n",
    by: ""
  },
  {
    name: "a member that the group has forgotten keeps sending requests",
    file: `${kafka}/group/decisions.ts`,
    replace: "      return lost(false)",
    by: "      return retry"
  },
  {
    name: "a moved coordinator is not looked up again",
    file: `${kafka}/group/decisions.ts`,
    replace: "      return findCoordinator",
    by: '      return fatal("Refused")'
  },
  {
    name: "cooperative members revoke nothing",
    file: `${kafka}/group/decisions.ts`,
    replace: 'protocol === "eager" ? owned : moving',
    by: 'protocol === "eager" ? owned : []'
  },
  {
    name: "a partition moves before its owner has revoked it",
    file: `${kafka}/assignors/cooperativeSticky.ts`,
    replace: "      partitions.filter(isFree(memberId))\n",
    by: "      partitions.filter(isFree(memberId)).concat(partitions.filter((one) => !isFree(memberId)(one)))\n"
  },
  {
    name: "a fetch continues one record too far",
    file: `${kafka}/lane/partition.ts`,
    replace: "    position = slice.nextOffset\n",
    by: "    position = slice.nextOffset + 1\n"
  },
  {
    name: "records before the position are delivered",
    file: `${kafka}/lane/partition.ts`,
    replace: "slice.baseOffset < position ? slice.records.filter((r) => r.offset >= position) : slice.records",
    by: "slice.records"
  },
  {
    name: "fetched batches are unpacked without room for them",
    file: `${kafka}/lane/queue.ts`,
    replace: "buffer.unpacked < buffer.maxBytes || buffer.queued === 0",
    by: "true",
    heldBy: ["packages/kafka/test/lane/partition.test.ts"]
  },
  {
    name: "buffers have no bound",
    file: `${kafka}/fetcher/fetcher.ts`,
    replace: `        buffer.bytes < settings.maxBufferedBytes
          ? askable.filter((assigned) => assigned.hasRoom() && !epochCheck.isDue(assigned))
          : []`,
    by: "        askable.filter((assigned) => !assigned.isUnpacking() && !epochCheck.isDue(assigned))"
  },
  {
    name: "an offset out of range continues at the end",
    file: `${kafka}/fetcher/fetchResponse.ts`,
    replace: 'policy === "earliest" ? start : end',
    by: "end"
  },
  {
    name: "a dead letter isn't awaited",
    file: `${transport}/deadLetterPublisher.ts`,
    replace: "yield* Effect.exit(send(failed, metadata))",
    by: "yield* Effect.as(Effect.forkDaemon(send(failed, metadata)), Exit.succeed(undefined as never))"
  },
  {
    name: "a dead letter that can't be published is dropped",
    file: `${transport}/deadLetterPublisher.ts`,
    replace: "      onFailure(record)\n",
    by: "      onFailure(record)\n      if (Exit.isFailure(exit)) return Option.some(undefined as never)\n"
  },
  {
    name: "a record that was interrupted counts as handled",
    file: `${kafka}/lane/lane.ts`,
    replace: "    attemptEnded()\n    failure = { cause, retry }\n",
    by: '    attemptEnded()\n    if (Cause.isInterruptedOnly(cause)) return settle("handled")\n    failure = { cause, retry }\n'
  },
  {
    name: "a drain follows rebalances",
    file: `${kafka}/group/membership.ts`,
    replace: "if (!stopping) yield* RunUntil.done(over, generations)",
    by: "yield* generations"
  },
  {
    name: "the broker takes a batch that is sent again for a new one",
    file: `${kafka}/producer/numbering.ts`,
    replace: "if (queue.sequence === undefined || batch.numbers !== undefined) return",
    by: "if (queue.sequence === undefined) return"
  },
  {
    name: "batches have no sequence",
    file: `${kafka}/producer/numbering.ts`,
    replace: "  ownBatch(batch).numbers = numbers\n  queue",
    by: "  queue"
  },
  {
    name: "a refused batch counts as written",
    file: `${kafka}/producer/produceResponse.ts`,
    replace: "errorCode === KafkaErrorCode.NONE || errorCode === KafkaErrorCode.DUPLICATE_SEQUENCE_NUMBER",
    by: "errorCode >= 0"
  },
  {
    name: "several batches are in flight without a sequence",
    file: `${kafka}/producer/partitionQueue.ts`,
    replace: "sequence?.isEstablished === true ? 5 : 1",
    by: "5"
  },
  {
    name: "a transaction's records are dropped when it is aborted",
    file: `${kafka}/transaction/commits.ts`,
    replace: "      const error = causeOf(done.left)\n",
    by: "      const error = causeOf(done.left)\n      Outbox.settle(outbox, offsets)\n"
  },
  {
    name: "a commit in doubt counts as failed",
    file: `${kafka}/transaction/commits.ts`,
    replace: '        if (error.reason !== "Unknown") doubt = undefined\n',
    by: "        doubt = undefined\n",
    // It needs answers of a coordinator over a longer time than any fault lasts.
    heldBy: ["packages/kafka/test/transaction/consumer.test.ts"]
  },
  {
    name: "results of a lost partition are committed anyway",
    file: `${kafka}/transaction/commits.ts`,
    replace: "      Outbox.drop(outbox, partition)\n",
    by: "",
    // It needs a partition that is lost with uncommitted results and then assigned again.
    heldBy: ["packages/kafka/test/transaction/consumer.test.ts"]
  },
  {
    name: "offsets are committed beside the transaction",
    file: `${kafka}/transaction/commits.ts`,
    replace:
      "            records.length === 0 ? Effect.void : transaction.sendAll(records),\n            transaction.sendOffsets(offsets, member)",
    by: "            transaction.sendOffsets(offsets, member),\n            Effect.void"
  },
  {
    name: "zombies are not fenced",
    file: `${kafka}/transaction/commits.ts`,
    replace: '  Fenced: "FencedProducer",\n',
    by: ""
  },
  {
    name: "a refused join is retried at once",
    file: `${kafka}/group/join.ts`,
    replace: "  const untilAssigned = Effect.gen(function* () {\n    const backoff = Backoff.make()",
    by: "  const untilAssigned = Effect.gen(function* () {\n    const backoff = Backoff.make(0, 0)"
  },
  {
    name: "an open breaker waits once",
    file: "packages/transport/src/runtime/CircuitBreaker.ts",
    replace: "becomeHalfOpen(epoch))\n        : Effect.void",
    by: "Effect.sync(() => move(() => Machine.tick(machine, now()))))\n        : Effect.void"
  },
  {
    name: "a breaker uses the wall clock",
    file: "packages/transport/src/runtime/CircuitBreaker.ts",
    replace: "const now = () => Monotonic.millis(clock)",
    by: "const now = () => clock.unsafeCurrentTimeMillis()"
  },
  {
    name: "lanes never yield their turn",
    file: `${kafka}/lane/turn.ts`,
    replace: "    isOver = now >= endsAt\n",
    by: "    isOver = false\n"
  },
  {
    name: "a lost join is repeated only after the coordinator's timeout",
    file: `${kafka}/concurrency/patience.ts`,
    replace: "  return Math.ceil(Math.min(first * 2 ** unanswered, removedAfterMs / 2))",
    by: "  return Math.ceil(10 * removedAfterMs + first + unanswered)"
  },
  {
    name: "each member decides for itself where latest starts",
    file: `${kafka}/consumer/assignment.ts`,
    replace: '      (StartCounts.isLater(startCounts, owned, cluster.topic(owned.topic)?.topicId ?? "") ??\n',
    by: "      (undefined ??\n"
  },
  {
    name: "a partition that fails holds up the others of its broker",
    file: `${kafka}/fetcher/fetcher.ts`,
    replace: "open.filter((assigned) => backoffs.waitMs(assigned, at) === 0)",
    by: "open.filter(() => open.every((assigned) => backoffs.waitMs(assigned, at) === 0))",
    // It delays records, and loses or repeats none.
    heldBy: ["packages/kafka/test/fetcher/partitionErrors.test.ts"]
  },
  {
    name: "fetched batches are unpacked at once",
    file: `${kafka}/lane/partition.ts`,
    replace: "Math.max(minSliceBytes, Math.min(maxSliceBytes, buffer.share))",
    by: "1e9 + maxSliceBytes + minSliceBytes"
  },
  {
    name: "a fenced static member joins again",
    file: `${kafka}/group/decisions.ts`,
    replace: '      return fatal("FencedInstance")',
    by: "      return lost(false)"
  },
  {
    name: "a seek keeps queued records",
    file: `${kafka}/lane/partition.ts`,
    replace: "      lane.clear()\n",
    by: ""
  },
  {
    name: "a wait for a retry outlasts a seek",
    file: `${kafka}/lane/lane.ts`,
    replace: 'isCut: () => life !== "Open" || admission.isHeld() || isCleared',
    by: 'isCut: () => life !== "Open"'
  },
  {
    name: "a pause has no effect",
    file: `${kafka}/lane/admission.ts`,
    replace: "Gate.passes(gate, turn.now()) && !paused &&",
    by: "Gate.passes(gate, turn.now()) &&"
  },
  {
    name: "an attempt may hang forever",
    file: `${kafka}/lane/handlerTimeout.ts`,
    replace: "  watchdog.interrupted = attempts\n  return true",
    by: "  return false"
  },
  {
    name: "a retry may hang forever",
    file: `${kafka}/lane/lane.ts`,
    replace: "    begin()\n    return processor.attempt(current!, retry)",
    by: "    return processor.attempt(current!, retry)"
  },
  {
    name: "a commit that is partly refused counts as acknowledged",
    file: `${kafka}/consumer/committer.ts`,
    replace: "        if (errorCode === 0) {",
    by: "        if (partitions.some((one) => one.errorCode === 0)) {"
  },
  {
    name: "an assignment doesn't wait for the end of transactions",
    file: `${kafka}/consumer/consumer.ts`,
    replace: 'requireStable: transactions !== undefined || settings.isolationLevel === "read_committed"',
    by: "requireStable: false"
  },
  {
    name: "a pending offset counts as none",
    file: `${kafka}/consumer/committedOffsets.ts`,
    replace: "if (found?.errorCode === 0) onFound",
    by: "if (found !== undefined) onFound"
  },
  {
    name: "a static member is fenced by its own late commit",
    file: `${kafka}/group/decisions.ts`,
    replace: "isCurrent ? onAny(code) : ofEarlier(onAny(code))",
    by: "onAny(code)",
    // The simulation finds it in one seed of some hundreds.
    heldBy: ["packages/kafka/test/consumer/static.test.ts"]
  },
  {
    name: "a static member ignores missed generations",
    file: `${kafka}/group/decisions.ts`,
    replace: "  isStatic && before >= 0 && now > before + 1",
    by: "  isStatic && before > now",
    // Two generations must pass while its JoinGroup is in flight, and its partitions must move in both.
    heldBy: ["packages/kafka/test/group/decisions.test.ts"]
  },
  {
    name: "a batch that may be written gets new numbers",
    file: `${kafka}/producer/numbering.ts`,
    replace: "else if (whole === undefined) breakOff(queue, at + 1)",
    by: "else if (whole === undefined) breakOff(queue, 0)",
    // The simulation refuses no batch as too large.
    heldBy: ["packages/kafka/test/producer/partitionQueue.test.ts"]
  },
  {
    name: "a batch without an answer counts as unwritten",
    file: `${kafka}/producer/numbering.ts`,
    replace: 'if (batch.written === "no" && !isUnwritten) ownBatch(batch).written = "perhaps"',
    by: "",
    heldBy: ["packages/kafka/test/producer/partitionQueue.test.ts"]
  },
  {
    name: "a batch that is known to be written is sent again",
    file: `${kafka}/producer/partitionQueue.ts`,
    replace: 'if (batch.written === "yes" && !isTransactional) return { _tag: "Written" }',
    by: "",
    heldBy: ["packages/kafka/test/producer/partitionQueue.test.ts"]
  },
  {
    name: "an unavailable codec uses up the retries",
    file: "packages/transport/src/runtime/Processor.ts",
    replace: "onNone: () => endlessly",
    by: "onNone: () => Effect.succeedNone",
    // The simulation's codec is always available.
    heldBy: ["packages/transport/test/runtime/Processor.test.ts"]
  },
  {
    name: "a reader reads beyond its end",
    file: `${kafka}/reader/reader.ts`,
    replace: "offset >= position && offset < end",
    by: "offset >= position",
    // The simulation plays no readers.
    heldBy: ["packages/memory/test/MemoryBroker.test.ts"]
  },
  {
    name: "a reader fetches ahead without a bound",
    file: `${kafka}/reader/buffer.ts`,
    replace: "held < maxBytes ? Effect.void",
    by: "held >= 0 ? Effect.void",
    heldBy: ["packages/kafka/test/reader/reader.test.ts"]
  },
  {
    name: "a handler timeout hits what follows its attempt",
    file: `${kafka}/lane/lane.ts`,
    replace: "fiber?.unsafeInterruptAsFork(FiberId.none)",
    by: "setImmediate(() => fiber?.unsafeInterruptAsFork(FiberId.none))",
    // The attempt must end in the very step in which its time is over.
    heldBy: ["packages/kafka/test/lane/partition.test.ts"]
  },
  {
    name: "a retry runs on the first attempt's time",
    file: `${kafka}/lane/lane.ts`,
    replace: "    begin()\n    return processor.attempt(current!, retry)",
    by: '    activity = "Attempting"\n    return processor.attempt(current!, retry)',
    heldBy: ["packages/kafka/test/lane/partition.test.ts"]
  },
  {
    name: "handlers that waited continue while the turn is over",
    file: `${kafka}/lane/turnScheduler.ts`,
    replace: "if (this.turn.isOver()) this.turn.later(task)\n      else task()",
    by: "task()",
    heldBy: ["packages/kafka/test/lane/turn.test.ts"]
  },
  {
    name: "a turn ends its service while fibers wait for it",
    file: `${kafka}/lane/turn.ts`,
    replace: "else if (waiting.size > 0) serveAfterEventLoop()\n      ",
    by: "",
    heldBy: ["packages/kafka/test/lane/turn.test.ts"]
  },
  {
    name: "a policy's mistakes are not reported",
    file: `${kafka}/settings/consumerCode.ts`,
    replace: "...carriedBy(retry), ",
    by: "",
    heldBy: ["packages/kafka/test/consumer/options.test.ts"]
  },
  {
    name: "the second cluster's variables are the first one's",
    file: `${kafka}/settings/connectionEnvironment.ts`,
    replace: "const within = Environment.prefixOf(namespace, prefix)",
    by: "const within = prefix",
    heldBy: ["packages/kafka/test/consumer/twoClusters.test.ts"]
  },
  {
    name: "a drain does not warn of the records that it cuts off",
    file: `${kafka}/consumer/assignment.ts`,
    replace: "warnOfCutOff(ending, {",
    by: "warnOfCutOff([], {",
    heldBy: ["packages/kafka/test/consumer/drain.test.ts"]
  },
  {
    name: "offsets outside the log are accepted by a reset",
    file: `${kafka}/admin/offsets.ts`,
    replace: "if (offset >= start && offset <= end) return []",
    by: "if (offset >= start || offset <= end) return []",
    heldBy: ["packages/kafka/test/admin/groups.test.ts", "packages/memory/test/MemoryBroker.test.ts"]
  },
  {
    name: "an admin keeps asking a coordinator that has moved",
    file: `${kafka}/admin/coordinators.ts`,
    replace: "if (Failures.coordinatorCodes.has(code)) cluster.forgetCoordinator(groupId)",
    by: "void code",
    heldBy: ["packages/kafka/test/admin/groups.test.ts"]
  }
]
