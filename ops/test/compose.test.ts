import { assert, describe, it } from "@effect/vitest"
import { read } from "../../scripts/docs/files.js"

/** The value of an environment variable of the Kafka service, as a map from listener to address. */
const listeners = (compose: string, name: string): ReadonlyMap<string, string> => {
  const value = new RegExp(`^ +${name}: (.+)$`, "m").exec(compose)?.[1] ?? ""
  return new Map(value.split(",").map((one) => one.split(/:(?:\/\/)?(.*)/).slice(0, 2) as [string, string]))
}

describe("ops/compose.yaml", () => {
  it("has a port for programs on the host, which Kafka advertises", () => {
    const compose = read("ops/compose.yaml")!
    const kafka = /^ {2}kafka:\n(?: {4}.*\n|\n)+/m.exec(compose)![0]
    const [, hostPort, containerPort] = /ports:\n +- "(\d+):(\d+)"/.exec(kafka) ?? []
    assert.strictEqual(listeners(kafka, "KAFKA_LISTENERS").get("HOST"), `:${containerPort}`)
    assert.strictEqual(listeners(kafka, "KAFKA_ADVERTISED_LISTENERS").get("HOST"), `localhost:${hostPort}`)
    assert.strictEqual(listeners(kafka, "KAFKA_ADVERTISED_LISTENERS").get("PLAINTEXT"), "kafka:9092")
    const protocols = listeners(kafka, "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP")
    for (const name of listeners(kafka, "KAFKA_LISTENERS").keys()) assert.strictEqual(protocols.get(name), "PLAINTEXT")
  })
})
