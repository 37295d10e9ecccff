/**
 * The options of `MemoryBroker`: their rules and defaults.
 */
import * as Settings from "@spillway/transport/runtime/Settings"

const delay = (meaning: string, fallback: string | number) =>
  Settings.or(Settings.finiteDuration({ meaning }), fallback as "1 second")

const fields = {
  clusterId: Settings.optional(Settings.text({ meaning: "the cluster id that the brokers report" })),
  nodes: Settings.or(Settings.whole({ meaning: "the number of brokers" }), 1),
  racks: Settings.optional(
    Settings.make<ReadonlyArray<string>>(
      { meaning: "the rack of each node" },
      undefined,
      (given) => Array.isArray(given) && given.every((rack) => typeof rack === "string"),
      "must be a list of names"
    )
  ),
  topics: Settings.optional(
    Settings.make<object>(
      { meaning: "the topics that exist from the start" },
      undefined,
      (given) => typeof given === "object" && given !== null,
      "must be a map from name to number of partitions, or a list of topics"
    )
  ),
  minSessionTimeout: delay("a member that asks for a shorter session timeout is refused", "6 seconds"),
  maxSessionTimeout: delay("a member that asks for a longer session timeout is refused", "30 minutes"),
  initialRebalanceDelay: delay("how long an empty group waits before its first generation", 0),
  replicationDelay: delay("how long replicas lag behind a write with acks=1", 0),
  maxTransactionTimeout: delay("a producer that asks for a longer transaction timeout is refused", "15 minutes"),
  transactionCompletionDelay: delay("how long a transaction's completion takes", 0),
  clientId: Settings.or(Settings.text({ meaning: "the client id of the default client" }), "memory")
}

export const settings: Settings.Settings<typeof fields> = { module: "MemoryBroker", prefix: "", fields }
