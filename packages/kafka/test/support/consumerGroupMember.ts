/**
 * A minimal member of the new group protocol (KIP-848), for tests beside classic members: it sends ConsumerGroupHeartbeat
 * v1 every 200 ms.
 */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import { decodeOptions } from "../../src/internal/settings/connectionSettings.js"
import * as Flexible from "../../src/internal/wire/flexible.js"
import { openLink } from "../../src/internal/wire/socket.js"
import { nameOf } from "../../src/KafkaErrorCode.js"
import type { Wire, WireError } from "../../src/Wire.js"

export interface ConsumerGroupMember {
  /** The partitions of its topic that it owns. */
  readonly owned: () => ReadonlyArray<number>
  readonly leave: Effect.Effect<void, WireError>
}

const intervalMs = 200

export const join = Effect.fnUntraced(function* (
  brokers: string,
  groupId: string,
  topic: string
): Effect.fn.Return<ConsumerGroupMember, WireError | Error, Wire | Scope.Scope> {
  const cluster = yield* Cluster.make
  const [metadata] = yield* cluster.refresh([topic])
  const topicId = Buffer.from(metadata!.topicId, "base64url")
  const { options } = decodeOptions({ brokers: brokers.split(",") })
  const link = yield* Effect.acquireRelease(
    Effect.sync(() => openLink(options.bootstrap[0]!, options)),
    (link) => Effect.sync(() => link.destroy("the test is over"))
  )
  link.ready()
  const memberId = randomBytes(16).toString("base64url")
  let epoch = 0
  let owned: ReadonlyArray<number> = []

  const send = (memberEpoch: number, acknowledged: ReadonlyArray<number> | undefined) =>
    link.send({
      key: 68,
      version: 1,
      waitMs: 0,
      encode: (out) => {
        const isJoin = memberEpoch === 0
        Flexible.writeTags(out)
        Flexible.writeString(out, groupId)
        Flexible.writeString(out, memberId)
        out.writeInt32(memberEpoch)
        Flexible.writeString(out, null) // instance id
        Flexible.writeString(out, null) // rack
        out.writeInt32(isJoin ? 5_000 : -1)
        Flexible.writeArray(out, isJoin ? [topic] : null, (name) => Flexible.writeString(out, name))
        Flexible.writeString(out, null) // regular expression
        Flexible.writeString(out, null) // assignor
        const held = acknowledged === undefined ? null : acknowledged.length === 0 ? [] : [acknowledged]
        Flexible.writeArray(out, held, (partitions) => {
          out.writeBuffer(topicId)
          Flexible.writeArray(out, partitions, (partition) => out.writeInt32(partition))
          Flexible.writeTags(out)
        })
        Flexible.writeTags(out)
        return []
      },
      decode: (reader) => {
        Flexible.skipTags(reader)
        const throttleTimeMs = reader.int32()
        const errorCode = reader.int16()
        Flexible.readNullableString(reader) // error message
        Flexible.readNullableString(reader) // member id
        const memberEpoch = reader.int32()
        reader.int32() // heartbeat interval
        const assignment =
          reader.view(1)[0] !== 1
            ? undefined
            : Flexible.readArray(reader, (each) => {
                each.skip(16)
                const partitions = Flexible.readArray(each, (inner) => inner.int32())
                Flexible.skipTags(each)
                return partitions
              }).flat()
        return { throttleTimeMs, response: { errorCode, memberEpoch, assignment } }
      }
    })

  const beat = Effect.fnUntraced(function* (acknowledged?: ReadonlyArray<number>) {
    let answer = yield* send(epoch, acknowledged)
    while (true) {
      if (answer.errorCode !== 0) return yield* Effect.fail(new Error(`the member got ${nameOf(answer.errorCode)}`))
      epoch = answer.memberEpoch
      if (answer.assignment === undefined) return
      owned = answer.assignment
      answer = yield* send(epoch, owned)
    }
  })

  yield* beat([])
  const beating = yield* Effect.forkScoped(Effect.forever(Effect.delay(beat(), intervalMs)))
  return {
    owned: () => owned,
    leave: Effect.zipRight(beating.interruptAsFork(beating.id()), Effect.asVoid(send(-1, undefined)))
  }
})
