/** Failures that are hard to render. Tests of logs, dead letters and traces fail handlers with them. */
import { TemporaryError } from "@spillway/transport/HandlerError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"

const throwing = (property: string, target: object = new Error("readable")): object =>
  Object.defineProperty(target, property, {
    enumerable: true,
    get: () => {
      throw new Error(`${property} can't be read`)
    }
  })

const revoked = (target: object): object => {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

const refuse = (): never => {
  throw new Error("refused by the proxy")
}

/** A proxy that is an instance of its target's class. */
export const unreadable = (target: object): object => new Proxy(target, { get: refuse })

const nested = (depth: number, wrap: (cause: unknown) => unknown): unknown => {
  let error: unknown = new Error("innermost")
  for (let i = 0; i < depth; i++) error = wrap(error)
  return error
}

const itself = (): Error => {
  const error = new Error("circular")
  error.cause = error
  return error
}

const pair = (): Error => {
  const [one, other] = [new Error("one"), new Error("other")]
  one.cause = other
  other.cause = one
  return one
}

class Overridden extends Data.TaggedError("Overridden")<{ readonly id: number }> {
  override get message(): string {
    throw new Error("message can't be read")
  }
}

/** Each is made on demand: some are large. */
export const errors: Readonly<Record<string, () => unknown>> = {
  "a bigint in a tagged object": () => ({ _tag: "NotFound", orderId: 123n }),
  "a bigint in an object": () => ({ orderId: 123n }),
  "a bigint": () => 123n,
  "an error that is its own cause": itself,
  "two errors that are each other's cause": pair,
  "a cyclic object": () => Object.assign(Object.create(null), { self: [] }),
  "a message that throws": () => throwing("message"),
  "a message of a class that throws": () => new Overridden({ id: 1 }),
  "a toJSON that throws": () => throwing("toJSON"),
  "a toJSON that throws, of an object": () => ({ toJSON: refuse }),
  "a name that throws": () => throwing("name"),
  "a _tag that throws": () => throwing("_tag", {}),
  "a _tag that throws, of an error": () => throwing("_tag"),
  "a stack that throws": () => throwing("stack"),
  "a cause that throws": () => throwing("cause"),
  "a toString that throws": () => ({ toString: refuse }),
  "a field that throws": () => throwing("field", {}),
  "a name that is an object": () => Object.assign(new Error("named"), { name: Object.create(null) }),
  "a message that is a symbol": () => Object.assign(new Error("x"), { message: Symbol("text") }),
  "20,000 nested causes": () => nested(20_000, (cause) => new Error("outer", { cause })),
  "20,000 nested objects": () => nested(20_000, (inner) => ({ inner })),
  "an aggregate of a million errors": () => new AggregateError(Array<Error>(1_000_000).fill(new Error("one of many"))),
  "a message of 50 MB": () => new Error("x".repeat(50_000_000)),
  "a message of control characters": () => new Error("\u0000\u001b".repeat(100_000)),
  "a text of 50 MB": () => "x".repeat(50_000_000),
  "an object of 200,000 fields": () => Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`f${i}`, i])),
  "a buffer of 50 MB": () => ({ body: Buffer.alloc(50_000_000) }),
  "a proxy that refuses everything": () =>
    new Proxy(new Error("hidden"), {
      get: refuse,
      has: refuse,
      ownKeys: refuse,
      getPrototypeOf: refuse,
      getOwnPropertyDescriptor: refuse
    }),
  "a TemporaryError whose proxy refuses reads": () => unreadable(new TemporaryError({ cause: "busy" })),
  "an aggregate of unknowable length": () =>
    Object.defineProperty(new AggregateError([]), "errors", { value: { length: Symbol("length") } }),
  "a revoked proxy": () => revoked({}),
  "a revoked proxy of a function": () => revoked(() => {}),
  "an object without a prototype": () => Object.assign(Object.create(null), { code: 7 }),
  "a symbol": () => Symbol("failed"),
  "a function": () => refuse,
  undefined: () => undefined,
  null: () => null
}

const deep = (
  join: (left: Cause.Cause<string>, right: Cause.Cause<string>) => Cause.Cause<string>,
  onLeft: boolean
) => {
  let cause: Cause.Cause<string> = Cause.fail("innermost")
  for (let i = 0; i < 100_000; i++) {
    cause = onLeft ? join(cause, Cause.die(i)) : join(Cause.die(i), cause)
  }
  return cause
}

const doubled = (): Cause.Cause<string> => {
  let cause: Cause.Cause<string> = Cause.die("doubled")
  for (let i = 0; i < 60; i++) cause = Cause.parallel(cause, cause)
  return cause
}

export const causes: Readonly<Record<string, () => Cause.Cause<unknown>>> = {
  ...Object.fromEntries(Object.entries(errors).map(([name, error]) => [name, () => Cause.fail(error())])),
  "a defect that throws when rendered": () => Cause.die(throwing("message")),
  "a cause of 100,000 in parallel, to the left": () => deep(Cause.parallel, true),
  "a cause of 100,000 in sequence, to the right": () => deep(Cause.sequential, false),
  "a cause that doubles 60 times": doubled
}
