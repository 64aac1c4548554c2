/**
 * Clients that follow redirects of a real server on 127.0.0.1 in different ways.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { fetchJson } from "../../src/issuer/fetchJson.ts"

/** A server that answers `/jwks` with a key set, and redirects all other paths as the test says. */
const serve = (location: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Http.createServer((request, response) =>
        request.url?.startsWith("/jwks") === true
          ? response.end('{"keys":[]}')
          : response.writeHead(302, { location }).end()
      )
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` }
    }),
    ({ server }) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
  )

type Fetch = typeof globalThis.fetch

const changed = (change: (client: HttpClient.HttpClient) => HttpClient.HttpClient, to = FetchHttpClient.layer) =>
  Layer.provide(Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, change)), to)

const fetching = (fetch: Fetch) => Layer.provide(FetchHttpClient.layer, Layer.succeed(FetchHttpClient.Fetch, fetch))

const byItself: Fetch = (url, init) => fetch(url, { ...init, redirect: "follow" })

const byHand: Fetch = async (url, init) => {
  const response = await fetch(url, init)
  const location = response.headers.get("location")
  return location === null ? response : fetch(new URL(location, response.url), init)
}

const dispatcher = Layer.sync(NodeHttpClient.Dispatcher, () =>
  new Undici.Agent().compose(Undici.interceptors.redirect({ maxRedirections: 3 }))
)

const clients: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>, follows: boolean]> = [
  ["FetchHttpClient", FetchHttpClient.layer, false],
  ["NodeHttpClient", NodeHttpClient.layer, false],
  ["NodeHttpClient on undici", NodeHttpClient.layerUndici, false],
  ["followRedirects of FetchHttpClient", changed(HttpClient.followRedirects()), true],
  ["followRedirects of NodeHttpClient", changed(HttpClient.followRedirects(), NodeHttpClient.layer), true],
  ["followRedirects of undici", changed(HttpClient.followRedirects(), NodeHttpClient.layerUndici), true],
  ["a fetch that follows", fetching(byItself), true],
  ["a fetch that follows by hand", fetching(byHand), true],
  [
    "a fetch that follows, behind other changes of the client",
    changed(HttpClient.retryTransient({ times: 1 }), fetching(byItself)),
    true
  ],
  ["a dispatcher that follows", Layer.provide(NodeHttpClient.layerUndiciWithoutDispatcher, dispatcher), true]
]

for (const [name, client, follows] of clients) {
  describe(name, () => {
    const outcome = (url: string) =>
      HttpClient.HttpClient.pipe(
        Effect.flatMap((client) => fetchJson(client, url)),
        Effect.match({ onSuccess: ({ body }) => ({ ...body }), onFailure: ({ reason }) => reason }),
        Effect.provide(client)
      )

    it.scopedLive("has its answer read if the URL that was asked answered, in any spelling", () =>
      Effect.gen(function* () {
        const { host } = yield* serve("/")
        for (const path of ["/jwks", "/jwks?policy=a%20b&at=c+d", "/a/../jwks", "/jwks?\u00e4"]) {
          expect(yield* outcome(`HTTP://${host}${path}`)).toEqual({ keys: [] })
        }
      })
    )

    it.scopedLive("does not have its answer read if it followed a redirect to another host, path or query", () =>
      Effect.gen(function* () {
        const target = yield* serve("/")
        for (const location of [`http://${target.host}/jwks`, "/jwks", "/jwks?other"]) {
          const { host } = yield* serve(location)
          const led = location.startsWith("/") ? host : target.host
          expect(yield* outcome(`http://${host}/old`)).toBe(
            `http://${host}/old ${follows ? `was answered by another URL (host ${led})` : `answered 302 (to ${led})`}`
          )
        }
      })
    )
  })
}

describe("a client that asks another URL than it was told", () => {
  it.scopedLive("does not have its answer read", () =>
    Effect.gen(function* () {
      const { host } = yield* serve("/")
      const client = HttpClient.mapRequest(
        yield* HttpClient.HttpClient,
        HttpClientRequest.setUrl(`http://${host}/jwks`)
      )
      expect((yield* Effect.flip(fetchJson(client, "https://as.example/jwks"))).reason).toBe(
        `https://as.example/jwks was answered by another URL (host ${host})`
      )
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
