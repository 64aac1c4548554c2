import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as OpenApi from "@effect/platform/OpenApi"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuthHttpApi, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import { type TokenError, VerificationUnavailable } from "effect-resource-server/TokenError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { issuer, keyFor, mint, type Overrides, resource } from "./support/issuer.ts"
import { get, raw, serve } from "./support/server.ts"

class Admins extends BearerAuthHttpApi.Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}

const Notes = HttpApiGroup.make("notes")
  .add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String))
  .add(HttpApiEndpoint.post("publish", "/publish").addSuccess(Schema.String))
  .middleware(BearerAuthHttpApi.Protected)

const Administration = HttpApiGroup.make("administration")
  .add(
    HttpApiEndpoint.del("erase", "/notes/:id")
      .setPath(Schema.Struct({ id: Schema.String }))
      .addSuccess(Schema.String)
  )
  .middleware(Admins)

/** Both tags: the endpoint's comes before the group's. */
const Nested = HttpApiGroup.make("nested")
  .add(HttpApiEndpoint.get("both", "/both").addSuccess(Schema.String).middleware(BearerAuthHttpApi.Protected))
  .add(HttpApiEndpoint.get("shortfall", "/shortfall").addSuccess(Schema.String).middleware(BearerAuthHttpApi.Protected))
  .middleware(Admins)

const Open = HttpApiGroup.make("open").add(HttpApiEndpoint.get("health", "/health").addSuccess(Schema.String))

const Api = HttpApi.make("api").add(Notes).add(Administration).add(Nested).add(Open)

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

const Handlers = Layer.mergeAll(
  HttpApiBuilder.group(Api, "notes", (handlers) =>
    handlers
      .handle("whoami", () => subject)
      .handle("publish", () => Effect.as(AccessToken.requireScopes("notes:publish"), "published"))
  ),
  HttpApiBuilder.group(Api, "administration", (handlers) =>
    handlers.handle("erase", ({ path }) => Effect.succeed(path.id))
  ),
  HttpApiBuilder.group(Api, "nested", (handlers) =>
    handlers
      .handle("both", () => subject)
      .handle("shortfall", () => Effect.as(AccessToken.requireScopes("more"), "more"))
  ),
  HttpApiBuilder.group(Api, "open", (handlers) => handlers.handle("health", () => Effect.succeed("well")))
)

const resourceAt = (path: string) =>
  ProtectedResource.layer({
    baseUrl: "https://api.example",
    path,
    authorizationServers: [issuer],
    requiredScopes: ["mcp:tools"]
  })

const Keys = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => keyFor("ES256")),
    ({ jwk }) => KeySet.layerLocal({ jwks: { keys: [jwk] } })
  )
)

const authAt = (path: string) =>
  TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys), Layer.provideMerge(resourceAt(path)))

const Guards = BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected, Admins)

const Routes = BearerAuthHttpApi.add(Api, Handlers)

/** The API of the resource at a path. */
const appAt = (path: string) =>
  Routes.pipe(Layer.provide(Guards), Layer.provide(authAt(path)), Layer.provide(HttpServer.layerContext))

/** A typed client whose requests carry this header. */
const client = (baseUrl: string, authorization?: string) =>
  HttpApiClient.make(Api, {
    baseUrl,
    transformClient: HttpClient.mapRequest((request) =>
      authorization === undefined ? request : HttpClientRequest.setHeader(request, "authorization", authorization)
    )
  }).pipe(Effect.provide(FetchHttpClient.layer))

const bearer = (overrides?: Overrides) => Effect.map(mint(overrides), (token) => `Bearer ${Redacted.value(token)}`)

const metadata = "https://api.example/.well-known/oauth-protected-resource/mcp"

const challenge = (error: string, description: string, scope = "mcp:tools") =>
  `Bearer resource_metadata="${metadata}", scope="${scope}", error="${error}", error_description="${description}"`

const lacking = (scope: string) => challenge("insufficient_scope", "The access token lacks a required scope", scope)

const shown = (response: Response) => ({
  status: response.status,
  challenge: response.headers.get("www-authenticate"),
  cache: response.headers.get("cache-control"),
  exposed: response.headers.get("access-control-expose-headers")
})

describe("BearerAuthHttpApi.layer", () => {
  it.scopedLive("provides the verified token to handlers, below the resource's path", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      const { notes, open } = yield* client(`${url}/mcp`, yield* bearer())
      expect(yield* notes.whoami({})).toBe("user-1")
      expect(yield* open.health({})).toBe("well")
      expect(lines.map(({ message }) => message)).toEqual([`Access tokens are accepted for aud=${resource}`])
      expect((yield* get(`${url}/whoami`)).status).toBe(404)
    })
  )

  // Each differs from the good token above by one thing. The error is what the client gets, and the body, whole.
  const rejections: ReadonlyArray<{
    readonly error: { readonly _tag: TokenError["_tag"] } & Readonly<Record<string, unknown>>
    readonly authorization: () => Effect.Effect<string>
    readonly status?: number
    readonly challenge: string
  }> = [
    {
      error: { _tag: "TokenMissing" },
      authorization: () => Effect.map(bearer(), (header) => header.replace("Bearer", "Digest")),
      challenge: `Bearer resource_metadata="${metadata}", scope="mcp:tools"`
    },
    {
      error: { _tag: "CredentialsMalformed", reason: "the Authorization header is not one bearer token" },
      authorization: () => Effect.map(bearer(), (header) => `${header} x`),
      status: 400,
      challenge: challenge("invalid_request", "The Authorization header is malformed")
    },
    {
      error: { _tag: "TokenMalformed", reason: "the token has not three segments" },
      authorization: () => Effect.succeed("Bearer not-a-token"),
      challenge: challenge("invalid_token", "The access token is malformed")
    },
    {
      error: {
        _tag: "AlgorithmNotAllowed",
        expected: ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"],
        actual: "none"
      },
      authorization: () => bearer({ header: { alg: "none" } }),
      challenge: challenge("invalid_token", "The access token is signed with an algorithm that is not allowed")
    },
    {
      error: { _tag: "CriticalHeaderUnsupported" },
      authorization: () => bearer({ header: { crit: ["exp"] } }),
      challenge: challenge("invalid_token", "The access token needs an unsupported extension")
    },
    {
      error: { _tag: "KeyNotFound", algorithm: "ES256", keyId: "another" },
      authorization: () => bearer({ header: { kid: "another" } }),
      challenge: challenge("invalid_token", "The access token is signed with an unknown key")
    },
    {
      error: { _tag: "SignatureInvalid" },
      authorization: () =>
        Effect.map(bearer(), (header) => header.slice(0, -4) + (header.endsWith("AAAA") ? "BBBB" : "AAAA")),
      challenge: challenge("invalid_token", "The signature of the access token is invalid")
    },
    {
      error: { _tag: "TypeMismatch", expected: ["at+jwt"], actual: "JWT" },
      authorization: () => bearer({ header: { typ: "JWT" } }),
      challenge: challenge("invalid_token", "The token is not an access token")
    },
    {
      error: { _tag: "IssuerMismatch", expected: issuer, actual: "https://other.example" },
      authorization: () => bearer({ claims: { iss: "https://other.example" } }),
      challenge: challenge("invalid_token", "The access token is from another issuer")
    },
    {
      error: { _tag: "AudienceMismatch", expected: [resource], actual: ["https://other.example/mcp"] },
      authorization: () => bearer({ claims: { aud: "https://other.example/mcp" } }),
      challenge: challenge("invalid_token", "The access token is for another resource")
    },
    {
      error: { _tag: "Expired", expiresAt: 1, now: expect.any(Number) },
      authorization: () => bearer({ claims: { exp: 1 } }),
      challenge: challenge("invalid_token", "The access token expired")
    },
    {
      error: { _tag: "NotYetValid", claim: "nbf", validFrom: 99_999_999_999, now: expect.any(Number) },
      authorization: () => bearer({ claims: { nbf: 99_999_999_999 } }),
      challenge: challenge("invalid_token", "The access token is not valid yet")
    },
    {
      error: { _tag: "ClaimInvalid", claim: "exp", reason: "is missing" },
      authorization: () => bearer({ claims: { exp: undefined } }),
      challenge: challenge("invalid_token", "A claim of the access token is missing or invalid")
    },
    {
      error: { _tag: "BindingMismatch" },
      authorization: () => bearer({ claims: { cnf: { jkt: "x" } } }),
      challenge: challenge("invalid_token", "The access token is bound to a key that was not proven")
    },
    {
      error: { _tag: "ScopeMissing", required: ["mcp:tools"], granted: ["other"] },
      authorization: () => bearer({ claims: { scope: "other" } }),
      status: 403,
      challenge: lacking("mcp:tools")
    }
  ]

  it.scopedLive.each(rejections)("answers $error._tag with its status, whole challenge, and the error", (expected) =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      lines.length = 0
      const authorization = yield* expected.authorization()
      const { notes } = yield* client(`${url}/mcp`, authorization)
      const error = yield* Effect.flip(notes.whoami({}))
      expect({ ...error }).toMatchObject(expected.error)
      expect(lines.map(({ annotations }) => annotations["error"])).toEqual([expected.error._tag])
      const response = yield* get(`${url}/mcp/whoami`, { authorization })
      expect(shown(response)).toEqual({
        status: expected.status ?? 401,
        challenge: expected.challenge,
        cache: "no-store",
        exposed: "WWW-Authenticate, Retry-After"
      })
      expect(yield* Effect.promise(() => response.json())).toEqual(expected.error)
    })
  )

  it.scopedLive("lets a client match a rejection by its tag", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(appAt("/mcp"))
      const { notes } = yield* client(`${url}/mcp`, yield* bearer({ claims: { aud: "https://other.example" } }))
      const answer = notes
        .whoami({})
        .pipe(
          Effect.catchTag("AudienceMismatch", ({ actual, expected }) => Effect.succeed([...actual, ...expected].join()))
        )
      expect(yield* answer).toBe(`https://other.example,${resource}`)
    })
  )

  it.scopedLive("answers VerificationUnavailable with 503 and Retry-After, no challenge, and no reason", () =>
    Effect.gen(function* () {
      const Unavailable = TokenVerifier.layer(() =>
        Effect.fail(new VerificationUnavailable({ reason: "http://10.0.0.7/jwks answered 500", retryAfter: 17 }))
      )
      const { lines, url } = yield* serve(
        Routes.pipe(
          Layer.provide(Guards),
          Layer.provide(Unavailable),
          Layer.provide(resourceAt("/mcp")),
          Layer.provide(HttpServer.layerContext)
        )
      )
      const response = yield* get(`${url}/mcp/whoami`, { authorization: yield* bearer() })
      expect([shown(response), response.headers.get("retry-after")]).toEqual([
        { status: 503, challenge: null, cache: "no-store", exposed: "WWW-Authenticate, Retry-After" },
        "17"
      ])
      expect(yield* Effect.promise(() => response.json())).toEqual({
        _tag: "VerificationUnavailable",
        reason: "the token cannot be verified now",
        retryAfter: 17
      })
      expect(lines).toMatchObject([{ level: "ERROR", message: "Request rejected: http://10.0.0.7/jwks answered 500" }])
    })
  )

  it.scopedLive("reads the header itself: of several there is none to trust", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(appAt("/mcp"))
      const authorization = `Authorization: ${yield* bearer()}`
      expect(yield* raw(port, "GET /mcp/whoami HTTP/1.1", authorization, "Authorization: Basic eA==")).toEqual({
        status: 400,
        challenge: challenge("invalid_request", "The Authorization header is malformed")
      })
      expect((yield* raw(port, "GET /mcp/whoami HTTP/1.1", authorization)).status).toBe(200)
    })
  )
})

describe("BearerAuthHttpApi.Tag", () => {
  it.scopedLive("needs its scopes besides the resource's, and names them all", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      const erase = (scope: string) =>
        Effect.gen(function* () {
          const authorization = yield* bearer({ claims: { scope } })
          const response = yield* get(`${url}/mcp/notes/7`, { authorization }, "DELETE")
          return [
            response.status,
            response.headers.get("www-authenticate"),
            yield* Effect.promise(() => response.json())
          ]
        })
      lines.length = 0
      expect(yield* erase("mcp:tools notes:admin")).toEqual([200, null, "7"])
      expect(yield* erase("mcp:tools")).toEqual([
        403,
        lacking("mcp:tools notes:admin"),
        { _tag: "ScopeMissing", required: ["mcp:tools", "notes:admin"], granted: ["mcp:tools"] }
      ])
      expect((yield* erase("notes:admin")).slice(0, 2)).toEqual([403, lacking("mcp:tools notes:admin")])
      expect(lines.map(({ annotations }) => annotations["error"])).toEqual(["ScopeMissing", "ScopeMissing"])
    })
  )

  it.scopedLive("answers once where several are on one endpoint", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      lines.length = 0
      const ask = (path: string, scope: string) =>
        Effect.gen(function* () {
          const response = yield* get(url + path, { authorization: yield* bearer({ claims: { scope } }) })
          return [response.status, response.headers.get("www-authenticate")]
        })
      expect(yield* ask("/mcp/both", "mcp:tools notes:admin")).toEqual([200, null])
      expect(lines).toEqual([])
      // The endpoint's tag is content, the group's is not.
      expect(yield* ask("/mcp/both", "mcp:tools")).toEqual([403, lacking("mcp:tools notes:admin")])
      expect(lines.length).toBe(1)
      expect(yield* ask("/mcp/shortfall", "mcp:tools notes:admin")).toEqual([403, expect.stringContaining("more")])
      expect(lines.length).toBe(2)
    })
  )

  it.scopedLive("fails when built if a scope is none", () =>
    Effect.gen(function* () {
      class Wrong extends BearerAuthHttpApi.Tag<Wrong>()("Wrong", { scopes: ["not a scope"] }) {}
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(BearerAuthHttpApi.layer(Wrong).pipe(Layer.provide(authAt("/mcp")))))
      )
      expect(error.message).toMatch(/^scopes "not a scope": is not a scope/)
    })
  )
})

describe("a handler's own ScopeMissing", () => {
  it.scopedLive("is answered with 403, a challenge that names its scopes, and a line in the log", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      lines.length = 0
      const response = yield* get(`${url}/mcp/publish`, { authorization: yield* bearer() }, "POST")
      expect(shown(response)).toEqual({
        status: 403,
        challenge: lacking("mcp:tools notes:publish"),
        cache: "no-store",
        exposed: "WWW-Authenticate, Retry-After"
      })
      expect(yield* Effect.promise(() => response.json())).toEqual({
        _tag: "ScopeMissing",
        required: ["notes:publish"],
        granted: ["mcp:tools"]
      })
      expect(lines).toEqual([
        {
          level: "WARN",
          message: 'Request rejected: expected scopes "notes:publish", got "mcp:tools"',
          annotations: { error: "ScopeMissing" }
        }
      ])
    })
  )
})

describe("an answer that only looks like one", () => {
  it.scopedLive("gets no challenge", () =>
    Effect.gen(function* () {
      const body = { _tag: "ScopeMissing", required: ["x"], granted: [] }
      const Lookalike = HttpApi.make("lookalike").add(
        HttpApiGroup.make("group")
          .add(HttpApiEndpoint.get("get", "/get").addSuccess(Schema.Any))
          .middleware(BearerAuthHttpApi.Protected)
      )
      const handlers = HttpApiBuilder.group(Lookalike, "group", (group) =>
        group.handle("get", () => Effect.succeed(body))
      )
      const { url } = yield* serve(
        BearerAuthHttpApi.add(Lookalike, handlers).pipe(Layer.provide(Guards), Layer.provide(authAt("/mcp")))
      )
      const response = yield* get(`${url}/mcp/get`, { authorization: yield* bearer() })
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([200, null])
      expect(yield* Effect.promise(() => response.json())).toEqual(body)
    })
  )
})

describe("BearerAuthHttpApi.Protected", () => {
  it("has a key of its own", () => {
    expect(BearerAuthHttpApi.Protected.key).toBe("effect-resource-server/BearerAuthHttpApi/Protected")
  })
})

describe("BearerAuthHttpApi.add", () => {
  it.scopedLive("keeps two resources of one process apart, though they share every Layer", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Layer.merge(appAt("/a"), appAt("/b")))
      for (const [own, other] of [
        ["/a", "/b"],
        ["/b", "/a"]
      ]) {
        const authorization = yield* bearer({ claims: { aud: `https://api.example${own}` } })
        expect((yield* get(`${url}${own}/whoami`, { authorization })).status).toBe(200)
        const refused = yield* get(`${url}${other}/whoami`, { authorization })
        expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
          401,
          challenge("invalid_token", "The access token is for another resource").replace('/mcp"', `${other}"`)
        ])
      }
    })
  )

  it.scopedLive("serves a resource that is a bare origin, and one with a trailing slash", () =>
    Effect.gen(function* () {
      for (const [path, aud] of [
        ["/", "https://api.example/"],
        ["/deep/", "https://api.example/deep/"]
      ] as const) {
        const { url } = yield* serve(appAt(path))
        const { notes } = yield* client(`${url}${path}`.replace(/\/$/, ""), yield* bearer({ claims: { aud } }))
        expect(yield* notes.whoami({})).toBe("user-1")
      }
    })
  )
})

describe("HttpApiBuilder.serve", () => {
  it.scopedLive("is protected the same way, by whole paths", () =>
    Effect.gen(function* () {
      const server = HttpApiBuilder.serve().pipe(
        Layer.provide(HttpApiBuilder.api(Api)),
        Layer.provide(Handlers),
        Layer.provide(Guards),
        Layer.provide(authAt("/mcp")),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      )
      const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
      const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
      const authorization = yield* bearer()
      expect((yield* get(`${url}/whoami`, { authorization })).status).toBe(200)
      for (const [method, path, header, status, expected] of [
        ["GET", "/whoami", "", 401, `Bearer resource_metadata="${metadata}", scope="mcp:tools"`],
        ["DELETE", "/notes/7", authorization, 403, lacking("mcp:tools notes:admin")],
        ["POST", "/publish", authorization, 403, lacking("mcp:tools notes:publish")]
      ] as const) {
        const response = yield* get(url + path, { authorization: header }, method)
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([status, expected])
      }
    })
  )
})

describe("OpenApi.fromApi", () => {
  const { components, paths } = OpenApi.fromApi(Api)

  it("lists the security scheme, and requires it where a tag is", () => {
    expect(components.securitySchemes).toEqual({ bearer: { type: "http", scheme: "bearer" } })
    expect(paths["/whoami"]?.get?.security).toEqual([{ bearer: [] }])
    expect(paths["/health"]?.get?.security).toEqual([])
  })

  it("lists the statuses, and the errors of each", () => {
    const errors = Object.entries(paths["/whoami"]?.get?.responses ?? {}).map(([status, { content }]) => {
      const { anyOf, ...one } = content?.["application/json"]?.schema as {
        readonly $ref?: string
        readonly anyOf?: ReadonlyArray<{ readonly $ref: string }>
      }
      return [status, (anyOf ?? [one]).map(({ $ref }) => $ref?.replace("#/components/schemas/", ""))]
    })
    expect(Object.fromEntries(errors)).toEqual({
      200: [undefined],
      400: ["HttpApiDecodeError", "CredentialsMalformed"],
      401: [
        "TokenMissing",
        "TokenMalformed",
        "AlgorithmNotAllowed",
        "CriticalHeaderUnsupported",
        "KeyNotFound",
        "SignatureInvalid",
        "TypeMismatch",
        "IssuerMismatch",
        "AudienceMismatch",
        "Expired",
        "NotYetValid",
        "ClaimInvalid",
        "BindingMismatch"
      ],
      403: ["ScopeMissing"],
      503: ["VerificationUnavailable"]
    })
    expect(Object.keys(paths["/health"]?.get?.responses ?? {})).toEqual(["200", "400"])
  })
})
