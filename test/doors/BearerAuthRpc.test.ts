import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth } from "effect-resource-server"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import { ScopeMissing, TokenMissing } from "effect-resource-server/TokenError"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type AnyAuth, doorContract } from "../support/doorContract.ts"
import { mint, type Overrides } from "../support/issuer.ts"
import {
  challenge,
  authAt,
  refused,
  refusedAs,
  refusedMissing,
  refusedUnavailable,
  rejections,
  type Shown,
  shown,
  unavailableError
} from "../support/rejections.ts"
import { get, serve } from "../support/server.ts"

class Admins extends BearerAuthRpc.Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}

const whoami = Rpc.make("whoami", { success: Schema.String })
const watch = Rpc.make("watch", { success: Schema.String, stream: true })
const publish = Rpc.make("publish", { success: Schema.String, error: ScopeMissing })

const Notes = RpcGroup.make(whoami, watch, publish)
  .middleware(BearerAuthRpc.Protected)
  .add(Rpc.make("erase", { success: Schema.String }).middleware(Admins))

/** The same procedures, for a route that is protected itself. */
const Plain = RpcGroup.make(whoami, watch, publish)

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

const plain = {
  whoami: () => Effect.delay(subject, "5 millis"),
  watch: () => Stream.repeatEffect(subject).pipe(Stream.take(3)),
  publish: () => Effect.as(AccessToken.requireScopes("notes:publish"), "published")
}

const Handlers = Notes.toLayer({ ...plain, erase: () => Effect.succeed("erased") })

const Guards = BearerAuthRpc.layer(BearerAuthRpc.Protected, Admins)
const Routes = BearerAuthRpc.add(Notes)

/** The procedures, protected one by one. */
const typedBehind = (auth: AnyAuth) =>
  Routes.pipe(Layer.provide([Handlers, RpcSerialization.layerNdjson]), Layer.provide(Guards), Layer.provide(auth))

/** The same behind a protected route. */
const guardedBehind = (auth: AnyAuth) =>
  BearerAuthRpc.add(Plain).pipe(
    Layer.provide([Plain.toLayer(plain), RpcSerialization.layerNdjson]),
    Layer.provide(AccessToken.layerRequest),
    Layer.provide(BearerAuth.layer),
    Layer.provide(auth)
  )

const typedAt = (path: string) => typedBehind(authAt(path))
const guardedAt = (path: string) => guardedBehind(authAt(path))

/** The protocol of a client whose requests carry this header. */
const protocol = (url: string, authorization?: string, http = FetchHttpClient.layer) =>
  RpcClient.layerProtocolHttp({
    url,
    transformClient: HttpClient.mapRequest((request) =>
      authorization === undefined ? request : HttpClientRequest.setHeader(request, "authorization", authorization)
    )
  }).pipe(Layer.provide([http, RpcSerialization.layerNdjson]))

const typed = (url: string, authorization?: string) =>
  Effect.provide(RpcClient.make(Notes), protocol(url, authorization))

const bearer = (overrides?: Overrides) => Effect.map(mint(overrides), (token) => `Bearer ${Redacted.value(token)}`)

/** A call as it stands in a request's body. */
const whoamiCall = '{"_tag":"Request","id":"1","tag":"whoami","payload":null,"headers":[]}\n'

/** The answer to the call that is in every body: what there is to say is said in a message, with status 200. */
const failed = (error: string): Shown => ({
  status: 200,
  challenge: null,
  retryAfter: null,
  cache: null,
  exposed: null,
  contentType: "application/ndjson",
  body: `{"_tag":"Exit","requestId":"1","exit":{"_tag":"Failure","cause":{"_tag":"Fail","error":${error}}}}\n`
})

doorContract({
  name: "BearerAuthRpc, tags",
  serve: (auth) => serve(typedBehind(auth)),
  ask: { path: "/mcp", contentType: "application/ndjson", body: whoamiCall },
  rejected: ({ error }) => failed(error),
  missing: failed('{"_tag":"TokenMissing"}'),
  unavailable: failed(unavailableError),
  readsBodyFirst: true
})

/** A client of RPC would wait for ever on a body that is no message. */
const bare = (answer: Shown): Shown => ({ ...answer, contentType: null, body: "" })

doorContract({
  name: "BearerAuthRpc, BearerAuth.layer",
  serve: (auth) => serve(guardedBehind(auth)),
  ask: { path: "/mcp", contentType: "application/ndjson", body: whoamiCall },
  rejected: (rejection) => bare(refusedAs(rejection)),
  missing: bare(refusedMissing),
  unavailable: bare(refusedUnavailable)
})

describe("BearerAuthRpc.layer", () => {
  it.scopedLive("provides the verified token to calls and streams, each its own caller's", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const people = Array.from({ length: 8 }, (_, index) => `user-${index}`)
      const answers = yield* Effect.forEach(
        people,
        (sub) =>
          Effect.gen(function* () {
            const client = yield* typed(`${url}/mcp`, yield* bearer({ claims: { sub } }))
            return [yield* client.whoami(), ...Chunk.toReadonlyArray(yield* Stream.runCollect(client.watch()))]
          }),
        { concurrency: "unbounded" }
      )
      expect(answers).toEqual(people.map((sub) => Array(4).fill(sub)))
    })
  )

  it.scopedLive.each(rejections)("fails calls and streams of a typed client with $tag", ({ headers, tag }) =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const client = yield* typed(`${url}/mcp`, (yield* headers)["authorization"])
      expect((yield* Effect.flip(client.whoami()))._tag).toBe(tag)
      expect((yield* Effect.flip(Stream.runDrain(client.watch())))._tag).toBe(tag)
    })
  )

  it.scopedLive("lets a client match a rejection by its tag", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const client = yield* typed(`${url}/mcp`, yield* bearer({ claims: { aud: "https://other.example" } }))
      const answer = Effect.catchTag(client.whoami(), "AudienceMismatch", ({ actual }) => Effect.succeed(actual.join()))
      expect(yield* answer).toBe("https://other.example")
    })
  )

  it.scopedLive("reads the HTTP header, whatever the messages in the body say", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const good = yield* bearer()
      const another = yield* bearer({ claims: { sub: "another" } })
      const call = (client: Effect.Effect.Success<ReturnType<typeof typed>>, authorization: string) =>
        client.whoami(undefined, { headers: { authorization } })
      expect((yield* Effect.flip(call(yield* typed(`${url}/mcp`), good)))._tag).toBe("TokenMissing")
      expect(yield* call(yield* typed(`${url}/mcp`, good), another)).toBe("user-1")
      expect(yield* call(yield* typed(`${url}/mcp`, good), "Bearer not-a-token")).toBe("user-1")
    })
  )

  it.scopedLive("keeps two resources of one process apart, though they share every Layer", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Layer.merge(typedAt("/a"), typedAt("/b")))
      for (const [own, other] of [
        ["/a", "/b"],
        ["/b", "/a"]
      ]) {
        const authorization = yield* bearer({ claims: { aud: `https://api.example${own}` } })
        expect(yield* (yield* typed(`${url}${own}`, authorization)).whoami()).toBe("user-1")
        const refused = yield* Effect.flip((yield* typed(`${url}${other}`, authorization)).whoami())
        expect({ ...refused }).toMatchObject({
          _tag: "AudienceMismatch",
          expected: [`https://api.example${other}`],
          actual: [`https://api.example${own}`]
        })
      }
    })
  )
})

describe("BearerAuthRpc.Tag", () => {
  it.scopedLive("needs its scopes besides the resource's", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const admin = yield* typed(`${url}/mcp`, yield* bearer({ claims: { scope: "mcp:tools notes:admin" } }))
      expect(yield* admin.erase()).toBe("erased")
      const reader = yield* typed(`${url}/mcp`, yield* bearer())
      expect({ ...(yield* Effect.flip(reader.erase())) }).toEqual({
        _tag: "ScopeMissing",
        required: ["mcp:tools", "notes:admin"],
        granted: ["mcp:tools"]
      })
    })
  )

  it.scopedLive("leaves a handler's own ScopeMissing to the procedure's errors", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(typedAt("/mcp"))
      const client = yield* typed(`${url}/mcp`, yield* bearer())
      expect({ ...(yield* Effect.flip(client.publish())) }).toMatchObject({
        _tag: "ScopeMissing",
        required: ["notes:publish"]
      })
    })
  )
})

describe("BearerAuth.layer around BearerAuthRpc.add", () => {
  const filtered = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk)
  ).pipe(Layer.provide(FetchHttpClient.layer))

  const client = (url: string, authorization?: string) =>
    Effect.provide(RpcClient.make(Plain), protocol(url, authorization, filtered))

  it.scopedLive("provides the verified token to calls and streams", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(guardedAt("/mcp"))
      const good = yield* client(`${url}/mcp`, yield* bearer())
      expect(yield* good.whoami()).toBe("user-1")
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(good.watch()))).toEqual(Array(3).fill("user-1"))
    })
  )

  it.scopedLive("answers with the challenge, and a client that filters statuses sees an error of its protocol", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(guardedAt("/mcp"))
      const response = yield* get(`${url}/mcp`, { authorization: yield* bearer({ claims: { exp: 1 } }) }, "POST")
      // An `RpcClient` reads every body as its own messages.
      expect(yield* shown(response)).toEqual({
        ...refused(401, challenge("invalid_token", "The access token expired"), ""),
        contentType: null
      })
      const error = yield* Effect.flip((yield* client(`${url}/mcp`)).whoami())
      expect(error).toMatchObject({ _tag: "RpcClientError", reason: "Protocol" })
    })
  )

  it.scopedLive("leaves a client waiting that does not filter statuses", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(guardedAt("/mcp"))
      const unfiltered = yield* Effect.provide(RpcClient.make(Plain), protocol(`${url}/mcp`))
      expect(yield* Effect.timeoutOption(unfiltered.whoami(), "300 millis")).toMatchObject({ _tag: "None" })
    })
  )
})

describe("BearerAuthRpc.Protected", () => {
  it("has a key of its own", () => {
    expect(BearerAuthRpc.Protected.key).toBe("effect-resource-server/BearerAuthRpc/Protected")
  })

  it.scoped("finds no token where procedures are not called by HTTP", () =>
    Effect.gen(function* () {
      const built = yield* Layer.build(BearerAuthRpc.layer(BearerAuthRpc.Protected).pipe(Layer.provide(authAt("/mcp"))))
      const middleware = Context.get(built, BearerAuthRpc.Protected)
      const call = { clientId: 0, rpc: whoami, payload: undefined, headers: Headers.empty }
      expect(yield* Effect.flip(middleware(call))).toStrictEqual(new TokenMissing())
    })
  )
})
