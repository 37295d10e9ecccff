import { inspect } from "node:util"
import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import { ConsumerError } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer, ProducerError } from "@spillway/transport/Producer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { afterAll, beforeAll } from "vitest"
import { type Broker, describeOwnKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import { type Role, Wire } from "../../src/Wire.js"
import * as Fixture from "../support/fixture.js"
import * as Journal from "../support/journal.js"
import * as Security from "../support/security.js"

type Options = Omit<KafkaJsWire.KafkaJsWireOptions, "brokers">

const metadata = Effect.fnUntraced(function* (at: string, options: Options) {
  const wire = yield* Effect.orDie(KafkaJsWire.make({ brokers: [at], ...options }))
  const connection = yield* wire.connect(wire.bootstrap[0]!, "data")
  return yield* connection.request("Metadata", { topics: [] })
}, Effect.scoped)

/** The error of connecting and sending a request, within a time that a user would wait. */
const refusal = (at: string, options: Options) =>
  Effect.orDie(Fixture.within("the refusal", "5 seconds")(Effect.flip(metadata(at, options))))

const wrong = "wr0ng secret"

const hasNoSecret = (rendered: string): void => {
  for (const secret of [wrong, Security.secret, Security.keyPassphrase]) assert.notInclude(rendered, secret)
}

/** A journal, and all that loggers would print, including causes. */
const makeJournal = () => {
  const journal = Journal.make()
  const lines: Array<string> = []
  const keep = (line: string) => {
    lines.push(line)
  }
  const layer = Layer.mergeAll(
    journal.layer,
    Logger.add(Logger.map(Logger.jsonLogger, keep)),
    Logger.add(Logger.map(Logger.stringLogger, keep))
  )
  return { ...journal, layer, lines }
}

/** All ways to print a failure. */
const render = (error: unknown): string =>
  [
    String(error),
    inspect(error, { depth: 20, showHidden: true }),
    JSON.stringify(error),
    Cause.pretty(Cause.fail(error), { renderErrorCause: true })
  ].join("\n")

describeOwnKafka("KafkaJsWire on a broker with security", () => {
  let broker: Broker
  let certificates: Security.Certificates
  const scope = Effect.runSync(Scope.make())
  const listener = (name: string): string => broker.listeners[name]!

  beforeAll(async () => {
    certificates = await Effect.runPromise(Scope.extend(Security.makeCertificates, scope))
    broker = await Effect.runPromise(Scope.extend(Security.makeSecureBroker(certificates), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const ways: Readonly<Record<string, () => readonly [string, Options]>> = {
    "SASL plain": () => ["SASL", { sasl: Security.password("plain") }],
    "SASL scram-sha-256": () => ["SASL", { sasl: Security.password("scram-sha-256") }],
    "SASL scram-sha-512": () => ["SASL", { sasl: Security.password("scram-sha-512") }],
    "SASL oauthbearer": () => ["OAUTH", { sasl: Security.oauth() }],
    TLS: () => ["TLS", { tls: { ca: certificates.ca } }],
    "TLS 1.3 with another name of the broker": () => [
      "TLS",
      { tls: { ca: [certificates.otherCa, certificates.ca], servername: "localhost", minVersion: "TLSv1.3" } }
    ],
    "TLS with any server": () => ["TLS", { tls: { rejectUnauthorized: false } }],
    "mutual TLS": () => [
      "MUTUAL",
      { tls: { ca: certificates.ca, cert: certificates.clientCert, key: Redacted.make(certificates.clientKey) } }
    ],
    "mutual TLS with an encrypted key": () => [
      "MUTUAL",
      {
        tls: {
          ca: certificates.ca,
          cert: certificates.clientCert,
          key: Redacted.make(certificates.encryptedClientKey),
          passphrase: Redacted.make(Security.keyPassphrase)
        }
      }
    ],
    "SASL over TLS": () => ["BOTH", { tls: { ca: certificates.ca }, sasl: Security.password("scram-sha-512") }]
  }

  for (const [name, way] of Object.entries(ways)) {
    it.effect(`connects by ${name}`, () =>
      Effect.gen(function* () {
        const [at, options] = way()
        const { brokers } = yield* metadata(listener(at), options)
        assert.deepStrictEqual(
          brokers.map(({ host, port }) => `${host}:${port}`),
          [listener(at)]
        )
      })
    )
  }

  interface Refused {
    readonly at: string
    readonly options: () => Options
    readonly reason: string
    readonly says: ReadonlyArray<string>
  }

  const refused: Readonly<Record<string, Refused>> = {
    ...Object.fromEntries(
      (["plain", "scram-sha-256", "scram-sha-512"] as const).map((mechanism) => [
        `a wrong password by ${mechanism}`,
        {
          at: "SASL",
          options: () => ({ sasl: Security.password(mechanism, wrong) }),
          reason: "Authentication",
          says: [mechanism, Security.username]
        }
      ])
    ),
    "a token that has expired": {
      at: "OAUTH",
      options: () => ({ sasl: Security.oauth(-600) }),
      reason: "Authentication",
      says: ["oauthbearer", "invalid_token"]
    },
    "a mechanism that is not enabled": {
      at: "REAUTH",
      options: () => ({ sasl: Security.password("scram-sha-256") }),
      reason: "Authentication",
      says: ["scram-sha-256", "the broker supports PLAIN"]
    },
    "SASL where there is none": {
      at: "PLAINTEXT",
      options: () => ({ sasl: Security.password("plain") }),
      reason: "Authentication",
      says: ["SASL"]
    },
    "a missing SASL": {
      at: "SASL",
      options: () => ({}),
      reason: "Disconnected",
      says: ["does its listener ask for SASL?"]
    },
    "a missing TLS": {
      at: "TLS",
      options: () => ({}),
      reason: "Malformed",
      says: ["without TLS"]
    },
    "TLS where there is none": {
      at: "PLAINTEXT",
      options: () => ({ tls: true }),
      reason: "ConnectFailed",
      says: ["TLS"]
    },
    "a broker whose certificate has no trusted signer": {
      at: "TLS",
      options: () => ({ tls: { ca: certificates.otherCa } }),
      reason: "Authentication",
      says: ["certificate"]
    },
    "a broker that Node itself doesn't trust": {
      at: "TLS",
      options: () => ({ tls: true }),
      reason: "Authentication",
      says: ["certificate"]
    },
    "a broker whose certificate is for another host": {
      at: "TLS",
      options: () => ({ tls: { ca: certificates.ca, servername: "kafka.example" } }),
      reason: "Authentication",
      says: ["kafka.example"]
    },
    "a client without a certificate": {
      at: "MUTUAL",
      options: () => ({ tls: { ca: certificates.ca } }),
      reason: "Authentication",
      says: ["certificate"]
    },
    "a wrong password over TLS": {
      at: "BOTH",
      options: () => ({ tls: { ca: certificates.ca }, sasl: Security.password("scram-sha-512", wrong) }),
      reason: "Authentication",
      says: ["scram-sha-512", Security.username]
    }
  }

  for (const [name, { at, options, reason, says }] of Object.entries(refused)) {
    it.live(`fails fast, typed and without its secrets on ${name}`, () =>
      Effect.gen(function* () {
        const to = at === "PLAINTEXT" ? broker.bootstrap : listener(at)
        const error = yield* refusal(to, options())
        assert.deepStrictEqual([error.reason, error.endpoint], [reason, to], error.message)
        for (const part of says) assert.include(error.message, part)
        hasNoSecret(render(error))
      })
    )
  }

  const topics = (journal: Journal.Journal) =>
    Effect.provide(Fixture.createTopic(1), Layer.provideMerge(wireOf("PLAINTEXT", {}), journal.layer))

  const wireOf = (at: string, options: Options, ...others: ReadonlyArray<string>) =>
    KafkaJsWire.layer({ brokers: [at === "PLAINTEXT" ? broker.bootstrap : listener(at), ...others], ...options })

  const consume = <R>(topic: string, handled: Fixture.Tally, deadLetter: DeadLetter.DeadLetterPolicy<R>) =>
    KafkaConsumer.run({
      groupId: uniqueName("group"),
      topics: [topic],
      value: Codec.text,
      handler: (envelope) => Effect.sync(() => handled.add(envelope)),
      deadLetter
    })

  it.live("a consumer and a producer work by SASL over TLS", () =>
    Effect.gen(function* () {
      const journal = makeJournal()
      const topic = yield* topics(journal)
      const handled = Fixture.tally()
      yield* Effect.gen(function* () {
        yield* Fixture.produce(topic, 1, 100)
        yield* Effect.raceFirst(consume(topic, handled, DeadLetter.none("stop")), handled.reaches(100))
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            KafkaProducer.layer(),
            wireOf("BOTH", { tls: { ca: certificates.ca }, sasl: Security.password("scram-sha-512") })
          )
        ),
        Effect.provide(journal.layer)
      )
      assert.strictEqual(handled.duplicates(), 0)
      hasNoSecret(journal.lines.join())
    })
  )

  it.live("a wrong password fails a consumer, a producer and the check of a dead letter topic, typed and at once", () =>
    Effect.gen(function* () {
      const journal = makeJournal()
      const topic = yield* topics(journal)
      // An unreachable second broker doesn't hide this one's error.
      const refusedWire = wireOf("SASL", { sasl: Security.password("scram-sha-256", wrong) }, "127.0.0.1:1")
      const refusedProducer = Layer.provideMerge(KafkaProducer.layer(), refusedWire)
      const failure = <A, E>(what: string, effect: Effect.Effect<A, E>) =>
        Fixture.within(what, "5 seconds")(Effect.flip(effect)).pipe(Effect.provide(journal.layer))

      const consumed = yield* failure(
        "the consumer's failure",
        Effect.provide(consume(topic, Fixture.tally(), DeadLetter.none("stop")), refusedProducer)
      )
      assert.instanceOf(consumed, ConsumerError)
      assert.include(consumed, { reason: "Authorization" })

      const sent = yield* failure(
        "the producer's failure",
        Effect.provide(
          Effect.flatMap(Producer, (producer) => producer.send({ topic, value: "a" })),
          refusedProducer
        )
      )
      assert.instanceOf(sent, ProducerError)
      assert.include(sent, { reason: "Authorization" })

      const checked = yield* failure(
        "the check's failure",
        consume(topic, Fixture.tally(), DeadLetter.topic(`${topic}-dlq`)).pipe(
          Effect.provide(Layer.provide(KafkaProducer.layer(), refusedWire)),
          Effect.provide(wireOf("SASL", { sasl: Security.password("scram-sha-256") }))
        )
      )
      assert.instanceOf(checked, ConsumerError)
      assert.include(checked, { reason: "Authorization" })
      assert.include(checked.message, "Authentication")

      for (const failure of [consumed, sent, checked]) hasNoSecret(render(failure))
      hasNoSecret(journal.lines.join())
      assert.include(journal.lines.join(), "invalid credentials")
    })
  )

  it.live("a consumer without SASL on a SASL listener logs it once, and waits", () =>
    Effect.gen(function* () {
      const journal = makeJournal()
      const topic = yield* topics(journal)
      const running = consume(topic, Fixture.tally(), DeadLetter.none("stop")).pipe(
        Effect.provide(Layer.provideMerge(KafkaProducer.layer(), wireOf("SASL", {}))),
        Effect.provide(journal.layer)
      )
      yield* Effect.raceFirst(running, journal.logged("The broker can't be reached"))
      assert.include(journal.lines.join(), "does its listener ask for SASL?")
    })
  )

  it.live("connections are replaced before their sessions end, without errors in a consumer and a producer", () =>
    Effect.gen(function* () {
      const journal = makeJournal()
      const topic = yield* topics(journal)
      const handled = Fixture.tally()
      const opened = new Map<Role, number>()
      const ends: Array<string> = []
      const changed = Signal.make()
      const watched = Layer.effect(
        Wire,
        Effect.map(Wire, (wire) =>
          Wire.of({
            ...wire,
            connect: (endpoint, role) =>
              Effect.tap(wire.connect(endpoint, role), (connection) => {
                opened.set(role, (opened.get(role) ?? 0) + 1)
                changed.notify()
                return Effect.forkDaemon(
                  Effect.map(connection.closed, ({ description }) => {
                    ends.push(description)
                  })
                )
              })
          })
        )
      ).pipe(Layer.provide(wireOf("REAUTH", { sasl: Security.password("plain") })))
      const several = Effect.gen(function* () {
        const roles: ReadonlyArray<Role> = ["fetch", "group", "data"]
        while (!roles.every((role) => (opened.get(role) ?? 0) >= 4)) yield* changed.wait()
      })
      let sent = 0
      yield* Effect.gen(function* () {
        const producing = Effect.forever(
          Effect.suspend(() => Fixture.produce(topic, 1, 1, sent++)).pipe(Effect.zipLeft(Effect.sleep("20 millis")))
        )
        const consuming = consume(topic, handled, DeadLetter.none("stop"))
        yield* Effect.raceFirst(
          consuming,
          Effect.gen(function* () {
            yield* Effect.raceFirst(producing, Fixture.within("several sessions", "25 seconds")(several))
            yield* handled.reaches(sent - 1)
          })
        )
      }).pipe(
        Effect.provide(Layer.provideMerge(KafkaProducer.layer(), watched)),
        Effect.provide(journal.layer),
        Effect.tapErrorCause(() => Effect.sync(journal.print))
      )
      assert.isAbove(handled.times.size, 50)
      assert.strictEqual(handled.duplicates(), 0)
      assert.deepStrictEqual(
        ends.filter((end) => end !== "closed by the client" && !end.startsWith("retired")),
        []
      )
      assert.deepStrictEqual(
        journal.entries.map(({ message }) => message).filter((message) => message.includes("failed")),
        []
      )
    })
  )
})
