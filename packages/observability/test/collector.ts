/** An OTLP receiver for tests: an HTTP server that decodes the JSON exported to it. */
import * as Http from "node:http"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Request {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 1 internal, 4 producer, 5 consumer. */
  readonly kind: number
  readonly attributes: Attributes
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  /** 1 ok, 2 error. */
  readonly status: number
  readonly start: bigint
  readonly end: bigint
  readonly resource: Attributes
}

export interface Collector {
  readonly url: string
  readonly requests: Array<Request>
  /** The responses to the next requests; 200 after that. `undefined` means no response at all. */
  readonly answers: Array<number | undefined>
  readonly spans: () => ReadonlyArray<OtlpSpan>
  /** The last values of metrics as `name{label=value,…}`; a histogram's value is its count. */
  readonly metrics: () => Readonly<Record<string, number>>
  readonly logs: () => ReadonlyArray<{ readonly body: string; readonly attributes: Attributes }>
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, string | number | boolean>>
}

interface Resource {
  readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
}

/** The parts of OTLP's JSON that the tests read. */
interface Bodies {
  readonly traces: {
    readonly resourceSpans: ReadonlyArray<
      Resource & {
        readonly scopeSpans: ReadonlyArray<{
          readonly spans: ReadonlyArray<
            Pick<OtlpSpan, "traceId" | "spanId" | "parentSpanId" | "name" | "kind" | "links"> & {
              readonly attributes: ReadonlyArray<KeyValue>
              readonly status: { readonly code: number }
              readonly startTimeUnixNano: string
              readonly endTimeUnixNano: string
            }
          >
        }>
      }
    >
  }
  readonly metrics: {
    readonly resourceMetrics: ReadonlyArray<{
      readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<MetricData> }>
    }>
  }
  readonly logs: {
    readonly resourceLogs: ReadonlyArray<{
      readonly scopeLogs: ReadonlyArray<{
        readonly logRecords: ReadonlyArray<{
          readonly body: { readonly stringValue: string }
          readonly attributes: ReadonlyArray<KeyValue>
        }>
      }>
    }>
  }
}

interface Points {
  readonly dataPoints: ReadonlyArray<{
    readonly attributes: ReadonlyArray<KeyValue>
    readonly count?: number
    readonly asDouble?: number
    readonly asInt?: number
  }>
}

interface MetricData {
  readonly name: string
  readonly sum?: Points
  readonly gauge?: Points
  readonly histogram?: Points
}

const attributesOf = (all: ReadonlyArray<KeyValue>): Attributes =>
  Object.fromEntries(all.map(({ key, value }) => [key, Object.values(value)[0]!]))

const parse = <Signal extends keyof Bodies>(
  requests: ReadonlyArray<Request>,
  signal: Signal
): ReadonlyArray<Bodies[Signal]> =>
  requests.filter(({ path }) => path === `/v1/${signal}`).map(({ body }) => JSON.parse(body.toString("utf8")))

const spansOf = (requests: ReadonlyArray<Request>): ReadonlyArray<OtlpSpan> =>
  parse(requests, "traces")
    .flatMap(({ resourceSpans }) => resourceSpans)
    .flatMap(({ resource, scopeSpans }) =>
      scopeSpans
        .flatMap(({ spans }) => spans)
        .map(({ attributes, endTimeUnixNano, startTimeUnixNano, status, ...span }) => ({
          ...span,
          attributes: attributesOf(attributes),
          status: status.code,
          start: BigInt(startTimeUnixNano),
          end: BigInt(endTimeUnixNano),
          resource: attributesOf(resource.attributes)
        }))
    )

const metricsOf = (requests: ReadonlyArray<Request>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    parse(requests, "metrics")
      .flatMap(({ resourceMetrics }) => resourceMetrics)
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
      .flatMap(({ gauge, histogram, name, sum }) =>
        (sum ?? gauge ?? histogram)!.dataPoints.map(({ asDouble, asInt, attributes, count }): [string, number] => {
          const labels = Object.entries(attributesOf(attributes)).map((label) => label.join("="))
          return [`${name}{${labels.join(",")}}`, (count ?? asDouble ?? asInt)!]
        })
      )
  )

const logsOf = (requests: ReadonlyArray<Request>) =>
  parse(requests, "logs")
    .flatMap(({ resourceLogs }) => resourceLogs)
    .flatMap(({ scopeLogs }) => scopeLogs)
    .flatMap(({ logRecords }) => logRecords)
    .map(({ attributes, body }) => ({ body: body.stringValue, attributes: attributesOf(attributes) }))

/** Listens until the scope closes. */
export const make: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const requests: Array<Request> = []
  const answers: Array<number | undefined> = []
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk) => chunks.push(chunk))
    request.on("end", () => {
      requests.push({ path: request.url!, headers: request.headers, body: Buffer.concat(chunks) })
      const status = answers.length === 0 ? 200 : answers.shift()
      if (status !== undefined) response.writeHead(status, { "content-type": "application/json" }).end("{}")
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    answers,
    spans: () => spansOf(requests),
    metrics: () => metricsOf(requests),
    logs: () => logsOf(requests)
  }
})
