/**
 * The interface between Spillway's decisions and a Kafka cluster: the protocol's requests as Effects, over one
 * connection at a time. `KafkaJsWire` implements it for real brokers, `MemoryBroker` in memory.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Api, Request, Response } from "./Protocol.js"

/** The address of a broker. */
export interface Endpoint {
  /** A host name, or an IPv4 or IPv6 address without brackets. */
  readonly host: string
  /** The TCP port, from 1 to 65535. */
  readonly port: number
}

/**
 * The purpose of a connection. A broker answers one connection's requests in order, so a parked JoinGroup or Fetch
 * would hold up later requests: each role has its own connection.
 *
 * - `join`: JoinGroup, SyncGroup
 * - `group`: FindCoordinator, Heartbeat, OffsetCommit, LeaveGroup, and the requests of transactions:
 *   AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn, InitProducerId with a transactional id
 * - `fetch`: Fetch, OffsetForLeaderEpoch
 * - `data`: OffsetFetch, since heartbeats would wait behind one that isn't answered; Produce, InitProducerId without a
 *   transactional id, Metadata, ListOffsets, and the requests of administration
 */
export type Role = "join" | "group" | "fetch" | "data"

/** Why a connection or a request on it failed. */
export type WireErrorReason =
  /** No connection could be made; nothing was sent. */
  | "ConnectFailed"
  /** The connection ended before the response arrived: the request may have been carried out. */
  | "Disconnected"
  /** No response in time; the connection was destroyed: the request may have been carried out. */
  | "Timeout"
  /** The broker refused the credentials or the mechanism, or one side the other's certificate. */
  | "Authentication"
  /** The broker supports no version of this request that Spillway supports. */
  | "UnsupportedVersion"
  /** The response could not be read; the connection was destroyed. */
  | "Malformed"

/** A connection that could not be made or has ended, or a request that could not be sent or answered on it. */
export class WireError extends Data.TaggedError("WireError")<{
  /** The kind of failure, and with it whether the request may have been carried out. */
  readonly reason: WireErrorReason
  /** `host:port` of the broker. */
  readonly endpoint: string
  /** The request that failed, if the error concerns one. */
  readonly api?: Api | undefined
  /** The failure in words. */
  readonly description: string
  /** The error of the socket or of the handshake, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    const on = this.api === undefined ? this.endpoint : `${this.api} to ${this.endpoint}`
    return `${this.reason}: ${on}: ${this.description}`
  }
}

/** The cluster was not reached within the option `startTimeout`. */
export class ClusterUnreachable extends Data.TaggedError("ClusterUnreachable")<{
  /** Always `StartTimeout`. */
  readonly reason: "StartTimeout"
  /** The bootstrap servers and the brokers that the cluster advertises, as `host:port`. */
  readonly brokers: ReadonlyArray<string>
  /** The option's value, in milliseconds. */
  readonly timeoutMs: number
  /** The last failure in words. */
  readonly description: string
  /** The last failure, if there was one: a `WireError`, or the answer of a broker without a coordinator. */
  readonly cause?: unknown
}> {
  override get message(): string {
    const brokers = this.brokers.join(", ")
    return `${this.reason}: ${brokers}: the cluster was not reached within ${this.timeoutMs} ms: ${this.description}`
  }
}

/** An open connection to one broker. */
export interface Connection {
  /**
   * Sends one request and awaits its response. Requests are answered in the order they were sent. Interrupting it
   * abandons the response, not the request. A request that times out destroys the connection. `limitMs`: how long the
   * response may take, in milliseconds, if that is less than the wire allows.
   */
  readonly request: <A extends Api>(
    api: A,
    request: Request<A>,
    limitMs?: number | undefined
  ) => Effect.Effect<Response<A>, WireError>
  /** Ends, with the reason, once the connection has; requests on it then fail with `Disconnected`. */
  readonly closed: Effect.Effect<WireError>
}

/** The service that connects to a cluster's brokers. */
export class Wire extends Context.Tag("@spillway/kafka/Wire")<
  Wire,
  {
    /** The bootstrap servers; never empty. */
    readonly bootstrap: ReadonlyArray<Endpoint>
    /** The largest response that can be read, in bytes, where the wire has a limit. */
    readonly maxResponseBytes?: number | undefined
    /**
     * Opens one connection, ready for requests (handshakes done). Closing the scope destroys it at once, without
     * waiting for pending responses; their requests fail with `Disconnected`.
     */
    readonly connect: (endpoint: Endpoint, role: Role) => Effect.Effect<Connection, WireError, Scope.Scope>
  }
>() {}
