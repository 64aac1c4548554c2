import * as Headers from "@effect/platform/Headers"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import {
  AccessToken,
  BearerAuth,
  Check,
  type ConfigurationError,
  Jwt,
  KeySet,
  ProtectedResource,
  TokenVerifier
} from "effect-resource-server"
import { CredentialsMalformed, TokenMissing, VerificationUnavailable } from "effect-resource-server/TokenError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import { request } from "node:http"
import { decisions } from "../../src/metrics.ts"
import { doorContract } from "../support/doorContract.ts"
import { issuer, keyFor, mint, type Overrides, resource } from "../support/issuer.ts"
import {
  Auth,
  challenge,
  Keys,
  metadataUrl,
  missingBody,
  refused,
  refusedMissing,
  refusedScopes,
  Resource,
  shown
} from "../support/rejections.ts"
import { capture, get, type Line, raw, serve } from "../support/server.ts"
import { exchange, head } from "../support/socket.ts"

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))

const App = BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

const bearer = (token: Redacted.Redacted) => ({ authorization: `Bearer ${Redacted.value(token)}` })

/** A door, with whatever stands beside it. */
type AnyDoor = Layer.Layer<
  HttpLayerRouter.Request<"Requires", AccessToken.AccessToken>,
  ConfigurationError.ConfigurationError,
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier | HttpLayerRouter.HttpRouter
>

doorContract({
  name: "BearerAuth",
  serve: (auth) =>
    serve(BearerAuth.add("POST", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(auth))),
  ask: { path: "/mcp" }
})

describe("BearerAuth.layer", () => {
  it.scopedLive("provides the verified token to handlers", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(App)
      const response = yield* get(`${url}/mcp`, bearer(yield* mint()))
      expect([response.status, yield* Effect.promise(() => response.text())]).toEqual([200, "user-1"])
      expect(lines.map(({ message }) => message)).toEqual([`Access tokens are accepted for aud=${resource}`])
    })
  )

  it.scopedLive("tells the log, and not the client, that more keys fit a token than are tried", () =>
    Effect.gen(function* () {
      const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
      const keys = Array.from({ length: 5 }, (_, position) => ({ ...jwk, kid: `${position}` }))
      const { lines, url } = yield* serve(
        BearerAuth.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(TokenVerifier.layerJwt({ issuer })),
          Layer.provide(Layer.merge(Resource, KeySet.layerLocal({ jwks: { keys } })))
        )
      )
      const response = yield* get(`${url}/mcp`, bearer(yield* mint({ header: { kid: undefined } })))
      expect(yield* shown(response)).toMatchObject({
        status: 401,
        challenge: challenge("invalid_token", "The access token is signed with an unknown key")
      })
      expect(lines.at(-1)).toMatchObject({
        level: "INFO",
        message:
          "Request rejected: no single key of the issuer fits a token without kid and ES256: " +
          "5 keys fit, and at most 4 are tried; the issuer has to name the key in the token's kid",
        annotations: { error: "KeyNotFound" }
      })
    })
  )

  it.scopedLive("logs the scheme of other credentials where it is a known one", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(App)
      lines.length = 0
      for (const headers of [{}, { authorization: "Basic dXNlcjpwYXNz" }, { authorization: "Bearerish token" }]) {
        yield* get(`${url}/mcp`, headers)
      }
      expect(lines.map(({ annotations }) => annotations)).toEqual(
        [{}, { scheme: "Basic" }, { scheme: "other" }].map((scheme) => ({ error: "TokenMissing", ...scheme }))
      )
    })
  )

  it.scopedLive("answers CredentialsMalformed with 400 for everything RFC 6750 does not allow, on the raw socket", () =>
    Effect.gen(function* () {
      const { lines, port } = yield* serve(App)
      const token = Redacted.value(yield* mint())
      const malformed = {
        status: 400,
        challenge: challenge("invalid_request", "The Authorization header is malformed")
      }
      for (const headers of [
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        [`Authorization: Bearer\t${token}`],
        [`Authorization: Bearer ${token} x`],
        [`Authorization: Bearer ${token}, Bearer ${token}`],
        [`Authorization: Bearer ${token},${token}`],
        ['Authorization: Bearer realm="x"'],
        ["Authorization: Bearer \xff\xfe"],
        ["Authorization: Bearer =a"],
        ["Authorization: Bearer,Basic x"],
        [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
        [`authorization: Bearer ${token}`, "AUTHORIZATION: Basic eA=="],
        ["Authorization: Basic eA==", `Authorization: Bearer ${token}`]
      ]) {
        expect([headers, yield* raw(port, "GET /mcp HTTP/1.1", ...headers)]).toEqual([headers, malformed])
      }
      const error = "CredentialsMalformed"
      expect(lines.slice(-4).map(({ annotations }) => annotations)).toEqual([
        { error, scheme: "Bearer" },
        { error, scheme: "Bearer", authorizationHeaders: 2 },
        { error, scheme: "Bearer", authorizationHeaders: 2 },
        { error, scheme: "Basic", authorizationHeaders: 2 }
      ])
    })
  )

  it.scopedLive("takes the scheme in any case and any number of spaces, and a token from nowhere else", () =>
    Effect.gen(function* () {
      const { port, url } = yield* serve(App)
      const token = Redacted.value(yield* mint())
      for (const scheme of ["bearer", "BEARER", "Bearer  ", "bEaReR   "]) {
        expect((yield* raw(port, "GET /mcp HTTP/1.1", `Authorization: ${scheme} ${token}`)).status).toBe(200)
      }
      expect((yield* get(`${url}/mcp?access_token=${token}`)).status).toBe(401)
      expect((yield* get(`${url}/mcp`, { "x-forwarded-authorization": `Bearer ${token}` })).status).toBe(401)
    })
  )

  it.scopedLive("logs what helps and nothing of the token that is its sender's own text", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(App)
      lines.length = 0
      const kid = "../../marker\u202e\n"
      const hash = `sha256:${createHash("sha256").update(kid).digest("hex").slice(0, 8)}`
      const token = yield* mint({
        header: { kid, jku: "https://marker.example" },
        claims: { sub: "marker" }
      })
      yield* get(`${url}/mcp`, bearer(token))
      expect(lines).toEqual([
        {
          level: "INFO",
          message: `Request rejected: no usable key of the issuer fits kid ${hash} and ES256`,
          annotations: {
            error: "KeyNotFound",
            tokenLength: Redacted.value(token).length,
            algorithm: "ES256",
            keyId: hash,
            headerKeyParameter: true
          }
        }
      ])
    })
  )

  it.scopedLive("verifies nothing on unprotected routes", () =>
    Effect.gen(function* () {
      let verified = 0
      const Counting = TokenVerifier.layer(() => {
        verified++
        return Effect.fail(new VerificationUnavailable({ reason: "asked", retryAfter: 1 }))
      })
      const { url } = yield* serve(
        Layer.merge(
          HttpLayerRouter.add("GET", "/open", HttpServerResponse.text("open")),
          BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer))
        ).pipe(Layer.provide(Layer.provideMerge(Counting, Resource)))
      )
      expect((yield* get(`${url}/open`, { authorization: "Bearer garbage" })).status).toBe(200)
      expect(verified).toBe(0)
      expect((yield* get(`${url}/mcp`, { authorization: "Bearer garbage" })).status).toBe(503)
      expect(verified).toBe(1)
    })
  )

  it.scopedLive("does not challenge preflights, with or without the platform's CORS", () =>
    Effect.gen(function* () {
      const Wild = BearerAuth.add("*", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))
      const preflight = { origin: "https://page.example", "access-control-request-method": "POST" }
      const plain = yield* serve(Wild)
      const answered = yield* get(`${plain.url}/mcp`, preflight, "OPTIONS")
      expect([answered.status, answered.headers.get("www-authenticate")]).toEqual([204, null])
      for (const [method, headers] of [
        ["OPTIONS", {}],
        ["OPTIONS", { origin: preflight.origin }],
        ["OPTIONS", { "access-control-request-method": "POST" }],
        ["GET", preflight]
      ] as const) {
        expect([method, headers, (yield* get(`${plain.url}/mcp`, headers, method)).status]).toEqual([
          method,
          headers,
          401
        ])
      }
      const cors = yield* serve(Layer.merge(Wild, HttpLayerRouter.cors()))
      const answer = yield* get(`${cors.url}/mcp`, preflight, "OPTIONS")
      expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([204, "*"])
      const refused = yield* get(`${cors.url}/mcp`, { origin: "https://page.example" })
      expect([refused.status, refused.headers.get("access-control-expose-headers")]).toEqual([
        401,
        "WWW-Authenticate, Retry-After"
      ])
    })
  )
})

describe("an app whose own CORS names headers for pages to read", () => {
  const page = { origin: "https://page.example" }
  const routes = Layer.merge(
    BearerAuth.add("GET", "/", whoami),
    BearerAuth.add("GET", "/admin", Effect.zipRight(AccessToken.requireScopes("admin"), whoami))
  ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

  it.scopedLive.each<{ own: ReadonlyArray<string>; exposed: string }>([
    { own: [], exposed: "WWW-Authenticate, Retry-After" },
    { own: ["X-Own"], exposed: "X-Own, WWW-Authenticate, Retry-After" },
    { own: ["X-Own", "www-authenticate"], exposed: "X-Own, www-authenticate, Retry-After" },
    { own: ["Retry-After", "WWW-Authenticate"], exposed: "Retry-After, WWW-Authenticate" }
  ])("adds those of a rejection, each once, to $own", ({ exposed, own }) =>
    Effect.gen(function* () {
      const { url } = yield* serve(Layer.merge(routes, HttpLayerRouter.cors({ exposedHeaders: own })))
      const token = bearer(yield* mint())
      for (const [path, headers, expected] of [
        ["/mcp", page, refusedMissing],
        ["/mcp/admin", { ...page, ...token }, refusedScopes("mcp:tools admin")]
      ] as const) {
        const response = yield* get(url + path, headers)
        expect(response.headers.get("access-control-allow-origin")).toBe("*")
        expect(yield* shown(response)).toEqual({ ...expected, exposed })
      }
      const accepted = yield* get(`${url}/mcp`, { ...page, ...token })
      expect([accepted.status, accepted.headers.get("access-control-expose-headers")]).toEqual([
        200,
        own.length === 0 ? null : own.join(",")
      ])
    })
  )
})

describe("a rejected request", () => {
  const keepsOpen = (port: number, ...requests: ReadonlyArray<string>) =>
    Effect.map(exchange(port, ...requests), (replies) =>
      replies.map(({ headers, status }) => [status, headers["connection"]])
    )
  const last = head("/mcp", "Content-Length: 0", "Connection: close")

  it.scopedLive.each([
    ["no body", "GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
    ["an empty body", head("/mcp", "Content-Length: 0")]
  ] as const)("with %s leaves the connection open for the next", ([, request]) =>
    Effect.gen(function* () {
      const Wild = BearerAuth.add("*", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))
      const { port } = yield* serve(Wild)
      expect(yield* keepsOpen(port, request, last)).toEqual([
        [401, "keep-alive"],
        [401, "close"]
      ])
    })
  )

  it.scopedLive("whose handler finds a scope missing, and has not read the body, closes the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(
        BearerAuth.add("POST", "/", Effect.zipRight(AccessToken.requireScopes("admin"), whoami)).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Auth)
        )
      )
      const { authorization } = bearer(yield* mint())
      const request = head("/mcp", `Authorization: ${authorization}`, "Content-Length: 555745280")
      expect(yield* keepsOpen(port, request, "x".repeat(1000))).toEqual([[403, "close"]])
    })
  )
})

describe("what stands around a protected route", () => {
  const holds = Effect.serviceOption(AccessToken.AccessToken)
  class Unhandled extends Data.TaggedError("Unhandled") {}

  /** A middleware that says when it runs, and whether it sees a token then. */
  const around = (seen: Array<unknown>, ended: Effect.Effect<unknown>) => {
    const tell = (when: string) => Effect.map(holds, (token) => void seen.push([when, Option.isSome(token)]))
    const middleware = <E, R>(route: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
      Effect.zipRight(
        tell("before"),
        Effect.onExit(route, (exit) =>
          Exit.isInterrupted(exit)
            ? Effect.asVoid(Effect.zipRight(tell("interruption"), ended))
            : tell(
                Exit.isSuccess(exit) ? `answer ${exit.value.status}` : Cause.isDie(exit.cause) ? "defect" : "failure"
              )
        )
      )
    return { tell, middleware }
  }

  const ok = HttpServerResponse.empty()
  const run = (end: string) => [
    ["before", false],
    ["handler", true],
    [end, false]
  ]

  it.scopedLive.each<{ how: string; placed: (one: ReturnType<typeof around>["middleware"]) => AnyDoor }>([
    {
      how: "for all routes",
      placed: (middleware) => Layer.merge(BearerAuth.layer, HttpLayerRouter.middleware(middleware, { global: true }))
    },
    {
      how: "combined with it",
      placed: (middleware) => BearerAuth.middleware().combine(HttpLayerRouter.middleware(middleware)).layer
    }
  ])("sees the token neither before nor after the handler, however that ends: a middleware $how", ({ placed }) =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { middleware, tell } = around(seen, Effect.void)
      const route = <E, R>(path: `/${string}`, handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
        BearerAuth.add("GET", path, Effect.zipRight(tell("handler"), handler))
      const routes = Layer.mergeAll(
        route("/answers", Effect.succeed(ok)),
        route("/lacks", Effect.as(AccessToken.requireScopes("admin"), ok)),
        route("/fails", new Unhandled()),
        route("/dies", Effect.die("on purpose"))
      ).pipe(Layer.provide(placed(middleware)), Layer.provide(Auth))
      const { url } = yield* serve(routes)
      for (const path of ["answers", "lacks", "fails", "dies"]) {
        yield* get(`${url}/mcp/${path}`, bearer(yield* mint()))
      }
      yield* get(`${url}/mcp/answers`)
      expect(seen).toEqual([
        ...["answer 204", "answer 403", "failure", "defect"].flatMap(run),
        ["before", false],
        ["answer 401", false]
      ])
    })
  )

  it.scopedLive("sees no token once the client has left, for all routes", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { middleware, tell } = around(seen, Deferred.succeed(ended, undefined))
      const waiting = Effect.zipRight(
        tell("handler"),
        Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)
      )
      const { url } = yield* serve(
        BearerAuth.add("GET", "/", waiting).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.merge(HttpLayerRouter.middleware(middleware, { global: true })),
          Layer.provide(Auth)
        )
      )
      const leaving = request(`${url}/mcp`, { headers: bearer(yield* mint()) }).on("error", () => undefined)
      leaving.end()
      yield* Deferred.await(started)
      leaving.destroy()
      yield* Deferred.await(ended)
      expect(seen).toEqual(run("interruption"))
    })
  )
})

describe("BearerAuth.credentials", () => {
  const several = "the request has several Authorization headers"
  const notOne = "the Authorization header is not one bearer token"
  const request = (authorization: string | undefined, rawHeaders?: ReadonlyArray<string>) => {
    const web = HttpServerRequest.fromWeb(new Request("http://127.0.0.1/"))
    const asked = authorization === undefined ? web : web.modify({ headers: Headers.fromInput({ authorization }) })
    return Object.create(asked, { source: { value: { rawHeaders } } }) as typeof asked
  }

  it.each<[string | undefined, ReadonlyArray<string> | undefined, object | string]>([
    [undefined, undefined, new TokenMissing()],
    ["Basic bearer", undefined, new TokenMissing()],
    ["Bearer abc", undefined, "abc"],
    ["Basic eA==, Bearer abc", undefined, new CredentialsMalformed({ reason: notOne })],
    ["Basic eA==,bearer abc", undefined, new CredentialsMalformed({ reason: notOne })],
    ["Basic eA==, Bearer-like abc", undefined, new TokenMissing()],
    ["Basic eA==, xBearer abc", undefined, new TokenMissing()],
    ["Bearer a b", undefined, new CredentialsMalformed({ reason: notOne })],
    ["Bearer abc", ["Host", "127.0.0.1", "Authorization", "Bearer abc", "X-Note", "authorization"], "abc"],
    ["Bearer abc", ["Authorization", "Bearer abc", "If-None-Match", "*", "Last-Modified", "now"], "abc"],
    [
      "Bearer abc",
      ["Authorization", "Bearer abc", "AUTHORIZATION", "Bearer abc"],
      new CredentialsMalformed({ reason: several })
    ]
  ])("of %j in lines %j are %o", (authorization, lines, expected) => {
    const credentials = BearerAuth.credentials(BearerAuth.incoming(request(authorization, lines)))
    expect(Either.match(credentials, { onLeft: (error) => error, onRight: (token) => Redacted.value(token) })).toEqual(
      expected
    )
  })
})

describe("BearerAuth.layerScopes", () => {
  it.scopedLive("asks for the scopes of the operation and of the resource in one challenge", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layerScopes("admin")), Layer.provide(Auth))
      )
      for (const scope of ["mcp:tools", "admin"]) {
        const response = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope } })))
        expect(yield* shown(response)).toEqual(refusedScopes("mcp:tools admin"))
      }
      expect((yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: "admin mcp:tools" } })))).status).toBe(200)
      expect(yield* shown(yield* get(`${url}/mcp`))).toEqual(
        refused(401, `Bearer resource_metadata="${metadataUrl}", scope="mcp:tools admin"`, missingBody)
      )
    })
  )

  it.scoped("fails when built for a scope that is none", () =>
    Effect.gen(function* () {
      const lines: Array<Line> = []
      const error = yield* Effect.flip(
        Layer.build(BearerAuth.layerScopes("two words").pipe(Layer.provide(Auth), Layer.provide(capture(lines))))
      )
      expect(error.message).toBe('scopes "two words": is not a scope (printable ASCII, no space, quote, backslash)')
    })
  )

  it.scoped("fails when built for no scopes at all, which a list of a program's own may hold", () =>
    Effect.gen(function* () {
      const none = BearerAuth.layerScopes(...([] as unknown as [string]))
      const error = yield* Effect.flip(Layer.build(none.pipe(Layer.provide(Auth))))
      expect(error.message).toBe('scopes "": is empty')
    })
  )
})

describe("AccessToken.requireScopes", () => {
  it.scopedLive("turns a handler's shortfall into 403 with a challenge", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(
        BearerAuth.add("GET", "/", Effect.as(AccessToken.requireScopes("admin"), HttpServerResponse.text("ok"))).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Auth)
        )
      )
      lines.length = 0
      const response = yield* get(`${url}/mcp`, bearer(yield* mint()))
      expect(yield* shown(response)).toEqual(refusedScopes("mcp:tools admin"))
      expect(lines.map(({ message }) => message)).toEqual([
        'Request rejected: expected scopes "admin", got "mcp:tools"'
      ])
    })
  )
})

describe("a ScopeMissing whose scopes a handler made of its request", () => {
  const Route = BearerAuth.add("GET", "/", (request) =>
    Effect.as(
      AccessToken.requireScopes("admin", `${decodeURIComponent(request.url.split("?")[1] ?? "")}`),
      HttpServerResponse.empty()
    )
  ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

  for (const [what, scope, inChallenge, inLine] of [
    ["a scope", "notes:7", " notes:7", "notes:7"],
    ["a quote", 'x", error="invalid_token', "", "x\\u0022, error=\\u0022invalid_token"],
    ["a backslash", "a\\b", "", "a\\u005cb"],
    ["a space", "a b", "", "a b"],
    ["line breaks", "a\r\nX-Evil: 1", "", "a\\u000d\\u000aX-Evil: 1"],
    ["letters from elsewhere", "é", "", "\\u00e9"],
    ["nothing", "", "", ""],
    ["offline_access", "offline_access", "", "offline_access"]
  ] as const) {
    it.scopedLive(`is answered with a challenge of scopes alone: ${what}`, () =>
      Effect.gen(function* () {
        const { lines, url } = yield* serve(Route)
        lines.length = 0
        const response = yield* get(`${url}/mcp?${encodeURIComponent(scope)}`, bearer(yield* mint()))
        expect(yield* shown(response)).toEqual(refusedScopes(`mcp:tools admin${inChallenge}`))
        expect(lines.map(({ message }) => message)).toEqual([
          `Request rejected: expected scopes "admin", "${inLine}", got "mcp:tools"`
        ])
      })
    )
  }
})

describe("a ScopeMissing of very many or very long scopes", () => {
  const thousands = Array.from({ length: 4000 }, (_, index) => `notes:${index + 1000}`)
  const bySize: Readonly<Record<string, readonly [string, ...Array<string>]>> = {
    many: ["admin", ...thousands],
    long: ["x".repeat(20_000), "admin"],
    hostile: ["admin", ...thousands.map((scope) => `${scope}\r\n`)]
  }
  const Route = BearerAuth.add("GET", "/", (request) =>
    Effect.as(
      AccessToken.requireScopes(...(bySize[request.url.split("?")[1] ?? ""] ?? ["none"])),
      HttpServerResponse.empty()
    )
  ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

  it.scopedLive.each<{ size: string; named: string; line: string }>([
    {
      size: "many",
      named: ["mcp:tools", "admin", ...thousands.slice(0, 371)].join(" "),
      line: `"admin", ${thousands
        .slice(0, 9)
        .map((scope) => `"${scope}"`)
        .join(", ")}, "(3991 more)"`
    },
    { size: "long", named: "mcp:tools admin", line: `"${"x".repeat(253)}...", "admin"` },
    {
      size: "hostile",
      named: "mcp:tools admin",
      line: `"admin", ${thousands
        .slice(0, 9)
        .map((scope) => `"${scope}\\u000d\\u000a"`)
        .join(", ")}, "(3991 more)"`
    }
  ])("is answered with what fits into a header, and logged in one short line: $size", ({ line, named, size }) =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(Route)
      lines.length = 0
      const response = yield* get(`${url}/mcp?${size}`, bearer(yield* mint()))
      expect(yield* shown(response)).toEqual(refusedScopes(named))
      expect(lines.map(({ message }) => message)).toEqual([
        `Request rejected: expected scopes ${line}, got "mcp:tools"`
      ])
    })
  )
})

describe("a hierarchy of scopes", () => {
  const scopeHierarchy = { admin: ["write"], write: ["read"] }
  const Notes = ProtectedResource.layer({
    baseUrl: "https://api.example",
    path: "/mcp",
    authorizationServers: [issuer],
    requiredScopes: ["read"],
    scopeHierarchy
  })
  const Verified = TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys), Layer.provideMerge(Notes))
  const scopesOf = Effect.map(AccessToken.AccessToken, ({ scopes }) => HttpServerResponse.text([...scopes].join(" ")))
  const inHandler = Effect.zipRight(AccessToken.requireScopes("read", "write"), scopesOf)
  it.scopedLive.each([
    ["layer", BearerAuth.add("GET", "/", scopesOf).pipe(Layer.provide(BearerAuth.layer)), "read", "read"],
    [
      "layerScopes",
      BearerAuth.add("GET", "/", scopesOf).pipe(Layer.provide(BearerAuth.layerScopes("read", "write"))),
      "write",
      "write"
    ],
    ["requireScopes", BearerAuth.add("GET", "/", inHandler).pipe(Layer.provide(BearerAuth.layer)), "write", "write"]
  ] as const)("counts in %s, and a challenge names the narrowest", ([, routes, suffices, asked]) =>
    Effect.gen(function* () {
      const { url } = yield* serve(routes.pipe(Layer.provide(Verified)))
      for (const scope of [suffices, "admin", "other admin"]) {
        const response = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope } })))
        // The token's own scopes stay as they were issued.
        expect([response.status, yield* Effect.promise(() => response.text())]).toEqual([200, scope])
      }
      const short = suffices === "write" ? "read" : "other"
      const response = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: short } })))
      expect(yield* shown(response)).toEqual(refusedScopes(asked))
    })
  )

  it.scopedLive("counts for a verifier of one's own", () =>
    Effect.gen(function* () {
      const own = TokenVerifier.layer(() => Effect.succeed({ claims: {}, scopes: new Set(["write"]) }))
      const { url } = yield* serve(
        BearerAuth.add("GET", "/", inHandler).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.provideMerge(own, Notes))
        )
      )
      expect((yield* get(`${url}/mcp`, { authorization: "Bearer any" })).status).toBe(200)
    })
  )
})

describe("two resources in one process", () => {
  const Verifier = TokenVerifier.layerJwt({ issuer })
  const authAt = (path: string) =>
    Verifier.pipe(
      Layer.provide(Keys),
      Layer.provideMerge(
        ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
      )
    )
  // Everything that reads the resource is a shared constant here: that is the trap.
  const Routes = Layer.merge(
    BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer)),
    ProtectedResource.layerMetadataRoute
  )

  it.scopedLive("answer each for itself", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(
        Layer.merge(
          Layer.fresh(Routes).pipe(Layer.provide(authAt("/a"))),
          Layer.fresh(Routes).pipe(Layer.provide(authAt("/b")))
        )
      )
      expect(lines.map(({ message }) => message)).toEqual([
        "Access tokens are accepted for aud=https://api.example/a",
        "Access tokens are accepted for aud=https://api.example/b"
      ])
      const statuses: Array<readonly [string, string, number, string | null]> = []
      for (const path of ["/a", "/b"]) {
        for (const aud of ["/a", "/b"]) {
          const token = yield* mint({ claims: { aud: `https://api.example${aud}` } })
          const response = yield* get(url + path, bearer(token))
          statuses.push([path, aud, response.status, response.headers.get("www-authenticate")])
        }
      }
      const refused = (path: string) =>
        `Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource${path}", ` +
        'error="invalid_token", error_description="The access token is for another resource"'
      expect(statuses).toEqual([
        ["/a", "/a", 200, null],
        ["/a", "/b", 401, refused("/a")],
        ["/b", "/a", 401, refused("/b")],
        ["/b", "/b", 200, null]
      ])
      for (const path of ["/a", "/b"]) {
        const document = yield* get(`${url}/.well-known/oauth-protected-resource${path}`)
        expect(yield* Effect.promise(() => document.json())).toMatchObject({ resource: `https://api.example${path}` })
      }
      expect((yield* get(`${url}/.well-known/oauth-protected-resource`)).status).toBe(404)
    })
  )

  it.scopedLive("never share a route: a Layer of routes given to both is mounted for the first alone", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        Layer.merge(Routes.pipe(Layer.provide(authAt("/a"))), Routes.pipe(Layer.provide(authAt("/b"))))
      )
      const token = yield* mint({ claims: { aud: "https://api.example/b" } })
      expect((yield* get(`${url}/a`, bearer(token))).status).toBe(401)
      expect((yield* get(`${url}/b`, bearer(token))).status).toBe(404)
    })
  )
})

describe("a TokenVerifier Layer that two resources share", () => {
  const Shared = TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys))
  const authAt = (path: string) =>
    ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
  const routesAt = (path: string, verifier: typeof Shared) =>
    BearerAuth.add("GET", "/", whoami).pipe(
      Layer.provide(BearerAuth.layer),
      Layer.provide(Layer.provideMerge(verifier, authAt(path)))
    )

  it.scopedLive("fails when built, for Effect would bind it to the first of them alone", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(Layer.merge(routesAt("/a", Shared), routesAt("/b", Shared))))
      expect(error.message).toMatch(
        /^TokenVerifier "https:\/\/api\.example\/[ab]": is bound to another resource than https:\/\/api\.example\/[ab]: share no/
      )
    })
  )

  it.scopedLive("is bound to each in Layer.fresh", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        Layer.merge(routesAt("/a", Layer.fresh(Shared)), routesAt("/b", Layer.fresh(Shared)))
      )
      const token = bearer(yield* mint({ claims: { aud: "https://api.example/b" } }))
      expect([(yield* get(`${url}/a`, token)).status, (yield* get(`${url}/b`, token)).status]).toEqual([401, 200])
    })
  )
})

describe("an outage", () => {
  it.scopedLive("is told at Error once by all doors of a verifier, then at Debug until a token is verified", () =>
    Effect.gen(function* () {
      let isDown = true
      const Switched = TokenVerifier.layer(() =>
        isDown
          ? new VerificationUnavailable({ reason: "the issuer is down", retryAfter: 17 })
          : Effect.succeed({ claims: {}, scopes: new Set(["mcp:tools"]) })
      )
      const { lines, url } = yield* serve(
        Layer.merge(
          BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer)),
          BearerAuth.add("GET", "/admin", whoami).pipe(Layer.provide(BearerAuth.layerScopes("admin")))
        ).pipe(Layer.provide(Layer.provideMerge(Switched, Resource)))
      )
      const ask = (path: string) => Effect.map(get(url + path, { authorization: "Bearer any" }), ({ status }) => status)
      const asked = (paths: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          lines.length = 0
          const statuses = yield* Effect.forEach(paths, ask)
          return [statuses, lines.map(({ annotations, level }) => `${level} ${String(annotations["error"])}`)]
        })
      const [first, later] = ["ERROR VerificationUnavailable", "DEBUG VerificationUnavailable"]
      expect(yield* asked(["/mcp", "/mcp/admin", "/mcp"])).toEqual([
        [503, 503, 503],
        [first, later, later]
      ])
      // No token was verified: the outage goes on.
      expect(yield* Effect.map(get(`${url}/mcp`), ({ status }) => status)).toBe(401)
      expect(yield* asked(["/mcp/admin"])).toEqual([[503], [later]])
      isDown = false
      // It lacks a scope of the door, but it was verified.
      expect(yield* asked(["/mcp/admin"])).toEqual([[403], ["WARN ScopeMissing"]])
      isDown = true
      expect(yield* asked(["/mcp", "/mcp/admin"])).toEqual([
        [503, 503],
        [first, later]
      ])
    })
  )

  it.scopedLive("of another verifier is told for itself", () =>
    Effect.gen(function* () {
      const downAt = (path: string) =>
        BearerAuth.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(TokenVerifier.layer(() => new VerificationUnavailable({ reason: path, retryAfter: 1 }))),
          Layer.provide(
            ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
          )
        )
      const { lines, url } = yield* serve(Layer.merge(downAt("/a"), downAt("/b")))
      for (const path of ["/a", "/b", "/a", "/b"]) yield* get(url + path, { authorization: "Bearer any" })
      expect(lines.map(({ level, message }) => [level, message])).toEqual([
        ["ERROR", "Request rejected: /a"],
        ["ERROR", "Request rejected: /b"],
        ["DEBUG", "Request rejected: /a"],
        ["DEBUG", "Request rejected: /b"]
      ])
    })
  )
})

describe("metrics", () => {
  it.scopedLive("count every decision by its tag", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(App)
      const count = (word: string) =>
        Effect.map(Metric.value(decisions), ({ occurrences }) => occurrences.get(word) ?? 0)
      const words = ["accepted", "TokenMissing", "CredentialsMalformed", "AudienceMismatch", "ScopeMissing"]
      const before = yield* Effect.forEach(words, count)
      yield* get(`${url}/mcp`, bearer(yield* mint()))
      yield* get(`${url}/mcp`, bearer(yield* mint()))
      yield* get(`${url}/mcp`)
      yield* get(`${url}/mcp`, { authorization: "Bearer" })
      yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { aud: "x" } })))
      yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: "x" } })))
      const after = yield* Effect.forEach(words, count)
      expect(after.map((now, index) => now - before[index]!)).toEqual([2, 1, 1, 1, 1])
    })
  )
})

describe("a pipeline of one's own", () => {
  it.scopedLive("goes in as a verifier, and is used as it is", () =>
    Effect.gen(function* () {
      const Own = TokenVerifier.layer((token) =>
        Jwt.verify(token).pipe(Effect.flatMap(Check.issuer(issuer)), Effect.flatMap(AccessToken.fromJwt))
      ).pipe(Layer.provide(Keys))
      const { lines, url } = yield* serve(
        BearerAuth.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.provideMerge(Own, Resource))
        )
      )
      const elsewhere: Overrides = { header: { typ: "JWT" }, claims: { aud: "https://other.example", exp: 1 } }
      expect((yield* get(`${url}/mcp`, bearer(yield* mint(elsewhere)))).status).toBe(200)
      expect(lines).toEqual([])
    })
  )
})
