/**
 * Checks of the user's own: the option `checks` of a verifier.
 */
import { describe, expect, it } from "@effect/vitest"
import { AuthKit, type Check, KeySet, ProtectedResource, ResourceServer, TokenVerifier } from "effect-resource-server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { ClaimInvalid, VerificationUnavailable } from "../../src/TokenError.ts"
import { issuer, keyFor, mint, network, type Overrides, publishes, resource } from "../support/issuer.ts"

type Own = Check.Check<TokenVerifier.Rejection>

const jwks = Effect.map(
  Effect.promise(() => keyFor("ES256")),
  ({ jwk }) => ({ keys: [jwk] })
)

const Resource = ProtectedResource.layer({
  baseUrl: resource,
  authorizationServers: [issuer],
  requiredScopes: ["mcp:tools"]
})

const verifier = (checks: ReadonlyArray<Own>, options?: Partial<TokenVerifier.JwtOptions>) =>
  TokenVerifier.layerJwt({ issuer, ...options, checks }).pipe(
    Layer.provide(Layer.unwrapEffect(Effect.map(jwks, (jwks) => KeySet.layerLocal({ jwks })))),
    Layer.provide(Resource)
  )

const verify = (token: Redacted.Redacted) =>
  Effect.flatMap(TokenVerifier.TokenVerifier, ({ verify }) => verify(Redacted.make(Redacted.value(token))))

const wrongTenant = new ClaimInvalid({ claim: "tenant", reason: "is not acme" })
const tenant: Own = (claimed) => (claimed.claims["tenant"] === "acme" ? Effect.succeed(claimed) : wrongTenant)
const acme = { claims: { tenant: "acme" } }

describe("checks", () => {
  it.effect("accept or reject a token, one after the other up to the first that rejects it", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const noting =
        (name: string): Own =>
        (claimed) => {
          asked.push(name)
          return Effect.succeed(claimed)
        }
      const checks = [noting("first"), tenant, noting("last")]
      yield* Effect.gen(function* () {
        expect((yield* verify(yield* mint(acme))).subject).toBe("user-1")
        expect(asked).toEqual(["first", "last"])
        expect(yield* Effect.flip(verify(yield* mint()))).toBe(wrongTenant)
        expect(asked).toEqual(["first", "last", "first"])
      }).pipe(Effect.provide(verifier(checks)))
    })
  )

  it.effect("are given the claims, and the scopes as the token has them", () =>
    Effect.gen(function* () {
      const given: Array<Check.Claimed> = []
      const check: Own = (claimed) =>
        Effect.as(
          Effect.sync(() => given.push(claimed)),
          claimed
        )
      yield* Effect.provide(Effect.flatMap(mint({ claims: { scope: "mcp:tools a" } }), verify), verifier([check]))
      expect(given.map(({ claims, scopes }) => [claims["sub"], [...scopes]])).toEqual([["user-1", ["mcp:tools", "a"]]])
    })
  )

  it.effect.each<{ before: string; given: Overrides; tag: string; asked: boolean }>([
    { before: "the signature", given: { header: { kid: "other" } }, tag: "KeyNotFound", asked: false },
    { before: "the type", given: { header: { typ: "JWT" } }, tag: "TypeMismatch", asked: false },
    { before: "the issuer", given: { claims: { iss: "https://other.example" } }, tag: "IssuerMismatch", asked: false },
    {
      before: "the audience",
      given: { claims: { aud: "https://other.example" } },
      tag: "AudienceMismatch",
      asked: false
    },
    { before: "the lifetime", given: { claims: { exp: -31 } }, tag: "Expired", asked: false },
    { before: "a required claim", given: { claims: { sub: undefined } }, tag: "ClaimInvalid", asked: false },
    { before: "binding", given: { claims: { cnf: {} } }, tag: "BindingMismatch", asked: true },
    { before: "the scopes", given: { claims: { scope: "other" } }, tag: "ScopeMissing", asked: true }
  ])("run before $before: $asked", ({ asked, given, tag }) =>
    Effect.gen(function* () {
      let calls = 0
      const check: Own = (claimed) => (calls++, Effect.succeed(claimed))
      const rejected = Effect.flatMap(mint(given), (token) => Effect.flip(verify(token)))
      const error = yield* Effect.provide(rejected, verifier([check], { requiredClaims: ["sub"] }))
      expect([error._tag, calls]).toEqual([tag, asked ? 1 : 0])
    })
  )

  it.effect("run for each request, also for a token that is remembered, which a rejection forgets", () =>
    Effect.gen(function* () {
      let calls = 0
      let isSuspended = false
      const suspended = new ClaimInvalid({ claim: "sub", reason: "is suspended" })
      const check: Own = (claimed) => (calls++, isSuspended ? suspended : Effect.succeed(claimed))
      const token = yield* mint()
      yield* Effect.gen(function* () {
        for (let request = 1; request <= 4; request++) {
          expect((yield* verify(token)).subject).toBe("user-1")
          expect(calls).toBe(request)
        }
        isSuspended = true
        expect(yield* Effect.flip(verify(token))).toBe(suspended)
        isSuspended = false
        expect((yield* verify(token)).subject).toBe("user-1")
        expect(calls).toBe(6)
      }).pipe(Effect.provide(verifier([check])))
    })
  )

  it.effect.each([1, 4])("may be asynchronous, also at request %i", (requests) =>
    Effect.gen(function* () {
      const slow: Own = (claimed) => Effect.delay(tenant(claimed), "1 second")
      const run = (overrides: Overrides) =>
        Effect.gen(function* () {
          const token = yield* mint(overrides)
          const fiber = yield* Effect.fork(Effect.replicateEffect(Effect.either(verify(token)), requests))
          yield* TestClock.adjust(`${requests} seconds`)
          return yield* fiber
        })
      yield* Effect.gen(function* () {
        expect((yield* run(acme)).map(({ _tag }) => _tag)).toEqual(Array(requests).fill("Right"))
        expect((yield* run({})).map(({ _tag }) => _tag)).toEqual(Array(requests).fill("Left"))
        // The scopes are checked after it.
        const other = yield* run({ claims: { tenant: "acme", scope: "other" } })
        expect(other).toMatchObject(Array(requests).fill({ left: { _tag: "ScopeMissing" } }))
      }).pipe(Effect.provide(verifier([slow])))
    })
  )

  it.effect("may say that nothing can be verified now", () =>
    Effect.gen(function* () {
      const outage = new VerificationUnavailable({ reason: "the list of revoked tokens is down", retryAfter: 5 })
      const check: Own = () => outage
      expect(yield* Effect.provide(Effect.flip(Effect.flatMap(mint(), verify)), verifier([check]))).toBe(outage)
    })
  )

  it.effect.each<{ what: string; change: (claimed: Check.Claimed) => unknown }>([
    { what: "a claim", change: ({ claims }) => Object.assign(claims, { sub: "root" }) },
    { what: "a scope", change: ({ scopes }) => (scopes as Set<string>).add("admin") },
    { what: "the set of scopes", change: (claimed) => Object.assign(claimed, { scopes: new Set(["admin"]) }) }
  ])("cannot change $what, which the next request reads", ({ change }) =>
    Effect.gen(function* () {
      const check: Own = (claimed) => Effect.sync(() => (change(claimed), claimed))
      const defects = yield* Effect.gen(function* () {
        const token = yield* mint()
        return yield* Effect.replicateEffect(Effect.exit(verify(token)), 3)
      }).pipe(Effect.provide(verifier([check])))
      for (const exit of defects) expect(defectOf(exit)).toBeInstanceOf(TypeError)
    })
  )

  const broken = new Error("broken")
  it.effect.each<{ what: string; check: unknown; defect: unknown }>([
    {
      what: "throws",
      check: () => {
        throw broken
      },
      defect: broken
    },
    { what: "dies", check: () => Effect.die(broken), defect: broken },
    { what: "dies later", check: () => Effect.delay(Effect.die(broken), 0), defect: broken },
    ...[false, true, undefined, { claims: {}, scopes: new Set() }].map((value) => ({
      what: `succeeds with ${JSON.stringify(value)}`,
      check: () => Effect.succeed(value),
      defect: new TypeError("A check of the option checks did not return what it was given")
    })),
    ...[false, undefined, Promise.resolve(true)].map((value) => ({
      what: `returns ${String(value)} and no effect`,
      check: () => value,
      defect: expect.any(Error)
    }))
  ])("that $what is a defect of its request, each time, and accepts nothing", ({ check, defect }) =>
    Effect.gen(function* () {
      let isBroken = false
      const own: Own = (claimed) => (isBroken ? (check as Own)(claimed) : Effect.succeed(claimed))
      const token = yield* mint()
      yield* Effect.gen(function* () {
        // At the first request of a token, and when it is remembered.
        for (const accepted of [0, 3]) {
          isBroken = false
          yield* Effect.replicateEffect(verify(token), accepted)
          isBroken = true
          for (let request = 0; request < 2; request++) {
            const fiber = yield* Effect.fork(Effect.exit(verify(token)))
            yield* TestClock.adjust("1 second")
            expect(defectOf(yield* fiber)).toEqual(defect)
          }
        }
      }).pipe(Effect.provide(verifier([own])))
    })
  )

  it.effect("that throw have a stack trace, unlike rejections", () =>
    Effect.gen(function* () {
      const check: Own = () => {
        throw new Error("where from?")
      }
      const exit = yield* Effect.provide(Effect.exit(Effect.flatMap(mint(), verify)), verifier([check]))
      expect((defectOf(exit) as Error).stack).toContain("TokenVerifier.checks.test")
    })
  )

  it.effect("are those of the list when the verifier is built", () =>
    Effect.gen(function* () {
      const checks = [tenant]
      yield* Effect.gen(function* () {
        const { verify } = yield* TokenVerifier.TokenVerifier
        checks.pop()
        expect(yield* Effect.flip(verify(yield* mint()))).toBe(wrongTenant)
      }).pipe(Effect.provide(verifier(checks)))
    })
  )
})

describe("checks of a preset", () => {
  it.effect.each<{ name: string; layer: (jwks: KeySet.JsonWebKeySet) => ReturnType<typeof ResourceServer.layer> }>([
    {
      name: "ResourceServer",
      layer: (jwks) => ResourceServer.layer({ baseUrl: resource, issuer, keys: { jwks }, checks: [tenant] })
    },
    {
      name: "AuthKit",
      layer: () => AuthKit.layer({ baseUrl: resource, authkitDomain: issuer, checks: [tenant] })
    }
  ])("$name run", ({ layer, name }) =>
    Effect.gen(function* () {
      const algorithm = name === "AuthKit" ? "RS256" : "ES256"
      const key = yield* Effect.promise(() => keyFor(algorithm))
      const auth = layer({ keys: [key.jwk] }).pipe(Layer.provide(network(publishes(key)).layer))
      yield* Effect.gen(function* () {
        expect((yield* verify(yield* mint({ algorithm, ...acme }))).subject).toBe("user-1")
        expect(yield* Effect.flip(verify(yield* mint({ algorithm })))).toBe(wrongTenant)
      }).pipe(Effect.provide(auth))
    })
  )
})

const defectOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && Cause.isDieType(exit.cause) ? exit.cause.defect : exit
