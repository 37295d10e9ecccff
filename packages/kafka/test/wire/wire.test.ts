import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { problemsOf } from "../../../transport/test/support/environment.js"
import { decodeOptions } from "../../src/internal/settings/connectionSettings.js"
import * as ProducerSettings from "../../src/internal/settings/producerSettings.js"
import { apis } from "../../src/internal/wire/apis.js"
import { connect as open } from "../../src/internal/wire/connection.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import type { FetchRequest } from "../../src/Protocol.js"
import { type Endpoint, Wire, type WireError } from "../../src/Wire.js"
import * as Certificate from "../support/certificate.js"
import * as TcpBroker from "../support/tcpBroker.js"

type Timeouts = Omit<KafkaJsWire.KafkaJsWireOptions, "brokers" | "clientId">

const connect = Effect.fnUntraced(function* (endpoint: Endpoint, timeouts: Timeouts = {}) {
  const options = { brokers: ["127.0.0.1:9092"], clientId: "tester", ...timeouts }
  const wire = yield* Effect.orDie(KafkaJsWire.make(options))
  return yield* wire.connect(endpoint, "data")
})

const reasonOf = (effect: Effect.Effect<unknown, WireError, Scope.Scope>) =>
  Effect.flip(effect).pipe(Effect.map(({ reason, api }) => ({ reason, api })))

const member = { groupId: "group", generationId: 1, memberId: "member", groupInstanceId: null }

const joinGroup = {
  groupId: "group",
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  memberId: "",
  groupInstanceId: null,
  protocolType: "consumer",
  protocols: []
}

const emptyFetch: FetchRequest = {
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1,
  isolationLevel: "read_committed",
  rackId: "",
  topics: []
}

/** A Heartbeat response. */
const heartbeat = (errorCode: number, throttleTimeMs = 0): Buffer => {
  const body = Buffer.alloc(6)
  body.writeInt32BE(throttleTimeMs, 0)
  body.writeInt16BE(errorCode, 4)
  return body
}

/** A JoinGroup response without members. */
const joined = Buffer.alloc(4 + 2 + 4 + 2 + 2 + 2 + 4)

/** A broker, and the end of the first connection to it. */
const listenForClose = (options: Pick<Parameters<typeof TcpBroker.listen>[0], "onRequest" | "handshake">) =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const endpoint = yield* TcpBroker.listen({
      ...options,
      onConnection: (socket) => socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
    })
    return { endpoint, closed: Deferred.await(closed) }
  })

describe("KafkaJsWire", () => {
  describe("options", () => {
    it.effect("reports every invalid value at once", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          KafkaJsWire.make({
            brokers: ["kafka:9092", "kafka", "kafka:70000"],
            clientId: "",
            connectTimeout: 0,
            requestTimeout: "60 days",
            maxResponseBytes: 1.5
          })
        )
        const fields = ["brokers[1]", "brokers[2]", "clientId", "connectTimeout", "requestTimeout", "maxResponseBytes"]
        assert.strictEqual(error.module, "KafkaJsWire")
        assert.sameMembers(
          error.issues.map(({ field }) => field),
          fields
        )
        assert.include(error.message, `brokers[2] must be host:port`)
        assert.include(error.message, `"kafka:70000"`)
      })
    )

    it.effect("rejects an empty list of brokers", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(KafkaJsWire.make({ brokers: [] }))
        assert.deepStrictEqual(
          error.issues.map(({ field }) => field),
          ["brokers"]
        )
      })
    )

    it.effect("are read from the configuration", () =>
      Effect.gen(function* () {
        const wire = yield* Effect.provide(Wire, KafkaJsWire.layerConfig())
        assert.deepStrictEqual(wire.bootstrap, [
          { host: "kafka-1", port: 9092 },
          { host: "::1", port: 9093 }
        ])
      }).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["KAFKA_BROKERS", "kafka-1:9092, [::1]:9093"]])))
      )
    )

    it.effect("from the configuration, when missing or bad, are named", () =>
      Effect.gen(function* () {
        const build = (entries: ReadonlyArray<readonly [string, string]>) =>
          Effect.provide(Wire, KafkaJsWire.layerConfig()).pipe(
            Effect.withConfigProvider(ConfigProvider.fromMap(new Map(entries))),
            Effect.flip
          )
        assert.include(String(yield* build([])), "KAFKA_BROKERS")
        assert.include(String(yield* build([["KAFKA_BROKERS", "kafka-1:9092,"]])), "brokers[1]")
      })
    )

    it.effect("of TLS and SASL are checked with the others, and no error shows a secret", () =>
      Effect.gen(function* () {
        const secret = "s3cret"
        const fieldsOf = (options: Partial<KafkaJsWire.KafkaJsWireOptions>) =>
          Effect.map(Effect.flip(KafkaJsWire.make({ brokers: ["kafka:9092"], ...options })), (error) => {
            const rendered = [String(error), inspect(error, { depth: 20 }), JSON.stringify(error)].join()
            assert.notInclude(rendered, secret)
            return error.issues.map(({ field }) => field)
          })
        const password = Redacted.make(secret)
        assert.deepStrictEqual(
          yield* fieldsOf({
            clientId: "",
            tls: {
              ca: ["no certificate"],
              cert: "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----",
              key: Redacted.make(`-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`),
              servername: "127.0.0.1"
            },
            sasl: { mechanism: "plain", username: "", password: Redacted.make("") }
          }),
          ["clientId", "tls.ca", "tls.cert", "tls.key", "tls.servername", "sasl.username", "sasl.password"]
        )
        assert.deepStrictEqual(yield* fieldsOf({ tls: { key: Redacted.make(secret) } }), ["tls.key", "tls.key"])
        assert.deepStrictEqual(yield* fieldsOf({ tls: { cert: "no certificate", ca: [] } }), [
          "tls.ca",
          "tls.cert",
          "tls.key"
        ])
        assert.deepStrictEqual(
          yield* fieldsOf({ sasl: { mechanism: "plain", username: "bob", password: Redacted.make(`${secret}\0`) } }),
          ["sasl.password"]
        )
        // From a program without types.
        const untyped = (sasl: unknown) => ({ sasl }) as Partial<KafkaJsWire.KafkaJsWireOptions>
        assert.deepStrictEqual(yield* fieldsOf(untyped({ mechanism: "plain", username: "bob", password: secret })), [
          "sasl.password"
        ])
        assert.deepStrictEqual(yield* fieldsOf(untyped({ mechanism: "gssapi", username: "bob", password })), [
          "sasl.mechanism"
        ])
        assert.deepStrictEqual(yield* fieldsOf(untyped({ mechanism: "oauthbearer", token: secret })), ["sasl.token"])
        const options: KafkaJsWire.KafkaJsWireOptions = {
          brokers: ["kafka:9092"],
          sasl: { mechanism: "scram-sha-256", username: "bob", password },
          tls: { key: password, passphrase: password }
        }
        assert.notInclude(JSON.stringify(options) + inspect(options, { depth: 20 }), secret)
      })
    )

    const configured = (entries: Readonly<Record<string, string>>) =>
      Effect.withConfigProvider(
        KafkaJsWire.config(),
        ConfigProvider.fromMap(new Map(Object.entries({ KAFKA_BROKERS: "kafka-1:9092", ...entries })))
      )

    it.effect("of TLS and SASL are read from the configuration", () =>
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-config-"))),
          (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
        )
        const { certificate: ca, key } = Certificate
        writeFileSync(join(folder, "key.pem"), key)
        assert.deepInclude(yield* configured({}), { tls: false, sasl: undefined })
        assert.deepInclude(yield* configured({ KAFKA_TLS: "true" }), { tls: true })
        assert.deepInclude(yield* configured({ KAFKA_TLS: "false", KAFKA_TLS_CA: ca }), { tls: false })
        const given = yield* configured({
          KAFKA_TLS_CA: ca,
          KAFKA_TLS_CERT: ca,
          KAFKA_TLS_KEY: join(folder, "key.pem"),
          KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
          KAFKA_SASL_USERNAME: "bob",
          KAFKA_SASL_PASSWORD: "s3cret"
        })
        assert.deepStrictEqual(given.tls, { ca, cert: ca, key: Redacted.make(key) })
        assert.deepStrictEqual(given.sasl, {
          mechanism: "scram-sha-512",
          username: "bob",
          password: Redacted.make("s3cret")
        })
        assert.notInclude(JSON.stringify(given), "s3cret")
      }).pipe(Effect.scoped)
    )

    it.effect("of TLS and SASL from the configuration, when missing or bad, are named without secrets", () =>
      Effect.gen(function* () {
        const refused = (entries: Readonly<Record<string, string>>) =>
          Effect.map(Effect.flip(configured(entries)), (error) => {
            const rendered = [String(error), inspect(error, { depth: 20 }), JSON.stringify(error)].join()
            assert.notInclude(rendered, "s3cret")
            return rendered
          })
        assert.include(yield* refused({ KAFKA_SASL_MECHANISM: "plain" }), "KAFKA_SASL_USERNAME")
        assert.include(yield* refused({ KAFKA_SASL_USERNAME: "bob", KAFKA_SASL_PASSWORD: "s3cret" }), "MECHANISM")
        const withoutPassword = { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "bob" }
        assert.include(yield* refused(withoutPassword), "KAFKA_SASL_PASSWORD")
        assert.include(yield* refused({ KAFKA_SASL_MECHANISM: "oauthbearer" }), "plain, scram-sha-256, scram-sha-512")
        const all = yield* refused({ KAFKA_SASL_MECHANISM: "kerberos", KAFKA_TLS: "perhaps" })
        for (const name of ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_TLS"]) {
          assert.include(all, name)
        }
        assert.include(yield* refused({ KAFKA_TLS_CA: "/nowhere/ca.pem" }), "ENOENT")
        assert.include(yield* refused({ KAFKA_TLS_KEY: "/nowhere/s3cret" }), "KAFKA_TLS_KEY")
      })
    )

    it.effect("from the configuration, when invalid, are all reported at once, without secrets", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          configured({
            KAFKA_BROKERS: "kafka-1:9092,kafka-2",
            KAFKA_CLIENT_ID: "x".repeat(250),
            KAFKA_CONNECT_TIMEOUT: "soon",
            KAFKA_REQUEST_TIMEOUT: "60 days",
            KAFKA_MAX_RESPONSE_BYTES: "1",
            KAFKA_TLS_CA: "-----BEGIN CERTIFICATE-----",
            KAFKA_TLS_CERT: Certificate.certificate,
            KAFKA_TLS_KEY: `-----BEGIN PRIVATE KEY-----\n${Certificate.key.slice(40, 90)}s3cret`,
            KAFKA_SASL_MECHANISM: "plain",
            KAFKA_SASL_USERNAME: "a\u0000b",
            KAFKA_SASL_PASSWORD: "s3cret\u0000"
          })
        )
        assert.deepStrictEqual(
          problemsOf(error).map((text) => text.split(" must ")[0]),
          [
            "KAFKA_CONNECT_TIMEOUT: connectTimeout",
            "KAFKA_BROKERS: brokers[1]",
            "KAFKA_CLIENT_ID: clientId",
            "KAFKA_REQUEST_TIMEOUT: requestTimeout",
            "KAFKA_MAX_RESPONSE_BYTES: maxResponseBytes",
            "KAFKA_TLS_CA: tls.ca",
            "KAFKA_TLS_KEY: tls.key",
            "KAFKA_SASL_USERNAME: sasl.username",
            "KAFKA_SASL_PASSWORD: sasl.password"
          ]
        )
        for (const rendered of [String(error), inspect(error, { depth: 20 }), JSON.stringify(error)]) {
          for (const secret of ["s3cret", Certificate.key.slice(40, 60)]) assert.notInclude(rendered, secret)
        }
        const timeouts = { KAFKA_CONNECT_TIMEOUT: "1 second", KAFKA_REQUEST_TIMEOUT: "2 minutes" }
        const { connectTimeout, requestTimeout } = yield* configured(timeouts)
        assert.deepStrictEqual([connectTimeout, requestTimeout], [Duration.seconds(1), Duration.minutes(2)])
      })
    )
  })

  describe("connect", () => {
    it.scoped("fails with Timeout if a TLS handshake or a token takes too long", () =>
      Effect.gen(function* () {
        const silent = yield* TcpBroker.listen({ handshake: false, onRequest: () => {} })
        assert.include(yield* reasonOf(connect(silent, { connectTimeout: 300, tls: true })), { reason: "Timeout" })
        const { endpoint, closed } = yield* listenForClose({ onRequest: () => {} })
        const sasl: KafkaJsWire.SaslOptions = { mechanism: "oauthbearer", token: Effect.never }
        assert.include(yield* reasonOf(connect(endpoint, { connectTimeout: 300, sasl })), { reason: "Timeout" })
        yield* closed
      })
    )

    it.scoped("fails with ConnectFailed and the reason if the token effect fails", () =>
      Effect.gen(function* () {
        const { endpoint, closed } = yield* listenForClose({ onRequest: () => {} })
        const sasl: KafkaJsWire.SaslOptions = { mechanism: "oauthbearer", token: Effect.fail("the issuer is away") }
        const error = yield* Effect.flip(connect(endpoint, { sasl }))
        assert.deepStrictEqual([error.reason, error.cause], ["ConnectFailed", "the issuer is away"])
        yield* closed
      })
    )

    it.scoped("fails with ConnectFailed, not Authentication, if the broker disconnects during authentication", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* listenForClose({
          handshake: false,
          onRequest: (request) => {
            if (request.apiKey === 18) request.reply(TcpBroker.apiVersionsBody({}, [17, 36]))
            else request.socket.destroy()
          }
        })
        const sasl = { mechanism: "scram-sha-256", username: "bob", password: Redacted.make("s3cret") } as const
        assert.include(yield* reasonOf(connect(endpoint, { sasl })), { reason: "ConnectFailed" })
      })
    )

    it.scoped("fails with Timeout when the server accepts and stays silent, and only then", () =>
      Effect.gen(function* () {
        const timeouts = { connectTimeout: 400 }
        const healthy = yield* TcpBroker.listen({ onRequest: ({ reply }) => reply(heartbeat(0)) })
        const ready = yield* connect(healthy, timeouts)
        const { endpoint, closed } = yield* listenForClose({ handshake: false, onRequest: () => {} })
        assert.deepStrictEqual(yield* reasonOf(connect(endpoint, timeouts)), {
          reason: "Timeout",
          api: undefined
        })
        yield* closed
        assert.strictEqual((yield* ready.request("Heartbeat", member)).errorCode, 0)
      })
    )

    it.scoped("fails with ConnectFailed when the port is closed, or the server hangs up on the handshake", () =>
      Effect.gen(function* () {
        const gone = yield* Effect.scoped(TcpBroker.listen({ onRequest: () => {} }))
        assert.strictEqual((yield* reasonOf(connect(gone))).reason, "ConnectFailed")
        const hangsUp = yield* TcpBroker.listen({ handshake: false, onRequest: ({ socket }) => socket.end() })
        assert.strictEqual((yield* reasonOf(connect(hangsUp))).reason, "ConnectFailed")
        assert.strictEqual((yield* reasonOf(connect({ host: "127.0.0.1", port: 70_000 }))).reason, "ConnectFailed")
      })
    )

    it.scoped("fails with ConnectFailed when the handshake is refused", () =>
      Effect.gen(function* () {
        const unsupportedVersion = Buffer.from([0, 35, 0, 0, 0, 0])
        const old = yield* TcpBroker.listen({ handshake: false, onRequest: ({ reply }) => reply(unsupportedVersion) })
        const error = yield* Effect.flip(connect(old))
        assert.strictEqual(error.reason, "ConnectFailed")
        assert.include(error.message, "UNSUPPORTED_VERSION")
      })
    )

    it.scoped("fails with Malformed when the server is not plaintext Kafka", () =>
      Effect.gen(function* () {
        const tls = yield* TcpBroker.listen({
          handshake: false,
          onRequest: ({ socket }) => socket.write(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]))
        })
        assert.strictEqual((yield* reasonOf(connect(tls))).reason, "Malformed")
      })
    )

    it.scoped("destroys the socket when interrupted", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<void>()
        const { endpoint, closed } = yield* listenForClose({
          handshake: false,
          onRequest: () => Deferred.unsafeDone(asked, Effect.void)
        })
        const connecting = yield* Effect.fork(connect(endpoint))
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(connecting)
        yield* closed
      })
    )
  })

  describe("request", () => {
    it.scoped("is pipelined, and answered in order if bytes arrive in fragments", () =>
      Effect.gen(function* () {
        const count = 50
        const held: Array<TcpBroker.Received> = []
        const endpoint = yield* TcpBroker.listen({
          onRequest: (request) => {
            if (held.push(request) < count) return
            const answers = Buffer.concat(
              held.map(({ correlationId, body }) => {
                body.string() // group
                return TcpBroker.frame(correlationId, heartbeat(body.int32()))
              })
            )
            const { socket } = request
            const drip = (at: number, size: number): void => {
              if (at >= answers.length) return
              socket.write(answers.subarray(at, at + size), () => setImmediate(drip, at + size, (size % 7) + 1))
            }
            drip(0, 1)
          }
        })
        const connection = yield* connect(endpoint)
        const codes = yield* Effect.forEach(
          Array.from({ length: count }, (_, generationId) => generationId),
          (generationId) => connection.request("Heartbeat", { ...member, generationId }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          codes.map(({ errorCode }) => errorCode),
          held.map((_, index) => index)
        )
        assert.strictEqual(held[0]!.clientId, "tester")
      })
    )

    for (const [how, hangUp] of [
      ["FIN", (request: TcpBroker.Received) => request.socket.end()],
      ["RST", (request: TcpBroker.Received) => request.socket.resetAndDestroy()]
    ] as const) {
      it.scoped(`fails with Disconnected on a ${how}, and so does every later one`, () =>
        Effect.gen(function* () {
          const connection = yield* connect(yield* TcpBroker.listen({ onRequest: hangUp }))
          const disconnected = { reason: "Disconnected", api: "Heartbeat" } as const
          assert.deepStrictEqual(yield* reasonOf(connection.request("Heartbeat", member)), disconnected)
          assert.strictEqual((yield* connection.closed).reason, "Disconnected")
          assert.deepStrictEqual(yield* reasonOf(connection.request("Heartbeat", member)), disconnected)
        })
      )
    }

    const unreadable: ReadonlyArray<readonly [string, (request: TcpBroker.Received) => void]> = [
      ["of a negative size", ({ socket }) => void socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))],
      ["above the limit", ({ socket }) => void socket.write(Buffer.from([0x00, 0x01, 0x00, 0x00]))],
      [
        "to another request",
        ({ socket, correlationId }) => void socket.write(TcpBroker.frame(correlationId + 1, heartbeat(0)))
      ],
      ["cut short", ({ reply }) => reply(heartbeat(0).subarray(0, 5))]
    ]
    for (const [what, answer] of unreadable) {
      it.scoped(`fails with Malformed on a response ${what}, and queued requests with Disconnected`, () =>
        Effect.gen(function* () {
          const held: Array<TcpBroker.Received> = []
          const { endpoint, closed } = yield* listenForClose({
            onRequest: (request) => {
              if (held.push(request) === 2) answer(held[0]!)
            }
          })
          const connection = yield* connect(endpoint, { maxResponseBytes: 65_535 })
          const first = yield* Effect.fork(reasonOf(connection.request("Heartbeat", member)))
          yield* Effect.yieldNow()
          const second = yield* Effect.fork(
            reasonOf(connection.request("OffsetFetch", { groupId: "group", topics: null }))
          )
          assert.deepStrictEqual(yield* Fiber.join(first), { reason: "Malformed", api: "Heartbeat" })
          assert.deepStrictEqual(yield* Fiber.join(second), { reason: "Disconnected", api: "OffsetFetch" })
          assert.strictEqual((yield* connection.closed).reason, "Malformed")
          yield* closed
        })
      )
    }

    it.scoped("names the limits to change on an oversized response of a server known to be Kafka", () =>
      Effect.gen(function* () {
        const above = ({ socket }: TcpBroker.Received) => void socket.write(Buffer.from([0x00, 0x01, 0x00, 0x00]))
        const connection = yield* connect(yield* TcpBroker.listen({ onRequest: above }), { maxResponseBytes: 65_535 })
        const { message } = yield* Effect.flip(connection.request("Heartbeat", member))
        assert.include(message, "a response of 65536 bytes (the limit is 65535)")
        assert.include(message, "raise maxResponseBytes (65535), or lower fetchMaxBytes and fetchMaxPartitionBytes")
        assert.notInclude(message, "is this Kafka")
      })
    )

    it.scoped("fails with Malformed on too many values, even in a response within the limit", () =>
      Effect.gen(function* () {
        const topic = Buffer.concat([Buffer.from([0, 0, 1]), Buffer.alloc(16, 1), Buffer.from([0, 1, 0, 0, 0, 0, 0])])
        const topics = 300_000
        const count = Buffer.from([(topics & 0x7f) + 1, ((topics >> 7) & 0x7f) | 0x80, topics >> 14])
        count[0]! |= 0x80
        const head = [Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]), count]
        const body = Buffer.concat([...head, Buffer.concat(new Array(topics).fill(topic)), Buffer.alloc(1)])
        const connection = yield* connect(yield* TcpBroker.listen({ onRequest: ({ reply }) => reply(body) }))
        const error = yield* Effect.flip(connection.request("Metadata", { topics: null }))
        assert.strictEqual(error.reason, "Malformed")
        assert.include(error.message, "more than 1048576 values")
      })
    )

    it.scoped("fails with Malformed on a handshake's response of more than a MiB", () =>
      Effect.gen(function* () {
        const endpoint = yield* TcpBroker.listen({
          handshake: false,
          onRequest: ({ reply }) => reply(Buffer.alloc(1024 * 1024))
        })
        const error = yield* Effect.flip(connect(endpoint))
        assert.strictEqual(error.reason, "Malformed")
        assert.include(error.message, "a response of 1048580 bytes (the limit is 1048576)")
      })
    )

    for (const [api, request, limit] of [
      ["Heartbeat", member, 2 * 1024 * 1024],
      ["Fetch", emptyFetch, 4 * 1024 * 1024]
    ] as const) {
      it.scoped(`lets a response to ${api} have ${limit} of at most 4 MiB`, () =>
        Effect.gen(function* () {
          const endpoint = yield* TcpBroker.listen({ onRequest: ({ reply }) => reply(Buffer.alloc(limit)) })
          const connection = yield* connect(endpoint, { maxResponseBytes: 4 * 1024 * 1024 })
          const error = yield* Effect.flip(connection.request(api, request as never))
          assert.include(error.message, `a response of ${limit + 4} bytes (the limit is ${limit})`)
        })
      )
    }

    it.scoped("fails with Malformed on an offset beyond 2^53 - 1", () =>
      Effect.gen(function* () {
        const body = Buffer.alloc(4 + 4 + 2 + 4 + 4 + 2 + 8 + 8)
        body.writeInt32BE(1, 4)
        body.writeInt32BE(1, 10)
        body.writeBigInt64BE(2n ** 53n, 28)
        const connection = yield* connect(yield* TcpBroker.listen({ onRequest: ({ reply }) => reply(body) }))
        const error = yield* Effect.flip(connection.request("ListOffsets", { topics: [] }))
        assert.strictEqual(error.reason, "Malformed")
        assert.include(error.message, "2^53")
      })
    )

    it.scoped("that times out destroys the connection, and fails queued requests with Disconnected", () =>
      Effect.gen(function* () {
        const { endpoint, closed } = yield* listenForClose({ onRequest: () => {} })
        const connection = yield* connect(endpoint, { requestTimeout: 30 })
        const late = yield* Effect.fork(reasonOf(connection.request("Heartbeat", member)))
        yield* Effect.yieldNow()
        const queued = yield* Effect.fork(reasonOf(connection.request("OffsetFetch", { groupId: "g", topics: null })))
        assert.deepStrictEqual(yield* Fiber.join(late), { reason: "Timeout", api: "Heartbeat" })
        assert.deepStrictEqual(yield* Fiber.join(queued), { reason: "Disconnected", api: "OffsetFetch" })
        assert.strictEqual((yield* connection.closed).reason, "Timeout")
        yield* closed
      })
    )

    it.scoped("may have a shorter timeout", () =>
      Effect.gen(function* () {
        const silent = yield* TcpBroker.listen({ onRequest: () => {} })
        const connection = yield* connect(silent)
        const joining = yield* Effect.flip(connection.request("JoinGroup", joinGroup, 20))
        assert.deepStrictEqual([joining.reason, joining.description], ["Timeout", "no response within 20 ms"])
        const other = yield* connect(silent, { requestTimeout: 30 })
        const beating = yield* Effect.flip(other.request("Heartbeat", member, 60_000))
        assert.deepStrictEqual([beating.reason, beating.description], ["Timeout", "no response within 30 ms"])
      })
    )

    it.scoped("on a long idle connection follows a probe with a short timeout", () =>
      Effect.gen(function* () {
        const received: Array<number> = []
        let isSilent = false
        const endpoint = yield* TcpBroker.listen({
          handshake: false,
          onRequest: (request) => {
            received.push(request.apiKey)
            if (isSilent) return
            if (!TcpBroker.answerApiVersions(request)) request.reply(heartbeat(0))
          }
        })
        const { options } = decodeOptions({ brokers: ["127.0.0.1:9092"] })
        const [probe, beat] = [18, apis.Heartbeat.key]
        const busy = yield* open(endpoint, options)
        yield* busy.request("Heartbeat", member)
        assert.deepStrictEqual(received.splice(0), [probe, beat])

        const quiet = yield* open(endpoint, { ...options, quietMs: 0, probeLimitMs: 20 })
        assert.strictEqual((yield* quiet.request("Heartbeat", member)).errorCode, 0)
        assert.deepStrictEqual(received.splice(0), [probe, probe, beat])
        isSilent = true
        const error = yield* Effect.flip(quiet.request("Heartbeat", member))
        assert.deepStrictEqual([error.reason, error.api], ["Disconnected", "Heartbeat"])
        assert.include(error.description, "no response within 20 ms")
        assert.deepStrictEqual(received, [probe, beat])
      })
    )

    it.scoped("may take as long as its own wait, and doesn't extend the next one's timeout", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<TcpBroker.Received>()
        const endpoint = yield* TcpBroker.listen({
          onRequest: (request) => {
            if (request.apiKey === apis.JoinGroup.key) Deferred.unsafeDone(asked, Effect.succeed(request))
          }
        })
        const parked = yield* connect(endpoint, { requestTimeout: 30 })
        const joining = yield* Effect.fork(parked.request("JoinGroup", joinGroup))
        const { reply } = yield* Deferred.await(asked)
        const other = yield* connect(endpoint, { requestTimeout: 30 })
        assert.strictEqual((yield* reasonOf(other.request("Heartbeat", member))).reason, "Timeout")
        reply(joined)
        assert.strictEqual((yield* Fiber.join(joining)).errorCode, 0)
        assert.strictEqual((yield* reasonOf(parked.request("Heartbeat", member))).reason, "Timeout")
      })
    )

    it.scoped("to produce has one timeout in total, unless replicas may use up too much of it", () =>
      Effect.gen(function* () {
        const silent = yield* TcpBroker.listen({ onRequest: () => {} })
        for (const [timeoutMs, expected] of [
          [20, 30],
          [40, 60]
        ] as const) {
          const connection = yield* connect(silent, { requestTimeout: 30 })
          const error = yield* Effect.flip(
            connection.request("Produce", { transactionalId: null, acks: -1, timeoutMs, topics: [] })
          )
          assert.strictEqual(error.reason, "Timeout")
          assert.include(error.description, `within ${expected} ms`)
        }
        const { acknowledgeTimeoutMs } = yield* ProducerSettings.decode({})
        const request = { transactionalId: null, acks: -1, timeoutMs: acknowledgeTimeoutMs, topics: [] } as const
        assert.strictEqual(apis.Produce.waitMs(request, 30_000), 0)
      })
    )

    it.scoped("has its full timeout from the answer to the previous one", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<void>()
        const held: Array<TcpBroker.Received> = []
        const endpoint = yield* TcpBroker.listen({
          onRequest: (request) => {
            if (held.push(request) === 2) Deferred.unsafeDone(asked, Effect.void)
          }
        })
        const timeOutElsewhere = (requestTimeout: number) =>
          TcpBroker.listen({ onRequest: () => {} }).pipe(
            Effect.flatMap((silent) => connect(silent, { requestTimeout })),
            Effect.flatMap((other) => Effect.flip(other.request("Heartbeat", member)))
          )
        const connection = yield* connect(endpoint, { requestTimeout: 400 })
        yield* Effect.fork(connection.request("JoinGroup", joinGroup))
        yield* Effect.yieldNow()
        const next = yield* Effect.fork(connection.request("Heartbeat", member))
        yield* Deferred.await(asked)
        yield* timeOutElsewhere(400)
        held[0]!.reply(joined)
        yield* timeOutElsewhere(20)
        held[1]!.reply(heartbeat(4))
        assert.strictEqual((yield* Fiber.join(next)).errorCode, 4)
      })
    )

    it.scoped("doesn't time out while its response waits behind a blocked event loop", () =>
      Effect.gen(function* () {
        const endpoint = yield* TcpBroker.listen({
          onRequest: ({ reply }) => {
            reply(heartbeat(27))
            for (const until = performance.now() + 500; performance.now() < until; );
          }
        })
        const connection = yield* connect(endpoint, { requestTimeout: 400 })
        assert.strictEqual((yield* connection.request("Heartbeat", member)).errorCode, 27)
      })
    )

    it.scoped("keeps its connection for the others when interrupted", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<void>()
        const held: Array<TcpBroker.Received> = []
        const endpoint = yield* TcpBroker.listen({
          onRequest: (request) => {
            if (held.push(request) === 1) return Deferred.unsafeDone(asked, Effect.void)
            for (const [index, { reply }] of held.entries()) reply(heartbeat(index + 1))
          }
        })
        const connection = yield* connect(endpoint)
        const abandoned = yield* Effect.fork(connection.request("Heartbeat", member))
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(abandoned)
        assert.strictEqual((yield* connection.request("Heartbeat", member)).errorCode, 2)
      })
    )

    it.scoped("waits for the throttle time of the last response", () =>
      Effect.gen(function* () {
        const arrivals: Array<number> = []
        const endpoint = yield* TcpBroker.listen({
          onRequest: ({ reply }) => {
            arrivals.push(performance.now())
            reply(heartbeat(0, 40))
          }
        })
        const connection = yield* connect(endpoint)
        yield* connection.request("Heartbeat", member)
        yield* connection.request("Heartbeat", member)
        assert.isAtLeast(arrivals[1]! - arrivals[0]!, 39)
      })
    )

    it.scoped("names the API and both ranges if the broker shares no version", () =>
      Effect.gen(function* () {
        const endpoint = yield* TcpBroker.listen({
          handshake: false,
          onRequest: ({ reply }) => reply(TcpBroker.apiVersionsBody({ [apis.JoinGroup.key]: [6, 9] }))
        })
        const connection = yield* connect(endpoint)
        const error = yield* Effect.flip(connection.request("JoinGroup", joinGroup))
        assert.strictEqual(error.reason, "UnsupportedVersion")
        assert.include(error.message, "JoinGroup")
        assert.include(error.message, "5 to 5")
        assert.include(error.message, "6 to 9")
      })
    )
  })

  describe("Produce", () => {
    const records = (text: string) => new TextEncoder().encode(text)
    const produce = (acks: -1 | 0) => ({
      transactionalId: "tx",
      acks,
      timeoutMs: 7,
      topics: [
        {
          topic: "a",
          partitions: [
            { partition: 0, records: records("first") },
            { partition: 1, records: records("second".repeat(1000)) }
          ]
        },
        { topic: "b", partitions: [{ partition: 5, records: records("third") }] }
      ]
    })

    it.scoped("sends the records of each partition in that partition's field", () =>
      Effect.gen(function* () {
        const received = yield* Deferred.make<unknown>()
        const endpoint = yield* TcpBroker.listen({
          onRequest: ({ body, reply }) => {
            const text = new TextDecoder()
            const request = {
              transactionalId: body.nullableString(),
              acks: body.int16(),
              timeoutMs: body.int32(),
              topics: body.array((topic) => ({
                topic: topic.string(),
                partitions: topic.array((each) => [each.int32(), text.decode(each.bytes())])
              })),
              remaining: body.remaining
            }
            Deferred.unsafeDone(received, Effect.succeed(request))
            reply(Buffer.alloc(8))
          }
        })
        const connection = yield* connect(endpoint)
        assert.deepStrictEqual(yield* connection.request("Produce", produce(-1)), { topics: [] })
        assert.deepStrictEqual(yield* Deferred.await(received), {
          transactionalId: "tx",
          acks: -1,
          timeoutMs: 7,
          topics: [
            {
              topic: "a",
              partitions: [
                [0, "first"],
                [1, "second".repeat(1000)]
              ]
            },
            { topic: "b", partitions: [[5, "third"]] }
          ],
          remaining: 0
        })
      })
    )

    it.scoped("without acknowledgement ends when written, and takes no other request's response", () =>
      Effect.gen(function* () {
        const endpoint = yield* TcpBroker.listen({
          onRequest: ({ apiKey, reply }) => {
            if (apiKey === apis.Heartbeat.key) reply(heartbeat(3))
          }
        })
        const connection = yield* connect(endpoint)
        const { topics } = yield* connection.request("Produce", produce(0))
        assert.deepStrictEqual(topics[1]?.partitions, [
          { partition: 5, errorCode: 0, baseOffset: -1, logAppendTimeMs: -1 }
        ])
        assert.strictEqual((yield* connection.request("Heartbeat", member)).errorCode, 3)
      })
    )
  })

  describe("closing the scope", () => {
    it.scoped("destroys the connection at once and fails pending requests", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<void>()
        const { endpoint, closed } = yield* listenForClose({ onRequest: () => Deferred.unsafeDone(asked, Effect.void) })
        const scope = yield* Scope.make()
        const connection = yield* Scope.extend(connect(endpoint), scope)
        const pending = yield* Effect.fork(reasonOf(connection.request("JoinGroup", joinGroup)))
        yield* Deferred.await(asked)
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* Fiber.join(pending), { reason: "Disconnected", api: "JoinGroup" })
        assert.strictEqual((yield* connection.closed).reason, "Disconnected")
        yield* closed
      })
    )
  })
})
