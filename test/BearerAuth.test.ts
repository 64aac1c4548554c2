import * as Headers from "@effect/platform/Headers"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, Check, Jwt, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import { CredentialsMalformed, TokenMissing, VerificationUnavailable } from "effect-resource-server/TokenError"
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
import { verdicts } from "../src/internal/metrics.ts"
import { generateKey, issuer, keyFor, mint, type Overrides, resource } from "./support/issuer.ts"
import { capture, get, type Line, raw, serve } from "./support/server.ts"

const metadata = "https://api.example/.well-known/oauth-protected-resource/mcp"

const challenge = (error: string, description: string, scope = "mcp:tools") =>
  `Bearer resource_metadata="${metadata}", scope="${scope}", error="${error}", error_description="${description}"`

const invalidToken = (description: string) => challenge("invalid_token", description)

const Resource = ProtectedResource.layer({
  baseUrl: "https://api.example",
  path: "/mcp",
  authorizationServers: [issuer],
  requiredScopes: ["mcp:tools"]
})

const Keys = Layer.unwrapEffect(
  Effect.promise(async () => {
    const { jwk } = await keyFor("ES256")
    return KeySet.layerLocal({ jwks: { keys: [jwk] } })
  })
)

const Auth = TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys), Layer.provideMerge(Resource))

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))

const App = ProtectedResource.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

const bearer = (token: Redacted.Redacted) => ({ authorization: `Bearer ${Redacted.value(token)}` })

const shown = (response: Response) => ({
  status: response.status,
  challenge: response.headers.get("www-authenticate"),
  cache: response.headers.get("cache-control"),
  exposed: response.headers.get("access-control-expose-headers")
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
        ProtectedResource.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(TokenVerifier.layerJwt({ issuer })),
          Layer.provide(Layer.merge(Resource, KeySet.layerLocal({ jwks: { keys } })))
        )
      )
      const response = yield* get(`${url}/mcp`, bearer(yield* mint({ header: { kid: undefined } })))
      expect(shown(response)).toMatchObject({
        status: 401,
        challenge: invalidToken("The access token is signed with an unknown key")
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

  // Each differs from the good token above by one thing.
  const rejections: ReadonlyArray<{
    readonly tag: string
    readonly token: () => Effect.Effect<Redacted.Redacted>
    readonly status?: number
    readonly challenge: string
    readonly level: string
    readonly message: string
  }> = [
    {
      tag: "TokenMalformed",
      token: () => Effect.succeed(Redacted.make("not-a-token")),
      challenge: invalidToken("The access token is malformed"),
      level: "INFO",
      message: "the token has not three segments"
    },
    {
      tag: "AlgorithmNotAllowed",
      token: () => mint({ header: { alg: "none" } }),
      challenge: invalidToken("The access token is signed with an algorithm that is not allowed"),
      level: "INFO",
      message: "algorithm none is not one of RS256, PS256, ES256, ES384, EdDSA, Ed25519"
    },
    {
      tag: "CriticalHeaderUnsupported",
      token: () => mint({ header: { crit: ["exp"] } }),
      challenge: invalidToken("The access token needs an unsupported extension"),
      level: "INFO",
      message: "the token asks for a critical header extension; none is supported"
    },
    {
      tag: "KeyNotFound",
      token: () => mint({ header: { kid: "another" } }),
      challenge: invalidToken("The access token is signed with an unknown key"),
      level: "INFO",
      message: "no usable key of the issuer fits kid another and ES256"
    },
    {
      tag: "SignatureInvalid",
      token: () =>
        Effect.flatMap(
          Effect.promise(() => generateKey("ES256")),
          (key) => mint({ key })
        ),
      challenge: invalidToken("The signature of the access token is invalid"),
      level: "INFO",
      message: "the signature does not verify"
    },
    {
      tag: "TypeMismatch",
      token: () => mint({ header: { typ: "JWT" } }),
      challenge: invalidToken("The token is not an access token"),
      level: "WARN",
      message: 'expected typ "at+jwt", got "JWT"'
    },
    {
      tag: "IssuerMismatch",
      token: () => mint({ claims: { iss: `${issuer}/` } }),
      challenge: invalidToken("The access token is from another issuer"),
      level: "WARN",
      message: `expected issuer "${issuer}", got "${issuer}/": they differ only by a trailing slash`
    },
    {
      tag: "AudienceMismatch",
      token: () => mint({ claims: { aud: "https://other.example/mcp" } }),
      challenge: invalidToken("The access token is for another resource"),
      level: "WARN",
      message: `expected audience "${resource}", got "https://other.example/mcp"`
    },
    {
      tag: "Expired",
      token: () => mint({ claims: { exp: 1 } }),
      challenge: invalidToken("The access token expired"),
      level: "INFO",
      message: "the token expired <n> seconds ago"
    },
    {
      tag: "NotYetValid",
      token: () => mint({ claims: { nbf: 99_999_999_999 } }),
      challenge: invalidToken("The access token is not valid yet"),
      level: "INFO",
      message: "the token's nbf is <n> seconds ahead"
    },
    {
      tag: "ClaimInvalid",
      token: () => mint({ claims: { exp: undefined } }),
      challenge: invalidToken("A claim of the access token is missing or invalid"),
      level: "WARN",
      message: "claim exp is missing"
    },
    {
      tag: "BindingMismatch",
      token: () => mint({ claims: { cnf: { jkt: "x" } } }),
      challenge: invalidToken("The access token is bound to a key that was not proven"),
      level: "WARN",
      message: "the token is bound to a key (cnf) that this request did not prove"
    },
    {
      tag: "ScopeMissing",
      token: () => mint({ claims: { scope: "other" } }),
      status: 403,
      challenge: challenge("insufficient_scope", "The access token lacks a required scope"),
      level: "WARN",
      message: 'expected scopes "mcp:tools", got "other"'
    }
  ]

  it.scopedLive.each(rejections)("answers $tag with its status, whole challenge and log line", (expected) =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(App)
      lines.length = 0
      const response = yield* get(`${url}/mcp`, bearer(yield* expected.token()))
      expect(shown(response)).toEqual({
        status: expected.status ?? 401,
        challenge: expected.challenge,
        cache: "no-store",
        exposed: "WWW-Authenticate, Retry-After"
      })
      expect(yield* Effect.promise(() => response.text())).toBe("")
      expect(
        lines.map(({ annotations, level, message }) => [
          annotations["error"],
          level,
          message.replace(/\b\d{5,}\b/, "<n>")
        ])
      ).toEqual([[expected.tag, expected.level, `Request rejected: ${expected.message}`]])
    })
  )

  it.scopedLive("answers TokenMissing with a challenge that names no error", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(App)
      lines.length = 0
      for (const headers of [{}, { authorization: "Basic dXNlcjpwYXNz" }, { authorization: "Bearerish token" }]) {
        const response = yield* get(`${url}/mcp`, headers)
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([
          401,
          `Bearer resource_metadata="${metadata}", scope="mcp:tools"`
        ])
      }
      const line = { level: "DEBUG", message: "Request rejected: the request carries no bearer token" }
      expect(lines).toEqual(
        [{}, { scheme: "Basic" }, { scheme: "other" }].map((scheme) => ({
          ...line,
          annotations: { error: "TokenMissing", ...scheme }
        }))
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

  it.scopedLive("answers VerificationUnavailable with 503 and Retry-After, and no challenge", () =>
    Effect.gen(function* () {
      const Unavailable = TokenVerifier.layer(() =>
        Effect.fail(new VerificationUnavailable({ reason: "the issuer is down", retryAfter: 17 }))
      )
      const { lines, url } = yield* serve(
        ProtectedResource.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.merge(Unavailable, Resource))
        )
      )
      const response = yield* get(`${url}/mcp`, bearer(yield* mint()))
      expect({ ...shown(response), retryAfter: response.headers.get("retry-after") }).toEqual({
        status: 503,
        challenge: null,
        retryAfter: "17",
        cache: "no-store",
        exposed: "WWW-Authenticate, Retry-After"
      })
      expect(lines).toMatchObject([{ level: "ERROR", message: "Request rejected: the issuer is down" }])
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
          ProtectedResource.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer))
        ).pipe(Layer.provide(Layer.merge(Counting, Resource)))
      )
      expect((yield* get(`${url}/open`, { authorization: "Bearer garbage" })).status).toBe(200)
      expect(verified).toBe(0)
      expect((yield* get(`${url}/mcp`, { authorization: "Bearer garbage" })).status).toBe(503)
      expect(verified).toBe(1)
    })
  )

  it.scopedLive("does not challenge preflights, with or without the platform's CORS", () =>
    Effect.gen(function* () {
      const Wild = ProtectedResource.add("*", "/", whoami).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))
      const preflight = { origin: "https://page.example", "access-control-request-method": "POST" }
      const plain = yield* serve(Wild)
      expect(shown(yield* get(`${plain.url}/mcp`, preflight, "OPTIONS"))).toMatchObject({
        status: 204,
        challenge: null
      })
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

describe("what stands around a protected route", () => {
  const holds = Effect.serviceOption(AccessToken.AccessToken)

  it.scopedLive("sees the token while the route runs and not after it, whatever ends it", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const tell = (when: string) => Effect.map(holds, (token) => void seen.push([when, Option.isSome(token)]))
      const around = HttpLayerRouter.middleware(
        (route) =>
          Effect.onExit(route, (exit) =>
            Exit.isInterrupted(exit)
              ? Effect.asVoid(Effect.zipRight(tell("Interrupted"), Deferred.succeed(ended, undefined)))
              : tell(exit._tag)
          ),
        { global: true }
      )
      const route = (path: `/${string}`, handler: Effect.Effect<HttpServerResponse.HttpServerResponse>) =>
        ProtectedResource.add("GET", path, Effect.zipRight(tell(path), handler))
      const routes = Layer.mergeAll(
        route("/answers", Effect.succeed(HttpServerResponse.empty())),
        route("/dies", Effect.die("on purpose")),
        route("/waits", Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
      ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))
      const { url } = yield* serve(Layer.merge(routes, around))
      const headers = bearer(yield* mint())
      yield* get(`${url}/mcp/answers`, headers)
      yield* get(`${url}/mcp/dies`, headers)
      const leaving = request(`${url}/mcp/waits`, { headers }).on("error", () => undefined)
      leaving.end()
      yield* Deferred.await(started)
      leaving.destroy()
      yield* Deferred.await(ended)
      expect(seen).toEqual([
        ["/answers", true],
        ["Success", false],
        ["/dies", true],
        ["Failure", false],
        ["/waits", true],
        ["Interrupted", false]
      ])
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
    const credentials = BearerAuth.credentials(request(authorization, lines))
    expect(Either.match(credentials, { onLeft: (error) => error, onRight: (token) => Redacted.value(token) })).toEqual(
      expected
    )
  })
})

describe("BearerAuth.layerScopes", () => {
  it.scopedLive("asks for the scopes of the operation and of the resource in one challenge", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        ProtectedResource.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layerScopes("admin")),
          Layer.provide(Auth)
        )
      )
      const refused = yield* get(`${url}/mcp`, bearer(yield* mint()))
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
        403,
        challenge("insufficient_scope", "The access token lacks a required scope", "mcp:tools admin")
      ])
      const baseline = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: "admin" } })))
      expect(baseline.headers.get("www-authenticate")).toBe(refused.headers.get("www-authenticate"))
      expect((yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: "admin mcp:tools" } })))).status).toBe(200)
      const missing = yield* get(`${url}/mcp`)
      expect(missing.headers.get("www-authenticate")).toBe(
        `Bearer resource_metadata="${metadata}", scope="mcp:tools admin"`
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
})

describe("AccessToken.requireScopes", () => {
  it.scopedLive("turns a handler's shortfall into 403 with a challenge", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(
        ProtectedResource.add(
          "GET",
          "/",
          Effect.as(AccessToken.requireScopes("admin"), HttpServerResponse.text("ok"))
        ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))
      )
      lines.length = 0
      const response = yield* get(`${url}/mcp`, bearer(yield* mint()))
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([
        403,
        challenge("insufficient_scope", "The access token lacks a required scope", "mcp:tools admin")
      ])
      expect(lines.map(({ message }) => message)).toEqual([
        'Request rejected: expected scopes "admin", got "mcp:tools"'
      ])
    })
  )
})

describe("a ScopeMissing whose scopes a handler made of its request", () => {
  const Route = ProtectedResource.add("GET", "/", (request) =>
    Effect.as(
      AccessToken.requireScopes("admin", `${decodeURIComponent(request.url.split("?")[1] ?? "")}`),
      HttpServerResponse.empty()
    )
  ).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

  for (const [what, scope, inChallenge, shown] of [
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
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([
          403,
          challenge("insufficient_scope", "The access token lacks a required scope", `mcp:tools admin${inChallenge}`)
        ])
        expect(lines.map(({ message }) => message)).toEqual([
          `Request rejected: expected scopes "admin", "${shown}", got "mcp:tools"`
        ])
      })
    )
  }
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
  const lacking = (scope: string) => challenge("insufficient_scope", "The access token lacks a required scope", scope)

  it.scopedLive.each([
    ["layer", ProtectedResource.add("GET", "/", scopesOf).pipe(Layer.provide(BearerAuth.layer)), "read", "read"],
    [
      "layerScopes",
      ProtectedResource.add("GET", "/", scopesOf).pipe(Layer.provide(BearerAuth.layerScopes("read", "write"))),
      "write",
      "write"
    ],
    [
      "requireScopes",
      ProtectedResource.add("GET", "/", inHandler).pipe(Layer.provide(BearerAuth.layer)),
      "write",
      "write"
    ]
  ] as const)("counts in %s, and a challenge names the narrowest", ([, routes, suffices, asked]) =>
    Effect.gen(function* () {
      const { url } = yield* serve(routes.pipe(Layer.provide(Verified)))
      for (const scope of [suffices, "admin", "other admin"]) {
        const response = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope } })))
        // The token's own scopes stay as they were issued.
        expect([response.status, yield* Effect.promise(() => response.text())]).toEqual([200, scope])
      }
      const short = suffices === "write" ? "read" : "other"
      const refused = yield* get(`${url}/mcp`, bearer(yield* mint({ claims: { scope: short } })))
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([403, lacking(asked)])
    })
  )

  it.scopedLive("counts for a verifier of one's own", () =>
    Effect.gen(function* () {
      const own = TokenVerifier.layer(() => Effect.succeed({ claims: {}, scopes: new Set(["write"]) }))
      const { url } = yield* serve(
        ProtectedResource.add("GET", "/", inHandler).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.merge(own, Notes))
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
    ProtectedResource.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer)),
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
    ProtectedResource.add("GET", "/", whoami).pipe(
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

describe("a Layer that holds BearerAuth.layer and that two resources share", () => {
  const Shared = Layer.merge(BearerAuth.layer, Layer.empty)
  const authAt = (path: string) =>
    TokenVerifier.layerJwt({ issuer }).pipe(
      Layer.provide(Keys),
      Layer.provideMerge(
        ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
      )
    )
  const routesAt = (path: string) =>
    ProtectedResource.add("GET", "/", whoami).pipe(Layer.provide(Shared), Layer.provide(authAt(path)))

  it.scopedLive("lets no token of the one through to the other", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(Layer.merge(routesAt("/a"), routesAt("/b")))
      const statuses = yield* Effect.forEach(["/a", "/b"], (path) =>
        Effect.forEach(["/a", "/b"], (aud) =>
          Effect.gen(function* () {
            const token = yield* mint({ claims: { aud: `https://api.example${aud}` } })
            return (yield* get(url + path, bearer(token))).status
          })
        )
      )
      // Built for one of the two alone: the other's routes answer its own tokens 401, and those of the first 500.
      const sorted = statuses.map((row) => row.join(" ")).sort()
      expect([
        ["200 401", "500 401"],
        ["401 200", "401 500"]
      ]).toContainEqual(sorted)
      expect(lines.some(({ message }) => message.includes("Layer.fresh"))).toBe(false)
    })
  )
})

describe("metrics", () => {
  it.scopedLive("count every verdict by its tag", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(App)
      const count = (word: string) =>
        Effect.map(Metric.value(verdicts), ({ occurrences }) => occurrences.get(word) ?? 0)
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
        ProtectedResource.add("GET", "/", whoami).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.merge(Own, Resource))
        )
      )
      const elsewhere: Overrides = { header: { typ: "JWT" }, claims: { aud: "https://other.example", exp: 1 } }
      expect((yield* get(`${url}/mcp`, bearer(yield* mint(elsewhere)))).status).toBe(200)
      expect(lines).toEqual([])
    })
  )
})
