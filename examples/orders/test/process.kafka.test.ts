import { afterEach, assert, it } from "@effect/vitest"
import { describeKafka } from "../../../scripts/kafka/testing.js"
import { committed, everyKind, nextLongWait, type Program, start } from "./program.js"

const programs: Array<Program> = []

afterEach(() => {
  for (const program of programs.splice(0)) program.dispose()
})

const run = (brokers: string): Program => {
  const program = start({ KAFKA_BROKERS: brokers })
  programs.push(program)
  return program
}

describeKafka("npm start, on Kafka", (brokers) => {
  it("continues where it stopped: no order is lost and none is settled twice", { timeout: 120_000 }, async () => {
    const first = run(brokers)
    await everyKind(first)
    const waiting = await nextLongWait(first)
    const end = await first.terminate()
    assert.strictEqual(end.code, 0)
    assert.isBelow(end.millis, 2000)
    assert.strictEqual(committed(first).get(`orders-${waiting["partition"]}`), Number(waiting["offset"]))

    const second = run(brokers)
    await second.line(({ message, order }) => message === "Order paid" && order === waiting["eventId"])
    await everyKind(second)
    await nextLongWait(second)
    assert.strictEqual((await second.terminate()).code, 0)

    const log = [...first.log, ...second.log]
    const paid = log.flatMap(({ message, order }) => (message === "Order paid" ? [order!] : []))
    const letters = log.flatMap(({ eventId, message }) => (message === "Dead letter needs attention" ? [eventId!] : []))
    assert.strictEqual(new Set(paid).size, paid.length, "an order was paid twice")
    assert.strictEqual(new Set(letters).size, letters.length, "a dead letter was read twice")

    const settled = committed(second)
    const placed = log.filter(({ message, offset, partition }) => {
      return message === "Order placed" && Number(offset) < settled.get(`orders-${partition}`)!
    })
    assert.isAtLeast(placed.length, 8)
    for (const { card, order } of placed) {
      if (card !== "stolen") assert.include(paid, order, `order ${order} was lost`)
      else
        assert.include(
          log.map(({ message, eventId }) => `${eventId} ${message}`),
          `${order} Handling failed permanently; publishing a dead letter`
        )
    }
  })
})
