/**
 * What a protected server tells OpenTelemetry: a span for each verification, and metrics. Here they are printed; a
 * deployment gives `NodeSdk.layer` an exporter of its own.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { AccessToken, BearerAuth, ResourceServer } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import * as AuthorizationServer from "../mcp/authorizationServer.ts"
import { freePorts } from "../mcp/ports.ts"
import { requestToken, tamper } from "../mcp/requests.ts"

const client = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }

const spans = new InMemorySpanExporter()
const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: metrics })

const Telemetry = NodeSdk.layer(() => ({
  resource: { serviceName: "notes" },
  spanProcessor: new SimpleSpanProcessor(spans),
  metricReader: reader
}))

const hello = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(`hello ${subject}`))

const server = (issuer: string, port: number) =>
  HttpLayerRouter.serve(BearerAuth.add("GET", "/", hello).pipe(Layer.provide(BearerAuth.layer)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(ResourceServer.layer({ issuer, baseUrl: `http://127.0.0.1:${port}`, path: "/notes" })),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1" })),
    Layer.provide(Telemetry)
  )

const main = Effect.gen(function* () {
  const [port = 0] = yield* freePorts(1)
  const resource = `http://127.0.0.1:${port}/notes`
  const home = yield* AuthorizationServer.start({ resources: { [resource]: ["notes:read"] }, clients: [client] })
  const token = yield* requestToken(home, client, resource, "notes:read")
  const get = (token: string) =>
    Effect.promise(() => fetch(resource, { headers: { authorization: `Bearer ${token}` } }).then((one) => one.text()))

  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* Layer.build(server(home.issuer, port))
      yield* Effect.replicateEffect(get(token), 3)
      yield* get(tamper(token))
      yield* Effect.promise(() => reader.forceFlush())
      console.log("Spans\n")
      for (const root of roots()) printSpan(root)
      console.log("Metrics\n")
      printMetrics()
    })
  )
})

const byStart = (one: ReadableSpan, other: ReadableSpan) => hr(one.startTime) - hr(other.startTime)
const hr = ([seconds, nanos]: readonly [number, number]) => seconds * 1e3 + nanos / 1e6

const finished = () => spans.getFinishedSpans().toSorted(byStart)
const childrenOf = (id: string) => finished().filter(({ parentSpanContext }) => parentSpanContext?.spanId === id)
const roots = () => finished().filter(({ parentSpanContext }) => parentSpanContext === undefined)

const printSpan = (span: ReadableSpan, depth = 1): void => {
  const indent = "  ".repeat(depth)
  const oauth = Object.entries(span.attributes).filter(([name]) => name.startsWith("oauth."))
  console.log(`${indent}${span.name}`)
  for (const [name, value] of oauth) console.log(`${indent}    ${name} = ${String(value)}`)
  for (const child of childrenOf(span.spanContext().spanId)) printSpan(child, depth + 1)
  if (depth === 1) console.log()
}

const printMetrics = () => {
  const [latest] = metrics.getMetrics().slice(-1)
  for (const { dataPoints, descriptor } of latest?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? []) {
    if (!descriptor.name.startsWith("oauth_")) continue
    for (const { attributes, value } of dataPoints) {
      console.log(`  ${descriptor.name} ${String(attributes["key"] ?? "")} ${String(value)}`)
    }
  }
}

NodeRuntime.runMain(Effect.scoped(main))
