/**
 * A token that lacks a scope and has its name elsewhere: the log says where, and nobody else.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ScopeMissing } from "../../src/TokenError.ts"
import { issuer, keyFor, mint, type Overrides, resource } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const Auth = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => keyFor("ES256")),
    ({ jwk }) =>
      TokenVerifier.layerJwt({ issuer }).pipe(
        Layer.provide(KeySet.layerLocal({ jwks: { keys: [jwk] } })),
        Layer.provideMerge(
          ProtectedResource.layer({
            baseUrl: resource,
            authorizationServers: [issuer],
            requiredScopes: ["read"],
            scopeHierarchy: { admin: ["read"] }
          })
        )
      )
  )
)

/** What a door logs of a token and answers: the error, its encoded form and its challenge, as one text. */
const rejected = (claims: Overrides["claims"], scopes: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const logs = captureLogs()
    const token = Redacted.value(yield* mint({ claims }))
    const request = HttpServerRequest.fromWeb(new Request(resource, { headers: { authorization: `Bearer ${token}` } }))
    const { authenticate, challenge } = yield* BearerAuth.make({ scopes })
    const error = yield* Effect.provide(Effect.flip(authenticate(request)), logs.layer)
    expect(error).toBeInstanceOf(ScopeMissing)
    const encoded = Schema.encodeSync(ScopeMissing)(error as ScopeMissing)
    const answered = JSON.stringify([error, encoded, challenge(error), Object.entries(error), error.message])
    return { line: logs.lines.join("\n"), answered }
  }).pipe(Effect.provide(Auth))

const start = 'WARN Request rejected: expected scopes "read", got "other"'
const note = (found: string) =>
  `${start}: the token has ${found}, which says what its user may do; it is not read as a scope`

describe("the log line of a missing scope", () => {
  it.effect.each<{ claims: Readonly<Record<string, unknown>>; line: string }>([
    { claims: { permissions: ["write", "read"] }, line: note('"read" in permissions') },
    { claims: { permissions: "write read" }, line: note('"read" in permissions') },
    { claims: { roles: ["read"], role: "read" }, line: note('"read" in role and "read" in roles') },
    { claims: { groups: ["read"] }, line: note('"read" in groups') },
    { claims: { "cognito:groups": ["read"] }, line: note('"read" in cognito:groups') },
    { claims: { realm_access: { roles: ["read"] } }, line: note('"read" in realm_access.roles') },
    {
      claims: { resource_access: { account: null, "evil\nname": { roles: ["read"] } } },
      line: note('"read" in resource_access')
    },
    { claims: { permissions: ["READ", "reader", 1, null, ["read"]] }, line: start },
    { claims: { permissions: { read: true } }, line: start },
    { claims: { permissions: null, roles: 1, realm_access: "read", resource_access: ["read"] }, line: start },
    { claims: { permissions: [], groups: [] }, line: start },
    { claims: {}, line: start }
  ])("of a token with $claims is: $line", ({ claims, line }) =>
    Effect.gen(function* () {
      const { answered, line: logged } = yield* rejected({ scope: "other", ...claims })
      expect(logged).toBe(line)
      expect(answered).not.toMatch(/permissions|role|groups|resource_access|user may do/)
    })
  )

  it.effect("names what an operation needs, and nothing that another scope implies", () =>
    Effect.gen(function* () {
      const { answered, line } = yield* rejected({ scope: "admin", permissions: ["read", "erase"] }, ["erase"])
      expect(line).toBe(
        'WARN Request rejected: expected scopes "read", "erase", got "admin": the token has "erase" in permissions, which says what its user may do; it is not read as a scope'
      )
      expect(answered).not.toContain("permissions")
    })
  )

  it.effect("says it of a handler's own requirement, too", () =>
    Effect.gen(function* () {
      const logs = captureLogs()
      const token = { claims: { permissions: ["erase"] }, scopes: new Set<string>() }
      const error = yield* Effect.flip(
        Effect.provideService(AccessToken.requireScopes("erase"), AccessToken.AccessToken, token)
      )
      const { challengeHandler } = yield* BearerAuth.make()
      yield* Effect.provide(challengeHandler(error, HttpServerRequest.fromWeb(new Request(resource))), logs.layer)
      expect(logs.lines).toEqual([
        'WARN Request rejected: expected scopes "erase", got none: the token has "erase" in permissions, which says what its user may do; it is not read as a scope'
      ])
    }).pipe(Effect.provide(Auth))
  )
})
