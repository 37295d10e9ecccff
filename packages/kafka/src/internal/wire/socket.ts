import { connect as openTcp } from "node:net"
import { messageOf } from "@spillway/transport/HandlerError"
import { maxInt32 } from "@spillway/transport/runtime/Settings"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Api } from "../../Protocol.js"
import { type Endpoint, WireError, type WireErrorReason } from "../../Wire.js"
import type { WireOptions } from "../settings/connectionSettings.js"
import { formatEndpoint } from "../settings/endpoint.js"
import { isRefusal, keepAliveMs, openTls } from "../settings/tls.js"
import type { Call } from "./api.js"
import * as ApiVersions from "./apiVersions.js"
import { makeFrames, piecesOf } from "./frames.js"
import { makeEncoder } from "./kafkajs.js"
import { Reader } from "./reader.js"

/** One socket that carries requests and their responses, in order. */
export interface Link {
  readonly send: <A>(call: Call<A>) => Effect.Effect<A, WireError>
  /** Marks the handshakes as done; ends the connect timeout. */
  readonly ready: () => void
  /** Ends the connection after this many milliseconds, as soon as no request is pending. */
  readonly retire: (afterMs: number) => void
  /** Destroys the socket; everything pending on it fails. */
  readonly destroy: (description: string) => void
  readonly closed: Effect.Effect<WireError>
  /** Why the connection has ended; undefined while it is open. */
  readonly ended: () => WireError | undefined
}

interface Waiting {
  readonly api: Api | undefined
  readonly fail: (error: WireError) => void
}

interface Pending extends Waiting {
  readonly correlationId: number
  readonly limitMs: number
  /** The deadline, counted from when the request was sent or became the next to be answered. */
  deadline: number
  /** Reads the response; returns how long the broker throttles the connection. */
  readonly answer: (reader: Reader) => number
}

interface Held extends Waiting {
  readonly write: () => void
}

const now = () => performance.now()

const correlationIdBytes = 4

/** The limit of a response during a handshake, and the least limit of any other response. */
const smallResponseBytes = 1024 * 1024

/**
 * The limit of a response. Records stay as fetched. Other responses are decoded into objects, which take about as much
 * again beside the response, so they may have half.
 */
const maxResponseBytes = (limit: number, isReady: boolean, api: Api | undefined): number => {
  if (isReady && api === "Fetch") return limit
  return Math.min(limit, isReady ? Math.max(limit / 2, smallResponseBytes) : smallResponseBytes)
}

export const openLink = (endpoint: Endpoint, options: WireOptions): Link => {
  const closed = Deferred.unsafeMake<WireError>(FiberId.none)
  /** Written requests, in the order in which the broker answers. */
  const pending: Array<Pending> = []
  /** Requests held back while the broker throttles. */
  const held: Array<Held> = []
  let ended: WireError | undefined
  let correlationId = 0
  let mutedUntil = 0
  let unmute: NodeJS.Timeout | undefined
  let watch: NodeJS.Timeout | undefined
  let watchAt = 0
  let retiring: NodeJS.Timeout | undefined
  let isRetired = false
  let isReady = false
  let isUsed = false
  /** When the broker last sent anything. */
  let heardAt = now()

  const error = (reason: WireErrorReason, description: string, api?: Api, cause?: unknown): WireError =>
    new WireError({ reason, endpoint: formatEndpoint(endpoint), api, description, cause })

  const disconnected = (api: Api | undefined, reason: WireError): WireError =>
    error("Disconnected", reason.description, api, reason.cause)

  /** Ends the connection; the first reason stands. `blamed` fails with it, other requests with `Disconnected`. */
  const end = (reason: WireError, blamed?: Waiting): void => {
    if (ended !== undefined) return
    ended = reason
    clearTimeout(connecting)
    clearTimeout(unmute)
    clearTimeout(watch)
    clearTimeout(retiring)
    socket.destroy()
    Deferred.unsafeDone(closed, Effect.succeed(reason))
    for (const request of [...pending.splice(0), ...held.splice(0)]) {
      request.fail(request === blamed ? reason : disconnected(request.api, reason))
    }
  }

  const armWatch = (): void => {
    const next = pending[0]
    if (next === undefined || (watch !== undefined && watchAt <= next.deadline)) return
    clearTimeout(watch)
    watchAt = next.deadline
    watch = setTimeout(checkDeadline, Math.min(Math.max(0, Math.ceil(next.deadline - now())), maxInt32))
  }

  const checkDeadline = (): void => {
    watch = undefined
    const next = pending[0]
    if (next === undefined) return
    if (now() < next.deadline) armWatch()
    else expireUnlessAnswered(next)
  }

  /** After a blocked event loop, timers run before sockets are read: the response may already have arrived. */
  const expireUnlessAnswered = (late: Pending): void => {
    const bytesRead = socket.bytesRead
    setImmediate(() => {
      if (ended !== undefined) return
      if (pending[0] !== late) armWatch()
      else if (socket.bytesRead !== bytesRead) expireUnlessAnswered(late)
      else end(error("Timeout", `no response within ${late.limitMs} ms`, late.api), late)
    })
  }

  const onFrame = (frame: Buffer): void => {
    if (ended !== undefined) return
    heardAt = now()
    const answered = pending[0]
    // Ends before the last response is delivered, so that the next sender finds the connection ended.
    const isLast = isRetired && pending.length === 1 && held.length === 0
    if (isLast) {
      pending.shift()
      end(retired())
    }
    isUsed = isReady
    try {
      if (answered === undefined) throw new RangeError("no request is pending")
      const reader = new Reader(frame)
      const id = reader.int32()
      if (id !== answered.correlationId) throw new RangeError(`correlation id ${id}, not ${answered.correlationId}`)
      const throttleTimeMs = answered.answer(reader)
      if (throttleTimeMs > 0 && !isLast) mute(throttleTimeMs)
    } catch (cause) {
      const description = `the response can't be read: ${messageOf(cause)}`
      const malformed = error("Malformed", description, answered?.api, cause)
      if (isLast) answered?.fail(malformed)
      else end(malformed, answered)
      return
    }
    if (isLast) return
    pending.shift()
    const next = pending[0]
    if (next === undefined) return
    next.deadline = Math.max(now(), mutedUntil) + next.limitMs
    armWatch()
  }

  const mute = (throttleTimeMs: number): void => {
    mutedUntil = Math.max(mutedUntil, now() + throttleTimeMs)
    unmute ??= setTimeout(release, Math.min(Math.ceil(throttleTimeMs), maxInt32))
  }

  const release = (): void => {
    unmute = undefined
    const left = mutedUntil - now()
    if (left > 0) mute(left)
    else for (const request of held.splice(0)) request.write()
  }

  /** A broker whose listener wants another kind of connection just closes this one. */
  const suspicion = (): string => {
    if (isReady)
      return isUsed || options.sasl !== undefined ? "" : " before it answered: does its listener ask for SASL?"
    return tls === undefined ? ": does its listener ask for TLS?" : ": does its listener speak TLS?"
  }

  const retired = () => error("Disconnected", "retired before its SASL session ends")

  /** Once the handshake is done the peer is known to be Kafka. */
  const badSizeOf = (bytes: number): string => {
    if (isReady && bytes > maxBytes()) {
      const remedy = `raise maxResponseBytes (${options.maxResponseBytes}), or lower fetchMaxBytes and fetchMaxPartitionBytes`
      return `a response of ${bytes} bytes (the limit is ${maxBytes()}): ${remedy}`
    }
    const hint = tls === undefined ? "Kafka, without TLS" : "Kafka"
    return `a response of ${bytes} bytes (the limit is ${maxBytes()}): is this ${hint}?`
  }

  const maxBytes = () => maxResponseBytes(options.maxResponseBytes, isReady, pending[0]?.api)
  const push = makeFrames(correlationIdBytes, maxBytes, onFrame)
  const { tls } = options
  const socket =
    tls === undefined
      ? openTcp({
          host: endpoint.host,
          port: endpoint.port,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: keepAliveMs
        })
      : openTls(endpoint, tls)
  socket.on("data", (chunk) => {
    const badSize = ended === undefined ? push(chunk) : undefined
    if (badSize === undefined) return
    end(error("Malformed", badSizeOf(badSize), pending[0]?.api), pending[0])
  })
  socket.on("error", (cause) => {
    const description = tls === undefined ? messageOf(cause) : `TLS: ${messageOf(cause)}`
    // The error of a refused certificate may hold the certificate, which refers to itself: JSON can't represent it.
    end(
      isRefusal(cause, socket)
        ? error("Authentication", description)
        : error("Disconnected", description, undefined, cause)
    )
  })
  socket.on("end", () => end(error("Disconnected", `the broker closed the connection${suspicion()}`)))
  socket.on("close", () => end(error("Disconnected", "the connection was closed")))
  const connecting = setTimeout(
    () => end(error("Timeout", `not connected within ${options.connectTimeoutMs} ms`), pending[0]),
    options.connectTimeoutMs
  )

  const write = (pieces: ReadonlyArray<Uint8Array>, onWritten?: (failure?: Error | null) => void) => {
    const last = pieces.length - 1
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(pieces[i]!)
    socket.write(pieces[last]!, onWritten)
    if (last > 0) socket.uncork()
  }

  const send = <A>(call: Call<A>): Effect.Effect<A, WireError> =>
    Effect.async<A, WireError>((resume) => {
      if (ended !== undefined) return resume(Effect.fail(disconnected(call.api, ended)))
      if (isQuiet()) enqueue({ ...ApiVersions.call(0), limitMs: options.probeLimitMs }, () => {})
      enqueue(call, resume)
    })

  /** True if no response is pending and the connection has been quiet long enough to have died unnoticed. */
  const isQuiet = (): boolean =>
    isReady && pending.length === 0 && held.length === 0 && now() - heardAt >= options.quietMs

  const enqueue = <A>(call: Call<A>, resume: (answer: Effect.Effect<A, WireError>) => void): void => {
    correlationId = (correlationId + 1) & 0x7fffffff
    const out = makeEncoder()
    out.writeInt32(0).writeInt16(call.key).writeInt16(call.version).writeInt32(correlationId)
    out.writeString(options.clientId)
    const attachments = call.encode(out)
    const pieces = piecesOf(out.buffer, attachments)
    const fail = (reason: WireError) => resume(Effect.fail(reason))
    const { unanswered } = call
    const request: Pending = {
      api: call.api,
      correlationId,
      limitMs: Math.min(options.requestTimeoutMs + call.waitMs, call.limitMs ?? Number.POSITIVE_INFINITY),
      deadline: 0,
      answer: (reader) => {
        const { response, throttleTimeMs } = call.decode(reader)
        resume(Effect.succeed(response))
        return throttleTimeMs
      },
      fail
    }
    const writeNow = () => {
      if (unanswered !== undefined) {
        return write(pieces, (failure) =>
          failure
            ? fail(disconnected(call.api, ended ?? error("Disconnected", messageOf(failure))))
            : resume(Effect.succeed(unanswered))
        )
      }
      request.deadline = now() + request.limitMs
      pending.push(request)
      armWatch()
      write(pieces)
    }
    if (unmute === undefined) writeNow()
    else held.push({ write: writeNow, fail, api: call.api })
  }

  return {
    send,
    ready: () => {
      clearTimeout(connecting)
      isReady = true
    },
    retire: (afterMs) => {
      if (ended !== undefined) return
      retiring = setTimeout(
        () => {
          isRetired = true
          if (pending.length === 0 && held.length === 0) end(retired())
        },
        Math.min(afterMs, maxInt32)
      )
    },
    destroy: (description) => end(error("Disconnected", description)),
    closed: Deferred.await(closed),
    ended: () => ended
  }
}
