import { assert, describe, it } from "@effect/vitest"
import * as Decisions from "../../src/internal/transaction/decisions.js"
import { KafkaErrorCode, type KafkaErrorName } from "../../src/KafkaErrorCode.js"

const expected: Readonly<Record<string, ReadonlyArray<KafkaErrorName>>> = {
  Ok: ["NONE"],
  Retry: ["CONCURRENT_TRANSACTIONS", "COORDINATOR_LOAD_IN_PROGRESS", "UNKNOWN_TOPIC_OR_PARTITION", "REQUEST_TIMED_OUT"],
  FindCoordinator: ["NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE"],
  Fenced: ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"],
  Expired: ["INVALID_PRODUCER_ID_MAPPING"],
  "Abort NotMember": ["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"],
  "Abort Authorization": ["TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"],
  "Abort Aborted": ["INVALID_TXN_STATE", "OFFSET_METADATA_TOO_LARGE", "UNKNOWN_SERVER_ERROR"],
  "Fatal Authorization": ["TRANSACTIONAL_ID_AUTHORIZATION_FAILED"],
  "Fatal Refused": ["INVALID_TRANSACTION_TIMEOUT"],
  "Fatal UnsupportedBroker": ["UNSUPPORTED_VERSION"]
}

describe("A transactional producer's reaction to", () => {
  for (const [reaction, names] of Object.entries(expected)) {
    for (const name of names) {
      it(`${name}: ${reaction}`, () => {
        const found = Decisions.onCode(KafkaErrorCode[name])
        assert.strictEqual("reason" in found ? `${found._tag} ${found.reason}` : found._tag, reaction)
      })
    }
  }

  it("INVALID_TXN_STATE to an abort: none, since no transaction is open", () => {
    assert.deepStrictEqual(Decisions.onAbort(KafkaErrorCode.INVALID_TXN_STATE), { _tag: "Ok" })
    assert.deepStrictEqual(Decisions.onAbort(KafkaErrorCode.PRODUCER_FENCED), { _tag: "Fenced" })
  })
})
